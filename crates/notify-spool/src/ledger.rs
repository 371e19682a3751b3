//! The account of the stage from the disk to the destination.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use notify_core::pipeline::Stats;
use time::OffsetDateTime;

use crate::conclusion::Tally;
use crate::status::MessageTotals;

/// What came onto the disk, and what became of it: of all slots that this process forwards.
///
/// At every moment what was entered is what was delivered, refused and dropped, and what is pending.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    entered: u64,
    delivered: u64,
    refused: u64,
    dropped: u64,
    pending: MessageTotals,
    last_delivery: Option<OffsetDateTime>,
    /// By slot, when the oldest in it was emitted.
    oldest: BTreeMap<u32, i64>,
}

impl Ledger {
    /// Messages were stored, or found where an earlier run left them.
    pub(crate) fn enter(&self, amount: MessageTotals) {
        let mut account = self.lock();
        account.entered += amount.messages;
        account.pending.messages += amount.messages;
        account.pending.bytes += amount.bytes;
    }

    /// It is safely written down what became of some.
    pub(crate) fn conclude(&self, tally: &Tally) {
        let Tally { delivered, refused, dropped, bytes } = *tally;
        let mut account = self.lock();
        account.delivered += delivered;
        account.refused += refused;
        account.dropped += dropped;
        let pending = &mut account.pending;
        pending.messages = pending.messages.saturating_sub(delivered + refused + dropped);
        pending.bytes = pending.bytes.saturating_sub(bytes);
        if delivered > 0 {
            account.last_delivery = Some(OffsetDateTime::now_utc());
        }
    }

    /// When the oldest in a slot was emitted, in seconds since 1970.
    pub(crate) fn set_oldest(&self, slot: u32, oldest: Option<i64>) {
        let mut account = self.lock();
        match oldest {
            Some(oldest) => drop(account.oldest.insert(slot, oldest)),
            None => drop(account.oldest.remove(&slot)),
        }
    }

    /// The account, with what the pipeline that forwards says of its own attempts.
    pub(crate) fn stats(&self, pipeline: Stats) -> Stats {
        let account = self.lock();
        let oldest = account.oldest.values().min().filter(|_| account.pending.messages > 0);
        let oldest = oldest.and_then(|oldest| OffsetDateTime::from_unix_timestamp(*oldest).ok());
        let mut stats = Stats::default();
        stats.emitted = account.entered;
        stats.delivered = account.delivered;
        stats.refused = account.refused;
        // Set aside with the file that could not be read, or dropped by an operator.
        stats.dropped.abandoned = account.dropped;
        stats.pending.messages = account.pending.messages;
        stats.pending.bytes = account.pending.bytes;
        stats.retried = pipeline.retried;
        stats.oldest_pending = oldest
            .map(|oldest| (OffsetDateTime::now_utc() - oldest).try_into().unwrap_or_default());
        stats.last_delivery = account.last_delivery;
        stats.state = pipeline.state;
        stats
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
