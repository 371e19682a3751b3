//! The state of a listener: its sources' ledgers, the failures that count, and the pauses.
//!
//! Pure state: the time and the randomness come from the caller. It calls no source. It only wakes the
//! tasks that do.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::config::ListenerConfig;
use super::content::DeliveryContent;
use super::settlement::{ReceiptResolver, Settlement, SettlementOutcome};
use super::source_ledger::SourceLedger;
use super::stats::{CoverageChange, ListenerStats, SourceState, SourceStats};
use crate::error::{Error, Result};
use crate::source::SettlementMode;

/// The state that the program, its deliveries and the tasks of the sources share.
pub(super) struct ListenerState {
    pub(super) config: ListenerConfig,
    pub(super) sources: Vec<SourceEntry>,
    /// The number of acknowledgements by the program. A failure counts if it has grown.
    acks: u64,
    /// The failures since the last acknowledgement.
    streak: usize,
    /// The pauses since the last acknowledgement.
    pauses: u32,
    /// The end of the current pause.
    paused_until: Option<Instant>,
    /// The source that hands out next, so that a busy source does not starve the others.
    next_source: usize,
    /// Wakes the program that waits for a delivery.
    waker: Option<Waker>,
    pub(super) close: ClosePhase,
    /// Returns a random number from 0 to 1, the jitter of waits.
    pub(super) random: Box<dyn FnMut() -> f64 + Send>,
    changes: VecDeque<CoverageChange>,
}

/// One source of a listener.
pub(super) struct SourceEntry {
    pub(super) name: Arc<str>,
    pub(super) ledger: SourceLedger,
    pub(super) state: SourceState,
    /// Whether the source was ever attached. Until then a permanent error is the program's.
    was_attached: bool,
    /// The permanent error of a source that was never attached, until the program has it.
    failure: Option<Error>,
    /// The error that ended the source for good, until the program has it.
    pub(super) fatal: Option<Error>,
    /// Wakes the task of the source.
    pub(super) wake: Arc<Notify>,
}

/// The progress of closing a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClosePhase {
    /// The listener reads.
    Open,
    /// The listener waits for the deliveries that the program has.
    Draining,
    /// The deadline passed: the listener gives back what the program has.
    Over,
}

/// One delivery on its way to the program.
pub(super) struct HandOut {
    pub(super) source: usize,
    pub(super) session: u64,
    pub(super) tag: u64,
    pub(super) attempts: u32,
    pub(super) name: Arc<str>,
    pub(super) content: Arc<DeliveryContent>,
}

impl ListenerState {
    /// Creates the state of a listener with these sources, by name and mode.
    pub(super) fn new(
        config: ListenerConfig,
        sources: Vec<(Arc<str>, SettlementMode)>,
        random: Box<dyn FnMut() -> f64 + Send>,
    ) -> Self {
        let window = config.prefetch;
        let entry = |(name, mode)| SourceEntry {
            name,
            ledger: SourceLedger::new(mode, window),
            state: SourceState::default(),
            was_attached: false,
            failure: None,
            fatal: None,
            wake: Arc::default(),
        };
        Self {
            config,
            sources: sources.into_iter().map(entry).collect(),
            acks: 0,
            streak: 0,
            pauses: 0,
            paused_until: None,
            next_source: 0,
            waker: None,
            close: ClosePhase::Open,
            random,
            changes: VecDeque::new(),
        }
    }

    /// Takes in deliveries of a source, by their tags. Unreadable ones die at once, unless the program
    /// wants them.
    pub(super) fn receive(
        &mut self,
        source: usize,
        deliveries: impl IntoIterator<Item = (u64, DeliveryContent)>,
    ) {
        let SourceEntry { name, ledger, .. } = &mut self.sources[source];
        let mut repeated = 0_u64;
        for (tag, content) in deliveries {
            let unreadable = content.message.as_ref().err();
            let reason = unreadable.map(|unreadable| unreadable.reason.to_string());
            if !ledger.receive(tag, Arc::new(content)) {
                repeated += 1;
                continue;
            }
            if let Some(reason) = reason.filter(|_| !self.config.deliver_unreadable) {
                ledger.kill(tag, reason, None);
            }
        }
        if repeated > 0 {
            tracing::error!(
                source = %name,
                "the source breaks its contract: it repeats {repeated} tags, and messages may be lost"
            );
        }
        if self.close != ClosePhase::Open {
            // They were on their way when the listener closed.
            ledger.release_all(self.close == ClosePhase::Over);
        }
        self.wake_program();
    }

    /// Hands out at most `max` deliveries, source by source.
    pub(super) fn hand_out(&mut self, max: usize) -> Vec<HandOut> {
        let mut out = Vec::with_capacity(max.min(self.ready()));
        if !self.hands_out() {
            return out;
        }
        let count = self.sources.len();
        for offset in 0..count {
            let source = (self.next_source + offset) % count;
            let entry = &mut self.sources[source];
            while out.len() < max
                && let Some((tag, attempts, content)) = entry.ledger.hand_out()
            {
                let (session, name) = (entry.ledger.session, Arc::clone(&entry.name));
                out.push(HandOut { source, session, tag, attempts, name, content });
            }
        }
        self.next_source = (self.next_source + 1) % count.max(1);
        out
    }

