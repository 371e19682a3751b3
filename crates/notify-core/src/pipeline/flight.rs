//! The messages the worker has taken: each with what the pipeline knows of it besides its content.

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::{Error, Message, Result};

/// The messages taken and not yet settled, in the order they were emitted in.
///
/// Two lists of the same length rather than one of pairs: a transport is handed the messages as they
/// lie.
#[derive(Debug, Default)]
pub(super) struct Flight {
    pub(super) messages: Vec<Message>,
    pub(super) tickets: Vec<Ticket>,
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
    pub(super) fn is_settled(&self) -> bool {
        self.receipt.is_none()
    }
}

impl Flight {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn push(&mut self, message: Message, ticket: Ticket) {
        self.bytes += ticket.bytes;
        self.messages.push(message);
        self.tickets.push(ticket);
    }

    /// Number and age of the first.
    pub(super) fn first(&self) -> Option<(u64, Instant)> {
        self.tickets.first().map(|first| (first.number, first.since))
    }

    /// Lets go of what is settled.
    pub(super) fn keep_unsettled(&mut self) {
        let mut tickets = self.tickets.iter();
        self.messages.retain(|_| tickets.next().is_some_and(|ticket| !ticket.is_settled()));
        self.tickets.retain(|ticket| !ticket.is_settled());
        self.bytes = self.tickets.iter().map(|ticket| ticket.bytes).sum();
    }
}
