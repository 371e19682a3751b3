//! A file that may be renamed, deleted or replaced at any moment, and is found again by its path.
//!
//! A rotation is noticed by device and inode, before every write and after it. After it, because a
//! batch may go to a file that was renamed a moment before: `logrotate` may be compressing that file
//! already, and does not look at its end again. A path that names the written file *after* the write
//! proves that whatever rotates it later finds the batch in it.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use notify_core::{Error, ErrorKind, Outcome, Result};

use crate::config::FileConfig;
use crate::error;
use crate::lines::Lines;
use crate::lock::Lock;
use crate::writer::Written;

/// `log.file`, opened when it is first written.
#[derive(Debug)]
pub(crate) struct LogFile {
    config: FileConfig,
    open: Option<Open>,
    /// It was open before: if it is missing now, somebody took it away.
    known: bool,
    /// How long to wait for what that somebody may put in its place.
    grace: Duration,
}

impl LogFile {
    /// Opens nothing yet. Warns, once, of what `log.sync = false` gives up.
    pub(crate) fn new(config: FileConfig) -> Self {
        if !config.sync {
            tracing::warn!(
                file = %error::shown(&config.path),
                "log.sync is off: a power cut loses notifications that were reported delivered"
            );
        }
        Self { config, open: None, known: false, grace: GRACE }
    }

    /// Appends the lines to the file that the path names, once it is certain which one that is.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or synced. Its outcome says whether lines may be in it.
    pub(crate) fn write(&mut self, lines: &Lines) -> Result<Written> {
        let mut outcome = Outcome::NotSent;
        for _ in 0..TRIES {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.reopen().map_err(|error| error.with_outcome(outcome))?,
            };
            open.lock.take(&open.file);
            let Some(size) = open.size_at(&self.config.path) else { continue };
            let start_anew = open.ends_in_a_cut_line(size);
            let appended = lines.append(&mut open.file, start_anew);
            outcome = Outcome::Unknown;
            Lock::give_back(&open.file);
            if self.config.sync && appended.lines > 0 {
                // What a failed sync leaves in the file is anyone's guess, also to a second sync:
                // the file is opened anew and everything written again.
                open.file
                    .sync_data()
                    .map_err(|error| self.error("cannot be synced", error).with_outcome(outcome))?;
            }
            if open.size_at(&self.config.path).is_some() {
                self.open = Some(open);
                let rest = appended.stopped.map(|error| self.error("cannot be written", error));
                return Ok(Written { lines: appended.lines, rest });
            }
        }
        let what = "is being replaced faster than it can be written";
        Err(Error::new(ErrorKind::Unavailable, error::about(&self.config.path, what))
            .with_outcome(outcome))
    }

    fn reopen(&mut self) -> Result<Open> {
        let FileConfig { path, sync, .. } = &self.config;
        if self.known {
            wait_for_a_successor(path, self.grace);
        }
        let open = open(path)?;
        if *sync {
            sync_directory(path)?;
        }
        self.known = true;
        Ok(open)
    }

    fn error(&self, what: &str, error: io::Error) -> Error {
        error::of_file(&self.config.path, what, error)
    }
}

/// The file as it was opened. Dropped, it is closed and its lock is free.
#[derive(Debug)]
struct Open {
    file: File,
    id: (u64, u64),
    lock: Lock,
}

impl Open {
    /// How many bytes the file has, if it is still the one that `path` names.
    fn size_at(&self, path: &Path) -> Option<u64> {
        let metadata = fs::metadata(path).ok()?;
        (id(&metadata) == self.id).then_some(metadata.len())
    }

    /// Whether somebody was stopped in the middle of the last line.
    fn ends_in_a_cut_line(&self, size: u64) -> bool {
        let mut last = [0];
        // In doubt an empty line is better than a torn one.
        size > 0 && (self.file.read_exact_at(&mut last, size - 1).is_err() || last != *b"\n")
    }
}

/// Opens `path` for appending, or says why it cannot be what `log.file` names.
fn open(path: &Path) -> Result<Open> {
    // Before it is opened, for opening some devices does something.
    if let Ok(metadata) = fs::metadata(path) {
        must_be_regular(path, &metadata)?;
    }
    let opened = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(MODE)
        // Should the path become a FIFO or a terminal this moment, neither hangs nor adopts us.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .and_then(|file| file.metadata().map(|metadata| (file, metadata)));
    match opened {
        Ok((file, metadata)) => {
            must_be_regular(path, &metadata)?;
            Ok(Open { file, id: id(&metadata), lock: Lock::new() })
        }
        Err(error) => Err(must_have_a_directory(path)
            .err()
            .unwrap_or_else(|| error::of_file(path, "cannot be opened for appending", error))),
    }
}

/// Refuses what is there but no regular file.
pub(crate) fn must_be_regular(path: &Path, metadata: &Metadata) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(error::config(
        path,
        if metadata.is_dir() {
            "is a directory: name a file in it"
        } else {
            "is not a regular file: for standard output set `log.target = \"stdout\"`"
        },
    ))
}

/// Refuses a path whose directory does not exist: it is not for us to decide whose it is to be.
pub(crate) fn must_have_a_directory(path: &Path) -> Result<()> {
    let directory = directory(path);
    match fs::metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let what = format!("needs the directory {}: create it", error::shown(directory));
            Err(error::config(path, &what))
        }
        _ => Ok(()),
    }
}

pub(crate) fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

/// Makes the file's entry in its directory as durable as its content is going to be: also of a file
/// that we did not create, for the one who did may not have.
fn sync_directory(path: &Path) -> Result<()> {
    let target = fs::canonicalize(path);
    let path = target.as_deref().unwrap_or(path);
    match File::open(directory(path)).and_then(|directory| directory.sync_all()) {
        Ok(()) => Ok(()),
        Err(error) if CANNOT_SYNC.contains(&error.kind()) => {
            tracing::warn!(
                file = %error::shown(path), %error,
                "the directory of log.file cannot be synced: a power cut may lose a new file"
            );
            Ok(())
        }
        Err(error) => Err(error::of_file(path, "is in a directory that cannot be synced", error)),
    }
}

/// Gives whoever took the file away a moment to put a new one in its place.
///
/// `logrotate` with `create` renames first and creates then. Should the path exist by then, it moves
/// that file to a name of the current hour, and the next time over the file of that name.
fn wait_for_a_successor(path: &Path, grace: Duration) {
    let deadline = Instant::now() + grace;
    while fs::symlink_metadata(path).is_err() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// How often one batch is written because the file was replaced meanwhile.
const TRIES: usize = 8;

/// Readable by the owner and the group, less what the umask takes.
const MODE: u32 = 0o640;

/// Many times what `logrotate` takes between two system calls, and nothing once a day.
const GRACE: Duration = Duration::from_millis(100);

/// How a file system or a directory says that it is not for syncing, rather than that it failed.
const CANNOT_SYNC: [io::ErrorKind; 3] =
    [io::ErrorKind::InvalidInput, io::ErrorKind::Unsupported, io::ErrorKind::PermissionDenied];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_who_takes_the_file_away_may_create_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n.log");
        let mut log = LogFile::new(FileConfig::new(&path));
        log.grace = Duration::from_secs(60);
        let mut lines = Lines::default();
        lines.fill(&[]);
        log.write(&lines).unwrap();
        std::thread::scope(|threads| {
            fs::rename(&path, dir.path().join("n.log.1")).unwrap();
            threads.spawn(|| File::create_new(&path).expect("the path to be free"));
            log.write(&lines).unwrap();
        });
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
