//! Errors about `log.file`, in terms of the option that you can change.
//!
//! Every message here names the option and the path. It never holds a notification.

use std::io;
use std::path::Path;

use notify_core::redact::printable_path;
use notify_core::{Error, ErrorKind};

/// Returns an error about an operation on `log.file` that the system refused.
///
/// `problem` completes the sentence that the path begins: "cannot be synced". The kind and the advice follow
/// from `error`, see [`Error::of_file`].
pub(crate) fn file_error(path: &Path, problem: &str, error: io::Error) -> Error {
    Error::of_file(file_message(path, problem), error)
}

/// Returns an error about a `log.file` that cannot work until you change the configuration.
pub(crate) fn config_error(path: &Path, problem: &str) -> Error {
    Error::new(ErrorKind::Config, file_message(path, problem))
}

/// Returns the text of an error: the option, the path that you configured, and the problem.
pub(crate) fn file_message(path: &Path, problem: &str) -> String {
    format!("`log.file`: {} {problem}", display_path(path))
}

/// Returns a path that logs and terminals show without harm: escaped, and without credentials of URLs.
pub(crate) fn display_path(path: &Path) -> String {
    printable_path(path, MAX_PATH_CHARS)
}

/// The longest path that Linux accepts (`PATH_MAX`).
const MAX_PATH_CHARS: usize = 4096;
