//! Pending messages in a row, in blocks of one batch each.
//!
//! The worker takes a whole block in one move, and the queue never moves a message when it grows. So
//! the mutex around it is held briefly, however many messages there are.

use std::collections::VecDeque;

use super::block::{MessageBlock, MessageRecord};
use super::load::Load;
use super::queue_config::{Overflow, QueueConfig};
use crate::codec::message::Message;

/// Messages in a row. Each end is reached in constant time.
#[derive(Debug, Default)]
pub(super) struct BlockQueue {
    /// The blocks, oldest first; none is empty.
    blocks: VecDeque<MessageBlock>,
    load: Load,
    /// The load of the messages that no overflow drops.
    protected: Load,
    /// An empty block, kept for its allocated memory.
    spare: MessageBlock,
}

impl BlockQueue {
    /// Returns the number of messages and their bytes.
    pub(super) fn load(&self) -> Load {
        self.load
    }

    /// Returns the load of the messages that no overflow drops.
    pub(super) fn protected(&self) -> Load {
        self.protected
    }

    /// Returns whether the queue holds no message.
    pub(super) fn is_empty(&self) -> bool {
        self.load.messages == 0
    }

    /// Adds the newest message, in a new block when the last block is a full batch.
    pub(super) fn push(&mut self, message: Message, record: MessageRecord, config: &QueueConfig) {
        self.load += record.load();
        self.protected += record.protected_load();
        match self.blocks.back_mut() {
            Some(last) if last.has_room(&record, config) => last.push(message, record),
            _ => {
                let mut block = std::mem::take(&mut self.spare);
                block.push(message, record);
                self.blocks.push_back(block);
            }
        }
    }

    /// Puts messages before all others.
    pub(super) fn put_back(&mut self, block: MessageBlock) {
        if !block.is_empty() {
            self.load += block.load();
            self.protected += block.protected;
            self.blocks.push_front(block);
        }
    }

    /// Returns the record of the oldest message.
    pub(super) fn first(&self) -> Option<&MessageRecord> {
        self.blocks.front()?.records.front()
    }

    /// Returns the record of the newest message.
    pub(super) fn last(&self) -> Option<&MessageRecord> {
        self.blocks.back()?.records.back()
    }

    /// Removes the oldest message.
    pub(super) fn pop(&mut self) -> Option<(Message, MessageRecord)> {
        let block = self.blocks.front_mut()?;
        let (message, record) = block.pop()?;
        self.load -= record.load();
        self.protected -= record.protected_load();
        if block.is_empty() {
            self.spare = self.blocks.pop_front()?;
        }
        Some((message, record))
    }

    /// Returns the oldest record that an overflow may drop.
    pub(super) fn oldest_evictable(&self) -> Option<&MessageRecord> {
        let mut evictable = self.blocks.iter().filter_map(|it| it.evictable(Overflow::DropOldest));
        evictable.next().map(|(_, record)| record)
    }

    /// Removes the oldest or the newest message that an overflow may drop.
    pub(super) fn evict(&mut self, overflow: Overflow) -> Option<(Message, MessageRecord)> {
        let holds_one = |block: &MessageBlock| block.evictable(overflow).is_some();
        let at = match overflow {
            Overflow::DropOldest => self.blocks.iter().position(holds_one)?,
            Overflow::DropNewest => self.blocks.iter().rposition(holds_one)?,
        };
        let (message, record) = self.blocks[at].evict(overflow)?;
        self.load -= record.load();
        if self.blocks[at].is_empty() {
            self.spare = self.blocks.remove(at)?;
        }
        Some((message, record))
    }

    /// Swaps the oldest block, at most one batch, into `empty`.
    pub(super) fn take_block(&mut self, empty: &mut MessageBlock) {
        if let Some(block) = self.blocks.pop_front() {
            self.load -= block.load();
            self.protected -= block.protected;
            self.spare = std::mem::replace(empty, block);
        }
    }
}