    /// Carries out the decision of the program about one delivery.
    pub(super) fn settle(
        &mut self,
        (source, session, tag): (usize, u64, u64),
        settlement: Settlement,
        receipt: Option<ReceiptResolver>,
        now: Instant,
    ) {
        let closing = self.close != ClosePhase::Open;
        let Some(entry) = self.sources.get_mut(source) else { return };
        if !entry.ledger.is_handed_out(session, tag) {
            if let Some(receipt) = receipt {
                receipt.resolve(SettlementOutcome::Stale);
            }
            return;
        }
        match settlement {
            Settlement::Ack => {
                self.acks += 1;
                (self.streak, self.pauses, self.paused_until) = (0, 0, None);
                let receipt = receipt.unwrap_or_else(|| ReceiptResolver::new(1).0);
                entry.ledger.ack(tag, receipt);
            }
            Settlement::Release => entry.ledger.release(tag, receipt, closing),
            Settlement::Refuse(reason) => entry.ledger.kill(tag, reason, receipt),
            Settlement::Fail(_) if closing => entry.ledger.release(tag, receipt, closing),
            Settlement::Fail(reason) => {
                self.fail(source, tag, reason, now);
                if let Some(receipt) = receipt {
                    receipt.resolve(SettlementOutcome::Settled);
                }
            }
        }
        self.sources[source].wake.notify_one();
        self.wake_program();
    }

    /// Records that a source carried out its settlements. The program may have waited only for these.
    pub(super) fn settled(&mut self, source: usize) {
        self.sources[source].ledger.settled();
        if self.all_ended() || self.sources[source].fatal.is_some() {
            self.wake_program();
        }
    }

    /// Counts a failure, and decides between another attempt, a dead letter and a pause.
    fn fail(&mut self, source: usize, tag: u64, reason: String, now: Instant) {
        let ledger = &mut self.sources[source].ledger;
        let Some((failures, counted)) = ledger.fail(tag, reason, self.acks) else { return };
        if counted >= self.config.attempts {
            let text = ledger.failure_text(tag);
            ledger.kill(tag, text, None);
        } else {
            ledger.wait(tag, now + wait_after(failures, &mut self.random));
        }
        if let Some(surplus) = ledger.surplus_failure() {
            let text = format!("too many failing deliveries: {}", ledger.failure_text(surplus));
            ledger.kill(surplus, text, None);
        }
        self.streak += 1;
        if self.streak > ledger.failing_limit() && self.paused_until.is_none() {
            self.pauses = self.pauses.saturating_add(1);
            self.paused_until = Some(now + wait_after(self.pauses, &mut self.random));
            if self.pauses == 1 {
                tracing::warn!(
                    failures = self.streak,
                    "every delivery fails: reading pauses until one is acknowledged"
                );
            }
        }
    }

    /// Ends the waits and the pause that are over.
    pub(super) fn advance(&mut self, source: usize, now: Instant) {
        if self.paused_until.is_some_and(|end| end <= now) {
            self.paused_until = None;
        }
        let last_attempt = self.all_ended().then_some(self.config.attempts);
        self.sources[source].ledger.end_waits(now, last_attempt);
        self.wake_program();
    }

    /// Returns the time at which [`advance`](Self::advance) has something to do.
    pub(super) fn next_change(&self, source: usize) -> Option<Instant> {
        let due = self.sources[source].ledger.next_due();
        due.into_iter().chain(self.paused_until).min()
    }

    /// Records the state of a source, and the change of its coverage.
    pub(super) fn set_state(&mut self, source: usize, state: SourceState, at: OffsetDateTime) {
        let entry = &mut self.sources[source];
        if matches!(state, SourceState::Attached { .. }) {
            entry.was_attached = true;
            entry.failure = None;
        }
        if entry.state != state {
            if self.changes.len() == CHANGES {
                self.changes.pop_front();
            }
            let source = Arc::clone(&entry.name);
            self.changes.push_back(CoverageChange { source, state: state.clone(), at });
        }
        entry.state = state;
        self.wake_program();
    }

    /// Records that the session of a source ended with an error.
    pub(super) fn end_session(&mut self, source: usize, error: &Error, at: OffsetDateTime) {
        let wait = self.config.wait;
        let entry = &mut self.sources[source];
        entry.ledger.end_session();
        // The source reports it again, behind the lost deliveries.
        entry.fatal = None;
        if !entry.was_attached && !error.is_transient() && !wait {
            entry.failure = Some(error.clone());
        }
        if entry.was_attached && !matches!(entry.state, SourceState::Detached { .. }) {
            let state = SourceState::Detached { since: at, reason: format!("{error:#}") };
            self.set_state(source, state, at);
        } else if entry.state == SourceState::Ended {
            // The source hands over the lost deliveries again.
            entry.state = SourceState::default();
        }
        self.wake_program();
    }

