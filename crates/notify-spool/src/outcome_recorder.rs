//! The outcomes of the messages that the pipeline has, and the state that the two halves of the forwarding
//! share.
//!
//! Outcomes come in any order. This module sends nothing.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use notify_core::pipeline::Receipt;
use notify_core::transport::Lane;
use notify_core::{Notifier, Outcome};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::chunk_outcome::MessageOutcome;
use crate::chunks_in_flight::{ChunksInFlight, RECORD_DELAY};
use crate::lane_cursors::{DiskPosition, LaneCursors};
use crate::slot_handle::SlotHandle;

/// The state that both halves share.
pub(crate) struct ForwardingState {
    pub(crate) cursors: LaneCursors,
    pub(crate) chunks: ChunksInFlight,
    /// The messages that the pipeline has. Its room bounds their number.
    pub(crate) in_flight: FuturesUnordered<MessageInFlight>,
    /// Whether no more messages are sent.
    pub(crate) sender_ended: bool,
}

impl ForwardingState {
    /// Returns whether every message has its outcome and no more are sent.
    fn is_over(&self) -> bool {
        self.sender_ended && self.in_flight.is_empty()
    }
}

/// A message that the pipeline has: a future of its outcome.
pub(crate) struct MessageInFlight {
    pub(crate) lane: Lane,
    pub(crate) position: DiskPosition,
    /// The size of its record.
    pub(crate) bytes: u64,
    pub(crate) receipt: Receipt,
}

/// The half that notes outcomes and has the slot's thread record them.
pub(crate) struct OutcomeRecorder<'a> {
    pub(crate) handle: &'a SlotHandle,
    pub(crate) notifier: &'a Notifier,
    pub(crate) state: &'a Mutex<ForwardingState>,
    pub(crate) concluded: &'a Notify,
}

impl OutcomeRecorder<'_> {
    /// Notes outcomes and has them recorded, until every message has one and no more are sent.
    ///
    /// Polling this must follow each poll of the sender, so that this waits for all messages in flight.
    pub(crate) async fn run(&self) {
        let mut ticks = interval(RECORD_DELAY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let (has_unrecorded, is_over) = {
                let state = lock(self.state);
                (state.chunks.has_unrecorded(), state.is_over())
            };
            if is_over {
                break;
            }
            let changed = poll_fn(|context| {
                self.note_outcomes(context);
                let state = lock(self.state);
                let changed = state.is_over() || state.chunks.has_unrecorded() != has_unrecorded;
                if changed { Poll::Ready(()) } else { Poll::Pending }
            });
            tokio::select! {
                biased;
                () = changed => {}
                _ = ticks.tick(), if has_unrecorded => self.record_due(Instant::now()),
            }
        }
        self.record_due(Instant::now() + RECORD_DELAY);
    }

    /// Notes all outcomes that came. The task of `context` wakes for the next ones.
    pub(crate) fn note_outcomes(&self, context: &mut Context<'_>) {
        let mut state = lock(self.state);
        while let Poll::Ready(Some(concluded)) = state.in_flight.poll_next_unpin(context) {
            self.conclude(&mut state, concluded);
        }
    }

    /// Notes an outcome, and has the thread record it if it completes its chunk.
    fn conclude(
        &self,
        state: &mut ForwardingState,
        (message, outcome): (ConcludedMessage, MessageOutcome),
    ) {
        let ConcludedMessage { lane, position, bytes } = message;
        let now = Instant::now();
        let came_back = outcome == MessageOutcome::Pending;
        if came_back {
            let lane_fails = self.notifier.is_lane_failing(lane);
            state.cursors.note_returned(lane, position, lane_fails, now);
        }
        if let Some(outcome) = state.chunks.conclude(position, outcome, bytes, now) {
            self.handle.record_outcome(outcome);
        }
        // The sender forwards a message that came back, whatever the others wait for.
        if came_back || state.chunks.is_empty() {
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
pub(crate) struct ConcludedMessage {
    lane: Lane,
    position: DiskPosition,
    bytes: u64,
}

impl Future for MessageInFlight {
    type Output = (ConcludedMessage, MessageOutcome);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match ready!(Pin::new(&mut self.receipt).poll(context)) {
            Ok(()) => MessageOutcome::Delivered,
            Err(error) if error.outcome() == Outcome::Rejected => {
                MessageOutcome::Refused(format!("{error:#}"))
            }
            Err(_) => MessageOutcome::Pending,
        };
        let Self { lane, position, bytes, .. } = *self;
        Poll::Ready((ConcludedMessage { lane, position, bytes }, outcome))
    }
}

/// Locks the state of both halves.
pub(crate) fn lock(state: &Mutex<ForwardingState>) -> MutexGuard<'_, ForwardingState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt as _;
    use notify_conformance::samples;
    use notify_conformance::script::Script;

    use super::*;
    use crate::config::Config;
    use crate::slot_thread::SlotChoice;

    /// A message that comes back wakes the sender, although another one has no outcome yet: no lane waits for
    /// the silence of another.
    #[tokio::test]
    async fn a_message_that_comes_back_wakes_the_sender() {
        let build = || Notifier::builder(Script::default().transport()).build().unwrap();
        // No worker runs, so the first message gets no outcome. A closed notifier gives the second back.
        let ((notifier, _worker), (closed, _closed_worker)) = (build(), build());
        closed.close();
        let state = Mutex::new(ForwardingState {
            cursors: LaneCursors::new(notifier.lanes()),
            chunks: ChunksInFlight::default(),
            in_flight: FuturesUnordered::new(),
            sender_ended: false,
        });
        for (number, message) in (0..).zip(samples::messages(0..2)) {
            let notifier = if number == 0 { &notifier } else { &closed };
            let lane = notifier.lanes().lane(&message);
            let position = DiskPosition { chunk: 0, number };
            let receipt = notifier.relay(message).await;
            let mut state = lock(&state);
            assert!(state.chunks.start(position));
            state.in_flight.push(MessageInFlight { lane, position, bytes: 1, receipt });
        }
        let dir = tempfile::tempdir().unwrap();
        let config = Config::new(dir.path().join("s"));
        let handle = SlotHandle::new(config, Arc::default(), SlotChoice::LowestFree);
        let concluded = Notify::new();
        let recorder = OutcomeRecorder {
            handle: &handle,
            notifier: &notifier,
            state: &state,
            concluded: &concluded,
        };
        poll_fn(|context| {
            recorder.note_outcomes(context);
            Poll::Ready(())
        })
        .await;
        assert_eq!(lock(&state).in_flight.len(), 1, "one has no outcome");
        assert!(concluded.notified().now_or_never().is_some(), "the sender sleeps");
        assert!(lock(&state).cursors.any_behind());
    }
}
