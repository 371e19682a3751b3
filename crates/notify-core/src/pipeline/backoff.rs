//! The wait between attempts that fail.

use std::time::Duration;

/// The number of consecutive failures, from which the next wait follows.
///
/// The bound of the wait doubles from 100 ms to 30 s. The wait is a random part of that bound, so that
/// a thousand services that lost the same broker do not all return at the same moment.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Starts again at the shortest wait, after the destination accepted or refused a message.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts one more failure and returns the wait before the next attempt, for a random `jitter` from
    /// 0 to 1.
    ///
    /// A permanent error needs an operator, so frequent attempts do not help: it waits the longest
    /// time.
    pub(super) fn next(&mut self, transient: bool, jitter: f64) -> Duration {
        let bound = bound(self.failures);
        self.failures = self.failures.saturating_add(1);
        if transient { bound.mul_f64(jitter) } else { LONGEST }
    }
}

/// Returns the bound of the wait after this many earlier failures.
pub(super) fn bound(failures: u32) -> Duration {
    SHORTEST.saturating_mul(1 << failures.min(16)).min(LONGEST)
}

/// The bound of the first wait.
const SHORTEST: Duration = Duration::from_millis(100);
/// The bound that the waits grow to.
pub(super) const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    /// The bound doubles up to 30 s, and `reset` returns to 100 ms.
    #[test]
    fn the_wait_grows_to_its_bound_and_resets() {
        let mut backoff = Backoff::default();
        for failure in 0..40 {
            let bound = SHORTEST * (1 << failure.min(10));
            assert_eq!(backoff.next(true, 0.5), bound.min(LONGEST) / 2);
        }
        assert_eq!(backoff.next(true, 1.0), LONGEST);
        backoff.reset();
        assert_eq!(backoff.next(true, 1.0), SHORTEST);
    }

    /// The worker retries a permanent error every 30 s, without jitter.
    #[test]
    fn a_permanent_error_waits_the_longest_time() {
        assert_eq!(Backoff::default().next(false, 0.0), LONGEST);
    }
}
