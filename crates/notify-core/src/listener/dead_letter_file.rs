//! The file of dead letters: one line of JSON for each delivery that will never be handled.
//!
//! The file may hold secrets, because bytes that hold no notification cannot be redacted. So only its
//! owner may read it. All functions here block.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::dead_letter::{DeadLetter, DeadLetterRecord};
use super::durable_file::{
    SYNC_UNSUPPORTED, give_to, refuse_special_file, refuse_special_file_at, sync_directory,
    temporary_path,
};
use crate::error::{Error, ErrorKind, Result};
use crate::redact::quote::printable_path;

/// The dead-letter file of a listener, which may run meanwhile.
///
/// A listener appends to it. Your program reads the letters, and removes those that it has handled. Both lock
/// the file while they write, and a reader waits for the letter that is being written. All methods block, and refuse
/// a path that is not a regular file, such as a FIFO, with [`ErrorKind::Config`].
///
/// # Examples
///
/// ```no_run
/// use notify_core::listener::DeadLetterFile;
///
/// let file = DeadLetterFile::new("/var/lib/audit/dead.jsonl");
/// for line in file.lines()? {
///     if let Ok(letter) = line?.letter {
///         println!("{} {}: {}", letter.dead_at, letter.source, letter.reason);
///     }
/// }
/// # Ok::<(), notify_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterFile {
    path: PathBuf,
}

/// One line of a dead-letter file.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeadLetterLine {
    /// The bytes of the line, without its line end. They are unredacted.
    pub bytes: Vec<u8>,
    /// The letter, or the reason why the line is none.
    pub letter: Result<DeadLetter>,
}

impl DeadLetterFile {
    /// Describes a file without opening it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Reads the lines of the file, the oldest first. Letters that come later are not among them.
    ///
    /// # Errors
    ///
    /// The error of the file, also if it does not exist. [`ErrorKind::Unavailable`] if another process has locked
    /// it for 5 s. Each item is an error if the file cannot be read further.
    pub fn lines(&self) -> Result<impl Iterator<Item = Result<DeadLetterLine>>> {
        let file = self.lock(OpenOptions::new().read(true), File::try_lock_shared)?;
        // Under the lock, no letter is half written. The reading itself may take long and needs no lock.
        let metadata = file.metadata().map_err(|error| self.error("cannot be read", error))?;
        // A directory has no letters, and reading it is an error.
        let length = if metadata.is_file() { metadata.len() } else { u64::MAX };
        // Where there are no locks, this fails.
        drop(file.unlock());
        Ok(self.read_lines(file.take(length)))
    }

    /// Reads the lines of an open file.
    fn read_lines(&self, file: impl Read) -> impl Iterator<Item = Result<DeadLetterLine>> {
        let read = |line: io::Result<Vec<u8>>| match line {
            Ok(line) if line.is_empty() => None,
            Ok(line) => Some(Ok(DeadLetterLine::new(line))),
            Err(error) => Some(Err(self.error("cannot be read", error))),
        };
        BufReader::new(file).split(b'\n').filter_map(read)
    }

    /// Removes the lines for which `is_handled` returns `true`, and returns their number.
    ///
    /// A new file of the same owner replaces the old one, so that a crash leaves the one or the other.
    ///
    /// # Errors
    ///
    /// The error of the file. [`ErrorKind::Unavailable`] if another process has locked it for 5 s.
    pub fn remove(&self, mut is_handled: impl FnMut(&DeadLetterLine) -> bool) -> Result<u64> {
        let locked = self.lock(OpenOptions::new().read(true).append(true), File::try_lock)?;
        let temporary = temporary_path(&self.path);
        // A process that was killed may have left one. A link there must lead to no other file.
        drop(fs::remove_file(&temporary));
        let mut options = OpenOptions::new();
        let new = options.write(true).create_new(true).mode(MODE).open(&temporary);
        let new = new.and_then(|new| {
            // An administrator may remove the letters of a service, which must still write afterwards.
            give_to(&new, &locked.metadata()?)?;
            Ok(new)
        });
        let new = new.map_err(|error| self.error("cannot be replaced", error))?;
        let mut new = BufWriter::new(new);
        let mut removed = 0;
        for line in self.read_lines(&locked) {
            let line = line?;
            if is_handled(&line) {
                removed += 1;
                continue;
            }
            let written = new.write_all(&line.bytes).and_then(|()| new.write_all(b"\n"));
            written.map_err(|error| self.error("cannot be replaced", error))?;
        }
        let replace = || {
            new.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            if removed == 0 {
                return fs::remove_file(&temporary);
            }
            fs::rename(&temporary, &self.path)?;
            sync_directory(&self.path)
        };
        replace().map_err(|error| self.error("cannot be replaced", error))?;
        Ok(removed)
    }

