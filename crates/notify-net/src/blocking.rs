//! Blocking file reads, moved to the runtime's threads for blocking work, and a deadline for them.

use std::path::Path;
use std::time::Duration;

use notify_core::redact::printable_path;
use notify_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;
use tokio::time::timeout;

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
    // The semaphore is never closed.
    let permit = READS.acquire().await.ok();
    let read = move || {
        let _permit = permit;
        read()
    };
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Unavailable, "the runtime is shutting down")))
}

/// Waits at most `time` for `read`, which reads the files of these options.
///
/// # Errors
///
/// Those of `read`, and [`ErrorKind::Unavailable`] after `time`.
pub(crate) async fn read_in_time<T>(
    time: Duration,
    files: &[(&str, &Path)],
    read: impl Future<Output = Result<T>>,
) -> Result<T> {
    timeout(time, read).await.unwrap_or_else(|_| {
        let names =
            files.iter().map(|(option, path)| format!("`{option}` {}", printable_path(path, 256)));
        let names = match files {
            [] => "the CA certificates of this system".to_owned(),
            _ => names.collect::<Vec<_>>().join(" or "),
        };
        let message = format!("cannot read {names}: the disk does not answer");
        Err(Error::new(ErrorKind::Unavailable, message))
    })
}

/// The most reads at a time. A read on a disk that hangs keeps its thread, and the runtime needs some for other work.
static READS: Semaphore = Semaphore::const_new(64);
