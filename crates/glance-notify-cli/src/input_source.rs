//! The input of a command: a file, or standard input.
//!
//! Names of files appear in messages, so this module also escapes paths and words the
//! error of an input that cannot be read.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use glance_notify::transport::printable;

use crate::exit_status::CommandError;
use crate::terminal::print_note;

/// An open input, with the name that messages give it.
pub(crate) struct InputSource {
    /// The escaped path, or "standard input".
    pub(crate) name: String,
    /// The unread bytes of the input.
    pub(crate) reader: Box<dyn Read + Send>,
    /// The number of bytes to read, if the input has an end that is known.
    pub(crate) size: Option<u64>,
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
                size: redirected_size(),
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
            Ok((file, metadata))
        };
        let (file, metadata) = open().map_err(|error| read_error(&name, &error))?;
        let is_file = metadata.is_file();
        Ok(Self { name, reader: Box::new(file), size: is_file.then_some(metadata.len()), is_file })
    }
}

/// Prints that the command waits for standard input, if that is a terminal.
pub(crate) fn announce_terminal_input(path: Option<&PathBuf>) {
    if path.is_none() && io::stdin().is_terminal() {
        print_note(format_args!(
            "reading notifications from standard input, one JSON object a line: end with Ctrl-D"
        ));
    }
}

/// Returns the number of bytes on standard input, if a shell has redirected it from a file.
fn redirected_size() -> Option<u64> {
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    let metadata = stdin.metadata().ok()?;
    let position = (&stdin).stream_position().ok()?;
    metadata.is_file().then(|| metadata.len().saturating_sub(position))
}

/// Returns the error of an input that cannot be read. `name` must be escaped already.
pub(crate) fn read_error(name: &str, error: &io::Error) -> CommandError {
    CommandError::file(&format!("cannot read `{name}`"), error)
}

/// Returns a path as messages show it: escaped, and at most 256 characters long.
pub(crate) fn display_path(path: &Path) -> String {
    printable(&path.to_string_lossy(), 256).to_string()
}
