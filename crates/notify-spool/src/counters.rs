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
/// `emitted` is the sum of the other numbers, so the account balances at every moment, and a slot that
/// this process adopts again counts once. One mutex guards all numbers, so that no reader sees a state
/// in between.
#[derive(Debug, Default)]
pub(crate) struct StageCounters(Mutex<CounterValues>);

/// The values behind the mutex of [`StageCounters`].
#[derive(Debug, Default)]
struct CounterValues {
    delivered: u64,
    refused: u64,
    dropped: u64,
    /// The slots that this process owns, or released with messages in them.
    slots: BTreeMap<u32, SlotCount>,
    last_delivery: Option<OffsetDateTime>,
}

/// The pending messages of one slot.
#[derive(Clone, Copy, Debug, Default)]
struct SlotCount {
    pending: MessageTotals,
    /// The time when the oldest of them was emitted, in seconds since 1970.
    oldest: Option<i64>,
}

impl StageCounters {
    /// Counts the messages that an earlier run left in a slot, in place of earlier counts of that slot.
    pub(crate) fn open_slot(&self, slot: u32, found: MessageTotals) {
        self.lock().slots.insert(slot, SlotCount { pending: found, oldest: None });
    }

    /// Compares the counts of a slot with the messages that the disk has when it opens again.
    ///
    /// `unrecorded` are outcomes that the disk may have or not. Any other message that is missing left
    /// with its file, so it counts as dropped.
    pub(crate) fn reopen_slot(&self, slot: u32, found: MessageTotals, unrecorded: MessageTotals) {
        let mut values = self.lock();
        let pending = &mut values.slots.entry(slot).or_default().pending;
        let known = *pending;
        let missing = known.minus(unrecorded).minus(found);
        *pending = known.minus(missing).max(found);
        values.dropped += missing.messages;
    }

    /// Stops counting the messages of a slot, because another process owns it or has emptied it.
    pub(crate) fn forget_slot(&self, slot: u32) {
        self.lock().slots.remove(&slot);
    }

    /// Counts messages that the spool stored in a slot.
    pub(crate) fn add_stored(&self, slot: u32, stored: MessageTotals) {
        let mut values = self.lock();
        let pending = &mut values.slots.entry(slot).or_default().pending;
        *pending = pending.plus(stored);
    }

    /// Counts outcomes of a slot's messages after the disk has recorded them.
    pub(crate) fn add_outcomes(&self, slot: u32, counts: &OutcomeCounts) {
        let OutcomeCounts { delivered, refused, dropped, .. } = *counts;
        let mut values = self.lock();
        values.delivered += delivered;
        values.refused += refused;
        values.dropped += dropped;
        let count = values.slots.entry(slot).or_default();
        count.pending = count.pending.minus(counts.totals());
        if count.pending.messages == 0 {
            count.oldest = None;
        }
        if delivered > 0 {
            values.last_delivery = Some(OffsetDateTime::now_utc());
        }
    }

    /// Counts all pending messages of a slot as dropped: their file left the slot.
    pub(crate) fn drop_slot(&self, slot: u32) {
        let mut values = self.lock();
        let dropped = values.slots.remove(&slot).unwrap_or_default();
        values.dropped += dropped.pending.messages;
    }

    /// Sets the time when the oldest pending message of a slot was emitted, in seconds since 1970.
    pub(crate) fn set_oldest(&self, slot: u32, oldest: Option<i64>) {
        self.lock().slots.entry(slot).or_default().oldest = oldest;
    }

