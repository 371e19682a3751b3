//! What a transport's tests provide: a destination that can be looked into and mistreated.

use async_trait::async_trait;
use notify_core::{Notification, Priority, Transport};

/// What a destination can be made to do. What it cannot, its harness says, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// To keep what it takes, so that it can be read back.
    Keep,
    /// To keep id, event type and priority beside the body.
    Metadata,
    /// To be away, to be killed in the middle, and to come back with what it took.
    Restart,
    /// To stop answering without going away.
    Stall,
    /// To refuse one message for good.
    Refuse,
    /// To take nothing now, and say so, message by message.
    Retry,
}

/// A destination of a transport's own, for one test.
///
/// Whatever it starts ends when it is dropped. What it reads back it reads with a reader that is not
/// the project's.
#[async_trait]
pub trait Harness: Send + Sized {
    /// What this destination cannot be made to do, and why: the clauses that need it print the reason
    /// instead of running.
    const CANNOT: &'static [(Capability, &'static str)];

    /// A fresh destination.
    async fn start() -> Self;

    /// A transport to this destination, not yet opened.
    fn transport(&self) -> Box<dyn Transport>;

    /// Everything the destination has taken so far, in its order, duplicates included.
    async fn received(&mut self) -> Vec<Received>;

    /// How many connections or open files onto the destination there are.
    async fn holders(&mut self) -> usize;

    /// Takes the destination away at once, in the middle of whatever it does. See
    /// [`Capability::Restart`].
    async fn kill(&mut self) {}

    /// Brings the destination back. See [`Capability::Restart`].
    async fn revive(&mut self) {}

    /// Makes the destination stop answering. See [`Capability::Stall`].
    async fn stall(&mut self) {}

    /// Makes the destination answer again. See [`Capability::Stall`].
    async fn thaw(&mut self) {}

    /// A notification that the destination will refuse for good. See [`Capability::Refuse`].
    async fn refusable(&mut self) -> Notification {
        crate::samples::notification(0)
    }

    /// Makes the destination take nothing. See [`Capability::Retry`].
    async fn push_back(&mut self) {}

    /// Makes the destination take everything again. See [`Capability::Retry`].
    async fn relent(&mut self) {}
}

/// One message as the destination has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The body, byte by byte.
    pub body: Vec<u8>,
    /// What stands beside the body, where the destination keeps it.
    pub metadata: Option<Metadata>,
}

/// What a destination keeps beside a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The message's id.
    pub message_id: String,
    /// Its event type.
    pub event_type: String,
    /// Its priority, by which it was routed.
    pub priority: Priority,
}
