//! The messages that an open slot returns, decoded from its rows.

use notify_core::redact::printable;
use notify_core::{Error, ErrorKind, Message, Result};
use time::OffsetDateTime;

use crate::dead_letter::DeadLetterRow;
use crate::records::{RecordChunk, TruncatedRecord, records};

/// A message in a slot: a pending message or a dead letter.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredMessage {
    /// The message's number in its slot, the name that [`OpenSlot`](super::OpenSlot) knows it by. A
    /// retried dead letter gets a new number.
    pub number: u64,
    /// The message.
    ///
    /// # Errors
    ///
    /// The reason why the stored bytes are not a notification.
    pub message: Result<Message>,
    /// The refusal of a dead letter; `None` for a pending message.
    pub refusal: Option<RefusalInfo>,
}

/// The time and the reason of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusalInfo {
    /// The time of the refusal, to the second.
    pub refused_at: OffsetDateTime,
    /// The destination's reason, escaped and safe to print, at most 1 024 characters.
    pub reason: String,
}

/// Returns every place of a chunk: its number, and its message unless that is removed.
pub(super) fn chunk_messages(
    chunk: &RecordChunk,
) -> impl Iterator<Item = (u64, Option<StoredMessage>)> {
    (chunk.first..).zip(records(&chunk.bytes)).map(|(number, record)| {
        let message = match record {
            Ok(record) if record.is_removed() => return (number, None),
            Ok(record) => record.message(),
            Err(TruncatedRecord) => Err(truncated()),
        };
        (number, Some(StoredMessage { number, message, refusal: None }))
    })
}

/// Decodes the row of a dead letter.
pub(super) fn dead_message(number: u64, row: &[u8]) -> StoredMessage {
    let Ok(DeadLetterRow { refused_at, reason, record }) = DeadLetterRow::decode(row) else {
        return StoredMessage { number, message: Err(truncated()), refusal: None };
    };
    let refused_at =
        OffsetDateTime::from_unix_timestamp(refused_at).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let reason = printable(reason, REASON_CHARS).to_string();
    let message = record.message();
    StoredMessage { number, message, refusal: Some(RefusalInfo { refused_at, reason }) }
}

fn truncated() -> Error {
    Error::new(ErrorKind::Invalid, "the stored record is truncated")
}

/// The longest reason that a listing shows, in characters.
const REASON_CHARS: usize = 1024;
