//! What became of everything that was emitted, in numbers.

use std::time::Duration;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::codec::payload_time::PayloadTime;

/// The account of a notifier and all its clones, read in one moment.
///
/// At every moment `emitted = delivered + refused + dropped.total() + pending.messages`. Each number
/// is counted by itself; none is what is left of the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Notifications given to the notifier of a type that is wanted.
    pub emitted: u64,
    /// Taken by the destination.
    pub delivered: u64,
    /// Never to be taken: by the destination, or because they could not be encoded.
    pub refused: u64,
    /// Given up.
    pub dropped: Dropped,
    /// Neither delivered nor given up yet.
    pub pending: Pending,
    /// Times that a message was sent again. Not part of the account.
    pub retried: u64,
    /// Notifications of a type that is disabled or that the transport does not want. Not part of the
    /// account.
    pub suppressed: u64,
    /// How long the oldest pending message has been waiting; in seconds when serialised.
    #[serde(serialize_with = "seconds")]
    pub oldest_pending: Option<Duration>,
    /// When something was delivered last.
    #[serde(serialize_with = "time")]
    pub last_delivery: Option<OffsetDateTime>,
    /// What the worker is doing.
    pub state: WorkerState,
}

/// Messages given up, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Dropped {
    /// There was no room in the queue.
    pub overflow: u64,
    /// Older than the queue's `max_age`.
    pub age: u64,
    /// Emitted after the notifier was closed.
    pub closed: u64,
    /// Still pending when the time to drain was over, or when the worker was dropped.
    pub abandoned: u64,
}

impl Dropped {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.overflow + self.age + self.closed + self.abandoned
    }
}

/// What is queued or in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pending {
    /// How many messages.
    pub messages: u64,
    /// How much memory they take, in bytes: their bodies, and 256 bytes of bookkeeping for each.
    pub bytes: u64,
}

/// What the worker is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "name", rename_all = "lowercase")]
#[non_exhaustive]
pub enum WorkerState {
    /// Nothing is to be done, or nobody runs the worker.
    #[default]
    Idle,
    /// A batch is on its way.
    Delivering,
    /// The last attempt failed.
    Retrying {
        /// When the first attempt of this run of failures failed.
        #[serde(serialize_with = "some_time")]
        since: OffsetDateTime,
        /// Why the last one failed, with its causes.
        error: String,
        /// Whether nobody but an operator can mend it.
        permanent: bool,
    },
    /// The worker has ended. Nothing is delivered any more.
    Closed,
}

fn seconds<S: Serializer>(age: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    age.map(|age| age.as_secs_f64()).serialize(serializer)
}

fn time<S: Serializer>(time: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(PayloadTime).serialize(serializer)
}

fn some_time<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    PayloadTime(*time).serialize(serializer)
}
