//! The in-memory counters of the second stage, from the disk to the destination.
//!
//! They live as long as the process. The disk holds no counters: a restart counts the messages that it
//! finds as new.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use notify_core::pipeline::Stats;
use time::OffsetDateTime;

use crate::chunk_outcome::OutcomeCounts;
use crate::slot_status::MessageTotals;

/// The counters of all slots that this process forwards.
///
/// They balance at every moment: `stored = delivered + refused + dropped + pending`. One mutex guards
/// all of them, so that no reader sees a state in between.
#[derive(Debug, Default)]
pub(crate) struct StageCounters(Mutex<CounterValues>);

/// The values behind the mutex of [`StageCounters`].
#[derive(Debug, Default)]
struct CounterValues {
    /// The messages that this process stored, or found in a slot.
    stored: u64,
    delivered: u64,
    refused: u64,
    dropped: u64,
    pending: MessageTotals,
    last_delivery: Option<OffsetDateTime>,
    /// The time when the oldest pending message of each slot was emitted, in seconds since 1970.
    oldest: BTreeMap<u32, i64>,
}

impl StageCounters {
    /// Counts messages that the spool stored now, or that an earlier run left in a slot.
    pub(crate) fn add_stored(&self, totals: MessageTotals) {
        let mut values = self.lock();
        values.stored += totals.messages;
        values.pending.messages += totals.messages;
        values.pending.bytes += totals.bytes;
    }

    /// Counts outcomes after the disk has recorded them.
    pub(crate) fn add_outcomes(&self, counts: &OutcomeCounts) {
        let OutcomeCounts { delivered, refused, dropped, bytes } = *counts;
        let mut values = self.lock();
        values.delivered += delivered;
        values.refused += refused;
        values.dropped += dropped;
        let pending = &mut values.pending;
        pending.messages = pending.messages.saturating_sub(delivered + refused + dropped);
        pending.bytes = pending.bytes.saturating_sub(bytes);
        if delivered > 0 {
            values.last_delivery = Some(OffsetDateTime::now_utc());
        }
    }

    /// Sets the time when the oldest pending message of a slot was emitted, in seconds since 1970.
    pub(crate) fn set_oldest(&self, slot: u32, oldest: Option<i64>) {
        let mut values = self.lock();
        match oldest {
            Some(oldest) => drop(values.oldest.insert(slot, oldest)),
            None => drop(values.oldest.remove(&slot)),
        }
    }

    /// Returns the account of the stage.
    ///
    /// `pipeline` contributes the state of the forwarding worker and the number of its retries. All
    /// other numbers come from the disk's side, because only that side outlives an attempt.
    pub(crate) fn stats(&self, pipeline: Stats) -> Stats {
        let values = self.lock();
        let oldest = values.oldest.values().min().filter(|_| values.pending.messages > 0);
        let oldest = oldest.and_then(|oldest| OffsetDateTime::from_unix_timestamp(*oldest).ok());
        let mut stats = Stats::default();
        stats.emitted = values.stored;
        stats.delivered = values.delivered;
        stats.refused = values.refused;
        // The messages of quarantined files.
        stats.dropped.abandoned = values.dropped;
        stats.pending.messages = values.pending.messages;
        stats.pending.bytes = values.pending.bytes;
        stats.retried = pipeline.retried;
        stats.oldest_pending = oldest
            .map(|oldest| (OffsetDateTime::now_utc() - oldest).try_into().unwrap_or_default());
        stats.last_delivery = values.last_delivery;
        stats.state = pipeline.state;
        stats
    }

    fn lock(&self) -> MutexGuard<'_, CounterValues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The account balances after each change, and no more messages leave than came.
    #[test]
    fn the_account_of_the_stage_balances() {
        let counters = StageCounters::default();
        counters.add_stored(MessageTotals { messages: 5, bytes: 50 });
        counters.set_oldest(0, Some(1_000));
        counters.add_outcomes(&OutcomeCounts { delivered: 2, refused: 1, dropped: 1, bytes: 40 });
        let stats = counters.stats(Stats::default());
        assert_eq!((stats.emitted, stats.delivered, stats.refused), (5, 2, 1));
        assert_eq!((stats.dropped.abandoned, stats.pending.messages), (1, 1));
        assert_eq!(stats.pending.bytes, 10);
        assert!(stats.oldest_pending.is_some() && stats.last_delivery.is_some());
        counters.add_outcomes(&OutcomeCounts { delivered: 1, bytes: 10, ..Default::default() });
        let stats = counters.stats(Stats::default());
        assert_eq!((stats.pending.messages, stats.pending.bytes), (0, 0));
        assert_eq!(stats.oldest_pending, None, "nothing is pending");
    }
}
