//! The bounded queue between emitters and the worker, and the account of all that passes it.
//!
//! One mutex guards both, so that the account holds at every moment. Nothing is awaited, logged or
//! woken while it is held. This file holds what emitters do; what the worker does is in `settle`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use super::account::{Account, Reason};
use super::block::{MessageBlock, Ticket};
use super::block_queue::BlockQueue;
use super::deadline::after;
use super::linger::{SteadyFlow, WakeCondition};
use super::queue_config::{Overflow, QueueConfig, weight};
use super::receipt::Receipt;
use super::stats::{Pending, Stats};
use crate::codec::message::Message;
use crate::error::{Error, ErrorKind};

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) config: QueueConfig,
    /// Whoever gives the messages keeps them too: see [`NotifierBuilder::source_keeps`](super::NotifierBuilder::source_keeps).
    pub(super) source_keeps: bool,
    inner: Mutex<Inner>,
    /// The worker waits here for something to do.
    pub(super) work: Notify,
    /// `enqueue` waits here for its turn.
    turn: tokio::sync::Mutex<()>,
    /// Whose turn it is waits here for room.
    pub(super) room: Notify,
    /// Whether somebody does.
    wants_room: AtomicBool,
    /// `flush` waits here.
    pub(super) progress: Notify,
    /// Until when the worker may drain, once the notifier is closed.
    drain_until: watch::Sender<Option<Instant>>,
    /// Whether the worker has ended.
    pub(super) ended: watch::Sender<bool>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) queued: BlockQueue,
    pub(super) in_flight: usize,
    pub(super) in_flight_bytes: usize,
    /// The first message in flight, as of the last time the flight changed.
    pub(super) first_in_flight: Option<(u64, Instant)>,
    /// The number that the next message gets.
    next: u64,
    pub(super) closed: bool,
    pub(super) awaiting: WakeCondition,
    pub(super) stream: SteadyFlow,
    pub(super) account: Account,
}

