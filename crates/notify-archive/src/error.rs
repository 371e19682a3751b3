//! The error of the archive: [`ArchiveError`].

use std::fmt;
use std::io;
use std::path::Path;

use notify_core::redact::printable_path;

/// A result of the archive.
pub type Result<T, E = ArchiveError> = std::result::Result<T, E>;

/// An error of the archive: its kind, and a text that says what to change.
///
/// The text contains no payload. `Debug` prints the same text with the kind.
pub struct ArchiveError {
    kind: ArchiveErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The kind of an [`ArchiveError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ArchiveErrorKind {
    /// The disk or the quota is full. The writer goes on when there is room.
    DiskFull,
    /// The disk or the directory is read-only, or permission is denied.
    ReadOnly,
    /// A file of the archive is damaged.
    Corrupt,
    /// A newer version of this library wrote the file.
    NewerSchema,
    /// Another process writes to this archive.
    Locked,
    /// Another program removed or replaced a file of the archive.
    FileRemoved,
    /// The directory holds no archive.
    NotAnArchive,
    /// A value of the caller is wrong.
    Invalid,
    /// The work took longer than its deadline.
    DeadlineExceeded,
    /// The operating system reported another error.
    Io,
    /// This library has a bug. A restart may help.
    Bug,
}

impl ArchiveError {
    /// Creates an error with a text that is safe to show.
    pub(crate) fn new(kind: ArchiveErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Creates the error of an operation on `path`.
    pub(crate) fn io(operation: &str, path: &Path, error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ArchiveErrorKind::DiskFull,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ArchiveErrorKind::ReadOnly
            }
            _ => ArchiveErrorKind::Io,
        };
        let message = format!("cannot {operation} `{}`: {error}", shown(path));
        Self { kind, message, source: Some(Box::new(error)) }
    }

    /// Creates the error of SQLite for the file `path`.
    pub(crate) fn sqlite(path: &Path, error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        if is_damaged_row(&error) {
            let message = format!(
                "`{}`: a row is damaged: run `archive verify`, and restore the file",
                shown(path)
            );
            return Self::new(ArchiveErrorKind::Corrupt, message);
        }
        let (kind, meaning) = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => (
                ArchiveErrorKind::DiskFull,
                "no space left on device: free some, or shorten the retention",
            ),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                (ArchiveErrorKind::ReadOnly, "read-only, or permission denied")
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (
                ArchiveErrorKind::Corrupt,
                "the file is damaged: move it away or restore it from a backup",
            ),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                (ArchiveErrorKind::Locked, "another process holds a lock on the file")
            }
            Some(ErrorCode::OperationInterrupted) => {
                (ArchiveErrorKind::DeadlineExceeded, "the query took longer than its deadline")
            }
            Some(ErrorCode::CannotOpen) => (ArchiveErrorKind::Io, "unable to open the file"),
            _ => (ArchiveErrorKind::Io, "the database reports an error"),
        };
        let message = format!("`{}`: {meaning} ({error})", shown(path));
        Self { kind, message, source: Some(Box::new(error)) }
    }

    /// Adds to the text what to change.
    pub(crate) fn with_advice(mut self, advice: &str) -> Self {
        self.message = format!("{}: {advice}", self.message);
        self
    }

    /// Returns the kind.
    pub fn kind(&self) -> ArchiveErrorKind {
        self.kind
    }

    /// Returns `true` if more room on the disk may cure the error.
    ///
    /// SQLite reports a full quota as another error of the disk, and so it does a full disk that has no room for the
    /// index of a write-ahead log.
    pub(crate) fn may_need_room(&self) -> bool {
        matches!(self.kind, ArchiveErrorKind::DiskFull | ArchiveErrorKind::Io)
    }

    /// Returns `true` if the same call may succeed later without a change by an operator.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            ArchiveErrorKind::DiskFull
                | ArchiveErrorKind::FileRemoved
                | ArchiveErrorKind::Locked
                | ArchiveErrorKind::DeadlineExceeded
                | ArchiveErrorKind::Io
                | ArchiveErrorKind::Bug
        )
    }
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)
    }
}

impl std::error::Error for ArchiveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.source.as_deref()?)
    }
}

impl From<notify_core::Error> for ArchiveError {
    fn from(error: notify_core::Error) -> Self {
        Self {
            kind: ArchiveErrorKind::Invalid,
            message: error.to_string(),
            source: Some(Box::new(error)),
        }
    }
}

/// Returns `true` for a value in a row that the archive does not write.
fn is_damaged_row(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::InvalidQuery
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
    )
}

/// Returns a path as messages show it.
pub(crate) fn shown(path: &Path) -> String {
    printable_path(path, 256)
}
