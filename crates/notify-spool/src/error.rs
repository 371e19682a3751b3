//! The errors of the disk and of the database, translated into the errors of the transport contract.
//!
//! Every message names `spool.dir` and the path, escaped. No message may contain a payload.

use std::io;
use std::path::Path;
use std::time::Duration;

use notify_core::{Error, ErrorKind};

/// The failure of an operation on the database of a slot.
#[derive(Debug)]
pub(crate) enum SlotError {
    /// The disk failed. A later attempt may succeed.
    Io(io::Error),
    /// The file is damaged, or its format is not the spool's. Only an operator can change that.
    Content(String),
    /// The database failed for another reason. Opening it again may help.
    Database(redb::Error),
}

impl From<redb::Error> for SlotError {
    fn from(error: redb::Error) -> Self {
        match error {
            // redb reports a file that it did not write as invalid data.
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                Self::Content(error.to_string())
            }
            redb::Error::Io(error) if is_truncation(&error) => {
                Self::Content("the file is truncated".to_owned())
            }
            redb::Error::Io(error) => Self::Io(error),
            redb::Error::Corrupted(reason) => Self::Content(reason),
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

/// Implements `From` for the error types of redb, so that `?` converts all of them.
macro_rules! from_redb {
    ($($error:ident)+) => {
        $(impl From<redb::$error> for SlotError {
            fn from(error: redb::$error) -> Self {
                redb::Error::from(error).into()
            }
        })+
    };
}

from_redb!(CommitError CompactionError CursorError DatabaseError StorageError TableError TransactionError);

impl From<io::Error> for SlotError {
    fn from(error: io::Error) -> Self {
        redb::Error::Io(error).into()
    }
}

impl SlotError {
    /// Returns the error with the disk's own `fault` as its cause, if the disk reported one meanwhile.
    ///
    /// The database does not always pass on an error of the disk, and it may report damaged content
    /// when only the disk failed. The disk's report therefore wins, except for a truncated file.
    pub(crate) fn with_disk_fault(self, fault: Option<io::Error>) -> Self {
        match (self, fault) {
            (error @ Self::Content(_), Some(fault)) if is_truncation(&fault) => error,
            (_, Some(fault)) => fault.into(),
            (error, None) => error,
        }
    }

    /// Converts the failure into the contract's error about the file at `path`.
    ///
    /// The kind is [`ErrorKind::Config`] for content that the spool cannot read, so that the worker
    /// retries only every 30 s. It is [`ErrorKind::Unavailable`] for the database, and it follows from
    /// the cause for the disk.
    pub(crate) fn into_error(self, path: &Path) -> Error {
        match self {
            Self::Io(error) => file_error(path, "cannot be read or written", error),
            Self::Content(reason) => Error::new(
                ErrorKind::Config,
                dir_message(
                    path,
                    "is damaged or has an unknown format: move it away, or set `spool.on_corrupt = \
                     \"quarantine\"` to have the spool rename it and continue",
                ),
            )
            .with_source(io::Error::new(io::ErrorKind::InvalidData, reason)),
            Self::Database(error) => Error::new(
                ErrorKind::Unavailable,
                dir_message(path, "cannot be used at the moment, because of its database"),
            )
            .with_source(error),
        }
    }
}

/// Whether `error` means that the file ends too early.
fn is_truncation(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

/// Returns the error of a failed file operation in `spool.dir`.
///
/// `problem` completes the sentence that starts with the path. The kind and the advice follow from the cause,
/// see [`Error::of_file`].
pub(crate) fn file_error(path: &Path, problem: &str, error: io::Error) -> Error {
    Error::of_file(dir_message(path, problem), error)
}

/// Returns the error for a file or directory whose owner, mode or type is not safe.
///
/// Only an operator can change that, so the kind is [`ErrorKind::Access`].
pub(crate) fn access_error(path: &Path, problem: &str) -> Error {
    Error::new(ErrorKind::Access, dir_message(path, problem))
}

/// Returns the message of an error in `spool.dir`: the option, the path and the problem.
///
/// The operator chose the path and needs to see it, so the message shows it in full.
pub(crate) fn dir_message(path: &Path, problem: &str) -> String {
    format!("`spool.dir`: {} {problem}", printable_path(path))
}

/// Returns `path` in a form that is safe to print on a terminal.
pub(crate) fn printable_path(path: &Path) -> String {
    notify_core::redact::printable_path(path, PATH_CHARS)
}

/// Returns the delay before the spool repeats background work that failed with `error`.
///
/// The delay of a permanent error is the same as the worker's: 30 s.
pub(crate) fn retry_delay(error: &Error) -> Duration {
    if error.is_transient() { TRANSIENT_RETRY } else { PERMANENT_RETRY }
}

/// The delay after a transient error.
const TRANSIENT_RETRY: Duration = Duration::from_secs(1);
/// The delay after a permanent error.
const PERMANENT_RETRY: Duration = Duration::from_secs(30);
/// The length of the longest path that Linux accepts (`PATH_MAX`).
const PATH_CHARS: usize = 4096;
