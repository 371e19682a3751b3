//! The batches that the writer stores, and the result of storing one.

use notify_core::codec::Sequence;
use time::OffsetDateTime;

use super::control_file::ImportPosition;
use crate::record::event_record::EventRecord;

/// The records and messages of one batch, and the position behind them.
#[derive(Clone, Debug, Default)]
pub struct ArchiveBatch {
    /// The notifications.
    pub records: Vec<EventRecord>,
    /// The messages that are none.
    pub unreadable: Vec<UnreadableContent>,
    /// The name of the file that the batch comes from, and the position behind the batch.
    pub position: Option<(String, ImportPosition)>,
}

/// A message that is no notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableContent {
    /// The name of the source.
    pub source: String,
    /// The time of the reception.
    pub received_at: OffsetDateTime,
    /// The reason, which repeats nothing of the message.
    pub reason: String,
    /// The length of the message in bytes.
    pub length: u64,
    /// The message, or its beginning. The archive keeps 64 KiB of it, unredacted, in a file that only its
    /// owner can read.
    pub content: Vec<u8>,
    /// The number that the publisher gave the message, if it numbers them: the message did arrive.
    pub sequence: Option<Sequence>,
}

/// The result of one batch, in numbers of messages.
///
/// Each message of the batch counts once: `stored + copies + unreadable` is the size of the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppendOutcome {
    /// New notifications.
    pub stored: u64,
    /// Messages that the archive had already, or whose content was erased. An unreadable message that equals
    /// an earlier one is a copy too.
    pub copies: u64,
    /// New notifications with the id and the time of another one, and other content. They are stored and
    /// flagged. [`Archive::verify`](super::Archive::verify) also counts ids that were used at another time.
    pub reused: u64,
    /// New messages that are no notifications.
    pub unreadable: u64,
}
