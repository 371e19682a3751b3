//! The file of dead letters: one line of JSON for each delivery that will never be handled.
//!
//! The file may hold secrets, because bytes that hold no notification cannot be redacted. So only its
//! owner may read it. All functions here block.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use uuid::Uuid;

use super::held_delivery::DeadDelivery;
use crate::codec::payload_time::PayloadTime;
use crate::error::{Error, ErrorKind, Result};
use crate::redact::printable::printable;

/// A dead-letter file that appends one synced line at a time.
#[derive(Debug)]
pub(super) struct DeadLetterFile {
    path: PathBuf,
    max_bytes: u64,
}

/// One dead letter, ready to be written.
#[derive(Debug)]
pub(super) struct DeadLetterRecord {
    /// The name of the source.
    pub(super) source: std::sync::Arc<str>,
    /// The delivery.
    pub(super) delivery: DeadDelivery,
    /// The time at which the delivery became a dead letter, in UTC.
    pub(super) at: OffsetDateTime,
}

impl DeadLetterFile {
    /// Describes a file without opening it.
    pub(super) fn new(path: PathBuf, max_bytes: u64) -> Self {
        Self { path, max_bytes }
    }

    /// Appends one letter and syncs it.
    ///
    /// Opens the file each time: letters are rare, and you may move or empty the file at any moment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`] if the file would become larger than its bound or the disk is full, and the
    /// error of the file otherwise.
    pub(super) fn append(&self, record: &DeadLetterRecord) -> Result<()> {
        let line = record.line();
        let mut file = self.open().map_err(|error| self.error("cannot be opened", error))?;
        let size = file.metadata().map_err(|error| self.error("cannot be read", error))?.len();
        if size.saturating_add(line.len() as u64) > self.max_bytes {
            let problem = format!(
                "is full: it may have {} bytes. Handle its letters and move it away",
                self.max_bytes
            );
            return Err(Error::new(ErrorKind::Full, self.message(&problem)));
        }
        let mut last = [b'\n'];
        if size > 0 {
            let read = file.read_exact_at(&mut last, size - 1);
            read.map_err(|error| self.error("cannot be read", error))?;
        }
        // Another process stopped in the middle of its line.
        let line = if last == *b"\n" { &line[1..] } else { &line };
        file.write_all(line)
            .and_then(|()| file.sync_all())
            .map_err(|error| self.error("cannot be written", error))
    }

    /// Opens the file, or creates it with its directory entry synced.
    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).mode(MODE);
        match options.open(&self.path) {
            Ok(file) => {
                let mode = file.metadata()?.permissions().mode();
                if mode & 0o077 != 0 {
                    file.set_permissions(std::fs::Permissions::from_mode(MODE))?;
                }
                Ok(file)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = options.create(true).open(&self.path)?;
                let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let directory = parent.unwrap_or_else(|| std::path::Path::new("."));
                File::open(directory)?.sync_all()?;
                Ok(file)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns an error about this file.
    fn error(&self, problem: &str, error: io::Error) -> Error {
        Error::of_file(self.message(problem), error)
    }

    /// Returns the text of an error about this file.
    fn message(&self, problem: &str) -> String {
        let path = self.path.to_string_lossy();
        format!("the dead-letter file `{}` {problem}", printable(&path, 256))
    }
}

impl DeadLetterRecord {
    /// Returns the letter as a line of JSON between two line ends.
    fn line(&self) -> Vec<u8> {
        let content = &self.delivery.content;
        let (message_id, size, body) = match &content.message {
            Ok(message) => (Some(message.id()), message.body().len() as u64, message.body()),
            Err(unreadable) => (None, unreadable.size, unreadable.bytes.as_ref()),
        };
        let text = std::str::from_utf8(body).ok();
        let row = LetterRow {
            dead_at: PayloadTime(self.at),
            source: &self.source,
            position: content.position.to_string(),
            reason: &self.delivery.reason,
            attempts: self.delivery.attempts,
            received_at: PayloadTime(content.received_at),
            message_id,
            size,
            body: text,
            body_hex: text.is_none().then_some(HexBytes(body)),
        };
        let mut line = vec![b'\n'];
        // Writing to memory succeeds: no map has other keys than texts.
        drop(serde_json::to_writer(&mut line, &row));
        line.push(b'\n');
        line
    }
}

/// A dead letter as it is in the file. `docs/listening.md` explains the keys.
#[derive(Serialize)]
struct LetterRow<'a> {
    dead_at: PayloadTime,
    source: &'a str,
    position: String,
    reason: &'a str,
    attempts: u32,
    received_at: PayloadTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<Uuid>,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_hex: Option<HexBytes<'a>>,
}

/// Bytes that serialise as hexadecimal digits.
struct HexBytes<'a>(&'a [u8]);

impl Serialize for HexBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
        let text: String =
            self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        serializer.serialize_str(&text)
    }
}

/// The mode of the file: only its owner may read it.
const MODE: u32 = 0o600;
