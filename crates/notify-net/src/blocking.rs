//! Blocking file reads, moved to the runtime's threads for blocking work.

use notify_core::{Error, ErrorKind, Result};

/// Runs `read` on a thread that may block, and returns its result.
///
/// # Errors
///
/// Those of `read`, and [`ErrorKind::Unavailable`] while the runtime shuts down.
///
/// # Cancel safety
///
/// Dropping the future discards the result. A `read` that has begun continues to its end.
pub(crate) async fn run_blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Unavailable, "the runtime is shutting down")))
}
