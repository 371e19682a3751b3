//! Forwarding of one slot: its messages go to the pipeline in order, and their outcomes come back.
//!
//! Two halves run side by side in one task. The sender reads chunks and hands their messages to the
//! notifier, with a cursor for each lane. The recorder waits for the receipts and has the outcomes recorded,
//! in any order. Nothing here retries a message: the pipeline does.

use std::future::poll_fn;
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use notify_core::pipeline::Receipt;
use notify_core::transport::Lane;
use notify_core::{Error, Message, Notifier, Result};
use tokio::sync::{Notify, watch};
use tokio::task::unconstrained;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::chunk_outcome::MessageOutcome;
use crate::chunks_in_flight::ChunksInFlight;
use crate::error::retry_delay;
use crate::lane_cursors::{DiskPass, DiskPosition, LaneCursors};
use crate::outcome_recorder::{ForwardingState, MessageInFlight, OutcomeRecorder, lock};
use crate::records::{Record, RecordChunk, TruncatedRecord, records};
use crate::slot_handle::SlotHandle;

/// The condition under which the forwarding of a slot ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForwardingMode {
    /// The slot gets new messages. Forwarding ends with the stop signal only.
    Continuous,
    /// The slot gets no new messages. Forwarding also ends when the slot is empty.
    UntilEmpty,
}

/// Forwards the messages of a slot to `notifier`, until `mode` or `stopped` ends it.
///
/// The function returns after every message that it handed over has an outcome. After the stop signal
/// the caller must close the notifier, which decides the messages in flight.
///
/// # Errors
///
/// The error of a slot that cannot be read, in the mode [`ForwardingMode::UntilEmpty`] only. In the
/// continuous mode the function retries.
pub(crate) async fn forward_slot(
    handle: &SlotHandle,
    notifier: &Notifier,
    stopped: watch::Receiver<bool>,
    mode: ForwardingMode,
) -> Result<()> {
    let state = Mutex::new(ForwardingState {
        cursors: LaneCursors::new(notifier.lanes()),
        chunks: ChunksInFlight::default(),
        in_flight: FuturesUnordered::new(),
        sender_ended: false,
    });
    let concluded = Notify::new();
    let mut ticks = interval(ROOM_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let recorder = OutcomeRecorder { handle, notifier, state: &state, concluded: &concluded };
    let sender = MessageSender { recorder: &recorder, stopped, mode, has_new: true, ticks };
    let sending = async {
        let sent = sender.run().await;
        lock(&state).sender_ended = true;
        sent
    };
    // The recorder notes all outcomes before it waits, however many there are.
    tokio::join!(biased; sending, unconstrained(recorder.run())).0
}

/// The half that reads messages and hands them to the notifier.
struct MessageSender<'a> {
    /// The other half, with the state that both share.
    recorder: &'a OutcomeRecorder<'a>,
    stopped: watch::Receiver<bool>,
    mode: ForwardingMode,
    /// Whether the disk may have messages that no pass has read.
    has_new: bool,
    /// The times at which the sender looks for room in lanes that fail.
    ticks: Interval,
}

