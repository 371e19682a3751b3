//! How long to wait after a failure.

use std::time::Duration;

use super::random::unit;

/// Waits grow from 100 ms to 30 s and are jittered over their whole length, so that a thousand
/// services that lost the same broker do not come back in one moment.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Something was delivered: the next failure is a first one.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure.
    pub(super) fn next(&mut self, transient: bool) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // What nobody but an operator can mend is not helped by being tried often.
        if transient { bound.mul_f64(unit()) } else { LONGEST }
    }
}

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_bound_and_starts_over() {
        let mut backoff = Backoff::default();
        for failure in 0..40 {
            let bound = FIRST * (1 << failure.min(10));
            assert!(backoff.next(true) <= bound.min(LONGEST));
        }
        let longest = (0..200).map(|_| backoff.next(true)).max();
        assert!(longest > Some(LONGEST / 2) && longest <= Some(LONGEST));
        backoff.reset();
        assert!(backoff.next(true) <= FIRST);
    }

    #[test]
    fn a_permanent_error_waits_its_whole_length() {
        assert_eq!(Backoff::default().next(false), LONGEST);
    }
}
