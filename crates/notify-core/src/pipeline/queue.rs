//! The bounded queue between the emitters and the worker, with the account of everything in it.
//!
//! One mutex guards both, so that the account balances at every moment. Code that holds the mutex must
//! not await, log or wake a task. This file holds the emitters' side; `settle` holds the worker's side,
//! `queue_room` the bounds, and `queue_close` the end.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::account::{Account, DropReason};
use super::block::{MessageBlock, MessageRecord};
use super::claim::Claim;
use super::deadline::after;
use super::generations::PendingGenerations;
use super::lane_mask::LaneMask;
use super::lane_queues::LaneQueues;
use super::linger_state::{StreamDetector, WakeThreshold};
use super::load::Load;
use super::outage::Outage;
use super::outcome_slot::OutcomeSender;
use super::queue_config::{Overflow, QueueConfig, weight};
use super::random::RandomSource;
use super::receipt::Receipt;
use super::registry::{QueueId, forget};
use super::room_lines::RoomLines;
use super::sequencer::Sequencer;
use crate::codec::message::Message;
use crate::codec::sequence::SequenceState;
use crate::error::Error;
use crate::event::payload::Event;
use crate::transport::broker_counters::BrokerCounters;
use crate::transport::lanes::{Lane, Lanes};

/// The queue of one notifier.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) id: QueueId,
    pub(super) config: QueueConfig,
    /// The name of the destination, which is that of its strategy unless it has one of its own.
    pub(super) name: Box<str>,
    /// The start of the log lines about losses: empty for a destination without a name of its own.
    pub(super) log_prefix: Box<str>,
    /// The lanes of the destination.
    pub(super) lanes: Lanes,
    /// The counters of the connection to a broker, if the destination is one.
    pub(super) broker: Option<Arc<BrokerCounters>>,
    /// Whether the caller keeps each message until it is delivered: see
    /// [`NotifierBuilder::durable_source`](super::NotifierBuilder::durable_source).
    pub(super) durable_source: bool,
    pub(super) random: RandomSource,
    /// The error of each message that the queue drops for want of room.
    overflow: Error,
    state: Mutex<QueueState>,
    /// The number of messages to come that get bodies of their own, because others were dropped. Changes
    /// under the mutex only.
    own_bodies: AtomicU32,
    /// Wakes the worker.
    pub(super) work: Notify,
    /// Wakes the attempts of each isolated lane.
    pub(super) lane_work: Box<[Notify]>,
    /// The callers that wait for room.
    pub(super) room: RoomLines,
    /// The lanes that fail.
    pub(super) failing_lanes: LaneMask,
    /// Wakes `flush`.
    pub(super) progress: Notify,
    /// The drain deadline, once the notifier is closed.
    pub(super) drain_until: watch::Sender<Option<Instant>>,
    /// Whether the worker has ended.
    pub(super) ended: watch::Sender<bool>,
    /// The suppressed notifications, once the last notifier is gone. The notifier counts them before.
    pub(super) suppressed_at_end: AtomicU64,
}

/// The part of a queue that its mutex guards.
#[derive(Debug)]
pub(super) struct QueueState {
    pub(super) pending: LaneQueues,
    pub(super) in_flight: Load,
    /// The room that callers took before they have a message for it.
    pub(super) reserved: Load,
    /// The room that the first caller in the line of reservations waits for.
    pub(super) awaited_reservation: Option<Load>,
    /// The time of the oldest message in each batch in flight: the shared one, then one for each lane.
    pub(super) oldest_in_flight: Box<[Option<Instant>]>,
    pub(super) generations: PendingGenerations,
    /// The place of the next message in the order of the queue.
    next_order: u64,
    /// The numbers of new messages, if the destination has lanes with names.
    sequencer: Option<Sequencer>,
    pub(super) closed: bool,
    pub(super) wake_threshold: WakeThreshold,
    pub(super) stream: StreamDetector,
    pub(super) account: Account,
    pub(super) phase: WorkerPhase,
    /// The failures of the connection, which concern all lanes.
    pub(super) outage: Outage,
}

/// A message for the queue, with the sender for its outcome.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) message: Message,
    pub(super) receipt: OutcomeSender,
    /// The time at which the program emitted it, without the wait for room.
    pub(super) since: Instant,
}

/// The phase of the worker's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum WorkerPhase {
    /// The program did not run the worker yet.
    #[default]
    NotStarted,
    Running,
    Ended,
}

