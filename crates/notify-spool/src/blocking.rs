//! Threads for work that may block on the disk.
//!
//! The spool never uses the runtime's own blocking pool: a disk that hangs would fill it, and it would
//! then delay work that has nothing to do with the spool.

use std::thread;

use notify_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

/// Runs `work` on a thread of its own and returns its result.
///
/// Use this function for rare work only: it starts a thread for each call.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`] if the thread cannot start, [`ErrorKind::Bug`] if `work` panics.
///
/// # Cancel safety
///
/// The thread finishes its work even if the caller drops the future.
pub(crate) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (answer, receiver) = oneshot::channel();
    spawn_thread(move || drop(answer.send(work())))?;
    receiver.await.map_err(|_| thread_gone())
}

/// Starts a detached thread that runs `work`.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`] if the system has no room for another thread.
pub(crate) fn spawn_thread(work: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned = thread::Builder::new().name(THREAD_NAME.into()).spawn(work);
    spawned.map(drop).map_err(|error| {
        Error::new(ErrorKind::Unavailable, "cannot start a thread for the spool").with_source(error)
    })
}

/// Returns the error for a thread that ended without an answer.
pub(crate) fn thread_gone() -> Error {
    Error::new(ErrorKind::Bug, "the spool's thread ended unexpectedly")
}

/// The name that debuggers and `top -H` show, cut to 15 characters by Linux.
const THREAD_NAME: &str = "glance-notify-spool";
