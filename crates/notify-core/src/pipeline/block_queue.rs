//! What is queued, in blocks that are a batch each: a batch is taken in one move, and nothing is moved
//! when the queue grows.

use std::collections::VecDeque;

use super::block::{MessageBlock, Ticket};
use super::queue_config::QueueConfig;
use crate::codec::message::Message;

/// Messages in the order they were emitted in.
#[derive(Debug, Default)]
pub(super) struct BlockQueue {
    /// The blocks; none is empty.
    queue: VecDeque<MessageBlock>,
    /// Of all messages in them.
    len: usize,
    bytes: usize,
    /// An empty block, for its memory.
    spare: MessageBlock,
}

impl BlockQueue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, message: Message, ticket: Ticket, config: &QueueConfig) {
        self.len += 1;
        self.bytes += ticket.bytes;
        match self.queue.back_mut() {
            Some(last) if last.has_room(&ticket, config) => last.push(message, ticket),
            _ => {
                let mut block = std::mem::take(&mut self.spare);
                block.push(message, ticket);
                self.queue.push_back(block);
            }
        }
    }

    /// The ticket of the oldest message.
    pub(super) fn first(&self) -> Option<&Ticket> {
        self.queue.front()?.tickets.front()
    }

    /// Takes out the oldest message.
    pub(super) fn pop(&mut self) -> Option<(Message, Ticket)> {
        let block = self.queue.front_mut()?;
        let (message, ticket) = block.pop()?;
        self.len -= 1;
        self.bytes -= ticket.bytes;
        if block.is_empty() {
            self.spare = self.queue.pop_front()?;
        }
        Some((message, ticket))
    }

    /// Takes out the oldest messages, a batch at most, in place of `empty`.
    pub(super) fn take(&mut self, empty: &mut MessageBlock) {
        if let Some(block) = self.queue.pop_front() {
            self.len -= block.len();
            self.bytes -= block.bytes;
            self.spare = std::mem::replace(empty, block);
        }
    }
}
