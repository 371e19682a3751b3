//! Waiting for a condition, with a deadline that only a hung test reaches.

use std::time::{Duration, Instant};

/// Polls `condition` every 20 ms until it returns `true`.
///
/// # Panics
///
/// Panics after [`HANG_TIMEOUT`]. The message repeats `expected`, a statement about the awaited
/// condition: `"the node listens"`.
pub fn wait_until(expected: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < HANG_TIMEOUT,
            "timed out after {HANG_TIMEOUT:?} waiting until {expected}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The time after which a wait counts as hung. Every wait of this crate normally takes a small part
/// of it.
pub const HANG_TIMEOUT: Duration = Duration::from_secs(90);
