//! One dead letter, as the dead-letter file keeps it: [`DeadLetter`].
//!
//! The file has one line of JSON for each letter. `docs/listening.md` explains its keys.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use uuid::Uuid;

use super::held_delivery::DeadDelivery;
use crate::codec::payload_time::PayloadTime;
use crate::error::{Error, ErrorKind, Result};

/// A delivery that will never be handled, with the reason.
///
/// The body of a message that holds no notification is unredacted: show it nowhere, and store it only in
/// files with the mode 0600. `Debug` shows its size.
///
/// # Examples
///
/// ```
/// use notify_core::listener::DeadLetter;
///
/// let line = br#"{"dead_at":"2026-11-24T12:00:00Z","source":"north","position":"n.log:7",
///     "reason":"no such project","attempts":1,"received_at":"2026-11-24T11:59:59Z","size":2,"body":"{}"}"#;
/// let letter = DeadLetter::from_line(line)?;
/// assert_eq!((letter.source.as_str(), letter.body.as_slice()), ("north", &b"{}"[..]));
/// # Ok::<(), notify_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The time at which the delivery became a dead letter, in UTC.
    pub dead_at: OffsetDateTime,
    /// The name of the source.
    pub source: String,
    /// The place of the message in its source, as `Display` of a
    /// [`Position`](crate::source::Position) prints it.
    pub position: String,
    /// The reason.
    pub reason: String,
    /// The number of times that the program got the delivery.
    pub attempts: u32,
    /// The time of reception, in UTC.
    pub received_at: OffsetDateTime,
    /// The id of the notification; `None` if the message holds none.
    pub message_id: Option<Uuid>,
    /// The size of the message in bytes, as far as it is known.
    pub size: u64,
    /// The message, redacted if it holds a notification; empty if it was too large.
    pub body: Vec<u8>,
}

impl DeadLetter {
    /// Reads one line of a dead-letter file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the line is no letter: a process was killed while it wrote, or another
    /// program did.
    pub fn from_line(line: &[u8]) -> Result<Self> {
        // The error of serde_json may repeat a value, which is a secret perhaps.
        let row: LetterRecord<'_> = serde_json::from_slice(line).map_err(|error| {
            let place = format!("the line is no dead letter, at column {}", error.column());
            Error::new(ErrorKind::Invalid, place)
        })?;
        let body = match (row.body, row.body_hex) {
            (Some(text), _) => text.into_owned().into_bytes(),
            (None, Some(HexBytes(bytes))) => bytes.into_owned(),
            (None, None) => Vec::new(),
        };
        Ok(Self {
            dead_at: row.dead_at.0,
            source: row.source.into_owned(),
            position: row.position.into_owned(),
            reason: row.reason.into_owned(),
            attempts: row.attempts,
            received_at: row.received_at.0,
            message_id: row.message_id,
            size: row.size,
            body,
        })
    }
}

/// Shows everything but the body.
impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("source", &self.source)
            .field("position", &self.position)
            .field("reason", &self.reason)
            .field("message_id", &self.message_id)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// A dead letter that is written.
#[derive(Debug)]
pub(super) struct DeadLetterRecord {
    /// The name of the source.
    pub(super) source: std::sync::Arc<str>,
    /// The delivery.
    pub(super) delivery: DeadDelivery,
    /// The time at which the delivery became a dead letter, in UTC.
    pub(super) at: OffsetDateTime,
}

impl DeadLetterRecord {
    /// Returns the letter as a line of JSON between two line ends.
    pub(super) fn line(&self) -> Vec<u8> {
        let content = &self.delivery.content;
        let (message_id, size, body) = match &content.message {
            Ok(message) => (Some(message.id()), message.body().len() as u64, message.body()),
            Err(unreadable) => (None, unreadable.size, unreadable.bytes.as_ref()),
        };
        let text = std::str::from_utf8(body).ok();
        let row = LetterRecord {
            dead_at: PayloadTime(self.at),
            source: (&*self.source).into(),
            position: content.position.to_string().into(),
            reason: self.delivery.reason.as_str().into(),
            attempts: self.delivery.attempts,
            received_at: PayloadTime(content.received_at),
            message_id,
            size,
            body: text.map(Cow::Borrowed),
            body_hex: text.is_none().then_some(HexBytes(body.into())),
        };
        let mut line = vec![b'\n'];
        // Writing to memory succeeds: no map has other keys than texts.
        drop(serde_json::to_writer(&mut line, &row));
        line.push(b'\n');
        line
    }
}

/// A dead letter as it is in the file.
#[derive(Serialize, Deserialize)]
struct LetterRecord<'a> {
    dead_at: PayloadTime,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    position: Cow<'a, str>,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    attempts: u32,
    received_at: PayloadTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<Uuid>,
    size: u64,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    body: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_hex: Option<HexBytes<'a>>,
}

/// Bytes that serialise as hexadecimal digits.
struct HexBytes<'a>(Cow<'a, [u8]>);

impl Serialize for HexBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
        let text: String =
            self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for HexBytes<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digit =
            |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes = text.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        });
        let bytes: Option<Vec<u8>> = bytes.collect();
        let expected = "expected hexadecimal digits";
        bytes.map(|bytes| Self(bytes.into())).ok_or_else(|| serde::de::Error::custom(expected))
    }
}
