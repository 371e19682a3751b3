//! How much may be pending, and what goes when there is no room.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::codec::message::Message;

/// The bounds of the queue and of the batches taken from it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueConfig {
    /// Messages pending at most, those in flight included. Default 10 000.
    pub max_messages: usize,
    /// Memory that they take at most, in bytes: their bodies, and 256 bytes of bookkeeping for each.
    /// Default 64 MiB.
    pub max_bytes: usize,
    /// Which message goes when there is no room. Default the newest.
    pub overflow: Overflow,
    /// After how long a message that is not delivered is given up. Default never.
    pub max_age: Option<Duration>,
    /// Messages in one batch at most. Default 1 024.
    pub batch_messages: usize,
    /// Bytes in one batch at most, counted as for `max_bytes`; one message always goes. Default
    /// 8 MiB.
    pub batch_bytes: usize,
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

/// Which message is dropped when `emit` finds no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// The one that is being emitted.
    #[default]
    DropNewest,
    /// The oldest that is queued. One that is in flight is never dropped.
    DropOldest,
}

/// What a message is taken to need besides its body, in bytes: its place in the queue, its receipt,
/// and what the allocator adds to both.
pub(super) const BOOKKEEPING: usize = 256;

/// What a message counts for in bounds, in bytes.
pub(super) fn weight(message: &Message) -> usize {
    message.body().len() + BOOKKEEPING
}
