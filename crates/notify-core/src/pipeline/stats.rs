//! The public view of a notifier's account: every notification it got, by outcome.

use std::time::Duration;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::codec::payload_time::{PayloadTime, serialize_time};
use crate::transport::broker_counters::BrokerStats;

/// The account of a notifier and all its clones at one moment.
///
/// At every moment `emitted = delivered + refused + dropped.total() + pending.messages`. The notifier
/// counts each of these numbers separately and never computes one from the others.
///
/// Serialised, it is the JSON object whose keys `docs/counters.md` explains.
///
/// # Examples
///
/// ```
/// use notify_conformance::script::Script;
/// use notify_core::event::Payload;
/// use notify_core::{Event, Notifier};
///
/// let (notifier, _worker) = Notifier::builder(Script::default().transport()).build()?;
/// drop(notifier.emit(&Event::ImageUpload(Payload::Warn("the store is slow".into()))));
///
/// let stats = notifier.stats();
/// let settled = stats.delivered + stats.refused + stats.dropped.total();
/// assert_eq!(stats.emitted, settled + stats.pending.messages);
/// # Ok::<(), notify_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Notifications that the program emitted, of the types that are enabled.
    pub emitted: u64,
    /// Notifications that the destination accepted.
    pub delivered: u64,
    /// Notifications that will never be delivered: the destination rejected them, or encoding failed.
    pub refused: u64,
    /// Notifications that the notifier gave up, by reason.
    pub dropped: DropCounts,
    /// Notifications that are queued or in flight.
    pub pending: PendingCounts,
    /// Repeated sends of a message, after the verdict retry or an attempt that left it unsettled. Not
    /// part of the balance.
    pub retried: u64,
    /// Notifications that the destination does not get: their type is disabled, its filter leaves them
    /// out, or the transport does not want them. Not part of the balance.
    pub suppressed: u64,
    /// Age of the oldest pending message; serialised in seconds.
    #[serde(serialize_with = "seconds")]
    pub oldest_pending: Option<Duration>,
    /// Time of the last delivery, in UTC.
    #[serde(serialize_with = "time")]
    pub last_delivery: Option<OffsetDateTime>,
    /// The error of the failure that lasts, with its lane and its causes; `None` while delivery works.
    ///
    /// It stays after the worker ended, so that the account of
    /// [`Notifier::shutdown`](super::Notifier::shutdown) tells why messages were not delivered.
    pub last_error: Option<String>,
    /// Whether only an operator can fix [`last_error`](Self::last_error).
    pub last_error_is_permanent: bool,
    /// The worker's current activity.
    pub state: WorkerState,
    /// The counters of the connection to a broker; `None`, and no key, for another kind of destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker: Option<BrokerStats>,
}

/// Numbers of dropped notifications, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DropCounts {
    /// The queue was full. See [`Overflow`](super::Overflow).
    pub overflow: u64,
    /// The message was older than [`QueueConfig::max_age`](super::QueueConfig::max_age).
    pub age: u64,
    /// The program emitted the notification after it closed the notifier.
    pub closed: u64,
    /// The message was pending when the drain deadline passed or the worker was dropped.
    pub abandoned: u64,
}

impl DropCounts {
    /// Returns the sum of all reasons.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::pipeline::DropCounts;
    ///
    /// let mut dropped = DropCounts::default();
    /// (dropped.overflow, dropped.closed) = (3, 1);
    /// assert_eq!(dropped.total(), 4);
    /// ```
    pub fn total(&self) -> u64 {
        self.overflow + self.age + self.closed + self.abandoned
    }
}

/// The size of everything that is queued or in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PendingCounts {
    /// The number of messages.
    pub messages: u64,
    /// Their memory in bytes: the bodies and contexts, and 256 bytes of bookkeeping for each.
    pub bytes: u64,
}

/// The activity of a [`Worker`](super::Worker).
///
/// Serialised, it is an object with the variant in lower case as `name`, beside the variant's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "name", rename_all = "lowercase")]
#[non_exhaustive]
pub enum WorkerState {
    /// The program did not run the worker yet, so no notification is delivered.
    #[serde(rename = "not_started")]
    NotStarted,
    /// The queue is empty.
    #[default]
    Idle,
    /// A batch is in flight.
    Delivering,
    /// The last attempt of the connection or of a lane failed, or messages are set aside.
    Retrying {
        /// Time of the first failure since delivery last worked, in UTC.
        #[serde(serialize_with = "serialize_time")]
        since: OffsetDateTime,
        /// The last error, with its lane and its causes. A permanent one comes before others.
        error: String,
        /// Whether the error [is permanent](crate::Error::is_transient), so that only an operator can
        /// fix it.
        permanent: bool,
    },
    /// The worker ended and will deliver nothing more.
    Closed,
}

/// Writes a duration in seconds, with a fraction.
fn seconds<S: Serializer>(age: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    age.map(|age| age.as_secs_f64()).serialize(serializer)
}

/// Writes a time in the format of payloads: `2026-11-22T12:00:00Z`.
fn time<S: Serializer>(time: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(PayloadTime).serialize(serializer)
}
