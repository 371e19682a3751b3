//! An advisory lock that several processes take in turn to append to the same file.

use std::fs::File;
use std::time::Duration;

use notify_core::listener::durable_file::lock_within;

/// An exclusive advisory lock (`flock`) with a bounded wait.
///
/// The lock joins two steps: reading the file's last byte, and appending. Without it, `O_APPEND`
/// still keeps each single write in one piece. So the transport goes on without the lock if the file
/// system does not support locks, or if another process stopped while it held the lock.
#[derive(Debug)]
pub(crate) struct FileLock {
    /// The time that the next [`acquire`](Self::acquire) may wait.
    wait: Duration,
}

impl FileLock {
    /// Creates the lock of a newly opened file, without acquiring it.
    pub(crate) fn new() -> Self {
        Self { wait: MAX_WAIT }
    }

    /// Waits at most [`MAX_WAIT`] for the lock.
    ///
    /// After a timeout or an error, the next calls try once and do not wait, until one of them
    /// succeeds. Otherwise a lock that its holder never releases would cost every batch that wait.
    pub(crate) fn acquire(&mut self, file: &File) {
        let is_locked = lock_within(file, self.wait).is_ok();
        self.wait = if is_locked { MAX_WAIT } else { Duration::ZERO };
    }

    /// Releases the lock, so that the next process can append.
    pub(crate) fn release(file: &File) {
        // An error here has no remedy: the system releases the lock when it closes the file.
        drop(file.unlock());
    }
}

/// The longest wait for the lock: many times what one batch takes to write.
const MAX_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that stops while it holds the lock delays the others once, not once per batch.
    #[test]
    fn waits_once_for_a_lock_that_its_holder_never_releases() {
        let name = tempfile::NamedTempFile::new().unwrap();
        let ours = File::open(name.path()).unwrap();
        let theirs = File::open(name.path()).unwrap();
        theirs.lock().unwrap();

        let mut lock = FileLock::new();
        lock.acquire(&ours);
        assert_eq!(lock.wait, Duration::ZERO);
        lock.acquire(&ours);
        assert_eq!(lock.wait, Duration::ZERO);

        theirs.unlock().unwrap();
        lock.acquire(&ours);
        assert_eq!(lock.wait, MAX_WAIT);
        assert!(theirs.try_lock().is_err(), "we hold it");
        FileLock::release(&ours);
        assert!(theirs.try_lock().is_ok());
    }
}
