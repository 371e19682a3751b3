//! What is in a slot, in numbers, and who holds it: kept beside the messages for whoever looks.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// How many messages there are, and how much room they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MessageTotals {
    /// How many messages.
    pub messages: u64,
    /// Their bodies, and a few bytes of bookkeeping for each.
    pub bytes: u64,
}

impl MessageTotals {
    /// One more message of so many bytes.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.messages += 1;
        self.bytes += bytes;
    }

    /// One message of so many bytes less.
    pub(crate) fn remove(&mut self, bytes: u64) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// What is in a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SlotContents {
    /// Messages that are to be forwarded.
    pub pending: MessageTotals,
    /// Messages that the destination refused.
    pub dead: MessageTotals,
    /// When the oldest pending message was emitted, in seconds since 1970.
    pub oldest: Option<i64>,
}

impl SlotContents {
    /// Nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.pending.messages == 0 && self.dead.messages == 0
    }

    /// When the oldest pending message was emitted.
    pub fn oldest_pending(&self) -> Option<OffsetDateTime> {
        self.oldest.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
    }
}

/// What the process that holds a slot says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) pid: u32,
    /// `None` until it has looked.
    pub(crate) contents: Option<SlotContents>,
}

impl Status {
    /// This process has the slot, and in it is what `contents` says.
    pub(crate) fn ours(contents: Option<SlotContents>) -> Self {
        Self { pid: std::process::id(), contents }
    }
}
