//! Deadlines that accept any duration, also one that the clock cannot represent.

use std::time::Duration;

use tokio::time::Instant;

/// Returns the moment `wait` from now, or 30 years from now for a longer wait.
///
/// Callers pass [`Duration::MAX`] to wait without a deadline.
pub(crate) fn after(wait: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(wait.min(LONGEST)).unwrap_or(now)
}