    /// Returns the account of the stage.
    ///
    /// `pipeline` contributes the state of the forwarding worker, its retries and its broker's counters. All
    /// other numbers come from the disk's side, because only that side outlives an attempt.
    pub(crate) fn stats(&self, pipeline: Stats) -> Stats {
        let values = self.lock();
        let mut pending = MessageTotals::default();
        for slot in values.slots.values() {
            pending = pending.plus(slot.pending);
        }
        let oldest = values.slots.values().filter_map(|slot| slot.oldest).min();
        let oldest = oldest.and_then(|oldest| OffsetDateTime::from_unix_timestamp(oldest).ok());
        let mut stats = Stats::default();
        stats.emitted = values.delivered + values.refused + values.dropped + pending.messages;
        stats.delivered = values.delivered;
        stats.refused = values.refused;
        // The messages of quarantined files.
        stats.dropped.abandoned = values.dropped;
        stats.pending.messages = pending.messages;
        stats.pending.bytes = pending.bytes;
        stats.retried = pipeline.retried;
        stats.oldest_pending = oldest
            .map(|oldest| (OffsetDateTime::now_utc() - oldest).try_into().unwrap_or_default());
        stats.last_delivery = values.last_delivery;
        stats.last_error = pipeline.last_error;
        stats.last_error_is_permanent = pipeline.last_error_is_permanent;
        stats.state = pipeline.state;
        stats.broker = pipeline.broker;
        stats
    }

    fn lock(&self) -> MutexGuard<'_, CounterValues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each message counts once, and no more messages leave than came.
    #[test]
    fn each_message_counts_once() {
        let counters = StageCounters::default();
        counters.add_stored(0, MessageTotals { messages: 5, bytes: 50 });
        counters.set_oldest(0, Some(1_000));
        let counts = OutcomeCounts { delivered: 2, refused: 1, dropped: 1, bytes: 40 };
        counters.add_outcomes(0, &counts);
        let stats = counters.stats(Stats::default());
        assert_eq!((stats.emitted, stats.delivered, stats.refused), (5, 2, 1));
        assert_eq!((stats.dropped.abandoned, stats.pending.messages), (1, 1));
        assert_eq!(stats.pending.bytes, 10);
        assert!(stats.oldest_pending.is_some() && stats.last_delivery.is_some());
        counters.add_outcomes(0, &OutcomeCounts { delivered: 1, bytes: 10, ..Default::default() });
        let stats = counters.stats(Stats::default());
        assert_eq!((stats.pending.messages, stats.pending.bytes), (0, 0));
        assert_eq!(stats.oldest_pending, None, "nothing is pending");
    }

    /// A slot that is adopted again counts what is left in it, and another process takes its messages
    /// out of this account.
    #[test]
    fn an_adopted_slot_counts_once() {
        let counters = StageCounters::default();
        let account = || {
            let stats = counters.stats(Stats::default());
            (stats.emitted, stats.delivered, stats.pending.messages, stats.oldest_pending.is_some())
        };
        counters.open_slot(3, MessageTotals { messages: 10, bytes: 100 });
        counters.set_oldest(3, Some(1_000));
        counters.add_outcomes(3, &OutcomeCounts { delivered: 4, bytes: 40, ..Default::default() });
        assert_eq!(account(), (10, 4, 6, true));
        counters.open_slot(3, MessageTotals { messages: 6, bytes: 60 });
        assert_eq!(account(), (10, 4, 6, false));
        counters.forget_slot(3);
        assert_eq!(account(), (4, 4, 0, false));
    }

    /// A file that left the slot while it was closed takes its messages along; outcomes that the disk
    /// already has do not count twice.
    #[test]
    fn a_reopened_slot_counts_missing_messages_as_dropped() {
        let totals = |messages| MessageTotals { messages, bytes: messages * 10 };
        for (found, unrecorded, dropped, pending) in
            [(10, 0, 0, 10), (7, 3, 0, 10), (0, 3, 7, 3), (0, 0, 10, 0), (12, 0, 0, 12)]
        {
            let counters = StageCounters::default();
            counters.open_slot(0, totals(10));
            counters.reopen_slot(0, totals(found), totals(unrecorded));
            let stats = counters.stats(Stats::default());
            assert_eq!(stats.dropped.abandoned, dropped, "{found} {unrecorded}");
            assert_eq!(stats.pending.messages, pending, "{found} {unrecorded}");
            assert_eq!(stats.pending.bytes, pending * 10, "{found} {unrecorded}");
        }
    }
}
