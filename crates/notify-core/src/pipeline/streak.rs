//! Saying that something keeps going wrong without filling a log with it.

use std::time::Duration;

use tokio::time::Instant;

/// A run of losses of one sort: told when it starts, once a minute while it lasts, and with its
/// count when a minute has passed without one.
#[derive(Debug, Default)]
pub(super) struct Streak {
    count: u64,
    reported: u64,
    next: Option<Instant>,
}

/// What there is to tell of a streak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    Started,
    Going { count: u64 },
    Ended { count: u64 },
}

impl Streak {
    /// Counts `losses`.
    pub(super) fn add(&mut self, losses: u64, now: Instant) -> Option<Report> {
        if losses == 0 {
            return None;
        }
        self.count += losses;
        match self.next {
            None => {
                self.reported = self.count;
                self.next = Some(now + MINUTE);
                Some(Report::Started)
            }
            Some(next) if now >= next => self.tick(now),
            Some(_) => None,
        }
    }

    /// When [`tick`](Self::tick) will have something to tell.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        self.next
    }

    /// What there is to tell as time passes.
    pub(super) fn tick(&mut self, now: Instant) -> Option<Report> {
        if now < self.next? {
            return None;
        }
        if self.count == self.reported {
            return self.end();
        }
        self.reported = self.count;
        self.next = Some(now + MINUTE);
        Some(Report::Going { count: self.count })
    }

    /// Ends the streak, if there is one.
    pub(super) fn end(&mut self) -> Option<Report> {
        let Self { count, next, .. } = std::mem::take(self);
        next.map(|_| Report::Ended { count })
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_start_each_minute_and_the_end() {
        let mut streak = Streak::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(streak.tick(at(0)), None);
        assert_eq!(streak.add(1, at(0)), Some(Report::Started));
        assert_eq!(streak.add(5, at(59)), None);
        assert_eq!(streak.add(1, at(60)), Some(Report::Going { count: 7 }));
        assert_eq!(streak.tick(at(119)), None);
        assert_eq!(streak.tick(at(120)), Some(Report::Ended { count: 7 }));
        assert_eq!(streak.add(2, at(121)), Some(Report::Started));
        assert_eq!(streak.end(), Some(Report::Ended { count: 2 }));
        assert_eq!(streak.end(), None);
    }
}