impl Queue {
    pub(super) fn new(config: QueueConfig, source_keeps: bool) -> Self {
        Self {
            config,
            source_keeps,
            inner: Mutex::default(),
            work: Notify::new(),
            turn: tokio::sync::Mutex::default(),
            room: Notify::new(),
            wants_room: AtomicBool::new(false),
            progress: Notify::new(),
            drain_until: watch::Sender::new(None),
            ended: watch::Sender::new(false),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a message, or drops one by policy.
    pub(super) fn push(&self, message: Message) -> Receipt {
        let message = match self.try_push(message) {
            Ok(receipt) => return receipt,
            Err(message) => message,
        };
        if self.config.overflow == Overflow::DropOldest {
            self.make_room(weight(&message));
        }
        // Where another emitter took the room that was made, this is the newest, and the one to go.
        self.try_push(message).unwrap_or_else(|message| self.drop_new(&message, Reason::Overflow))
    }

    /// Queues a message if there is room, which there nearly always is; otherwise gives it back.
    ///
    /// A large message is not overtaken by small ones for ever: while somebody waits for room, nobody
    /// gets any here. Who merely has not noticed yet that it is their turn holds nobody up.
    pub(super) fn push_in_turn(&self, message: Message) -> Result<Receipt, Message> {
        if self.wants_room.load(Ordering::Relaxed) { Err(message) } else { self.try_push(message) }
    }

    /// Queues a message as soon as there is room, or drops it after `timeout`. Who waits longest comes
    /// first.
    pub(super) async fn push_when_room(&self, mut message: Message, timeout: Duration) -> Receipt {
        let deadline = after(timeout);
        // Whoever waits in vain looks once more: who is first may need more room than the next.
        let drop_if_full = |message| {
            self.try_push(message)
                .unwrap_or_else(|message| self.drop_new(&message, Reason::Overflow))
        };
        let Ok(_turn) = tokio::time::timeout_at(deadline, self.turn.lock()).await else {
            return drop_if_full(message);
        };
        let _wanted = RoomRequest::by(&self.wants_room);
        loop {
            let room = self.room.notified();
            message = match self.try_push(message) {
                Ok(receipt) => return receipt,
                Err(message) => message,
            };
            if tokio::time::timeout_at(deadline, room).await.is_err() {
                return drop_if_full(message);
            }
        }
    }

    /// Counts a notification that could not be encoded.
    pub(super) fn refuse_unencoded(&self, error: Error) -> Receipt {
        let mut inner = self.lock();
        inner.account.emitted += 1;
        let news = inner.account.refuse(1, Some(&error));
        drop(inner);
        news.tell();
        Receipt::decided(None, Err(error))
    }

    /// Gives the message back when there is no room.
    fn try_push(&self, message: Message) -> Result<Receipt, Message> {
        let bytes = weight(&message);
        // What takes time is done before the lock is taken.
        let (sender, outcome) = oneshot::channel();
        let receipt = Receipt::waiting(message.id(), outcome);
        let since = Instant::now();
        let mut inner = self.lock();
        if inner.closed {
            drop(inner);
            if self.source_keeps {
                // It comes again another time, and is not lost.
                let error = self.drop_error(Reason::Closed);
                return Ok(Receipt::decided(Some(message.id()), Err(error)));
            }
            return Ok(self.drop_new(&message, Reason::Closed));
        }
        if !inner.has_room(&self.config, bytes) {
            return Err(message);
        }
        let ticket = Ticket {
            receipt: Some(sender),
            number: inner.next,
            since,
            bytes,
            unknown: false,
            retry: None,
        };
        inner.next += 1;
        inner.account.emitted += 1;
        inner.queued.push(message, ticket, &self.config);
        let wake_worker = inner.wakes_worker(&self.config);
        drop(inner);
        if wake_worker {
            self.work.notify_one();
        }
        Ok(receipt)
    }

    /// Drops the oldest that are queued until `bytes` fit in, or none is left.
    fn make_room(&self, bytes: usize) {
        let mut dropped = Vec::new();
        let mut inner = self.lock();
        // What is in flight stays. Where that leaves no room, dropping the rest would help nobody.
        if inner.in_flight_bytes + bytes > self.config.max_bytes {
            return;
        }
        while !inner.has_room(&self.config, bytes) {
            let Some(oldest) = inner.queued.pop() else { break };
            dropped.push(oldest);
        }
        let news = inner.account.drop_messages(dropped.len() as u64, Reason::Overflow);
        drop(inner);
        news.tell();
        for (_, ticket) in dropped {
            drop(
                ticket.receipt.map(|receipt| receipt.send(Err(self.drop_error(Reason::Overflow)))),
            );
        }
        self.progress.notify_waiters();
    }

    /// Drops a message that never was queued.
    fn drop_new(&self, message: &Message, reason: Reason) -> Receipt {
        let mut inner = self.lock();
        inner.account.emitted += 1;
        let news = inner.account.drop_messages(1, reason);
        drop(inner);
        news.tell();
        Receipt::decided(Some(message.id()), Err(self.drop_error(reason)))
    }

    pub(super) fn drop_error(&self, reason: Reason) -> Error {
        let QueueConfig { max_messages, max_bytes, .. } = self.config;
        match reason {
            Reason::Overflow => Error::new(
                ErrorKind::Full,
                format!(
                    "the queue is full: raise `queue.max_messages` ({max_messages}) or \
                     `queue.max_bytes` ({max_bytes}), or find out why nothing is delivered"
                ),
            ),
            Reason::Age => Error::new(ErrorKind::Timeout, "not delivered within `queue.max_age`"),
            Reason::Closed => Error::new(ErrorKind::Closed, "the notifier is closed"),
            Reason::Abandoned => Error::new(
                ErrorKind::Closed,
                "not delivered before the notifier's time to drain was over",
            ),
        }
    }

    /// Takes nothing more, and gives the worker `drain` for what is pending, unless it was given a
    /// time before.
    pub(super) fn close(&self, drain: Duration) {
        if self.drain_until.borrow().is_none() {
            self.close_within(drain);
        }
    }

    /// Takes nothing more, and gives the worker `drain` for what is pending, whatever it was given
    /// before.
    pub(super) fn close_within(&self, drain: Duration) {
        self.lock().closed = true;
        self.drain_until.send_replace(Some(after(drain)));
        self.work.notify_one();
        // There will be no room: whoever waits for it is told so.
        self.room.notify_one();
    }

    /// Until when the worker may drain; `None` while the notifier is open.
    pub(super) fn drain_until(&self) -> watch::Receiver<Option<Instant>> {
        self.drain_until.subscribe()
    }

    /// Waits until the worker has ended.
    pub(super) async fn ended(&self) {
        // The sender is in `self`, so that this cannot fail.
        drop(self.ended.subscribe().wait_for(|ended| *ended).await);
    }

    /// Waits until everything that was queued before is decided.
    pub(super) async fn flushed(&self) {
        let target = self.lock().next;
        Receipt::note_wait();
        loop {
            let progress = self.progress.notified();
            if self.lock().oldest().is_none_or(|(number, _)| number >= target) {
                return;
            }
            progress.await;
        }
    }

    pub(super) fn stats(&self, suppressed: u64) -> Stats {
        let inner = self.lock();
        let account = &inner.account;
        Stats {
            emitted: account.emitted,
            delivered: account.delivered,
            refused: account.refused,
            dropped: account.dropped,
            pending: Pending {
                messages: (inner.queued.len() + inner.in_flight) as u64,
                bytes: (inner.queued.bytes() + inner.in_flight_bytes) as u64,
            },
            retried: account.retried,
            suppressed,
            oldest_pending: inner.oldest().map(|(_, since)| since.elapsed()),
            last_delivery: account.last_delivery,
            state: account.state.clone(),
        }
    }
}

impl Inner {
    fn has_room(&self, config: &QueueConfig, bytes: usize) -> bool {
        self.queued.len() + self.in_flight < config.max_messages
            && self.queued.bytes() + self.in_flight_bytes + bytes <= config.max_bytes
    }

    /// Moves messages to `flight`, up to the size of a batch; says whether there may be more to move.
    /// Those that are not taken as a block few at a time: while they are moved nobody can emit.
    pub(super) fn fill(&mut self, flight: &mut MessageBlock, config: &QueueConfig) -> bool {
        let before = (flight.len(), flight.bytes);
        let mut more = false;
        if flight.is_empty() {
            self.queued.take(flight);
        }
        for moved in 0.. {
            if !self.queued.first().is_some_and(|first| flight.has_room(first, config)) {
                break;
            }
            if moved == MOVED_AT_ONCE {
                more = true;
                break;
            }
            let Some((message, ticket)) = self.queued.pop() else { break };
            flight.push(message, ticket);
        }
        self.in_flight += flight.len() - before.0;
        self.in_flight_bytes += flight.bytes - before.1;
        self.first_in_flight = flight.first();
        more
    }

    /// Number and age of the oldest pending message.
    fn oldest(&self) -> Option<(u64, Instant)> {
        self.first_in_flight
            .filter(|_| self.in_flight > 0)
            .or_else(|| self.queued.first().map(Ticket::place))
    }
}

/// Somebody wants what a flag says, until this is dropped.
struct RoomRequest<'a>(&'a AtomicBool);

impl<'a> RoomRequest<'a> {
    fn by(flag: &'a AtomicBool) -> Self {
        flag.store(true, Ordering::Relaxed);
        Self(flag)
    }
}

impl Drop for RoomRequest<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// What is moved in some microseconds.
const MOVED_AT_ONCE: usize = 64;
