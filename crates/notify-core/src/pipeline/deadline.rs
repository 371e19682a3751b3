//! Deadlines, also those that a caller means never to come.

use std::time::Duration;

use tokio::time::Instant;

/// The moment `wait` from now; thirty years from now, where that is further than the clock goes.
pub(super) fn after(wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(wait.min(FAR)).unwrap_or(now)
}
