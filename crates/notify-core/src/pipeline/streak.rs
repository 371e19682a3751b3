//! Rate limiting for warnings about losses: one line a minute instead of one for each message.

use std::time::Duration;

use tokio::time::Instant;

/// A run of losses of one kind, from its first loss until a minute passes without one.
///
/// It reports its start, its count once a minute, and its total at the end.
#[derive(Debug, Default)]
pub(super) struct LossStreak {
    count: u64,
    /// The count that the last report gave.
    reported: u64,
    /// The time of the next report; `None` while there is no streak.
    next_report: Option<Instant>,
}

/// A report of a [`LossStreak`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreakReport {
    /// The first loss.
    Start,
    /// The streak goes on.
    Update {
        /// The losses since its start.
        count: u64,
    },
    /// The streak is over.
    End {
        /// All losses of the streak.
        count: u64,
    },
}

impl LossStreak {
    /// Counts `losses`, and returns a report if one is due.
    pub(super) fn add(&mut self, losses: u64, now: Instant) -> Option<StreakReport> {
        if losses == 0 {
            return None;
        }
        self.count += losses;
        match self.next_report {
            None => {
                self.reported = self.count;
                self.next_report = Some(now + INTERVAL);
                Some(StreakReport::Start)
            }
            Some(next) if now >= next => self.tick(now),
            Some(_) => None,
        }
    }

    /// Returns the time at which [`tick`](Self::tick) has a report.
    pub(super) fn next_report(&self) -> Option<Instant> {
        self.next_report
    }

    /// Returns the report that is due at `now`, if there is one.
    pub(super) fn tick(&mut self, now: Instant) -> Option<StreakReport> {
        if now < self.next_report? {
            return None;
        }
        if self.count == self.reported {
            return self.end();
        }
        self.reported = self.count;
        self.next_report = Some(now + INTERVAL);
        Some(StreakReport::Update { count: self.count })
    }

    /// Ends the streak, and returns its total if there is one.
    pub(super) fn end(&mut self) -> Option<StreakReport> {
        let Self { count, next_report, .. } = std::mem::take(self);
        next_report.map(|_| StreakReport::End { count })
    }
}

/// The time between two reports of one streak.
const INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    /// A log gets one line for the start, one a minute, and one for the end.
    #[test]
    fn reports_the_start_each_minute_and_the_end() {
        let mut streak = LossStreak::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(streak.tick(at(0)), None);
        assert_eq!(streak.add(1, at(0)), Some(StreakReport::Start));
        assert_eq!(streak.add(5, at(59)), None);
        assert_eq!(streak.add(1, at(60)), Some(StreakReport::Update { count: 7 }));
        assert_eq!(streak.tick(at(119)), None);
        assert_eq!(streak.tick(at(120)), Some(StreakReport::End { count: 7 }));
        assert_eq!(streak.add(2, at(121)), Some(StreakReport::Start));
        assert_eq!(streak.end(), Some(StreakReport::End { count: 2 }));
        assert_eq!(streak.end(), None);
    }
}
