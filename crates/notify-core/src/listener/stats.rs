//! The public view of a listener's account: every delivery that it received, by its end.

use std::sync::Arc;

use serde::Serialize;
use time::OffsetDateTime;

use crate::codec::payload_time::serialize_time;

/// The account of a listener, or of one of its sources, at one moment.
///
/// At every moment `received = acked + released + dead_lettered + lost + held`. The listener counts
/// each of these numbers separately and never computes one from the others.
///
/// # Examples
///
/// ```
/// use notify_core::listener::DeliveryCounts;
///
/// fn assert_balances(counts: &DeliveryCounts) {
///     let settled = counts.acked + counts.released + counts.dead_lettered + counts.lost;
///     assert_eq!(counts.received, settled + counts.held);
/// }
/// assert_balances(&DeliveryCounts::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeliveryCounts {
    /// Messages that the source handed over, repetitions included.
    pub received: u64,
    /// Deliveries that the program acknowledged, once the source carried it out.
    pub acked: u64,
    /// Deliveries that went back to the source, on request or when the listener closed.
    pub released: u64,
    /// Deliveries that became dead letters: refused, unreadable, or failed too often.
    pub dead_lettered: u64,
    /// Deliveries whose session ended before they were settled. They come again. Also a delivery that
    /// repeats the tag of an unsettled one, by which its source breaks its contract.
    pub lost: u64,
    /// Deliveries that are not settled yet.
    pub held: u64,
    /// Failures that the program reported, by `fail` or by dropping a delivery. Not part of the
    /// balance: the delivery is handed out again.
    pub failed: u64,
    /// Deliveries that hold no notification. Not part of the balance.
    pub unreadable: u64,
    /// Messages that the source passed over, because its configuration leaves them out: lines of a file
    /// that hold none of some texts. Not part of the balance, and not received.
    pub skipped: u64,
}

impl DeliveryCounts {
    /// Adds the counts of another source.
    pub(super) fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.acked += other.acked;
        self.released += other.released;
        self.dead_lettered += other.dead_lettered;
        self.lost += other.lost;
        self.held += other.held;
        self.failed += other.failed;
        self.unreadable += other.unreadable;
        self.skipped += other.skipped;
    }
}

/// The account of a listener with that of each source.
///
/// # Examples
///
/// ```
/// use notify_core::listener::ListenerStats;
///
/// let stats = ListenerStats::default();
/// assert_eq!(stats.total.held, 0);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ListenerStats {
    /// The sums over all sources.
    #[serde(flatten)]
    pub total: DeliveryCounts,
    /// Each source, in the order in which it was given.
    pub sources: Vec<SourceStats>,
}

/// The account of one source.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SourceStats {
    /// The name of the source.
    pub name: String,
    /// Its counts.
    pub counts: DeliveryCounts,
    /// Its current activity.
    pub state: SourceState,
}

/// The activity of a source.
///
/// Serialised, it is an object with the variant in lower case as `name`, beside the variant's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "name", rename_all = "lowercase")]
#[non_exhaustive]
pub enum SourceState {
    /// The first session is not attached yet.
    #[default]
    Connecting,
    /// The source sees every new message.
    Attached {
        /// The time since when, in UTC.
        #[serde(serialize_with = "serialize_time")]
        since: OffsetDateTime,
    },
    /// The source may be missing messages: the session was lost, or its binding.
    Detached {
        /// The time since when, in UTC.
        #[serde(serialize_with = "serialize_time")]
        since: OffsetDateTime,
        /// The reason.
        reason: String,
    },
    /// The source is at its end.
    Ended,
    /// The listener closed the source.
    Closed,
}

/// One change of a source's coverage: from when on it saw every new message, or no longer did.
///
/// An archive keeps these beside the notifications: what happened while a source was detached may be
/// missing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoverageChange {
    /// The name of the source.
    pub source: Arc<str>,
    /// The state since that moment: attached, detached, ended or closed.
    pub state: SourceState,
    /// The moment, in UTC.
    pub at: OffsetDateTime,
}
