//! A block of pending messages, each with the pipeline's record of it.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::load::Load;
use super::outcome_slot::OutcomeSender;
use super::queue_config::{Overflow, QueueConfig};
use crate::codec::message::Message;
use crate::error::Error;
use crate::transport::lanes::Lane;

/// Messages in the order in which the program emitted them.
///
/// Two lists of equal length rather than one list of pairs: a transport gets the messages as a slice,
/// without a copy.
#[derive(Debug, Default)]
pub(super) struct MessageBlock {
    pub(super) messages: VecDeque<Message>,
    /// The record of each message, at the same index.
    pub(super) records: VecDeque<MessageRecord>,
    /// The sum of [`MessageRecord::bytes`].
    pub(super) bytes: usize,
    /// The load of the messages that no overflow drops.
    pub(super) protected: Load,
}

/// The pipeline's record of one pending message.
#[derive(Debug)]
pub(super) struct MessageRecord {
    /// The sender for the receipt; `None` once the message is settled.
    pub(super) receipt: Option<OutcomeSender>,
    /// The message's place in the order in which its queue took messages.
    pub(super) order: u64,
    /// The flush generation in which it entered the queue: see
    /// [`PendingGenerations`](super::generations::PendingGenerations).
    pub(super) generation: u64,
    /// The time at which the program emitted it.
    pub(super) since: Instant,
    /// The time of its next attempt, while it is set aside.
    pub(super) due: Instant,
    /// Its size in the queue: see [`weight`](super::queue_config::weight).
    pub(super) bytes: usize,
    /// The number of attempts that had it.
    pub(super) attempts: u32,
    /// The number of those in which the destination declined it.
    pub(super) declines: u32,
    /// The queue behind the destination that it goes to.
    pub(super) lane: Lane,
    /// Whether it was set aside before.
    pub(super) set_aside: bool,
    /// Whether it took reserved room, so that no overflow drops it.
    pub(super) protected: bool,
    /// Whether an attempt ended without a verdict, so that the destination may have it.
    pub(super) unknown: bool,
    /// The reason of [`Verdict::Retry`](crate::Verdict::Retry) in the current attempt.
    pub(super) retry: Option<Error>,
}

impl MessageRecord {
    /// Returns the load of the message.
    pub(super) fn load(&self) -> Load {
        Load::one(self.bytes)
    }

    /// Returns the load of the message if no overflow drops it.
    pub(super) fn protected_load(&self) -> Load {
        if self.protected { self.load() } else { Load::default() }
    }

    /// Returns whether the message has its final verdict.
    pub(super) fn is_settled(&self) -> bool {
        self.receipt.is_none()
    }
}

impl MessageBlock {
    /// Returns the number of messages.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Returns whether the block holds no message.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Returns the number of messages and their bytes.
    pub(super) fn load(&self) -> Load {
        Load { messages: self.len(), bytes: self.bytes }
    }

    /// Returns whether one more message fits a batch. An empty batch has room for any message.
    pub(super) fn has_room(&self, record: &MessageRecord, config: &QueueConfig) -> bool {
        let fits =
            self.len() < config.batch_messages && self.bytes + record.bytes <= config.batch_bytes;
        fits || self.is_empty()
    }

    /// Adds the newest message.
    pub(super) fn push(&mut self, message: Message, record: MessageRecord) {
        self.bytes += record.bytes;
        self.protected += record.protected_load();
        self.messages.push_back(message);
        self.records.push_back(record);
    }

    /// Removes the oldest message.
    pub(super) fn pop(&mut self) -> Option<(Message, MessageRecord)> {
        let (message, record) = (self.messages.pop_front()?, self.records.pop_front()?);
        self.forget(&record);
        Some((message, record))
    }

    /// Returns the oldest or the newest record that an overflow may drop.
    pub(super) fn evictable(&self, overflow: Overflow) -> Option<(usize, &MessageRecord)> {
        if self.protected.messages == self.len() {
            return None;
        }
        let mut records = self.records.iter().enumerate().filter(|(_, record)| !record.protected);
        match overflow {
            Overflow::DropOldest => records.next(),
            Overflow::DropNewest => records.next_back(),
        }
    }

    /// Removes the oldest or the newest message that an overflow may drop.
    pub(super) fn evict(&mut self, overflow: Overflow) -> Option<(Message, MessageRecord)> {
        let (at, _) = self.evictable(overflow)?;
        let (message, record) = (self.messages.remove(at)?, self.records.remove(at)?);
        self.forget(&record);
        Some((message, record))
    }

    /// Takes a removed record out of the sums.
    fn forget(&mut self, record: &MessageRecord) {
        self.bytes -= record.bytes;
        self.protected -= record.protected_load();
    }

    /// Removes all messages, and returns them in their order. Keeps the allocated memory.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (Message, MessageRecord)> {
        (self.bytes, self.protected) = (0, Load::default());
        self.messages.drain(..).zip(self.records.drain(..))
    }

    /// Removes the settled messages.
    pub(super) fn keep_unsettled(&mut self) {
        let mut records = self.records.iter();
        self.messages.retain(|_| records.next().is_some_and(|record| !record.is_settled()));
        self.records.retain(|record| !record.is_settled());
        self.bytes = self.records.iter().map(|record| record.bytes).sum();
        self.protected = self.records.iter().map(MessageRecord::protected_load).sum();
    }
}
