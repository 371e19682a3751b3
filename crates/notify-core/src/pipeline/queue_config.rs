//! The configuration of the queue: its bounds, and the message to drop when it is full.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::load::Load;
use crate::codec::message::Message;

/// The bounds of the queue and of the batches that the worker takes from it.
///
/// # Examples
///
/// A small queue that prefers new notifications and drops those older than an hour:
///
/// ```
/// use std::time::Duration;
///
/// use notify_conformance::script::Script;
/// use notify_core::Notifier;
/// use notify_core::pipeline::{Overflow, QueueConfig};
///
/// let mut queue = QueueConfig::default();
/// queue.max_messages = 1_000;
/// queue.overflow = Overflow::DropOldest;
/// queue.max_age = Some(Duration::from_secs(3600));
///
/// let transport = Script::default().transport();
/// let (notifier, worker) = Notifier::builder(transport).queue(queue).build()?;
/// # drop((notifier, worker));
/// # Ok::<(), notify_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueConfig {
    /// Largest number of pending messages, including those in flight; at least 1. Default 10 000.
    pub max_messages: usize,
    /// Largest memory of pending messages in bytes: their bodies and contexts, and 256 bytes of
    /// bookkeeping for each. At least one notification of the largest size must fit. Default 64 MiB.
    pub max_bytes: usize,
    /// The message to drop when the queue is full. Default the newest.
    pub overflow: Overflow,
    /// Age at which the notifier drops an undelivered message. Default `None`: never.
    pub max_age: Option<Duration>,
    /// Largest number of messages in one batch; at least 1. Default 1 024.
    pub batch_messages: usize,
    /// Largest size of one batch in bytes, counted as for `max_bytes`. A batch of one message may be
    /// larger. Default 8 MiB.
    pub batch_bytes: usize,
}

impl QueueConfig {
    /// Returns the largest load of the queue.
    pub(super) fn room(&self) -> Load {
        Load { messages: self.max_messages, bytes: self.max_bytes }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            max_messages: 10_000,
            max_bytes: 64 * 1024 * 1024,
            overflow: Overflow::default(),
            max_age: None,
            batch_messages: 1024,
            batch_bytes: 8 * 1024 * 1024,
        }
    }
}

/// The message that [`Notifier::emit`](super::Notifier::emit) drops when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// The message that the program emits.
    #[default]
    DropNewest,
    /// The oldest queued message. Messages in flight stay.
    DropOldest,
}

/// The assumed memory of a message besides its body and its context, in bytes.
///
/// It covers the message's place in the queue, its receipt, and the overhead of the allocator for both.
pub(super) const BOOKKEEPING: usize = 256;

/// Returns the size of a message as the bounds count it, in bytes.
pub(super) fn weight(message: &Message) -> usize {
    message.size() + BOOKKEEPING
}
