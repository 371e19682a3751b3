//! Messages that are held, queued or in flight: each with what the pipeline knows of it besides its
//! content.

use std::collections::VecDeque;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::queue_config::QueueConfig;
use crate::codec::message::Message;
use crate::error::{Error, Result};

/// Messages in the order they were emitted in.
///
/// Two lists of the same length rather than one of pairs: a transport is handed the messages as they
/// lie.
#[derive(Debug, Default)]
pub(super) struct MessageBlock {
    pub(super) messages: VecDeque<Message>,
    pub(super) tickets: VecDeque<Ticket>,
    /// Of all of them.
    pub(super) bytes: usize,
}

/// What the pipeline knows of one message.
#[derive(Debug)]
pub(super) struct Ticket {
    /// Gone once the message is settled.
    pub(super) receipt: Option<oneshot::Sender<Result<()>>>,
    /// The how-manieth message of its notifier it is.
    pub(super) number: u64,
    pub(super) since: Instant,
    pub(super) bytes: usize,
    /// Whether some attempt left open if the destination took it.
    pub(super) unknown: bool,
    /// Why the destination did not take it in the current attempt.
    pub(super) retry: Option<Error>,
}

impl Ticket {
    /// Number and age.
    pub(super) fn place(&self) -> (u64, Instant) {
        (self.number, self.since)
    }

    pub(super) fn is_settled(&self) -> bool {
        self.receipt.is_none()
    }
}

impl MessageBlock {
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether one more message fits a batch; one always does.
    pub(super) fn has_room(&self, ticket: &Ticket, config: &QueueConfig) -> bool {
        let fits =
            self.len() < config.batch_messages && self.bytes + ticket.bytes <= config.batch_bytes;
        fits || self.is_empty()
    }

    pub(super) fn push(&mut self, message: Message, ticket: Ticket) {
        self.bytes += ticket.bytes;
        self.messages.push_back(message);
        self.tickets.push_back(ticket);
    }

    pub(super) fn pop(&mut self) -> Option<(Message, Ticket)> {
        let (message, ticket) = (self.messages.pop_front()?, self.tickets.pop_front()?);
        self.bytes -= ticket.bytes;
        Some((message, ticket))
    }

    /// Number and age of the first.
    pub(super) fn first(&self) -> Option<(u64, Instant)> {
        self.tickets.front().map(Ticket::place)
    }

    /// Lets go of what is settled.
    pub(super) fn keep_unsettled(&mut self) {
        let mut tickets = self.tickets.iter();
        self.messages.retain(|_| tickets.next().is_some_and(|ticket| !ticket.is_settled()));
        self.tickets.retain(|ticket| !ticket.is_settled());
        self.bytes = self.tickets.iter().map(|ticket| ticket.bytes).sum();
    }
}
