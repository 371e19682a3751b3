//! Bounds on the work that may block, and a deadline for the reads of files.
//!
//! Work that hangs keeps its thread.

use std::path::Path;
use std::time::Duration;

use notify_core::redact::printable_path;
use notify_core::transport::run_on_thread;
use notify_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Runs `work` on a thread of its own once `threads` has room, and returns its result.
///
/// # Errors
///
/// Those of [`run_on_thread`].
///
/// # Cancel safety
///
/// Dropping the future discards the result. Work that has begun continues to its end, and keeps its room until then.
pub(crate) async fn run_blocking<T: Send + 'static>(
    threads: &'static Semaphore,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    // The semaphores are never closed.
    let permit = threads.acquire().await.ok();
    let work = move || {
        let _permit = permit;
        work()
    };
    run_on_thread("notify-net", work).await
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

/// The threads that read files.
pub(crate) static READS: Semaphore = Semaphore::const_new(MOST_READS as usize);
pub(crate) const MOST_READS: u32 = 64;
/// The threads that look up names. A disk that hangs must not take them.
pub(crate) static LOOKUPS: Semaphore = Semaphore::const_new(64);
