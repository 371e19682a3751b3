//! What the system says about the log, as the contract's errors.

use std::io;
use std::path::Path;

use notify_core::redact::printable;
use notify_core::{Error, ErrorKind};

/// An error about `log.file`. `what` says what could not be done; the kind follows from the cause.
pub(crate) fn of_file(path: &Path, what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::of_file(&error), about(path, what)).with_source(error)
}

/// A `log.file` that cannot work as it is configured.
pub(crate) fn config(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Config, about(path, what))
}

/// The path is what the operator wrote and needs to see.
pub(crate) fn about(path: &Path, what: &str) -> String {
    format!("`log.file`: {} {what}", shown(path))
}

/// A path, safe to show.
pub(crate) fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy(), PATH_CHARS).to_string()
}

/// The longest path that Linux takes (`PATH_MAX`).
const PATH_CHARS: usize = 4096;
