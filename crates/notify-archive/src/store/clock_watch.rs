//! A look at the wall clock for jumps: [`ClockWatch`].

use std::time::Instant;

use time::{Duration, OffsetDateTime};

/// Compares the wall clock with the monotonic one, which stands still while the machine sleeps.
#[derive(Debug, Default)]
pub(crate) struct ClockWatch {
    last: Option<(Instant, OffsetDateTime)>,
}

impl ClockWatch {
    /// Notes the time on both clocks. Returns whether the wall clock was set since the last call, or the machine
    /// slept.
    pub(crate) fn jumped(&mut self, monotonic: Instant, now: OffsetDateTime) -> bool {
        let Some((before, then)) = self.last.replace((monotonic, now)) else { return false };
        let passed = Duration::try_from(monotonic - before).unwrap_or(Duration::MAX);
        ((now - then).saturating_sub(passed)).abs() > MOST_DRIFT
    }
}

/// More than NTP corrects without setting the clock.
const MOST_DRIFT: Duration = Duration::minutes(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_jumps_and_a_slow_disk_does_not() {
        let mut watch = ClockWatch::default();
        let (start, now) = (Instant::now(), OffsetDateTime::UNIX_EPOCH);
        let after = |minutes: u64| start + std::time::Duration::from_secs(minutes * 60);
        assert!(!watch.jumped(start, now));
        assert!(!watch.jumped(after(90), now + Duration::minutes(90)));
        assert!(watch.jumped(after(91), now + Duration::days(1)));
        assert!(!watch.jumped(after(92), now + Duration::days(1) + Duration::minutes(1)));
        assert!(watch.jumped(after(93), now));
    }
}
