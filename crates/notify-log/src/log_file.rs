//! A log file that another program may rename, delete or replace at any moment.
//!
//! The file is found by its path before every write. Device and inode tell whether the path still
//! names the open file. The check after the write matters too: a batch may go to a file that
//! `logrotate` renamed a moment earlier, is compressing already and will never read again. If the
//! path names the written file *after* the write, any later rotation includes the batch. If it does
//! not, the batch goes to the new file too.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use notify_core::listener::durable_file::{SYNC_UNSUPPORTED, sync_directory};
use notify_core::{Error, ErrorKind, Outcome, Result};

use crate::config::FileConfig;
use crate::error::{display_path, file_error, file_message};
use crate::file_lock::FileLock;
use crate::line_buffer::LineBuffer;
use crate::path::{require_parent_directory, require_regular_file};
use crate::write_report::WriteReport;

/// The file of `log.file`, which the first write opens.
#[derive(Debug)]
pub(crate) struct LogFile {
    /// The path, and whether to sync.
    config: FileConfig,
    /// The file of the previous write, if the path named it until then.
    open: Option<OpenFile>,
    /// Whether the file was open before. If it is missing then, another program has moved it.
    opened_before: bool,
    /// The time to wait for that program to create the next file.
    successor_wait: Duration,
}

impl LogFile {
    /// Creates the log file without opening it. If `log.sync` is off, logs a warning about the cost.
    pub(crate) fn new(config: FileConfig) -> Self {
        if !config.sync {
            tracing::warn!(
                file = %display_path(&config.path),
                "`log.sync` is off: a power cut loses notifications that were reported delivered"
            );
        }
        Self { config, open: None, opened_before: false, successor_wait: SUCCESSOR_WAIT }
    }

    /// Appends the lines to the file that the path names, and syncs them if `log.sync` is on.
    ///
    /// Repeats both if another program replaces the file meanwhile, at most [`MAX_ATTEMPTS`] times.
    ///
    /// # Errors
    ///
    /// An error if the file cannot be opened or synced, or does not stay in place. Its outcome tells
    /// whether lines may be in a file.
    pub(crate) fn write(&mut self, lines: &LineBuffer) -> Result<WriteReport> {
        let mut outcome = Outcome::NotSent;
        for _ in 0..MAX_ATTEMPTS {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.reopen().map_err(|error| error.with_outcome(outcome))?,
            };
            open.lock.acquire(&open.file);
            let Some(size) = open.size_if_still_at(&self.config.path) else { continue };
            let start_new_line = open.ends_in_partial_line(size);
            let progress = lines.append_to(&mut open.file, start_new_line);
            outcome = Outcome::Unknown;
            FileLock::release(&open.file);
            if self.config.sync && progress.complete_lines > 0 {
                // After a failed sync the kernel may have dropped the pages, and a second sync may
                // succeed without them. So the next attempt opens the file anew and writes all again.
                open.file
                    .sync_data()
                    .map_err(|error| self.error("cannot be synced", error).with_outcome(outcome))?;
            }
            if open.size_if_still_at(&self.config.path).is_some() {
                self.open = Some(open);
                let error = progress.error.map(|error| self.error("cannot be written", error));
                return Ok(WriteReport { complete_lines: progress.complete_lines, error });
            }
        }
        let problem = "is being replaced faster than it can be written";
        Err(Error::new(ErrorKind::Unavailable, file_message(&self.config.path, problem))
            .with_outcome(outcome))
    }

    /// Opens the file that the path names now, or creates it.
    fn reopen(&mut self) -> Result<OpenFile> {
        let FileConfig { path, sync, .. } = &self.config;
        if self.opened_before {
            wait_for_successor(path, self.successor_wait);
        }
        let open = open_for_appending(path)?;
        if *sync {
            sync_directory_entry(path)?;
        }
        self.opened_before = true;
        Ok(open)
    }

    /// Returns an error about this file, with the system's error as its source.
    fn error(&self, problem: &str, error: io::Error) -> Error {
        file_error(&self.config.path, problem, error)
    }
}