impl Queue {
    /// Returns an empty, open queue for the destination of that name, which may be empty.
    pub(super) fn new(
        config: QueueConfig,
        destination: &str,
        strategy: &'static str,
        lanes: Lanes,
        durable_source: bool,
        random: RandomSource,
    ) -> Self {
        let count = lanes.len();
        // The messages of a durable source have their numbers already.
        let sequencer = if durable_source { None } else { Sequencer::new(&lanes, &random) };
        let state = QueueState {
            pending: LaneQueues::new(count),
            in_flight: Load::default(),
            reserved: Load::default(),
            awaited_reservation: None,
            oldest_in_flight: vec![None; count + 1].into(),
            generations: PendingGenerations::default(),
            next_order: 0,
            sequencer,
            closed: false,
            wake_threshold: WakeThreshold::default(),
            stream: StreamDetector::default(),
            account: Account::default(),
            phase: WorkerPhase::default(),
            outage: Outage::default(),
        };
        Self {
            id: QueueId::new(),
            overflow: DropReason::Overflow.error(&config),
            config,
            name: if destination.is_empty() { strategy } else { destination }.into(),
            log_prefix: if destination.is_empty() {
                Box::default()
            } else {
                format!("`{destination}`: ").into()
            },
            broker: None,
            durable_source,
            random,
            state: Mutex::new(state),
            own_bodies: AtomicU32::new(0),
            work: Notify::new(),
            lane_work: (0..count).map(|_| Notify::new()).collect(),
            room: RoomLines::new(count),
            failing_lanes: LaneMask::default(),
            progress: Notify::new(),
            drain_until: watch::Sender::new(None),
            ended: watch::Sender::new(false),
            suppressed_at_end: AtomicU64::new(0),
            lanes,
        }
    }

    /// Locks the state. A panic of another thread does not poison it.
    pub(super) fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the receipt of a message that goes to no other queue, and the message for [`push`](Self::push).
    pub(super) fn submission(&self, message: Message) -> (Receipt, Submission) {
        let (receipt, sender) = Receipt::single(message.id(), self.id);
        (receipt, Submission { message, receipt: sender, since: Instant::now() })
    }

    /// Queues a message, or drops one according to [`Overflow`] when the queue is full.
    pub(super) fn push(&self, submission: Submission) {
        let Err(submission) = self.try_push(submission, Claim::BehindTheLine) else { return };
        if self.config.overflow == Overflow::DropNewest {
            return self.drop_new(submission, DropReason::Overflow);
        }
        self.make_room(&submission.message);
        // If another emitter took the new room, this message is the newest one: drop it.
        self.push_claimed(submission, Claim::BehindTheLine);
    }

    /// Queues a message if there is room and no caller waits for room in its lane; returns it
    /// otherwise.
    ///
    /// While a caller waits for room, this returns every message of the lane, so that a stream of small
    /// messages cannot starve a large one. A caller that did not notice yet that its turn came delays no
    /// other.
    #[expect(clippy::result_large_err, reason = "the caller goes on with the message")]
    pub(super) fn push_in_turn(&self, submission: Submission) -> Result<(), Submission> {
        self.try_push(submission, Claim::InTurn)
    }

    /// Queues a message as soon as there is room, or drops it after `timeout`.
    ///
    /// Callers get room for a lane in the order in which they called.
    pub(super) async fn push_when_room(&self, mut submission: Submission, timeout: Duration) {
        let deadline = after(timeout);
        let lane = self.lanes.lane(&submission.message);
        let callers = self.room.line(Some(lane));
        let Ok(_turn) = tokio::time::timeout_at(deadline, callers.turn.lock()).await else {
            return self.push_or_drop(submission);
        };
        let _waiting = self.await_room(Some(lane), Load::one(weight(&submission.message)));
        loop {
            let room = callers.room.notified();
            submission.since = Instant::now();
            submission = match self.try_push(submission, Claim::First) {
                Ok(()) => return,
                Err(submission) => submission,
            };
            if tokio::time::timeout_at(deadline, room).await.is_err() {
                return self.push_or_drop(submission);
            }
        }
    }

    /// Queues a message of a caller that waited long enough, or drops it.
    ///
    /// Tries once more before dropping: the caller at the head of the line may need more room than this
    /// message.
    pub(super) fn push_or_drop(&self, mut submission: Submission) {
        submission.since = Instant::now();
        self.push_claimed(submission, Claim::First);
    }

    /// Queues a message in room that a [`Reservation`](super::reservation::Reservation) holds, and ends
    /// the reservation of `room`.
    pub(super) fn push_reserved(&self, submission: Submission, room: usize, protected: bool) {
        // Room that was reserved suffices, so the queue takes the message unless it is closed.
        self.push_claimed(submission, Claim::Reserved { room, protected });
    }

    /// Queues a message with a claim to room, or drops it.
    fn push_claimed(&self, submission: Submission, claim: Claim) {
        if let Err(submission) = self.try_push(submission, claim) {
            self.drop_new(submission, DropReason::Overflow);
        }
    }

    /// Counts a notification that could not be encoded. An `event` that the program emits takes a number
    /// along.
    pub(super) fn refuse_unencoded(&self, error: &Error, event: Option<&Event>) {
        let numbered = event.map(|event| {
            let message = Message::unencoded(event);
            let lane = self.lanes.lane(&message);
            (message, lane)
        });
        let mut state = self.lock();
        match numbered {
            Some((mut message, lane)) => state.count_emitted(&mut message, lane, &self.random),
            None => state.account.emitted += 1,
        }
        let report = state.account.refuse(1, Some(error));
        drop(state);
        report.log(&self.log_prefix);
    }

