//! The task that waits for the outcomes of a slot's messages, and the state that it shares with the task
//! that sends them.
//!
//! Outcomes come in any order. This module sends nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use notify_core::pipeline::Receipt;
use notify_core::transport::Lane;
use notify_core::{Notifier, Outcome};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::chunk_outcome::MessageOutcome;
use crate::chunks_in_flight::{ChunksInFlight, RECORD_DELAY};
use crate::lane_cursors::{DiskPosition, LaneCursors};
use crate::slot_handle::SlotHandle;

/// The state that both tasks share.
pub(crate) struct ForwardingState {
    pub(crate) cursors: LaneCursors,
    pub(crate) chunks: ChunksInFlight,
}

/// A message that the pipeline has.
pub(crate) struct MessageInFlight {
    pub(crate) lane: Lane,
    pub(crate) position: DiskPosition,
    /// The size of its record.
    pub(crate) bytes: u64,
    pub(crate) receipt: Receipt,
}

/// The task that waits for outcomes and has the slot's thread record them.
pub(crate) struct OutcomeRecorder<'a> {
    pub(crate) handle: &'a SlotHandle,
    pub(crate) notifier: &'a Notifier,
    pub(crate) state: &'a Mutex<ForwardingState>,
    pub(crate) concluded: &'a Notify,
}

impl OutcomeRecorder<'_> {
    /// Runs until the sender is gone and every message has its outcome.
    pub(crate) async fn run(self, mut sent: mpsc::UnboundedReceiver<MessageInFlight>) {
        let mut outcomes = FuturesUnordered::new();
        let mut is_open = true;
        let mut ticks = interval(RECORD_DELAY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while is_open || !outcomes.is_empty() {
            let has_unrecorded = lock(self.state).chunks.has_unrecorded();
            tokio::select! {
                biased;
                Some(message) = outcomes.next(), if !outcomes.is_empty() => self.conclude(message),
                message = sent.recv(), if is_open => match message {
                    None => is_open = false,
                    Some(message) => outcomes.push(wait_for_outcome(message)),
                },
                _ = ticks.tick(), if has_unrecorded => self.record_due(Instant::now()),
            }
        }
        self.record_due(Instant::now() + RECORD_DELAY);
    }

    /// Notes an outcome, and has the thread record it if it completes its chunk.
    fn conclude(&self, (message, outcome): (ConcludedMessage, MessageOutcome)) {
        let ConcludedMessage { lane, position, bytes } = message;
        let now = Instant::now();
        let mut state = lock(self.state);
        if outcome == MessageOutcome::Pending {
            let lane_fails = self.notifier.is_lane_failing(lane);
            state.cursors.note_returned(lane, position, lane_fails, now);
        }
        let complete = state.chunks.conclude(position, outcome, bytes, now);
        let is_idle = state.chunks.is_empty();
        drop(state);
        if let Some(outcome) = complete {
            self.handle.record_outcome(outcome);
        }
        if is_idle {
            self.concluded.notify_one();
        }
    }

    /// Has the thread record the outcomes that are due.
    fn record_due(&self, now: Instant) {
        let due = lock(self.state).chunks.take_due(now);
        for outcome in due {
            self.handle.record_outcome(outcome);
        }
    }
}

/// A message whose outcome is known.
struct ConcludedMessage {
    lane: Lane,
    position: DiskPosition,
    bytes: u64,
}

/// Waits for the outcome of a message.
async fn wait_for_outcome(message: MessageInFlight) -> (ConcludedMessage, MessageOutcome) {
    let MessageInFlight { lane, position, bytes, receipt } = message;
    let outcome = match receipt.await {
        Ok(()) => MessageOutcome::Delivered,
        Err(error) if error.outcome() == Outcome::Rejected => {
            MessageOutcome::Refused(format!("{error:#}"))
        }
        Err(_) => MessageOutcome::Pending,
    };
    (ConcludedMessage { lane, position, bytes }, outcome)
}

/// Locks the state of both tasks.
pub(crate) fn lock(state: &Mutex<ForwardingState>) -> MutexGuard<'_, ForwardingState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
