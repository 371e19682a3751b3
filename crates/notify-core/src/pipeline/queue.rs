//! The bounded queue between the emitters and the worker, with the account of everything in it.
//!
//! One mutex guards both, so that the account balances at every moment. Code that holds the mutex must
//! not await, log or wake a task. This file holds the emitters' side; `settle` holds the worker's side.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use super::account::{Account, DropReason};
use super::block::{MessageBlock, MessageRecord};
use super::block_queue::BlockQueue;
use super::deadline::after;
use super::linger_state::{StreamDetector, WakeThreshold};
use super::queue_config::{Overflow, QueueConfig, weight};
use super::receipt::Receipt;
use super::stats::{PendingCounts, Stats};
use crate::codec::message::Message;
use crate::error::Error;

/// The queue of one notifier.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) config: QueueConfig,
    /// Whether the caller keeps each message until it is delivered: see
    /// [`NotifierBuilder::durable_source`](super::NotifierBuilder::durable_source).
    pub(super) durable_source: bool,
    state: Mutex<QueueState>,
    /// Wakes the worker.
    pub(super) work: Notify,
    /// The line of callers that wait for room. The first of them holds the lock.
    turn: tokio::sync::Mutex<()>,
    /// Wakes the first caller in the line.
    pub(super) room: Notify,
    /// Whether the first caller in the line waits for room.
    has_room_waiter: AtomicBool,
    /// Wakes `flush`.
    pub(super) progress: Notify,
    /// The drain deadline, once the notifier is closed.
    drain_until: watch::Sender<Option<Instant>>,
    /// Whether the worker has ended.
    pub(super) ended: watch::Sender<bool>,
}

/// The part of a queue that its mutex guards.
#[derive(Debug, Default)]
pub(super) struct QueueState {
    pub(super) queued: BlockQueue,
    /// The number of messages in flight.
    pub(super) in_flight: usize,
    /// The bytes of the messages in flight.
    pub(super) in_flight_bytes: usize,
    /// Number and time of the oldest message in flight, as of the last change of that set.
    pub(super) first_in_flight: Option<(u64, Instant)>,
    /// The sequence number of the next message.
    next_number: u64,
    pub(super) closed: bool,
    pub(super) wake_threshold: WakeThreshold,
    pub(super) stream: StreamDetector,
    pub(super) account: Account,
}

impl Queue {
    /// Returns an empty, open queue.
    pub(super) fn new(config: QueueConfig, durable_source: bool) -> Self {
        Self {
            config,
            durable_source,
            state: Mutex::default(),
            work: Notify::new(),
            turn: tokio::sync::Mutex::default(),
            room: Notify::new(),
            has_room_waiter: AtomicBool::new(false),
            progress: Notify::new(),
            drain_until: watch::Sender::new(None),
            ended: watch::Sender::new(false),
        }
    }

    /// Locks the state. A panic of another thread does not poison it.
    pub(super) fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a message, or drops one according to [`Overflow`] when the queue is full.
    pub(super) fn push(&self, message: Message) -> Receipt {
        let message = match self.try_push(message) {
            Ok(receipt) => return receipt,
            Err(message) => message,
        };
        if self.config.overflow == Overflow::DropOldest {
            self.make_room(weight(&message));
        }
        // If another emitter took the new room, this message is the newest one: drop it.
        self.try_push(message)
            .unwrap_or_else(|message| self.drop_new(&message, DropReason::Overflow))
    }

    /// Queues a message if there is room and no caller waits for room; returns it otherwise.
    ///
    /// While a caller waits for room, this returns every message, so that a stream of small messages
    /// cannot starve a large one. A caller that did not notice yet that its turn came delays no other.
    pub(super) fn push_in_turn(&self, message: Message) -> Result<Receipt, Message> {
        if self.has_room_waiter.load(Ordering::Relaxed) {
            Err(message)
        } else {
            self.try_push(message)
        }
    }