    /// Takes the changes of coverage since the last call, at most 1 024.
    pub(super) fn take_changes(&mut self) -> Vec<CoverageChange> {
        self.changes.drain(..).collect()
    }

    /// Returns the account.
    pub(super) fn stats(&self) -> ListenerStats {
        let mut stats = ListenerStats::default();
        for entry in &self.sources {
            let counts = entry.ledger.counts();
            stats.total.add(&counts);
            stats.sources.push(SourceStats {
                name: entry.name.to_string(),
                counts,
                state: entry.state.clone(),
            });
        }
        stats
    }

    /// Waits until `wanted` deliveries are ready, or as many as can be.
    ///
    /// Resolves to `false` if none will ever be ready.
    ///
    /// # Errors
    ///
    /// The error that ended a source for good, or the permanent error of the sources if all of them have
    /// one and were never attached. Each is returned once, and only while no delivery is ready.
    pub(super) fn poll_ready(
        &mut self,
        wanted: usize,
        context: &mut Context<'_>,
    ) -> Poll<Result<bool>> {
        let ready = self.ready();
        let is_enough = ready >= wanted || self.is_out_of_credit() || self.has_failed();
        if self.hands_out() && ready > 0 && is_enough {
            return Poll::Ready(Ok(true));
        }
        if let Some(error) = self.take_failure() {
            return Poll::Ready(Err(error));
        }
        if self.close != ClosePhase::Open || self.is_finished() {
            return Poll::Ready(Ok(false));
        }
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            self.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// Returns the number of deliveries that are ready.
    pub(super) fn ready(&self) -> usize {
        self.sources.iter().map(|entry| entry.ledger.ready()).sum()
    }

    /// Starts or forces the close.
    pub(super) fn close(&mut self, phase: ClosePhase) {
        self.close = phase;
        for entry in &mut self.sources {
            entry.ledger.release_all(phase == ClosePhase::Over);
            entry.wake.notify_one();
        }
        self.wake_program();
    }

    /// Returns `true` if the program may have deliveries now.
    fn hands_out(&self) -> bool {
        self.close == ClosePhase::Open && self.paused_until.is_none()
    }

    /// Returns `true` if there is an error that the program has to know.
    fn has_failed(&self) -> bool {
        let attempts = self.config.attempts;
        self.sources.iter().any(|entry| entry.has_ended_early(attempts))
            || self.sources.iter().all(|entry| entry.failure.is_some())
    }

    /// Takes the error that the program has to know, so that it has each failure once.
    fn take_failure(&mut self) -> Option<Error> {
        if !self.has_failed() {
            return None;
        }
        let attempts = self.config.attempts;
        if let Some(entry) = self.sources.iter_mut().find(|entry| entry.has_ended_early(attempts)) {
            return entry.fatal.take();
        }
        self.sources.iter_mut().map(|entry| entry.failure.take()).fold(None, Option::or)
    }

    /// Returns `true` if no source can hand over more before the program settles something.
    fn is_out_of_credit(&self) -> bool {
        self.sources.iter().all(|entry| entry.ledger.room() == 0 || entry.has_ended())
    }

    /// Returns `true` if a source is at its end.
    pub(super) fn has_ended_source(&self) -> bool {
        self.sources.iter().any(SourceEntry::has_ended)
    }

    /// Returns `true` if every source is at its end.
    fn all_ended(&self) -> bool {
        self.sources.iter().all(SourceEntry::has_ended)
    }

    /// Returns `true` if the program has had everything, except for what failed too often.
    fn is_finished(&self) -> bool {
        let attempts = self.config.attempts;
        self.all_ended() && self.sources.iter().all(|entry| entry.ledger.is_exhausted(attempts))
    }

    /// Wakes the program that waits for a delivery.
    fn wake_program(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl SourceEntry {
    /// Returns `true` if the source is at its end, or its task has ended.
    fn has_ended(&self) -> bool {
        matches!(self.state, SourceState::Ended | SourceState::Closed)
    }

    /// Returns `true` if an error ended the source, and the program has had everything before it.
    fn has_ended_early(&self, attempts: u32) -> bool {
        self.fatal.is_some() && self.ledger.is_exhausted(attempts)
    }
}

/// Returns a random wait after a number of failures. Its bound doubles from 100 ms to 30 s.
pub(super) fn wait_after(failures: u32, random: &mut dyn FnMut() -> f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    SHORTEST.saturating_mul(1 << doublings).min(LONGEST).mul_f64(random().clamp(0.0, 1.0))
}

/// The bound of the first wait.
const SHORTEST: Duration = Duration::from_millis(100);
/// The bound that waits grow to, and the wait after a permanent error.
pub(super) const LONGEST: Duration = Duration::from_secs(30);
/// The number of changes of coverage that the listener keeps for the program.
const CHANGES: usize = 1024;
