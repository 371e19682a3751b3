//! File reads and lookups of names, which may block, on threads of their own, and a deadline for file reads.
//!
//! tokio's pool for such work panics if the system refuses it a thread, and a worker does not survive that.

use std::path::Path;
use std::thread;
use std::time::Duration;

use notify_core::redact::printable_path;
use notify_core::{Error, ErrorKind, Result};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// Runs `read` on a thread of its own, and returns its result.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`] if the thread cannot start, and [`ErrorKind::Bug`] if `read` panics.
///
/// # Cancel safety
///
/// Dropping the future discards the result. A `read` that has begun continues to its end.
pub(crate) async fn run_blocking<T: Send + 'static>(
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    // The semaphore is never closed.
    let permit = THREADS.acquire().await.ok();
    let (answer, result) = oneshot::channel();
    let read = move || {
        let _permit = permit;
        drop(answer.send(read()));
    };
    thread::Builder::new().name("notify-net".into()).spawn(read).map_err(|error| {
        let message = "cannot start a thread: raise the limit of threads (ulimit -u, TasksMax)";
        Error::new(ErrorKind::Unavailable, message).with_source(error)
    })?;
    result.await.map_err(|_| Error::new(ErrorKind::Bug, "a thread ended unexpectedly"))
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

/// Bounds the threads: a read on a disk that hangs keeps its thread.
pub(crate) static THREADS: Semaphore = Semaphore::const_new(MOST_THREADS as usize);
pub(crate) const MOST_THREADS: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// The system may refuse the runtime a thread, here one with a stack that no memory holds.
    #[test]
    fn needs_no_thread_of_the_runtime() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.thread_stack_size(1 << 47).build().unwrap();
        assert_eq!(runtime.block_on(run_blocking(|| 7)).unwrap(), 7);
    }

    /// A panic of the work is an error.
    #[tokio::test]
    async fn a_panic_is_an_error() {
        let error = run_blocking(|| panic!("planted")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Bug);
    }
}