    /// Queues a message as soon as there is room, or drops it after `timeout`.
    ///
    /// Callers get room in the order in which they called.
    pub(super) async fn push_when_room(&self, mut message: Message, timeout: Duration) -> Receipt {
        let deadline = after(timeout);
        // Try once more before dropping: the caller at the head of the line may need more room than
        // this message.
        let push_or_drop = |message| {
            self.try_push(message)
                .unwrap_or_else(|message| self.drop_new(&message, DropReason::Overflow))
        };
        let Ok(_turn) = tokio::time::timeout_at(deadline, self.turn.lock()).await else {
            return push_or_drop(message);
        };
        let _waiting = RoomWaiterGuard::new(&self.has_room_waiter);
        loop {
            let room = self.room.notified();
            message = match self.try_push(message) {
                Ok(receipt) => return receipt,
                Err(message) => message,
            };
            if tokio::time::timeout_at(deadline, room).await.is_err() {
                return push_or_drop(message);
            }
        }
    }

    /// Counts a notification that could not be encoded.
    pub(super) fn refuse_unencoded(&self, error: Error) -> Receipt {
        let mut state = self.lock();
        state.account.emitted += 1;
        let report = state.account.refuse(1, Some(&error));
        drop(state);
        report.log();
        Receipt::decided(None, Err(error))
    }

    /// Queues a message, or returns it when the queue is full. Drops it when the queue is closed.
    fn try_push(&self, message: Message) -> Result<Receipt, Message> {
        let bytes = weight(&message);
        // Allocate and read the clock before taking the lock.
        let (sender, outcome) = oneshot::channel();
        let receipt = Receipt::waiting(message.id(), outcome);
        let since = Instant::now();
        let mut state = self.lock();
        if state.closed {
            drop(state);
            if self.durable_source {
                // The source still has the message and sends it again later: count no loss.
                let error = DropReason::Closed.error(&self.config);
                return Ok(Receipt::decided(Some(message.id()), Err(error)));
            }
            return Ok(self.drop_new(&message, DropReason::Closed));
        }
        if !state.has_room(&self.config, bytes) {
            return Err(message);
        }
        let record = MessageRecord {
            receipt: Some(sender),
            number: state.next_number,
            since,
            bytes,
            unknown: false,
            retry: None,
        };
        state.next_number += 1;
        state.account.emitted += 1;
        state.queued.push(message, record, &self.config);
        let wake_worker = state.must_wake_worker(&self.config);
        drop(state);
        if wake_worker {
            self.work.notify_one();
        }
        Ok(receipt)
    }

    /// Drops the oldest queued messages until a message of `bytes` fits, or the queue is empty.
    fn make_room(&self, bytes: usize) {
        let mut dropped = Vec::new();
        let mut state = self.lock();
        // Messages in flight stay. If they alone leave no room, dropping the others gains nothing.
        if state.in_flight_bytes + bytes > self.config.max_bytes {
            return;
        }
        while !state.has_room(&self.config, bytes) {
            let Some(oldest) = state.queued.pop() else { break };
            dropped.push(oldest);
        }
        let report = state.account.drop_messages(dropped.len() as u64, DropReason::Overflow);
        drop(state);
        report.log();
        for (_, record) in dropped {
            let error = DropReason::Overflow.error(&self.config);
            drop(record.receipt.map(|receipt| receipt.send(Err(error))));
        }
        self.progress.notify_waiters();
    }

    /// Counts a message that never entered the queue as emitted and dropped.
    fn drop_new(&self, message: &Message, reason: DropReason) -> Receipt {
        let mut state = self.lock();
        state.account.emitted += 1;
        let report = state.account.drop_messages(1, reason);
        drop(state);
        report.log();
        Receipt::decided(Some(message.id()), Err(reason.error(&self.config)))
    }

    /// Closes the queue and gives the worker `drain` for pending messages, unless it has a deadline.
    pub(super) fn close(&self, drain: Duration) {
        if self.drain_until.borrow().is_none() {
            self.close_within(drain);
        }
    }

