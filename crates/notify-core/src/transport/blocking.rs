//! Work that may block, such as to read a file, on a thread of its own.

use std::thread;

use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};

/// Runs `work` on a thread of its own with this name, and returns its result. Linux shows 15 bytes of the name.
///
/// A transport must not block the thread of its worker. Prefer this function to [`tokio::task::spawn_blocking`]: that
/// panics if the system refuses it a thread, which ends the worker, and work that hangs fills its pool.
///
/// Use the function for rare work only, because it starts a thread for each call.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`] if the thread cannot start, and [`ErrorKind::Bug`] if `work` panics.
///
/// # Cancel safety
///
/// Dropping the future discards the result. Work that has begun continues to its end.
///
/// # Examples
///
/// ```
/// use notify_core::transport::run_on_thread;
///
/// # async fn example() -> notify_core::Result<()> {
/// let size = run_on_thread("stat", || std::fs::metadata("/etc/hosts").map(|found| found.len())).await?;
/// # drop(size);
/// # Ok(())
/// # }
/// ```
///
/// [`tokio::task::spawn_blocking`]: https://docs.rs/tokio/latest/tokio/task/fn.spawn_blocking.html
pub async fn run_on_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (answer, result) = oneshot::channel();
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(|| drop(answer.send(work())));
    spawned.map_err(|error| {
        let message = "cannot start a thread: raise the limit of threads (ulimit -u, TasksMax)";
        Error::new(ErrorKind::Unavailable, message).with_source(error)
    })?;
    result.await.map_err(|_| Error::new(ErrorKind::Bug, "a thread ended unexpectedly"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The system may refuse the runtime a thread, here one with a stack that no memory holds.
    #[test]
    fn needs_no_thread_of_the_runtime() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.thread_stack_size(1 << 47).build().unwrap();
        assert_eq!(runtime.block_on(run_on_thread("seven", || 7)).unwrap(), 7);
    }

    /// A panic of the work is an error.
    #[tokio::test]
    async fn a_panic_is_an_error() {
        let error = run_on_thread("planted", || panic!("planted")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Bug);
    }
}
