//! The files that `emit` writes: the ids of delivered notifications (`--acks`) and the
//! undelivered notifications (`--failed`).
//!
//! Both are records that you act upon, so an error while writing them stops the reading.
//! Neither ever overwrites the input: this module compares files by device and inode, because
//! two paths may name one file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use glance_notify::Notification;
use glance_notify::codec::Encoding;
use glance_notify::uuid::Uuid;

use super::args::EmitArgs;
use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::display_path;

/// The open files of `--acks` and `--failed`.
pub(super) struct OutputFiles {
    /// Unbuffered, so that the file lists exactly the notifications delivered so far,
    /// even after a kill -9.
    acks: Option<Box<dyn Write + Send>>,
    failed: Option<BufWriter<File>>,
}

impl OutputFiles {
    /// Creates the files that the arguments name, and empties existing ones.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be created, if it is the input file, or if both
    /// options name the same file.
    pub(super) fn open(args: &EmitArgs) -> Result<Self, CommandError> {
        let EmitArgs { acks, failed, input, .. } = args;
        let is_stdout = |path: &PathBuf| path == Path::new("-");
        if acks.as_ref().is_some_and(|path| !is_stdout(path) && is_same_file(path, failed.as_ref()))
        {
            let message = "`--acks` and `--failed` name the same file: use two files";
            return Err(CommandError::new(ExitStatus::PermanentError, message));
        }
        let input = input.as_ref();
        let acks: Option<Box<dyn Write + Send>> = match acks {
            None => None,
            Some(path) if is_stdout(path) => Some(Box::new(io::stdout())),
            Some(path) => Some(Box::new(create(path, input)?)),
        };
        let failed = match failed {
            None => None,
            Some(path) => Some(BufWriter::new(create(path, input)?)),
        };
        Ok(Self { acks, failed })
    }

    /// Writes the id of a delivered notification to the file of `--acks`.
    ///
    /// # Errors
    ///
    /// Returns an error if the write fails.
    pub(super) fn write_ack(&mut self, id: Uuid) -> Result<(), CommandError> {
        let Some(acks) = &mut self.acks else { return Ok(()) };
        let line = format!("{}\n", id.hyphenated());
        acks.write_all(line.as_bytes())
            .and_then(|()| acks.flush())
            .map_err(|error| write_error("--acks", &error))
    }

    /// Returns whether `--failed` is given.
    pub(super) fn keeps_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Writes an undelivered notification to the file of `--failed`, encoded as the
    /// destination would have received it.
    ///
    /// Skips a notification that cannot be encoded: `emit` could not send it again either.
    ///
    /// # Errors
    ///
    /// Returns an error if the write fails.
    pub(super) fn write_failed(
        &mut self,
        notification: &Notification,
        encoding: &Encoding,
    ) -> Result<(), CommandError> {
        let Some(failed) = &mut self.failed else { return Ok(()) };
        let Ok(message) = notification.encode(encoding) else { return Ok(()) };
        failed
            .write_all(message.body())
            .and_then(|()| failed.write_all(b"\n"))
            .map_err(|error| write_error("--failed", &error))
    }

    /// Flushes the file of `--failed`.
    ///
    /// # Errors
    ///
    /// Returns an error if the write fails.
    pub(super) fn finish(&mut self) -> Result<(), CommandError> {
        let Some(failed) = &mut self.failed else { return Ok(()) };
        failed.flush().map_err(|error| write_error("--failed", &error))
    }
}

/// Creates or empties a file, unless it is the input.
fn create(path: &Path, input: Option<&PathBuf>) -> Result<File, CommandError> {
    let name = display_path(path);
    if is_same_file(path, input) {
        return Err(CommandError::new(
            ExitStatus::PermanentError,
            format!("`{name}` is the input file, which must not be overwritten: use another file"),
        ));
    }
    OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(path).map_err(
        |error| {
            CommandError::new(ExitStatus::PermanentError, format!("cannot write `{name}`: {error}"))
        },
    )
}

/// Returns whether two paths name the same regular file, by device and inode.
///
/// Compares the paths themselves if one of the files does not exist.
fn is_same_file(path: &Path, other: Option<&PathBuf>) -> bool {
    let Some(other) = other else { return false };
    match (std::fs::metadata(path), std::fs::metadata(other)) {
        (Ok(one), Ok(other)) => {
            one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino())
        }
        _ => path == other,
    }
}

/// Returns the error of a failed write to the file of `option`.
fn write_error(option: &str, error: &io::Error) -> CommandError {
    CommandError::new(
        ExitStatus::PermanentError,
        format!("cannot write the output of `{option}`: {error}"),
    )
}

/// The mode of new files, as the strategy `log` uses it: not readable by other users.
const MODE: u32 = 0o640;
