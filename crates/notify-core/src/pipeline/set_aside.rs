//! Messages that wait for their next attempt while others of their lane go on.
//!
//! Each message waits by its own number of attempts. The messages of one number of attempts wait in a
//! row, so that every operation takes constant time, however many messages wait.

use tokio::time::Instant;

use super::backoff::{LONGEST, bound};
use super::block::MessageRecord;
use super::block_queue::BlockQueue;
use super::load::Load;
use super::queue_config::{Overflow, QueueConfig};
use crate::codec::message::Message;

/// The messages of one lane that are set aside.
#[derive(Debug, Default)]
pub(super) struct SetAside {
    /// The messages by their number of attempts, each level in the order of due times.
    levels: [BlockQueue; LEVELS],
    load: Load,
    /// The number of messages that are due whatever their due time says.
    overdue: usize,
}

impl SetAside {
    /// Returns the number of messages and their bytes.
    pub(super) fn load(&self) -> Load {
        self.load
    }

    /// Returns the load of the messages that no overflow drops.
    pub(super) fn protected(&self) -> Load {
        self.levels.iter().map(BlockQueue::protected).sum()
    }

    /// Returns whether no message is set aside.
    pub(super) fn is_empty(&self) -> bool {
        self.load.messages == 0
    }

    /// Sets a message aside. It is due after the backoff of its attempts; `jitter` from 0 to 1 shortens
    /// that by up to a half.
    pub(super) fn push(
        &mut self,
        message: Message,
        mut record: MessageRecord,
        now: Instant,
        jitter: f64,
        config: &QueueConfig,
    ) {
        let failures = record.attempts.saturating_sub(1);
        let level = usize::try_from(failures).unwrap_or(LEVELS).min(LEVELS - 1);
        let queue = &mut self.levels[level];
        let wait = bound(failures).mul_f64(0.5 + jitter / 2.0).min(LONGEST);
        // A level is in the order of its due times, although each wait is jittered.
        record.due = queue.last().map_or(now + wait, |last| last.due.max(now + wait));
        record.set_aside = true;
        self.load += record.load();
        queue.push(message, record, config);
    }

    /// Returns the earliest due time.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = |it: &MessageRecord| if self.overdue > 0 { it.since } else { it.due };
        self.firsts().map(due).min()
    }

    /// Makes all messages due now.
    pub(super) fn retry_now(&mut self) {
        self.overdue = self.load.messages;
    }

    /// Returns the record of the oldest message that is due.
    pub(super) fn first_due(&self, now: Instant) -> Option<&MessageRecord> {
        let is_due = |record: &&MessageRecord| self.overdue > 0 || record.due <= now;
        self.firsts().filter(is_due).min_by_key(|record| record.order)
    }

    /// Removes the oldest message that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Message, MessageRecord)> {
        let order = self.first_due(now)?.order;
        let of = |queue: &&mut BlockQueue| queue.first().is_some_and(|it| it.order == order);
        let queue = self.levels.iter_mut().find(of)?;
        let (message, record) = queue.pop()?;
        self.load -= record.load();
        self.overdue = self.overdue.saturating_sub(1);
        Some((message, record))
    }

    /// Removes a message that the program emitted before `time`.
    pub(super) fn pop_expired(&mut self, time: Instant) -> Option<(Message, MessageRecord)> {
        let expired =
            |queue: &&mut BlockQueue| queue.first().is_some_and(|record| record.since < time);
        let (message, record) = self.levels.iter_mut().find(expired)?.pop()?;
        self.load -= record.load();
        self.overdue = self.overdue.min(self.load.messages);
        Some((message, record))
    }

    /// Removes the message to drop when there is no room: one of the oldest or of the newest.
    pub(super) fn evict(&mut self, overflow: Overflow) -> Option<(Message, MessageRecord)> {
        let mut levels = self.levels.iter_mut().filter(|queue| queue.oldest_evictable().is_some());
        let level = match overflow {
            // The first level holds the messages with the fewest attempts.
            Overflow::DropNewest => levels.next()?,
            Overflow::DropOldest => levels.next_back()?,
        };
        let (message, record) = level.evict(overflow)?;
        self.load -= record.load();
        self.overdue = self.overdue.min(self.load.messages);
        Some((message, record))
    }

    /// Removes any message.
    pub(super) fn pop_any(&mut self) -> Option<(Message, MessageRecord)> {
        let (message, record) = self.levels.iter_mut().find_map(BlockQueue::pop)?;
        self.load -= record.load();
        self.overdue = self.overdue.min(self.load.messages);
        Some((message, record))
    }

    /// Returns the time at which the program emitted one of the oldest messages that an overflow may
    /// drop.
    pub(super) fn oldest_evictable(&self) -> Option<Instant> {
        self.levels.iter().filter_map(BlockQueue::oldest_evictable).map(|it| it.since).min()
    }

    /// Returns the time at which the program emitted one of the oldest messages.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.firsts().map(|record| record.since).min()
    }

    /// Returns the records at the heads of the levels.
    fn firsts(&self) -> impl Iterator<Item = &MessageRecord> {
        self.levels.iter().filter_map(BlockQueue::first)
    }
}

/// The number of levels: the last one waits the longest time.
const LEVELS: usize = 10;
