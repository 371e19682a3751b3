//! The ledger of one source: the deliveries of this session, and the end of each.
//!
//! Pure state: no clock, no randomness, no source. Every delivery is in exactly one stage, and every
//! change of a stage that ends a delivery counts it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use super::content::DeliveryContent;
use super::held_delivery::{DeadDelivery, DeliveryStage, HeldDelivery};
use super::settlement::{ReceiptResolver, SettlementOutcome};
use super::stats::DeliveryCounts;
use crate::source::{DeliverySettlements, SettlementMode};

/// The deliveries of one source.
#[derive(Debug)]
pub(super) struct SourceLedger {
    mode: SettlementMode,
    window: usize,
    /// The number of the session. A guard of an earlier session is stale.
    pub(super) session: u64,
    held: BTreeMap<u64, HeldDelivery>,
    /// The tags of the stage `Ready`, in the order in which the program gets them.
    ready: VecDeque<u64>,
    /// The tags of the stage `Waiting`, by the time of their next attempt.
    waiting: BTreeSet<(Instant, u64)>,
    /// The tags with a failure whose settlement is not decided, the oldest first.
    failing: BTreeSet<u64>,
    /// The tags of the stage `Dying`, in the order of their letters.
    dying: VecDeque<u64>,
    /// The tags of the stages `Acking`, `Releasing` and `Dead` that no call of `settle` carries.
    decided: Vec<u64>,
    /// The tags that the current call of `settle` carries.
    in_flight: Vec<u64>,
    /// The largest tag of the session.
    last: Option<u64>,
    /// The watermark that a source of the mode `Cumulative` has: at first the tag before the first one.
    through: Option<u64>,
    /// The first tag that a source of the mode `Cumulative` must hand over again.
    barrier: Option<u64>,
    counts: DeliveryCounts,
}

