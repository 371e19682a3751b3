//! The file that keeps how far each file is acknowledged.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use notify_core::listener::durable_file::replace;
use notify_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::file_head::FileHead;
use crate::error::display_path;

/// The positions of all files that may have more lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checkpoint {
    /// The time of the checkpoint in nanoseconds since 1970.
    pub(super) saved_at: u64,
    /// The files, the oldest first.
    pub(super) files: Vec<FilePosition>,
}

/// The position of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FilePosition {
    /// The device and the inode.
    pub(super) id: (u64, u64),
    /// The head of the file.
    pub(super) head: FileHead,
    /// The number of bytes that are acknowledged, which are whole lines.
    pub(super) offset: u64,
}

impl Checkpoint {
    /// Creates the checkpoint of this moment.
    pub(super) fn now(files: Vec<FilePosition>) -> Self {
        let age = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { saved_at: u64::try_from(age.as_nanos()).unwrap_or(u64::MAX), files }
    }

    /// Reads a checkpoint; `None` if there is no file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the file is no checkpoint, and the error of the file otherwise.
    pub(super) fn load(path: &Path) -> Result<Option<Self>> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file_error(path, "cannot be read", error)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|_| {
            let path = display_path(path);
            let message = format!(
                "`{path}` is no checkpoint of a log file: name another file, or remove it to start \
                 over"
            );
            Error::new(ErrorKind::Config, message)
        })
    }

    /// Writes the checkpoint durably, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// The error of the file.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let write = || replace(path, &serde_json::to_vec(self)?);
        write().map_err(|error| file_error(path, "cannot be written", error))
    }
}

/// Returns an error about a checkpoint.
fn file_error(path: &Path, problem: &str, error: io::Error) -> Error {
    let message = format!("the checkpoint `{}` {problem}", display_path(path));
    Error::of_file(message, error)
}

#[cfg(test)]
mod tests {
    use notify_core::listener::durable_file::temporary_path;

    use super::*;

    /// A checkpoint is read as it was written, and another file is not mistaken for one.
    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("position");
        assert_eq!(Checkpoint::load(&path).unwrap(), None);
        let head = FileHead::of_bytes(b"line\n").unwrap();
        let checkpoint = Checkpoint::now(vec![FilePosition { id: (1, 2), head, offset: 5 }]);
        checkpoint.save(&path).unwrap();
        assert_eq!(Checkpoint::load(&path).unwrap(), Some(checkpoint));
        fs::write(&path, "{}\n").unwrap();
        let error = Checkpoint::load(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!temporary_path(&path).exists());
    }
}
