//! The input of a command: a file, or standard input.
//!
//! Names of files appear in messages, so this module also escapes paths and words the
//! error of an input that cannot be read.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use glance_notify::transport::printable_path;

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
    /// Whether the input is a regular file, also if a shell has redirected standard input from it. A regular
    /// file has an end, so that a command can read all of it without waiting for a writer.
    pub(crate) is_file: bool,
}

impl InputSource {
    /// Opens `path`. `None` and `-` stand for standard input.
    ///
    /// # Errors
    ///
    /// Returns a permanent error with the path if the file cannot be opened, is a directory or is
    /// compressed with gzip. Standard input and pipes tell the last only when they are read.
    pub(crate) fn open(path: Option<&PathBuf>) -> Result<Self, CommandError> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            let size = redirected_size();
            return Ok(Self {
                name: "standard input".to_owned(),
                reader: Box::new(PlainReader::new(io::stdin())),
                size,
                is_file: size.is_some(),
            });
        };
        let name = display_path(path);
        let open = || {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            let mut start = [0; GZIP_MAGIC.len()];
            if metadata.is_file() && file.read_at(&mut start, 0)? > 0 && start == GZIP_MAGIC {
                return Err(io::Error::other(COMPRESSED));
            }
            Ok((file, metadata))
        };
        let (file, metadata) = open().map_err(|error| read_error(&name, &error))?;
        let is_file = metadata.is_file();
        let reader = Box::new(PlainReader::new(file));
        Ok(Self { name, reader, size: is_file.then_some(metadata.len()), is_file })
    }
}

/// Reads a whole file, such as a list of names. `-` is the name of a file like any other.
///
/// # Errors
///
/// Returns a permanent error with the path if the file cannot be read or is compressed with gzip.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, CommandError> {
    let read = || {
        let mut content = Vec::new();
        PlainReader::new(File::open(path)?).read_to_end(&mut content)?;
        Ok(content)
    };
    read().map_err(|error| read_error(&display_path(path), &error))
}

/// A reader that fails if its input is compressed with gzip, which would look like unreadable lines.
struct PlainReader<R> {
    reader: R,
    /// The first bytes, at most as many as tell gzip.
    start: Vec<u8>,
}

impl<R> PlainReader<R> {
    fn new(reader: R) -> Self {
        Self { reader, start: Vec::with_capacity(GZIP_MAGIC.len()) }
    }
}

impl<R: Read> Read for PlainReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        let missing = GZIP_MAGIC.len() - self.start.len();
        self.start.extend_from_slice(&buffer[..length.min(missing)]);
        if self.start == GZIP_MAGIC {
            return Err(io::Error::other(COMPRESSED));
        }
        Ok(length)
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

/// Returns a path as messages show it: escaped, without credentials of URLs, and at most 256 characters long.
pub(crate) fn display_path(path: &Path) -> String {
    printable_path(path, 256)
}

/// The first bytes of every gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

const COMPRESSED: &str = "compressed with gzip: decompress it first, for example with `zcat`";

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe may deliver one byte at a time.
    #[test]
    fn compressed_input_is_told_by_its_first_bytes() {
        let read = |start: &[u8], rest: &[u8]| {
            let mut text = Vec::new();
            PlainReader::new(start.chain(rest)).read_to_end(&mut text).map(|_| text)
        };
        assert!(read(b"\x1f\x8b\x08", b"").is_err());
        assert!(read(b"\x1f", b"\x8b\x08").is_err());
        assert_eq!(read(b"", b"").unwrap(), b"");
        assert_eq!(read(b"\x1f", b"").unwrap(), b"\x1f");
        assert_eq!(read(b"{", b"\x1f\x8b").unwrap(), b"{\x1f\x8b");
    }
}
