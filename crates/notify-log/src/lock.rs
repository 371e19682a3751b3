//! Taking turns with other processes that append to the same file.

use std::fs::{File, TryLockError};
use std::time::{Duration, Instant};

/// An advisory lock (`flock`) that is worth a wait, but not any wait.
///
/// It makes looking at the file's last byte and appending one step. Without it single writes still
/// stay whole (`O_APPEND`), so a file system that cannot lock, or a process that was stopped while
/// it held the lock, must not stop us.
#[derive(Debug)]
pub(crate) struct Lock {
    patience: Duration,
}

impl Lock {
    pub(crate) fn new() -> Self {
        Self { patience: PATIENCE }
    }

    /// Takes the lock if it can be had in time. Once in vain, the next calls do not wait for it until
    /// it was had again.
    pub(crate) fn take(&mut self, file: &File) {
        let mut pause = FIRST_PAUSE;
        let mut deadline = None;
        loop {
            match file.try_lock() {
                Ok(()) => {
                    self.patience = PATIENCE;
                    return;
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(_)) => self.patience = Duration::ZERO,
            }
            let now = Instant::now();
            if now >= *deadline.get_or_insert(now + self.patience) {
                self.patience = Duration::ZERO;
                return;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Lets the others go on.
    pub(crate) fn give_back(file: &File) {
        // Nothing to do about a failure: the lock ends with the file at the latest.
        drop(file.unlock());
    }
}

/// Many times what a batch takes to write.
const PATIENCE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LAST_PAUSE: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_never_given_back_is_waited_for_once() {
        let name = tempfile::NamedTempFile::new().unwrap();
        let ours = File::open(name.path()).unwrap();
        let theirs = File::open(name.path()).unwrap();
        theirs.lock().unwrap();

        let mut lock = Lock::new();
        lock.take(&ours);
        assert_eq!(lock.patience, Duration::ZERO);
        lock.take(&ours);
        assert_eq!(lock.patience, Duration::ZERO);

        theirs.unlock().unwrap();
        lock.take(&ours);
        assert_eq!(lock.patience, PATIENCE);
        assert!(theirs.try_lock().is_err(), "we hold it");
        Lock::give_back(&ours);
        assert!(theirs.try_lock().is_ok());
    }
}