impl SourceLedger {
    /// Creates the ledger of a source that may have `window` unsettled deliveries.
    pub(super) fn new(mode: SettlementMode, window: usize) -> Self {
        Self {
            mode,
            window,
            session: 0,
            held: BTreeMap::new(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            failing: BTreeSet::new(),
            dying: VecDeque::new(),
            decided: Vec::new(),
            in_flight: Vec::new(),
            last: None,
            through: None,
            barrier: None,
            counts: DeliveryCounts::default(),
        }
    }

    /// Returns the counts, with the deliveries that are held now.
    pub(super) fn counts(&self) -> DeliveryCounts {
        DeliveryCounts { held: self.held.len() as u64, ..self.counts }
    }

    /// Returns how many more deliveries there is room for. Full dead letters leave no room.
    pub(super) fn room(&self) -> usize {
        self.window.saturating_sub(self.held.len())
    }

    /// Returns the largest number of deliveries that may fail at the same time.
    pub(super) fn failing_limit(&self) -> usize {
        (self.window / 2).max(1)
    }

    /// Returns the number of deliveries that are ready.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Returns `true` if no delivery is held.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Returns `true` if all that is held are deliveries that failed at least `attempts` times.
    pub(super) fn is_exhausted(&self, attempts: u32) -> bool {
        self.held.values().all(|delivery| {
            matches!(delivery.stage, DeliveryStage::Waiting(_)) && delivery.failures >= attempts
        })
    }

    /// Takes in a delivery. Returns `false` for a tag that is held already.
    ///
    /// A source that repeats a tag breaks its contract. The second delivery then counts as lost at once:
    /// the first one is on its way to a settlement, which can name the tag only once.
    pub(super) fn receive(&mut self, tag: u64, content: Arc<DeliveryContent>) -> bool {
        self.counts.received += 1;
        self.counts.unreadable += u64::from(content.message.is_err());
        if self.last.is_none() {
            self.through = tag.checked_sub(1);
        }
        let is_new = !self.held.contains_key(&tag);
        if is_new {
            self.last = Some(tag);
            self.held.insert(tag, HeldDelivery::new(content));
            self.ready.push_back(tag);
        } else {
            self.counts.lost += 1;
        }
        is_new
    }

    /// Counts messages that the source passed over.
    pub(super) fn skip(&mut self, messages: u64) {
        self.counts.skipped += messages;
    }

    /// Hands out the next ready delivery.
    pub(super) fn hand_out(&mut self) -> Option<(u64, u32, Arc<DeliveryContent>)> {
        let tag = self.ready.pop_front()?;
        let delivery = self.held.get_mut(&tag)?;
        delivery.stage = DeliveryStage::HandedOut;
        delivery.attempts += 1;
        Some((tag, delivery.attempts, Arc::clone(&delivery.content)))
    }

    /// Takes back the stage of a delivery that the program has, or `None` if it is stale.
    fn take_back(&mut self, tag: u64) -> Option<&mut HeldDelivery> {
        let delivery = self.held.get_mut(&tag)?;
        matches!(delivery.stage, DeliveryStage::HandedOut).then_some(delivery)
    }

    /// Returns `true` if the program has this delivery of this session.
    pub(super) fn is_handed_out(&self, session: u64, tag: u64) -> bool {
        session == self.session
            && self.held.get(&tag).is_some_and(|d| matches!(d.stage, DeliveryStage::HandedOut))
    }

    /// Decides that a delivery is acknowledged.
    pub(super) fn ack(&mut self, tag: u64, receipt: ReceiptResolver) {
        self.decide(tag, DeliveryStage::Acking(receipt));
    }

    /// Gives a delivery back: to the source, or to the program again if the source cannot take it.
    pub(super) fn release(&mut self, tag: u64, receipt: Option<ReceiptResolver>, closing: bool) {
        if self.mode == SettlementMode::Individual || closing {
            self.decide(tag, DeliveryStage::Releasing(receipt));
        } else if let Some(delivery) = self.take_back(tag) {
            delivery.stage = DeliveryStage::Ready;
            self.ready.push_back(tag);
            if let Some(receipt) = receipt {
                receipt.resolve(SettlementOutcome::Settled);
            }
        }
    }

    /// Decides that a delivery becomes a dead letter, for `reason`.
    pub(super) fn kill(&mut self, tag: u64, reason: String, receipt: Option<ReceiptResolver>) {
        self.forget_wait(tag);
        if let Some(delivery) = self.held.get_mut(&tag) {
            delivery.stage = DeliveryStage::Dying(receipt);
            delivery.reason = reason;
            self.dying.push_back(tag);
        }
    }

    /// Counts a failure and returns the number of failures so far and of those that count.
    ///
    /// `acks` is the listener's number of acknowledgements.
    pub(super) fn fail(&mut self, tag: u64, reason: String, acks: u64) -> Option<(u32, u32)> {
        let delivery = self.take_back(tag)?;
        // The first failure does not count: when a store goes away, it has just acknowledged other
        // deliveries that were in work at the same time.
        delivery.counted += u32::from(delivery.failures > 0 && acks > delivery.acks_seen);
        delivery.failures += 1;
        delivery.acks_seen = acks;
        delivery.reason = reason;
        let failures = (delivery.failures, delivery.counted);
        self.counts.failed += 1;
        self.failing.insert(tag);
        Some(failures)
    }

    /// Lets a delivery that failed wait until `due`.
    pub(super) fn wait(&mut self, tag: u64, due: Instant) {
        if let Some(delivery) = self.held.get_mut(&tag) {
            delivery.stage = DeliveryStage::Waiting(due);
            self.waiting.insert((due, tag));
        }
    }

    /// Returns the oldest delivery that fails, does not belong to the program now, and has a failure
    /// that counts, if more deliveries fail than may.
    pub(super) fn surplus_failure(&self) -> Option<u64> {
        if self.failing.len() <= self.failing_limit() {
            return None;
        }
        self.failing.iter().copied().find(|tag| {
            self.held.get(tag).is_some_and(|delivery| {
                delivery.counted > 0
                    && matches!(delivery.stage, DeliveryStage::Waiting(_) | DeliveryStage::Ready)
            })
        })
    }

    /// Returns the text of the last failure of a delivery, with the number of failures.
    pub(super) fn failure_text(&self, tag: u64) -> String {
        self.held.get(&tag).map_or_else(String::new, |delivery| {
            format!("failed {} times: {}", delivery.failures, delivery.reason)
        })
    }

    /// Makes every delivery ready whose wait is over. With `last_attempt`, those that failed that often
    /// stay where they are until the listener closes.
    pub(super) fn end_waits(&mut self, now: Instant, last_attempt: Option<u32>) {
        let due: Vec<_> = self.waiting.iter().take_while(|(due, _)| *due <= now).copied().collect();
        for (due, tag) in due {
            self.waiting.remove(&(due, tag));
            let Some(delivery) = self.held.get_mut(&tag) else { continue };
            if last_attempt.is_some_and(|attempts| delivery.failures >= attempts) {
                continue;
            }
            delivery.stage = DeliveryStage::Ready;
            self.ready.push_back(tag);
        }
    }

    /// Returns the time at which the next wait ends.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// Returns the next dead letter to write.
    pub(super) fn next_dying(&self) -> Option<(u64, DeadDelivery)> {
        let tag = *self.dying.front()?;
        let delivery = self.held.get(&tag)?;
        let letter = DeadDelivery {
            content: Arc::clone(&delivery.content),
            attempts: delivery.attempts,
            reason: delivery.reason.clone(),
        };
        Some((tag, letter))
    }

    /// Records that the dead letter `tag` of `session` is written.
    pub(super) fn bury(&mut self, session: u64, tag: u64) {
        if session == self.session && self.dying.front() == Some(&tag) {
            self.dying.pop_front();
            if let Some(delivery) = self.held.get_mut(&tag)
                && let DeliveryStage::Dying(receipt) = &mut delivery.stage
            {
                delivery.stage = DeliveryStage::Dead(receipt.take());
                self.decided.push(tag);
            }
        }
    }

    /// Gives back all deliveries, with `all` also those that the program has.
    pub(super) fn release_all(&mut self, all: bool) {
        let tags: Vec<_> = self
            .held
            .iter()
            .filter(|(_, delivery)| match delivery.stage {
                DeliveryStage::Ready | DeliveryStage::Waiting(_) => true,
                DeliveryStage::HandedOut => all,
                _ => false,
            })
            .map(|(tag, _)| *tag)
            .collect();
        self.ready.clear();
        self.waiting.clear();
        for tag in tags {
            self.decide(tag, DeliveryStage::Releasing(None));
        }
    }

    /// Takes the settlements for one call of `settle`, or `None` if there are none.
    pub(super) fn take_settlements(&mut self) -> Option<DeliverySettlements> {
        if self.decided.is_empty() {
            return None;
        }
        self.in_flight = std::mem::take(&mut self.decided);
        self.in_flight.sort_unstable();
        match self.mode {
            SettlementMode::Individual => Some(self.individual_settlements()),
            SettlementMode::Cumulative => Some(self.watermark()),
        }
    }

    /// Records that the source carried out the settlements, and counts the deliveries.
    pub(super) fn settled(&mut self) {
        for tag in std::mem::take(&mut self.in_flight) {
            let Some(delivery) = self.held.remove(&tag) else { continue };
            match delivery.stage {
                DeliveryStage::Acking(_) => self.counts.acked += 1,
                DeliveryStage::Dead(_) => self.counts.dead_lettered += 1,
                _ => self.counts.released += 1,
            }
            if let Some(receipt) = delivery.stage.into_receipt() {
                receipt.resolve(SettlementOutcome::Settled);
            }
        }
    }

    /// Ends the session: held deliveries are lost, and their guards are stale.
    pub(super) fn end_session(&mut self) {
        self.session += 1;
        self.counts.lost += self.held.len() as u64;
        for delivery in std::mem::take(&mut self.held).into_values() {
            if let Some(receipt) = delivery.stage.into_receipt() {
                receipt.resolve(SettlementOutcome::Stale);
            }
        }
        self.ready.clear();
        self.waiting.clear();
        self.failing.clear();
        self.dying.clear();
        self.decided.clear();
        self.in_flight.clear();
        (self.last, self.through, self.barrier) = (None, None, None);
    }

    /// Moves a delivery to a stage that the source must learn of.
    fn decide(&mut self, tag: u64, stage: DeliveryStage) {
        self.forget_wait(tag);
        if let Some(delivery) = self.held.get_mut(&tag) {
            if self.mode == SettlementMode::Cumulative
                && matches!(stage, DeliveryStage::Releasing(_))
            {
                self.barrier = Some(self.barrier.map_or(tag, |barrier| barrier.min(tag)));
            }
            delivery.stage = stage;
            self.decided.push(tag);
        }
    }

    /// Removes a delivery from the lists of those that wait or fail.
    fn forget_wait(&mut self, tag: u64) {
        self.failing.remove(&tag);
        if let Some(HeldDelivery { stage: DeliveryStage::Waiting(due), .. }) = self.held.get(&tag) {
            self.waiting.remove(&(*due, tag));
        } else if let Some(HeldDelivery { stage: DeliveryStage::Ready, .. }) = self.held.get(&tag) {
            self.ready.retain(|ready| *ready != tag);
        }
    }

    /// Returns the settlements in flight for a source that settles one by one.
    ///
    /// One acknowledgement covers all before the first delivery that stays unsettled. Its tag is that
    /// of the last delivery that it acknowledges: a broker refuses a tag that is settled already.
    fn individual_settlements(&self) -> DeliverySettlements {
        let is_release = |tag: &u64| {
            self.held.get(tag).is_some_and(|d| matches!(d.stage, DeliveryStage::Releasing(_)))
        };
        let releases = self.in_flight.iter().copied().filter(is_release).collect();
        let mut acks: Vec<_> =
            self.in_flight.iter().copied().filter(|tag| !is_release(tag)).collect();
        let first = self.first_unsettled();
        let prefix = first.map_or(acks.len(), |first| acks.partition_point(|tag| *tag < first));
        let islands = acks.split_off(prefix);
        DeliverySettlements { through: acks.last().copied(), acks: islands, releases }
    }

    /// Returns the first delivery that stays unsettled after the current call of `settle`.
    fn first_unsettled(&self) -> Option<u64> {
        self.held.keys().copied().find(|tag| self.in_flight.binary_search(tag).is_err())
    }

    /// Returns the new watermark, if it has moved.
    fn watermark(&mut self) -> DeliverySettlements {
        let end = match (self.first_unsettled(), self.barrier) {
            (Some(tag), Some(barrier)) => Some(tag.min(barrier)),
            (tag, barrier) => tag.or(barrier),
        };
        let through = match end {
            Some(tag) => tag.checked_sub(1),
            None => self.last,
        };
        let moved = through > self.through;
        if moved {
            self.through = through;
        }
        DeliverySettlements { through: through.filter(|_| moved), ..DeliverySettlements::default() }
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::listener::config::ListenerConfig;
    use crate::source::{IncomingBody, IncomingDelivery, Position};

    /// Hands a delivery to the ledger, as a source does.
    fn receive(ledger: &mut SourceLedger, tag: u64) -> bool {
        let body = IncomingBody::Bytes("{}".into());
        let incoming = IncomingDelivery::new(tag, body, Position::new("lines", tag));
        let config = ListenerConfig::default();
        let content = DeliveryContent::decode(incoming, OffsetDateTime::UNIX_EPOCH, &config);
        ledger.receive(tag, Arc::new(content))
    }

    /// A source may count its tags from 0. An acknowledgement of that one moves the watermark too.
    #[test]
    fn the_watermark_moves_to_the_tag_0() {
        let mut ledger = SourceLedger::new(SettlementMode::Cumulative, 10);
        assert!(receive(&mut ledger, 0) && receive(&mut ledger, 1));
        ledger.hand_out().unwrap();
        ledger.ack(0, ReceiptResolver::new(1).0);
        assert_eq!(ledger.take_settlements().unwrap().through, Some(0));
    }

    /// A source that repeats a tag breaks its contract. Nothing stays held for that.
    #[test]
    fn a_repeated_tag_is_counted_and_not_held() {
        let mut ledger = SourceLedger::new(SettlementMode::Individual, 10);
        assert!(receive(&mut ledger, 0));
        ledger.hand_out().unwrap();
        assert!(!receive(&mut ledger, 0));
        ledger.ack(0, ReceiptResolver::new(1).0);
        assert_eq!(ledger.take_settlements().unwrap().through, Some(0));
        ledger.settled();
        let counts = ledger.counts();
        assert_eq!((counts.received, counts.acked, counts.lost, counts.held), (2, 1, 1, 0));
    }
}