/// An open file and its identity. Dropping it closes the file and releases the lock.
#[derive(Debug)]
struct OpenFile {
    file: File,
    /// The device and the inode, which together identify a file on this machine.
    id: (u64, u64),
    /// The lock, which remembers that an earlier wait timed out.
    lock: FileLock,
}

impl OpenFile {
    /// Returns the file's size in bytes if `path` still names this file.
    fn size_if_still_at(&self, path: &Path) -> Option<u64> {
        let metadata = fs::metadata(path).ok()?;
        (file_id(&metadata) == self.id).then_some(metadata.len())
    }

    /// Checks whether a writer stopped in the middle of the last line.
    fn ends_in_partial_line(&self, size: u64) -> bool {
        let mut last = [0];
        // If the byte cannot be read, an empty line does less harm than two lines in one.
        size > 0 && (self.file.read_exact_at(&mut last, size - 1).is_err() || last != *b"\n")
    }
}

/// Opens `path` for appending and creates the file if it does not exist.
///
/// # Errors
///
/// An error that tells what to change if `path` cannot be a log file.
fn open_for_appending(path: &Path) -> Result<OpenFile> {
    // Check the type before the open too, because merely opening some devices has an effect.
    if let Ok(metadata) = fs::metadata(path) {
        require_regular_file(path, &metadata)?;
    }
    let opened = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(FILE_MODE)
        // The path may become a FIFO or a terminal at this moment: do not block on the one, and do
        // not make the other the controlling terminal.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .and_then(|file| file.metadata().map(|metadata| (file, metadata)));
    match opened {
        Ok((file, metadata)) => {
            require_regular_file(path, &metadata)?;
            Ok(OpenFile { file, id: file_id(&metadata), lock: FileLock::new() })
        }
        Err(error) => Err(require_parent_directory(path)
            .err()
            .unwrap_or_else(|| file_error(path, "cannot be opened for appending", error))),
    }
}

/// Syncs the file's entry in its directory, which must be as durable as the content.
///
/// This includes a file that another program created, because that program may not have synced it.
/// A directory that does not support syncing costs a warning, not the delivery.
fn sync_directory_entry(path: &Path) -> Result<()> {
    let target = fs::canonicalize(path);
    let path = target.as_deref().unwrap_or(path);
    match sync_directory(path) {
        Ok(()) => Ok(()),
        Err(error) if SYNC_UNSUPPORTED.contains(&error.kind()) => {
            tracing::warn!(
                file = %display_path(path), %error,
                "cannot sync the directory of `log.file`: a power cut may lose a new file"
            );
            Ok(())
        }
        Err(error) => Err(file_error(path, "is in a directory that cannot be synced", error)),
    }
}

/// Waits up to `wait` until the program that moved the file has created the next one.
///
/// `logrotate` with `create` first renames the file, then creates a new one. If it finds a file of
/// ours at that moment, it moves ours to a name with the current hour, and the next rotation
/// overwrites the file of that name.
fn wait_for_successor(path: &Path, wait: Duration) {
    let deadline = Instant::now() + wait;
    while fs::symlink_metadata(path).is_err() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns the identity of a file: its device and inode.
fn file_id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// The number of times that one batch is written because another program replaced the file.
const MAX_ATTEMPTS: usize = 8;

/// The mode of a new file: readable by owner and group, minus the umask.
const FILE_MODE: u32 = 0o640;

/// Many times what `logrotate` takes between two system calls, and short enough once per rotation.
const SUCCESSOR_WAIT: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use notify_core::codec::Envelope;

    use super::*;

    /// `logrotate` with `create` finds the path free: the transport waits and appends to that file.
    #[test]
    fn the_rotating_program_creates_the_next_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n.log");
        let mut log = LogFile::new(FileConfig::new(&path));
        log.successor_wait = Duration::from_secs(60);
        let mut lines = LineBuffer::default();
        lines.fill(&[], Envelope::Bare);
        log.write(&lines).unwrap();
        std::thread::scope(|threads| {
            fs::rename(&path, dir.path().join("n.log.1")).unwrap();
            threads.spawn(|| File::create_new(&path).expect("no file at the path yet"));
            log.write(&lines).unwrap();
        });
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
