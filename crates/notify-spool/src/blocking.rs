//! Threads for work that may block on the disk.
//!
//! The spool never uses the runtime's own blocking pool: a disk that hangs would fill it, and it would
//! then delay work that has nothing to do with the spool.

use std::thread;

use notify_core::{Error, ErrorKind, Result};

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
