//! The ledger: every notification of the program, and the checks of what became of it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use notify_core::pipeline::{Receipt, Stats};
use notify_core::{Error, ErrorKind, Outcome, Priority};
use uuid::Uuid;

use super::destination::DestinationState;
use super::steps::SampleSize;
use crate::support::assert_balances;

/// One notification that the program emitted.
#[derive(Debug)]
pub(crate) struct LedgerEntry {
    pub(crate) priority: Priority,
    pub(crate) size: SampleSize,
    pub(crate) id: Option<Uuid>,
    /// `None` if the caller dropped it, which must have no effect.
    pub(crate) receipt: Option<Receipt>,
    /// The outcome, once the receipt told it.
    pub(crate) outcome: Option<Result<(), Error>>,
}

/// All notifications, in the order of `emit` and of the returns of `enqueue`.
#[derive(Debug, Default)]
pub(crate) struct Ledger(pub(crate) Vec<LedgerEntry>);

impl LedgerEntry {
    /// Reads the receipt. A decided outcome never changes.
    fn look(&mut self) {
        let Some(receipt) = &mut self.receipt else { return };
        let result = receipt.wait(Duration::ZERO);
        let pending = |error: &Error| {
            error.kind() == ErrorKind::Timeout && error.to_string().starts_with("no outcome after")
        };
        let decided = Some(result).filter(|result| !result.as_ref().is_err_and(pending));
        match (&self.outcome, &decided) {
            (Some(before), now) => {
                let now = now.as_ref().map(|now| now.as_ref().map_err(Error::outcome));
                assert_eq!(
                    now,
                    Some(before.as_ref().map_err(Error::outcome)),
                    "an outcome changed"
                );
            }
            (None, _) => self.outcome = decided,
        }
    }
}

impl Ledger {
    /// Checks the account, the receipts, the order and the number of retries against each other.
    pub(crate) fn check(&mut self, stats: &Stats, destination: &DestinationState) {
        assert_balances(stats);
        self.0.iter_mut().for_each(LedgerEntry::look);
        self.check_numbers(stats, destination);
        self.check_order(destination);
        for entry in &self.0 {
            check_outcome(entry, destination);
        }
    }

    /// Returns the notifications whose caller sees no outcome yet.
    pub(crate) fn undecided(&self) -> impl Iterator<Item = &LedgerEntry> {
        self.0.iter().filter(|entry| entry.receipt.is_some() && entry.outcome.is_none())
    }

    /// Checks the numbers of the account.
    fn check_numbers(&self, stats: &Stats, destination: &DestinationState) {
        let unencoded = self.0.iter().filter(|entry| entry.size == SampleSize::TooLarge).count();
        assert_eq!(stats.emitted, self.0.len() as u64);
        assert_eq!(stats.delivered, destination.accepted.len() as u64);
        assert_eq!(stats.refused, (destination.refused.len() + unencoded) as u64);
        let ids: HashSet<_> = destination.sent.iter().map(|sent| sent.id).collect();
        // The last batch counts its retries before the destination sees them.
        let resent = (destination.sent.len() - ids.len()) as u64;
        assert!(stats.retried >= resent, "{} of {resent} repeated sends counted", stats.retried);
        assert_eq!(stats.oldest_pending.is_some(), stats.pending.messages > 0, "{stats:?}");
        assert_eq!(stats.pending.bytes > 0, stats.pending.messages > 0, "{stats:?}");
    }

    /// Checks that the first attempts of each lane keep the order of `emit`.
    fn check_order(&self, destination: &DestinationState) {
        let places: HashMap<_, _> =
            self.0.iter().enumerate().filter_map(|(at, entry)| Some((entry.id?, at))).collect();
        for priority in Priority::DOCUMENTED {
            let mut seen = HashSet::new();
            let lane = destination.sent.iter().filter(|sent| sent.priority == *priority);
            let firsts = lane.filter(|sent| seen.insert(sent.id));
            let firsts: Vec<_> = firsts.filter_map(|sent| places.get(&sent.id)).collect();
            assert!(
                firsts.is_sorted(),
                "the first attempts of {priority} changed their order: {firsts:?}"
            );
        }
    }
}

/// Checks that an outcome does not contradict the destination.
fn check_outcome(entry: &LedgerEntry, destination: &DestinationState) {
    let (Some(id), Some(outcome)) = (entry.id, &entry.outcome) else { return };
    match outcome.as_ref().map_err(Error::outcome) {
        Ok(()) => assert!(destination.accepted.contains(&id), "delivered, but not accepted"),
        Err(Outcome::Rejected) => assert!(destination.refused.contains(&id), "not refused"),
        Err(Outcome::NotSent) => {
            assert!(!destination.stored.contains(&id), "stored, but `NotSent`");
        }
        Err(Outcome::Unknown) => {}
    }
}
