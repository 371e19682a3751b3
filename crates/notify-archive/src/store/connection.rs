//! Connections to the archive's files: how they are opened, and whether their file is still in its place.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use notify_core::listener::durable_file;
use rusqlite::{Connection, OpenFlags};

use super::schema::FileSchema;
use crate::error::{ArchiveError, ArchiveErrorKind, Result, shown};

/// A file that is open for writing, with its identity.
#[derive(Debug)]
pub(crate) struct WriteConnection {
    pub(crate) path: PathBuf,
    pub(crate) sqlite: Connection,
    pub(super) identity: (u64, u64),
    /// The identity of the write-ahead log.
    log: Option<(u64, u64)>,
}

impl WriteConnection {
    /// Opens a file for writing, and creates it if it does not exist. Only its owner can read it.
    ///
    /// # Errors
    ///
    /// Returns a named error: read-only, full, damaged, newer, or of another program.
    pub(crate) fn open(path: &Path, schema: &FileSchema) -> Result<Self> {
        let is_new = create(path).map_err(|error| ArchiveError::io("create", path, error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut sqlite = open(path, flags)?;
        let identity = identity(path).map_err(|error| ArchiveError::io("open", path, error))?;
        let prepare = |sqlite: &Connection| {
            sqlite.pragma_update(None, "journal_mode", "WAL")?;
            // A commit is on the disk before the caller acknowledges.
            sqlite.pragma_update(None, "synchronous", "FULL")?;
            sqlite.pragma_update(None, "cache_size", -CACHE_KIB)?;
            sqlite.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
            // Erased content does not stay in free pages.
            sqlite.pragma_update(None, "secure_delete", true)
        };
        prepare(&sqlite).map_err(|error| ArchiveError::sqlite(path, error))?;
        schema.prepare(path, &mut sqlite)?;
        if is_new {
            sync_directory(path)?;
        }
        let log = self::identity(&log_of(path)).ok();
        Ok(Self { path: path.to_owned(), sqlite, identity, log })
    }

    /// Returns the error of SQLite for this file.
    pub(crate) fn error(&self, error: rusqlite::Error) -> ArchiveError {
        ArchiveError::sqlite(&self.path, error)
    }

    /// Moves the changes from the write-ahead log into the file.
    pub(crate) fn settle(&self) -> rusqlite::Result<()> {
        self.sqlite.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// Checks that the path still leads to the open file.
    ///
    /// SQLite goes on writing to a file that another program removed, and those commits are lost.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`ArchiveErrorKind::FileRemoved`] if it does not.
    pub(crate) fn check_place(&self) -> Result<()> {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            return Ok(());
        }
        Err(ArchiveError::new(
            ArchiveErrorKind::FileRemoved,
            format!("another program removed or replaced `{}`", shown(&self.path)),
        ))
    }

    /// Returns `true` if the path leads to another file or to none, and the log of the open file is still beside it.
    fn left_its_log(&self) -> bool {
        let is_gone = match identity(&self.path) {
            Ok(identity) => identity != self.identity,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        is_gone && self.log.is_some() && self.log == identity(&log_of(&self.path)).ok()
    }
}

impl Drop for WriteConnection {
    /// Removes the log that a removed or replaced file leaves behind: SQLite would apply it to the file that is in its
    /// place now, such as one that was restored from a backup.
    fn drop(&mut self) {
        if !self.left_its_log() {
            return;
        }
        // A file that was moved away keeps its commits. A damaged one may not accept them.
        drop(self.sqlite.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())));
        if let Err(error) = remove_log(&self.path).and_then(|()| sync_directory(&self.path)) {
            tracing::error!(
                "the log of a replaced file may damage the present one: stop this program and remove the log: {error}"
            );
        }
    }
}

/// Opens a file for reading, with the changes in its write-ahead log.
///
/// # Errors
///
/// Returns an error if the file or its log cannot be read, or the file is of another version.
pub(crate) fn open_for_reading(path: &Path, schema: &FileSchema) -> Result<Connection> {
    let sqlite = open(path, READ_ONLY)?;
    let error = match schema.check(path, &sqlite) {
        Err(error) if matches!(error.kind(), ArchiveErrorKind::Io | ArchiveErrorKind::ReadOnly) => {
            error
        }
        checked => return checked.map(|()| sqlite),
    };
    // On a read-only disk, SQLite cannot create the index of the log.
    if !has_log(path) {
        return open_without_log(path, schema);
    }
    let advice = "its log cannot be read: run as the archive's user, on a writable disk";
    Err(error.with_advice(advice))
}

/// Opens a file for reading, without the changes in its write-ahead log.
///
/// # Errors
///
/// Returns an error if the file cannot be read, or is of another version.
pub(super) fn open_without_log(path: &Path, schema: &FileSchema) -> Result<Connection> {
    let uri = format!("file:{}?immutable=1", escaped(path));
    let sqlite = open(Path::new(&uri), READ_ONLY | OpenFlags::SQLITE_OPEN_URI)?;
    schema.check(path, &sqlite)?;
    Ok(sqlite)
}

/// Opens a file and bounds its waits.
fn open(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let open = || {
        let sqlite = Connection::open_with_flags(path, flags)?;
        sqlite.busy_timeout(BUSY_TIMEOUT)?;
        sqlite.pragma_update(None, "trusted_schema", false)?;
        sqlite.pragma_update(None, "cell_size_check", true)?;
        sqlite.pragma_update(None, "temp_store", "MEMORY")?;
        Ok(sqlite)
    };
    open().map_err(|error| ArchiveError::sqlite(path, error))
}

/// Has SQLite end every statement of a connection at a deadline.
pub(super) fn interrupt_at(connection: &Connection, deadline: Instant) {
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || Instant::now() >= deadline));
}

