//! What the disk and the database say, as the contract's errors.

use std::io;
use std::path::Path;

use notify_core::redact::printable;
use notify_core::{Error, ErrorKind};

/// Why the database of a slot does not do what it is asked.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The disk: it may pass.
    Io(io::Error),
    /// The content of the file: damaged, or of a format that is not ours.
    Content(String),
    /// The database, for a reason that its next opening may mend.
    Database(redb::Error),
}

impl From<redb::Error> for Trouble {
    fn from(error: redb::Error) -> Self {
        match error {
            // What redb says of a file that is none of its own.
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                Self::Content(error.to_string())
            }
            // A file that ends before it should.
            redb::Error::Io(error) if is_cut(&error) => Self::Content("it is cut short".to_owned()),
            redb::Error::Io(error) => Self::Io(error),
            redb::Error::Corrupted(what) => Self::Content(what),
            redb::Error::UpgradeRequired(version) => {
                Self::Content(format!("its file format is version {version}"))
            }
            error @ (redb::Error::RepairAborted
            | redb::Error::TableDoesNotExist(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TableIsNotMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }) => Self::Content(error.to_string()),
            error => Self::Database(error),
        }
    }
}

/// Lets `?` take every error of redb's.
macro_rules! from_redb {
    ($($error:ident)+) => {
        $(impl From<redb::$error> for Trouble {
            fn from(error: redb::$error) -> Self {
                redb::Error::from(error).into()
            }
        })+
    };
}

from_redb!(CommitError CompactionError CursorError DatabaseError StorageError TableError TransactionError);

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        redb::Error::Io(error).into()
    }
}

impl Trouble {
    /// The same, knowing what the disk said meanwhile: the database does not always pass it on, and
    /// what a failing disk leads it to say of the content is worth nothing.
    pub(crate) fn because_of(self, fault: Option<io::Error>) -> Self {
        match (self, fault) {
            (trouble @ Self::Content(_), Some(error)) if is_cut(&error) => trouble,
            (_, Some(error)) => error.into(),
            (trouble, None) => trouble,
        }
    }

    /// The error of whoever wanted something of the file at `path`.
    pub(crate) fn about(self, path: &Path) -> Error {
        match self {
            Self::Io(error) => of_file(path, "cannot be used", error),
            Self::Content(what) => Error::new(
                ErrorKind::Config,
                format!(
                    "`spool.dir`: {} cannot be read as a spool: move it away, or set \
                     `spool.on_corrupt = \"quarantine\"` to have it set aside",
                    shown(path)
                ),
            )
            .with_source(io::Error::new(io::ErrorKind::InvalidData, what)),
            Self::Database(error) => {
                Error::new(ErrorKind::Unavailable, about(path, "cannot be used now"))
                    .with_source(error)
            }
        }
    }
}

fn is_cut(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

/// An error about something in `spool.dir`. `what` says what could not be done; the kind follows from
/// the cause.
pub(crate) fn of_file(path: &Path, what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::of_file(&error), about(path, what)).with_source(error)
}

/// Something in `spool.dir` that is not as it must be, and that only an operator can mend.
pub(crate) fn access(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Access, about(path, what))
}

/// The path is what the operator wrote and needs to see.
pub(crate) fn about(path: &Path, what: &str) -> String {
    format!("`spool.dir`: {} {what}", shown(path))
}

/// A path, safe to show.
pub(crate) fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy(), PATH_CHARS).to_string()
}

/// The longest path that Linux takes (`PATH_MAX`).
const PATH_CHARS: usize = 4096;