    /// Queues a message, or returns it when the queue is full. Drops it when the queue is closed.
    #[expect(clippy::result_large_err, reason = "the caller goes on with the message")]
    fn try_push(&self, submission: Submission, claim: Claim) -> Result<(), Submission> {
        let Submission { message, receipt, since } = submission;
        let bytes = weight(&message);
        let lane = self.lanes.lane(&message);
        let is_reserved = matches!(claim, Claim::Reserved { .. });
        let protected = matches!(claim, Claim::Reserved { protected: true, .. });
        let is_failing = self.failing_lanes.contains(lane);
        let is_after_drop = self.own_bodies.load(Ordering::Relaxed) > 0;
        // Most messages find no room then, so look before the copy.
        if (is_failing || is_after_drop) && !is_reserved && !self.may_enter(lane, bytes, claim) {
            return Err(Submission { message, receipt, since });
        }
        // The message may stay for longer than those beside it: give up the memory that it shares with them.
        let mut message =
            if is_failing || protected || is_after_drop { message.detached() } else { message };
        let mut evicted = MessageBlock::default();
        let mut state = self.lock();
        if let Claim::Reserved { room, .. } = claim {
            state.reserved -= Load::one(room);
        }
        if state.closed {
            drop(state);
            if self.durable_source {
                // The source still has the message and sends it again later: count no loss.
                receipt.send(Err(self.drop_error(DropReason::Closed)));
            } else {
                self.drop_new(Submission { message, receipt, since }, DropReason::Closed);
            }
            return Ok(());
        }
        let may_push = is_reserved
            || state.take_room(Some(lane), Load::one(bytes), claim, &self.config, &mut evicted);
        if !may_push {
            self.unlock_and_drop(state, evicted);
            return Err(Submission { message, receipt, since });
        }
        if is_after_drop {
            let left = self.own_bodies.load(Ordering::Relaxed);
            self.own_bodies.store(left.saturating_sub(1), Ordering::Relaxed);
        }
        let record = MessageRecord {
            receipt: Some(receipt),
            order: state.next_order,
            generation: state.generations.add(),
            since,
            due: since,
            bytes,
            attempts: 0,
            declines: 0,
            lane,
            set_aside: false,
            unknown: false,
            protected,
            retry: None,
        };
        state.next_order += 1;
        state.count_emitted(&mut message, lane, &self.random);
        let must_look = state.pending.push(message, record, &self.config);
        let is_isolated = state.pending.lane(lane).is_isolated();
        let wake_lane = must_look && is_isolated;
        let wake_worker = must_look && !is_isolated && state.must_wake_worker(&self.config);
        self.unlock_and_drop(state, evicted);
        if wake_worker {
            self.work.notify_one();
        }
        if wake_lane {
            self.lane_work[lane.index()].notify_one();
        }
        Ok(())
    }

    /// Returns whether a lane fails while others are delivered.
    pub(super) fn is_limited(&self, lane: Lane) -> bool {
        let state = self.lock();
        state.pending.lane(lane).is_limited(state.pending.settled)
    }

    /// Unlocks the queue, and drops the messages that left it for want of room.
    pub(super) fn unlock_and_drop(&self, state: MutexGuard<'_, QueueState>, evicted: MessageBlock) {
        if !evicted.is_empty() {
            self.drop_taken(state, evicted, DropReason::Overflow);
        }
    }

    /// Counts a message that never entered the queue as emitted and dropped. It takes a number along.
    fn drop_new(&self, submission: Submission, reason: DropReason) {
        let Submission { mut message, receipt, .. } = submission;
        let lane = self.lanes.lane(&message);
        let mut state = self.lock();
        state.count_emitted(&mut message, lane, &self.random);
        // Beside a lane that fails, and drops what exceeds its share, the others do not wait for long.
        if reason == DropReason::Overflow && !self.failing_lanes.contains(lane) {
            self.own_bodies.store(OWN_BODIES, Ordering::Relaxed);
        }
        let report = state.account.drop_messages(1, reason);
        drop(state);
        report.log(&self.log_prefix);
        receipt.send(Err(self.drop_error(reason)));
    }

    /// Returns the error of a dropped message.
    pub(super) fn drop_error(&self, reason: DropReason) -> Error {
        match reason {
            // A lane that fails drops most of its messages, so formatting each error would cost its emitters.
            DropReason::Overflow => self.overflow.clone(),
            reason => reason.error(&self.config),
        }
    }
}

impl QueueState {
    /// Counts a message that the program emits, and numbers it if it needs a number.
    fn count_emitted(&mut self, message: &mut Message, lane: Lane, random: &RandomSource) {
        self.account.emitted += 1;
        if let (SequenceState::Due, Some(sequencer)) =
            (&message.sequence_state, &mut self.sequencer)
        {
            message.sequence_state = SequenceState::Numbered(sequencer.next(lane, random));
        }
    }
}

/// Forgets the queue's number.
impl Drop for Queue {
    fn drop(&mut self) {
        forget(self.id);
    }
}

/// The number of messages that get bodies of their own after a drop.
///
/// One of those behind them may keep 16 KiB of the bodies that the next drops leave: 16 bytes for each message.
const OWN_BODIES: u32 = 1024;
