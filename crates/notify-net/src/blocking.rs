//! Blocking file reads on the runtime's threads for blocking work.

use notify_core::{Error, ErrorKind, Result};

/// Runs `read` on a thread that may block.
pub(crate) async fn run_blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Unavailable, "the runtime is shutting down")))
}
