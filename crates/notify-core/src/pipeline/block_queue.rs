//! The queued messages, in blocks of one batch each.
//!
//! The worker takes a whole block in one move, and the queue never moves a message when it grows. So
//! the mutex around it is held briefly, however large the batch is.

use std::collections::VecDeque;

use super::block::{MessageBlock, MessageRecord};
use super::queue_config::QueueConfig;
use crate::codec::message::Message;

/// Messages in the order in which the program emitted them.
#[derive(Debug, Default)]
pub(super) struct BlockQueue {
    /// The blocks, oldest first; none is empty.
    blocks: VecDeque<MessageBlock>,
    /// The number of messages in all blocks.
    len: usize,
    /// The bytes of all messages.
    bytes: usize,
    /// An empty block, kept for its allocated memory.
    spare: MessageBlock,
}

impl BlockQueue {
    /// Returns the number of messages in all blocks.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns whether the queue holds no message.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the bytes of all messages.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the newest message, in a new block when the last block is a full batch.
    pub(super) fn push(&mut self, message: Message, record: MessageRecord, config: &QueueConfig) {
        self.len += 1;
        self.bytes += record.bytes;
        match self.blocks.back_mut() {
            Some(last) if last.has_room(&record, config) => last.push(message, record),
            _ => {
                let mut block = std::mem::take(&mut self.spare);
                block.push(message, record);
                self.blocks.push_back(block);
            }
        }
    }

    /// Returns the record of the oldest message.
    pub(super) fn first(&self) -> Option<&MessageRecord> {
        self.blocks.front()?.records.front()
    }

    /// Removes the oldest message.
    pub(super) fn pop(&mut self) -> Option<(Message, MessageRecord)> {
        let block = self.blocks.front_mut()?;
        let (message, record) = block.pop()?;
        self.len -= 1;
        self.bytes -= record.bytes;
        if block.is_empty() {
            self.spare = self.blocks.pop_front()?;
        }
        Some((message, record))
    }

    /// Swaps the oldest block, at most one batch, into `empty`.
    pub(super) fn take_block(&mut self, empty: &mut MessageBlock) {
        if let Some(block) = self.blocks.pop_front() {
            self.len -= block.len();
            self.bytes -= block.bytes;
            self.spare = std::mem::replace(empty, block);
        }
    }
}
