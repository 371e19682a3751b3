//! The contents of a slot as numbers, and the status that its owner publishes.
//!
//! The status is JSON in the slot's lock file. The names of its fields belong to the format on the
//! disk and must not change: an older or newer program reads them.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A number of messages, and the room that they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MessageTotals {
    /// The number of messages.
    pub messages: u64,
    /// Their size in bytes: the body and four bytes for each pending message; the body, the reason and
    /// twelve bytes for each dead letter. A context and a sequence add their own size.
    pub bytes: u64,
}

impl MessageTotals {
    /// Adds one message of `bytes` bytes.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.messages += 1;
        self.bytes += bytes;
    }

    /// Returns the sum of both numbers.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { messages: self.messages + other.messages, bytes: self.bytes + other.bytes }
    }

    /// Returns the difference of both numbers, each at least 0.
    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(other.messages),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    /// Returns the larger one of each number.
    pub(crate) fn max(self, other: Self) -> Self {
        Self { messages: self.messages.max(other.messages), bytes: self.bytes.max(other.bytes) }
    }

    /// Subtracts one message of `bytes` bytes, down to zero.
    pub(crate) fn remove(&mut self, bytes: u64) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// The contents of a slot: pending messages and dead letters.
///
/// # Examples
///
/// ```
/// let contents = notify_spool::SlotContents::default();
/// assert!(contents.is_empty());
/// assert_eq!(contents.pending.messages, 0);
/// assert_eq!(contents.oldest_pending(), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SlotContents {
    /// The messages that the forwarder has still to deliver.
    pub pending: MessageTotals,
    /// The dead letters: messages that the destination refused for good.
    pub dead: MessageTotals,
    /// The time when the oldest pending message was emitted, in seconds since 1970.
    pub oldest: Option<i64>,
}

impl SlotContents {
    /// Whether the slot holds neither pending messages nor dead letters.
    pub fn is_empty(&self) -> bool {
        self.pending.messages == 0 && self.dead.messages == 0
    }

    /// Returns the time when the oldest pending message was emitted, to the second.
    ///
    /// The result is `None` if no message is pending, or if the owner has not determined it yet.
    pub fn oldest_pending(&self) -> Option<OffsetDateTime> {
        self.oldest.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
    }
}

/// The status that the owner of a slot publishes about a second after each change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SlotStatus {
    /// The id of the process that owns the slot.
    pub(crate) pid: u32,
    /// The contents of the slot; `None` until the owner has opened the database.
    pub(crate) contents: Option<SlotContents>,
}

impl SlotStatus {
    /// Returns the status of a slot that this process owns.
    pub(crate) fn of_this_process(contents: Option<SlotContents>) -> Self {
        Self { pid: std::process::id(), contents }
    }

    /// Returns whether the process that wrote the status still runs on this host.
    pub(crate) fn owner_is_alive(&self) -> bool {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        // A process of another user exists too, although this one may not signal it.
        pid.is_some_and(|pid| {
            !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs of other versions read the status, so its JSON must stay the same.
    #[test]
    fn the_status_keeps_its_format() {
        let pending = MessageTotals { messages: 2, bytes: 30 };
        let contents = SlotContents { pending, oldest: Some(1), ..SlotContents::default() };
        let text = r#"{"pid":7,"contents":{"pending":{"messages":2,"bytes":30},"dead":{"messages":0,"bytes":0},"oldest":1}}"#;
        let status = SlotStatus { pid: 7, contents: Some(contents) };
        assert_eq!(serde_json::to_string(&status).unwrap(), text);
        assert_eq!(serde_json::from_str::<SlotStatus>(text).unwrap(), status);
    }
}
