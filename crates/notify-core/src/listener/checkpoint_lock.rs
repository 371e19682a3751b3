//! The lock that keeps two sessions from reading with one checkpoint.
//!
//! The crates of this workspace share it. All functions block.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::durable_file::{create_private, lock_within, refuse_special_file_at};
use crate::error::{Error, ErrorKind, Result};
use crate::redact::quote::printable_path;

/// An exclusive advisory lock (`flock`) on the file `….lock` beside a checkpoint.
///
/// The file stays: a lock on a removed file would keep no process away.
#[derive(Debug, Default)]
pub struct CheckpointLock {
    /// The locked file. Closing it releases the lock.
    file: Option<File>,
}

impl CheckpointLock {
    /// Locks a checkpoint, which need not exist. It waits up to 1 s for a session that is ending.
    ///
    /// A lock that is held already stays. A file system without locks gives no protection.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if another process or another source holds the lock, [`ErrorKind::Config`] if the
    /// checkpoint is not a regular file, and the error of the lock file otherwise.
    pub fn acquire(&mut self, checkpoint: &Path) -> Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        let name = || printable_path(checkpoint, 512);
        let file_error = |error: io::Error| {
            Error::of_file(format!("the checkpoint `{}` cannot be locked", name()), error)
        };
        // Before the source reads it: to open a FIFO is to wait for its writer.
        refuse_special_file_at(checkpoint).map_err(file_error)?;
        let mut path = checkpoint.as_os_str().to_owned();
        path.push(".lock");
        let file = match create_private(Path::new(&path)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                OpenOptions::new().write(true).open(&path)
            }
            created => created,
        };
        let file = file.map_err(file_error)?;
        match lock_within(&file, LOCK_TIMEOUT) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let reader = "another process or source reads with the checkpoint";
                let message = format!("{reader} `{}`: stop it, or name another file", name());
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(file_error(error)),
        }
        self.file = Some(file);
        Ok(())
    }

    /// Releases the lock, if it is held.
    pub fn release(&mut self) {
        self.file = None;
    }
}

/// The longest wait for a session that is ending.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// One session reads with a checkpoint at a time, may begin again, and makes room for the next.
    #[test]
    fn one_session_at_a_time_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("position");
        let (mut first, mut second) = (CheckpointLock::default(), CheckpointLock::default());
        first.acquire(&path).unwrap();
        first.acquire(&path).unwrap();
        let error = second.acquire(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().starts_with("another process or source reads with"), "{error}");
        first.release();
        second.acquire(&path).unwrap();
        assert!(first.acquire(&path).is_err());
        drop(second);
        first.acquire(&path).unwrap();
        assert!(dir.path().join("position.lock").exists());
    }

    /// A device, a FIFO or a socket keeps no position.
    #[test]
    fn a_checkpoint_is_a_regular_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("position");
        let _listener = UnixListener::bind(&path).unwrap();
        let error = CheckpointLock::default().acquire(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error:#}");
        assert!(format!("{error:#}").contains("is not a regular file"), "{error:#}");
        assert!(!dir.path().join("position.lock").exists());
    }

    /// A missing directory is a mistake, and no lock of another process.
    #[test]
    fn a_missing_directory_is_a_mistake() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("missing/position");
        let error = CheckpointLock::default().acquire(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error:#}");
    }
}
