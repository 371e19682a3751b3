//! The input of a command: a file, or standard input.
//!
//! Names of files appear in messages, so this module also escapes paths and words the
//! error of an input that cannot be read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use glance_notify::transport::printable;

use crate::exit_status::{CommandError, ExitStatus};

/// An open input, with the name that messages give it.
pub(crate) struct InputSource {
    /// The escaped path, or "standard input".
    pub(crate) name: String,
    /// The unread bytes of the input.
    pub(crate) reader: Box<dyn Read + Send>,
    /// Whether the input is a regular file. A regular file has an end, so that a command
    /// can read all of it without waiting for a writer.
    pub(crate) is_file: bool,
}

impl InputSource {
    /// Opens `path`. `None` and `-` stand for standard input.
    ///
    /// # Errors
    ///
    /// Returns a permanent error with the path if the file cannot be opened or is a
    /// directory.
    pub(crate) fn open(path: Option<&PathBuf>) -> Result<Self, CommandError> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self {
                name: "standard input".to_owned(),
                reader: Box::new(io::stdin()),
                is_file: false,
            });
        };
        let name = display_path(path);
        let open = || {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            Ok((file, metadata.is_file()))
        };
        let (file, is_file) = open().map_err(|error| read_error(&name, &error))?;
        Ok(Self { name, reader: Box::new(file), is_file })
    }
}

/// Returns the error of an input that cannot be read. `name` must be escaped already.
pub(crate) fn read_error(name: &str, error: &io::Error) -> CommandError {
    CommandError::new(ExitStatus::PermanentError, format!("cannot read `{name}`: {error}"))
}

/// Returns a path as messages show it: escaped, and at most 256 characters long.
pub(crate) fn display_path(path: &Path) -> String {
    printable(&path.to_string_lossy(), 256).to_string()
}