impl MessageSender<'_> {
    async fn run(mut self) -> Result<()> {
        let mut is_failing = false;
        while !*self.stopped.borrow_and_update() {
            let progress = match self.forward_once().await {
                Ok(progress) => progress,
                Err(error) if self.mode == ForwardingMode::UntilEmpty => return Err(error),
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        log_read_error(&error);
                    }
                    let delay = tokio::time::sleep(retry_delay(&error));
                    unless_stopped(&mut self.stopped, delay).await;
                    continue;
                }
            };
            // The stop signal ends a round that may have read nothing.
            if !*self.stopped.borrow() && std::mem::take(&mut is_failing) {
                tracing::info!("the spool is readable again");
            }
            match progress {
                Progress::Read => {}
                Progress::NothingNew => self.wait_for_work().await,
                Progress::Empty => break,
            }
        }
        Ok(())
    }

    /// Forwards a piece of the lanes that are behind, and a piece of the messages that no lane has seen.
    async fn forward_once(&mut self) -> Result<Progress> {
        let OutcomeRecorder { notifier, state, .. } = self.recorder;
        let has_room = |lane, bytes| notifier.has_lane_room(lane, bytes);
        let behind = lock(state).cursors.start_catching_up(Instant::now(), has_room);
        let caught_up = match behind {
            Some(pass) => self.forward_piece(pass).await?,
            None => false,
        };
        if self.has_new {
            let new = lock(state).cursors.start_new();
            self.has_new = self.forward_piece(new).await?;
        }
        if self.has_new || caught_up {
            return Ok(Progress::Read);
        }
        let state = lock(state);
        let is_empty = !state.cursors.any_behind() && state.chunks.is_empty();
        let ends = self.mode == ForwardingMode::UntilEmpty && is_empty;
        Ok(if ends { Progress::Empty } else { Progress::NothingNew })
    }

    /// Reads the next piece of a pass and forwards it. Returns `false` at the end of the pass.
    async fn forward_piece(&mut self, mut pass: DiskPass) -> Result<bool> {
        lock(self.recorder.state).chunks.note_read();
        let read = self.recorder.handle.read(pass.from, READ_BYTES);
        let Some(read) = unless_stopped(&mut self.stopped, read).await else { return Ok(true) };
        let end = pass.end.unwrap_or(u64::MAX);
        let chunks: Vec<_> = read?.into_iter().take_while(|chunk| chunk.first < end).collect();
        let found = !chunks.is_empty();
        for chunk in chunks {
            if *self.stopped.borrow() {
                return Ok(true);
            }
            let Some(next) = self.send_chunk(chunk, &mut pass).await else { return Ok(true) };
            lock(self.recorder.state).cursors.advance(&mut pass, next);
        }
        if !found {
            lock(self.recorder.state).cursors.finish(pass);
        }
        Ok(found)
    }

    /// Hands the messages of one chunk to the notifier, those that the pass is for. Returns the number
    /// behind the chunk, or `None` if the chunk must be read again.
    async fn send_chunk(&mut self, chunk: RecordChunk, pass: &mut DiskPass) -> Option<u64> {
        let RecordChunk { first, bytes } = chunk;
        let mut next = first;
        for record in records(&bytes) {
            // A pass over messages in flight must not send one that was concluded since it was read. From
            // the frontier on, none is in flight.
            if pass.end.is_some() && lock(self.recorder.state).chunks.is_outdated(first) {
                return None;
            }
            let position = DiskPosition { chunk: first, number: next };
            next += 1;
            match record {
                Ok(record) if !record.is_removed() => {
                    self.send_record(record, position, pass).await;
                }
                // An earlier outcome removed this message. The error is unreachable: opening the database
                // checks every chunk.
                Ok(_) | Err(TruncatedRecord) => {}
            }
        }
        Some(next)
    }

    /// Hands one message to the notifier, unless its lane is behind or has no room.
    async fn send_record(
        &mut self,
        record: Record<'_>,
        position: DiskPosition,
        pass: &mut DiskPass,
    ) {
        let bytes = record.size();
        let message = match record.message() {
            Ok(message) => message,
            Err(error) => return self.refuse(&error, bytes, position),
        };
        let OutcomeRecorder { notifier, state, .. } = self.recorder;
        let (lane, size) = (notifier.lanes().lane(&message), message.size());
        {
            let mut state = lock(state);
            if !state.cursors.admits(pass, lane, position) {
                return;
            }
            if !notifier.has_lane_room(lane, size) {
                return state.cursors.leave_behind(pass, lane, position, size);
            }
            if !state.chunks.start(position) {
                return;
            }
        }
        if let Some(receipt) = self.relay(message, lane).await {
            let message = MessageInFlight { lane, position, bytes, receipt };
            lock(state).in_flight.push(message);
        } else {
            lock(state).cursors.leave_behind(pass, lane, position, size);
            self.conclude(position, MessageOutcome::Pending, bytes);
        }
    }

    /// Queues a message, and waits for room unless its lane fails meanwhile, or an earlier message of the
    /// lane comes back.
    ///
    /// The pipeline gives back messages of lanes that fail. Later ones of such a lane must not pass them.
    async fn relay(&mut self, message: Message, lane: Lane) -> Option<Receipt> {
        let recorder = self.recorder;
        let bytes = message.size();
        let mut relay = std::pin::pin!(recorder.notifier.relay(message));
        loop {
            let came_back = poll_fn(|context| {
                recorder.note_outcomes(context);
                let came_back = lock(recorder.state).cursors.has_moved_back(lane);
                if came_back { Poll::Ready(()) } else { Poll::Pending }
            });
            tokio::select! {
                // Each message that comes back wakes the task, and the look comes before the relay.
                biased;
                () = unconstrained(came_back) => return None,
                receipt = &mut relay => return Some(receipt),
                _ = self.ticks.tick() => {
                    if !recorder.notifier.has_lane_room(lane, bytes) {
                        return None;
                    }
                }
            }
        }
    }

    /// Makes a dead letter of a message that cannot be read.
    fn refuse(&self, error: &Error, bytes: u64, position: DiskPosition) {
        if lock(self.recorder.state).chunks.start(position) {
            let reason = format!("the stored bytes are not a notification: {error:#}");
            tracing::error!("a message of the spool becomes a dead letter: {reason}");
            self.conclude(position, MessageOutcome::Refused(reason), bytes);
        }
    }

    /// Concludes a message that the pipeline does not have.
    fn conclude(&self, position: DiskPosition, outcome: MessageOutcome, bytes: u64) {
        let now = Instant::now();
        let complete = lock(self.recorder.state).chunks.conclude(position, outcome, bytes, now);
        if let Some(outcome) = complete {
            self.recorder.handle.record_outcome(outcome);
        }
    }

    /// Waits for new messages, for outcomes, or for room in a lane that is behind.
    async fn wait_for_work(&mut self) {
        let any_behind = lock(self.recorder.state).cursors.any_behind();
        let ticks = &mut self.ticks;
        let work = async {
            tokio::select! {
                biased;
                () = self.recorder.handle.wait_for_messages() => true,
                () = self.recorder.concluded.notified() => false,
                _ = ticks.tick(), if any_behind => false,
            }
        };
        let woken = unless_stopped(&mut self.stopped, work).await;
        self.has_new |= woken == Some(true);
    }
}

/// The result of one round of reading.
enum Progress {
    /// The round read messages.
    Read,
    /// Every message is in flight, waits for its lane, or has its outcome.
    NothingNew,
    /// The slot has no message left.
    Empty,
}

/// Waits for `event`. Returns `None` if the stop signal comes first.
pub(crate) async fn unless_stopped<T>(
    stopped: &mut watch::Receiver<bool>,
    event: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        // An error means that the forwarder is gone, which stops the forwarding too.
        _ = stopped.wait_for(|stopped| *stopped) => None,
        output = event => Some(output),
    }
}

/// Logs the first of several read errors.
fn log_read_error(error: &Error) {
    let seconds = retry_delay(error).as_secs();
    if error.is_transient() {
        tracing::warn!("cannot read the spool, retrying every {seconds} s: {error:#}");
    } else {
        tracing::error!(
            "cannot read the spool, permanent error, retrying every {seconds} s: {error:#}"
        );
    }
}

/// The bytes that one read takes from the disk.
const READ_BYTES: usize = 1024 * 1024;
/// The interval at which the sender looks for room in lanes that fail.
const ROOM_INTERVAL: Duration = Duration::from_millis(20);