/// Has no statement of a connection end at a deadline.
pub(super) fn interrupt_never(connection: &Connection) {
    connection.progress_handler(0, None::<fn() -> bool>);
}

/// Returns `true` if SQLite ended a statement at its deadline.
pub(super) fn is_interrupted(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted)
}

/// The steps of SQLite's machine between two looks at the clock, some ten microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 1000;

/// Creates an empty file that only its owner can read: the user of the archive, also if root calls it. Returns `false`
/// if it exists already.
pub(super) fn create(path: &Path) -> io::Result<bool> {
    match durable_file::create_private(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes a new or removed name in a directory durable.
///
/// # Errors
///
/// Returns an error if the directory cannot be synced.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    let Some(directory) = path.parent() else { return Ok(()) };
    let synced = durable_file::sync_directory(path);
    synced.map_err(|error| ArchiveError::io("sync", directory, error))
}

/// Removes the log of a file that this process does not use.
///
/// # Errors
///
/// Returns an error if the log cannot be removed.
pub(super) fn remove_log(path: &Path) -> Result<()> {
    [LOG, LOG_INDEX].iter().try_for_each(|ending| remove_file(&with_ending(path, ending)))
}

/// Removes a file, unless it is gone already.
///
/// # Errors
///
/// Returns an error if the file cannot be removed.
pub(super) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ArchiveError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Returns the path of a file's write-ahead log.
pub(super) fn log_of(path: &Path) -> PathBuf {
    with_ending(path, LOG)
}

/// Returns `true` unless a file certainly has no changes in a log.
pub(super) fn has_log(path: &Path) -> bool {
    match fs::metadata(log_of(path)) {
        Ok(log) => log.len() > 0,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Returns the device and the inode of a file.
pub(super) fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Returns a path as part of a URI.
fn escaped(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

/// The flags of a connection that only reads.
const READ_ONLY: OpenFlags =
    OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// The ending of a write-ahead log.
const LOG: &str = "-wal";

/// The ending of the index of a write-ahead log.
const LOG_INDEX: &str = "-shm";

/// The longest wait for a lock of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The pages of a write-ahead log that SQLite moves into its file at once: 16 MiB. With fewer, almost every batch
/// writes its pages twice.
const LOG_PAGES: i64 = 4096;

/// The page cache of one file, in KiB.
const CACHE_KIB: i64 = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::super::schema::CONTROL;
    use super::*;

    /// The log of a replaced file is not applied to the file that was restored in its place.
    #[test]
    fn a_replaced_file_leaves_no_log() {
        let directory = tempfile::tempdir().unwrap();
        let [path, backup, away] =
            ["control.sqlite", "backup", "away"].map(|name| directory.path().join(name));
        drop(WriteConnection::open(&backup, &CONTROL).unwrap());
        let file = WriteConnection::open(&path, &CONTROL).unwrap();
        add_image(&file.sqlite);
        fs::rename(&path, &away).unwrap();
        fs::rename(&backup, &path).unwrap();
        drop(file);
        assert_eq!(images(&WriteConnection::open(&path, &CONTROL).unwrap().sqlite), 0);
        assert_eq!(images(&WriteConnection::open(&away, &CONTROL).unwrap().sqlite), 1);
    }

    /// A file that was put in place together with a log of its own keeps it.
    #[test]
    fn a_log_of_another_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sqlite");
        let file = WriteConnection::open(&path, &CONTROL).unwrap();
        for place in [&path, &log_of(&path)] {
            let other = directory.path().join("other");
            fs::write(&other, "other").unwrap();
            fs::rename(&other, place).unwrap();
        }
        drop(file);
        assert_eq!(fs::read(log_of(&path)).unwrap(), b"other");
    }

    /// A reader that cannot read the log of a file does not answer without it. Without a log, it needs none.
    #[test]
    fn a_log_that_cannot_be_read_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let [path, copy] = ["control.sqlite", "copy"].map(|name| directory.path().join(name));
        let file = WriteConnection::open(&path, &CONTROL).unwrap();
        file.settle().unwrap();
        add_image(&file.sqlite);
        fs::copy(&path, &copy).unwrap();
        fs::copy(log_of(&path), log_of(&copy)).unwrap();
        // SQLite cannot create the index of the log, as on a read-only disk.
        std::os::unix::fs::symlink("missing/index", with_ending(&copy, LOG_INDEX)).unwrap();
        let error = open_for_reading(&copy, &CONTROL).unwrap_err();
        assert_eq!(error.kind(), ArchiveErrorKind::Io);
        assert!(error.to_string().contains("run as the archive's user"), "{error}");
        fs::write(log_of(&copy), "").unwrap();
        assert_eq!(images(&open_for_reading(&copy, &CONTROL).unwrap()), 0);
    }

    fn add_image(sqlite: &Connection) {
        assert_eq!(sqlite.execute("INSERT INTO baseline VALUES ('i', '{}', 0)", []).unwrap(), 1);
    }

    fn images(sqlite: &Connection) -> i64 {
        sqlite.query_row("SELECT count(*) FROM baseline", [], |row| row.get(0)).unwrap()
    }
}