    /// Closes the queue and gives the worker `drain` for pending messages, in place of any earlier
    /// deadline.
    pub(super) fn close_within(&self, drain: Duration) {
        self.lock().closed = true;
        self.drain_until.send_replace(Some(after(drain)));
        self.work.notify_one();
        // The first caller in the line finds the queue closed, and then each caller behind it does.
        self.room.notify_one();
    }

    /// Returns the drain deadline: `None` while the notifier is open.
    pub(super) fn drain_until(&self) -> watch::Receiver<Option<Instant>> {
        self.drain_until.subscribe()
    }

    /// Waits until the worker has ended.
    pub(super) async fn ended(&self) {
        // The wait cannot fail, because `self` holds the sender.
        drop(self.ended.subscribe().wait_for(|ended| *ended).await);
    }

    /// Waits until every message that was queued before this call has its outcome.
    pub(super) async fn flushed(&self) {
        let target = self.lock().next_number;
        Receipt::note_wait();
        loop {
            let progress = self.progress.notified();
            if self.lock().oldest().is_none_or(|(number, _)| number >= target) {
                return;
            }
            progress.await;
        }
    }

    /// Returns the account of this moment, with the given number of suppressed notifications.
    pub(super) fn stats(&self, suppressed: u64) -> Stats {
        let state = self.lock();
        let account = &state.account;
        Stats {
            emitted: account.emitted,
            delivered: account.delivered,
            refused: account.refused,
            dropped: account.dropped,
            pending: PendingCounts {
                messages: (state.queued.len() + state.in_flight) as u64,
                bytes: (state.queued.bytes() + state.in_flight_bytes) as u64,
            },
            retried: account.retried,
            suppressed,
            oldest_pending: state.oldest().map(|(_, since)| since.elapsed()),
            last_delivery: account.last_delivery,
            state: account.state.clone(),
        }
    }
}

impl QueueState {
    /// Returns whether both bounds allow one more message of `bytes`.
    fn has_room(&self, config: &QueueConfig, bytes: usize) -> bool {
        self.queued.len() + self.in_flight < config.max_messages
            && self.queued.bytes() + self.in_flight_bytes + bytes <= config.max_bytes
    }

    /// Moves queued messages into `batch` until it is full; returns whether more may follow.
    ///
    /// Moves a whole block into an empty batch, and otherwise at most [`MOVED_AT_ONCE`] messages per
    /// call: emitters wait while this runs.
    pub(super) fn fill(&mut self, batch: &mut MessageBlock, config: &QueueConfig) -> bool {
        let before = (batch.len(), batch.bytes);
        let mut more = false;
        if batch.is_empty() {
            self.queued.take_block(batch);
        }
        for moved in 0.. {
            if !self.queued.first().is_some_and(|first| batch.has_room(first, config)) {
                break;
            }
            if moved == MOVED_AT_ONCE {
                more = true;
                break;
            }
            let Some((message, record)) = self.queued.pop() else { break };
            batch.push(message, record);
        }
        self.in_flight += batch.len() - before.0;
        self.in_flight_bytes += batch.bytes - before.1;
        self.first_in_flight = batch.first();
        more
    }

    /// Returns number and time of the oldest pending message.
    fn oldest(&self) -> Option<(u64, Instant)> {
        self.first_in_flight
            .filter(|_| self.in_flight > 0)
            .or_else(|| self.queued.first().map(MessageRecord::number_and_time))
    }
}

/// A guard that sets [`Queue::has_room_waiter`] until it is dropped.
struct RoomWaiterGuard<'a>(&'a AtomicBool);

impl<'a> RoomWaiterGuard<'a> {
    /// Sets the flag.
    fn new(flag: &'a AtomicBool) -> Self {
        flag.store(true, Ordering::Relaxed);
        Self(flag)
    }
}

impl Drop for RoomWaiterGuard<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// The number of messages that a thread moves within a few microseconds.
const MOVED_AT_ONCE: usize = 64;
