//! The files that `emit` appends to: the ids of delivered notifications (`--acks`), undelivered notifications
//! (`--failed`), and lines that are no notification (`--rejected`).
//!
//! They are records that you act upon. So `emit` never empties one, writes each line with one call, and stops
//! the reading when a write fails. Neither file is ever the input or another output: this module compares files
//! by device and inode, because two paths may name one file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use glance_notify::Notification;
use glance_notify::codec::Encoding;
use glance_notify::uuid::Uuid;

use super::args::EmitArgs;
use crate::exit_status::{CommandError, ExitStatus};
use crate::file_identity::FileIdentity;
use crate::input_source::display_path;

/// The open files of `--acks` and `--failed`.
pub(super) struct OutputFiles {
    acks: Option<OutputFile>,
    failed: Option<OutputFile>,
}

/// A file or standard output, to which an option appends lines.
///
/// Unbuffered, so that the file is complete up to the last line, even after a kill -9.
pub(super) struct OutputFile {
    /// The option, for messages.
    option: &'static str,
    out: Box<dyn Write + Send>,
}

impl OutputFiles {
    /// Opens the files that the arguments name, and the one of `--rejected`.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be opened, if it is the input file, or if two options name the same
    /// file.
    pub(super) fn open(args: &EmitArgs) -> Result<(Self, Option<OutputFile>), CommandError> {
        let EmitArgs { acks, failed, rejected, .. } = args;
        let input = args.input_file();
        let outputs = [
            ("--acks", acks, SHARED_MODE),
            ("--failed", failed, SHARED_MODE),
            // Text that is no notification is not redacted.
            ("--rejected", rejected, PRIVATE_MODE),
        ];
        check_distinct(&outputs)?;
        let open = |(option, path, mode): (&'static str, &Option<PathBuf>, u32)| {
            let path = path.as_ref();
            path.map(|path| OutputFile::open(option, path, mode, input)).transpose()
        };
        let [acks, failed, rejected] = outputs.map(open);
        let opened = (Self { acks: acks?, failed: failed? }, rejected?);
        // Two paths may lead to one file that did not exist before.
        check_distinct(&outputs)?;
        Ok(opened)
    }

    /// Writes the id of a delivered notification to the file of `--acks`.
    ///
    /// # Errors
    ///
    /// Returns an error if the write fails.
    pub(super) fn write_ack(&mut self, id: Uuid) -> Result<(), CommandError> {
        let Some(acks) = &mut self.acks else { return Ok(()) };
        acks.append(id.hyphenated().to_string().as_bytes())
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
        failed.append(message.body())
    }
}

impl OutputFile {
    /// Opens a file for appending, unless it is the input. `-` is standard output.
    ///
    /// If the last line of the file is not complete, because an earlier process was killed while it wrote,
    /// completes it: the next line must not continue it.
    fn open(
        option: &'static str,
        path: &Path,
        mode: u32,
        input: Option<FileIdentity>,
    ) -> Result<Self, CommandError> {
        let is_stdout = path == Path::new("-");
        let (name, file) = if is_stdout {
            ("standard output".to_owned(), FileIdentity::of_stream(&io::stdout()))
        } else {
            (display_path(path), FileIdentity::of_path(path))
        };
        if input.is_some() && file == input {
            return Err(CommandError::new(
                ExitStatus::PermanentError,
                format!(
                    "`{name}` is the input file, which must not be written to: use another file"
                ),
            ));
        }
        if is_stdout {
            return Ok(Self { option, out: Box::new(io::stdout()) });
        }
        let open = || {
            let mut file = OpenOptions::new().append(true).create(true).mode(mode).open(path)?;
            if ends_in_partial_line(path)? {
                file.write_all(b"\n")?;
            }
            Ok(file)
        };
        let file = open()
            .map_err(|error| CommandError::file(&format!("cannot write `{name}`"), &error))?;
        Ok(Self { option, out: Box::new(file) })
    }

    /// Writes one line with one call.
    ///
    /// # Errors
    ///
    /// Returns an error if the write fails.
    pub(super) fn append(&mut self, line: &[u8]) -> Result<(), CommandError> {
        let line = [line, b"\n"].concat();
        self.out.write_all(&line).and_then(|()| self.out.flush()).map_err(|error| {
            CommandError::file(&format!("cannot write the output of `{}`", self.option), &error)
        })
    }
}

/// Checks that no two options name the same file.
///
/// # Errors
///
/// Returns an error that names the options.
fn check_distinct(outputs: &[(&'static str, &Option<PathBuf>, u32)]) -> Result<(), CommandError> {
    for (at, (option, path, _)) in outputs.iter().enumerate() {
        let Some(path) = path else { continue };
        for (other, other_path, _) in &outputs[at + 1..] {
            if is_same_file(path, other_path.as_ref()) {
                return Err(CommandError::new(
                    ExitStatus::PermanentError,
                    format!("`{option}` and `{other}` name the same file: use two files"),
                ));
            }
        }
    }
    Ok(())
}

/// Returns whether the last byte of a regular file is no line break. A file that cannot be read counts as
/// complete.
fn ends_in_partial_line(path: &Path) -> io::Result<bool> {
    let Ok(mut file) = File::open(path) else { return Ok(false) };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Returns whether two paths name the same file, by device and inode. A device such as `/dev/null` is not
/// compared: it keeps nothing.
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

/// The mode of new files of notifications, as the strategy `log` uses it: not readable by other users.
const SHARED_MODE: u32 = 0o640;

/// The mode of a new file of rejected lines: only the owner has access.
const PRIVATE_MODE: u32 = 0o600;