    /// Appends one letter and syncs it.
    ///
    /// Opens the file each time: letters are rare, and you may move or empty the file at any moment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`] if the file would become larger than `max_bytes` or the disk is full, and the
    /// error of the file otherwise.
    pub(super) fn append(&self, record: &DeadLetterRecord, max_bytes: u64) -> Result<()> {
        let line = record.line();
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(MODE);
        let mut file = self.lock(&options, File::try_lock)?;
        let metadata = file.metadata().map_err(|error| self.error("cannot be read", error))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            let restricted = file.set_permissions(fs::Permissions::from_mode(MODE));
            restricted.map_err(|error| self.error("cannot be opened", error))?;
        }
        let size = metadata.len();
        if size.saturating_add(line.len() as u64) > max_bytes {
            let problem = format!(
                "is full: it may have {max_bytes} bytes. Handle its letters with `glance-notify dead`, or \
                 move it away"
            );
            return Err(Error::new(ErrorKind::Full, self.message(&problem)));
        }
        let mut last = [b'\n'];
        if size > 0 {
            let read = file.read_exact_at(&mut last, size - 1);
            read.map_err(|error| self.error("cannot be read", error))?;
        }
        // Another process stopped in the middle of its line.
        let line = if last == *b"\n" { &line[1..] } else { &line };
        // First the name: an attempt that fails here has not written the letter yet.
        self.sync_name()?;
        let written = file.write_all(line).and_then(|()| file.sync_all());
        written.map_err(|error| self.error("cannot be written", error))
    }

    /// Syncs the name of the file, also if the file has letters: the attempt that created it may have failed before
    /// its sync.
    ///
    /// A directory that does not support syncing costs a warning, not the letter.
    fn sync_name(&self) -> Result<()> {
        match sync_directory(&self.path) {
            Err(error) if SYNC_UNSUPPORTED.contains(&error.kind()) => {
                let problem = "may get lost by a power cut: its directory cannot be synced";
                tracing::warn!(%error, "{}", self.message(problem));
                Ok(())
            }
            synced => synced.map_err(|error| self.error("cannot be synced", error)),
        }
    }

    /// Opens the file that has the path, and locks it with `try_lock`.
    ///
    /// # Errors
    ///
    /// The error of the file. [`ErrorKind::Unavailable`] if another process has locked it for 5 s.
    fn lock(
        &self,
        options: &OpenOptions,
        try_lock: fn(&File) -> Result<(), TryLockError>,
    ) -> Result<File> {
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            let open = || {
                // Before the open too: it would wait for the writer of a FIFO, and some devices do something.
                refuse_special_file_at(&self.path)?;
                let file = options.open(&self.path)?;
                let opened = file.metadata()?;
                refuse_special_file(&opened)?;
                let is_locked = match try_lock(&file) {
                    Ok(()) => true,
                    Err(TryLockError::WouldBlock) => false,
                    // Without locks, letters that come while others are removed may be lost.
                    Err(TryLockError::Error(error))
                        if error.kind() == io::ErrorKind::Unsupported =>
                    {
                        true
                    }
                    Err(TryLockError::Error(error)) => return Err(error),
                };
                // The file may have been replaced before the lock.
                let is_current = match fs::metadata(&self.path) {
                    Ok(current) => file_id(&current) == file_id(&opened),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                    Err(error) => return Err(error),
                };
                Ok((is_locked && is_current).then_some(file))
            };
            match open() {
                Ok(Some(file)) => return Ok(file),
                Ok(None) if Instant::now() < deadline => sleep(LOCK_INTERVAL),
                Ok(None) => {
                    let message = self.message("is locked by another process for more than 5 s");
                    return Err(Error::new(ErrorKind::Unavailable, message));
                }
                Err(error) => return Err(self.error("cannot be opened", error)),
            }
        }
    }

    /// Returns an error about this file.
    fn error(&self, problem: &str, error: io::Error) -> Error {
        Error::of_file(self.message(problem), error)
    }

    /// Returns the text of an error about this file.
    fn message(&self, problem: &str) -> String {
        format!("the dead-letter file `{}` {problem}", printable_path(&self.path, 256))
    }
}

impl DeadLetterLine {
    /// Reads the letter of a line.
    fn new(bytes: Vec<u8>) -> Self {
        Self { letter: DeadLetter::from_line(&bytes), bytes }
    }
}

/// Returns the device and the inode of a file.
fn file_id(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// The mode of the file: only its owner may read it.
const MODE: u32 = 0o600;
/// The longest wait for the lock of another process.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// The time between two attempts to lock the file.
const LOCK_INTERVAL: Duration = Duration::from_millis(10);
