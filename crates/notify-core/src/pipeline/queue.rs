//! The bounded queue between emitters and the worker, and the account of all that passes it.
//!
//! One mutex guards both, so that the account holds at every moment. Nothing is awaited, logged or
//! woken while it is held.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use super::receipt::Receipt;
use super::stats::{Dropped, Pending, State, Stats};
use super::streak::{Report, Streak};
use crate::{Error, ErrorKind, Message, Result, Settlements, Verdict};

/// The bounds of the queue and of the batches taken from it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueConfig {
    /// Messages pending at most, those in flight included. Default 10 000.
    pub max_messages: usize,
    /// Memory that they take at most, in bytes: their bodies, and 256 bytes of bookkeeping for each.
    /// Default 64 MiB.
    pub max_bytes: usize,
    /// Which message goes when there is no room. Default the newest.
    pub overflow: Overflow,
    /// After how long a message that is not delivered is given up. Default never.
    pub max_age: Option<Duration>,
    /// Messages in one batch at most. Default 1 024.
    pub batch_messages: usize,
    /// Bytes in one batch at most, counted as for `max_bytes`; one message always goes. Default
    /// 8 MiB.
    pub batch_bytes: usize,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            max_messages: 10_000,
            max_bytes: 64 * 1024 * 1024,
            overflow: Overflow::default(),
            max_age: None,
            batch_messages: 1024,
            batch_bytes: 8 * 1024 * 1024,
        }
    }
}

/// Which message is dropped when `emit` finds no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// The one that is being emitted.
    #[default]
    DropNewest,
    /// The oldest that is queued. One that is in flight is never dropped.
    DropOldest,
}

/// What a message is taken to need besides its body, in bytes: its place in the queue, its receipt,
/// and what the allocator adds to both.
pub(super) const BOOKKEEPING: usize = 256;

#[derive(Debug)]
pub(super) struct Queue {
    config: QueueConfig,
    inner: Mutex<Inner>,
    /// The worker waits here for something to do.
    work: Notify,
    /// `enqueue` waits here for room. Who finds room and leaves some wakes the next.
    room: Notify,
    /// `flush` waits here.
    progress: Notify,
    /// Until when the worker may drain, once the notifier is closed.
    drain_until: watch::Sender<Option<Instant>>,
    /// Whether the worker has ended.
    ended: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Inner {
    queued: VecDeque<Entry>,
    queued_bytes: usize,
    in_flight: usize,
    in_flight_bytes: usize,
    /// The first message in flight, as of the last time the flight changed.
    first_in_flight: Option<(u64, Instant)>,
    /// The number that the next message gets.
    next: u64,
    closed: bool,
    worker_waits: bool,
    account: Account,
    drops: Streak,
    refusals: Streak,
}

#[derive(Debug, Default)]
struct Account {
    emitted: u64,
    delivered: u64,
    refused: u64,
    dropped: Dropped,
    retried: u64,
    last_delivery: Option<OffsetDateTime>,
    state: State,
}

#[derive(Debug)]
struct Entry {
    message: Message,
    ticket: Ticket,
}

/// What the pipeline knows of one message besides its content.
#[derive(Debug)]
pub(super) struct Ticket {
    receipt: Option<oneshot::Sender<Result<()>>>,
    number: u64,
    since: Instant,
    bytes: usize,
    /// Whether some attempt left open if the destination took it.
    pub(super) unknown: bool,
    /// Why the destination did not take it in the current attempt.
    pub(super) retry: Option<Error>,
}

impl Ticket {
    pub(super) fn is_settled(&self) -> bool {
        self.receipt.is_none()
    }
}

/// The messages the worker has taken and not yet settled, in the order they were emitted in.
#[derive(Debug, Default)]
pub(super) struct Flight {
    pub(super) messages: Vec<Message>,
    pub(super) tickets: Vec<Ticket>,
}

impl Flight {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Keeps what `keep` says, in order.
    fn retain(&mut self, mut keep: impl FnMut(&Ticket) -> bool) {
        let mut tickets = self.tickets.iter();
        self.messages.retain(|_| tickets.next().is_some_and(&mut keep));
        self.tickets.retain(keep);
    }
}

/// Why pending messages are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Overflow,
    Age,
    Closed,
    Abandoned,
}

impl Queue {
    pub(super) fn new(config: QueueConfig) -> Self {
        Self {
            config,
            inner: Mutex::default(),
            work: Notify::new(),
            room: Notify::new(),
            progress: Notify::new(),
            drain_until: watch::Sender::new(None),
            ended: watch::Sender::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What emitters do.

    /// Queues a message, or drops one by policy.
    pub(super) fn push(&self, message: Message) -> Receipt {
        let message = match self.try_push(message) {
            Ok(receipt) => return receipt,
            Err(message) => message,
        };
        if self.config.overflow == Overflow::DropNewest {
            return self.drop_unqueued(&message, Reason::Overflow);
        }
        let mut dropped = Vec::new();
        let mut inner = self.lock();
        while !inner.closed && !inner.has_room(&self.config, weight(&message)) {
            let Some(oldest) = inner.queued.pop_front() else { break };
            inner.queued_bytes -= oldest.ticket.bytes;
            dropped.push(oldest);
        }
        let report = inner.count_drops(dropped.len(), Reason::Overflow);
        drop(inner);
        tell_drops(report, Reason::Overflow);
        for entry in &mut dropped {
            resolve(&mut entry.ticket, Err(self.drop_error(Reason::Overflow)));
        }
        // Another emitter may have taken the room; then this is the newest, and the one to go.
        self.try_push(message)
            .unwrap_or_else(|message| self.drop_unqueued(&message, Reason::Overflow))
    }

    /// Queues a message as soon as there is room, or drops it after `timeout`.
    pub(super) async fn push_when_room(&self, message: Message, timeout: Duration) -> Receipt {
        let mut message = match self.try_push(message) {
            Ok(receipt) => return receipt,
            Err(message) => message,
        };
        let deadline = Instant::now() + timeout;
        loop {
            let room = self.room.notified();
            message = match self.try_push(message) {
                Ok(receipt) => return receipt,
                Err(message) => message,
            };
            if tokio::time::timeout_at(deadline, room).await.is_err() {
                return self.drop_unqueued(&message, Reason::Overflow);
            }
        }
    }

    /// Counts a notification that could not be encoded.
    pub(super) fn refuse_unencoded(&self, error: Error) -> Receipt {
        let mut inner = self.lock();
        inner.account.emitted += 1;
        inner.account.refused += 1;
        let report = inner.refusals.add(1, Instant::now());
        drop(inner);
        tell_refusals(report, Some(&error));
        Receipt::decided(None, Err(error))
    }

    /// Gives the message back when there is no room.
    fn try_push(&self, message: Message) -> Result<Receipt, Message> {
        let bytes = weight(&message);
        let mut inner = self.lock();
        if inner.closed {
            drop(inner);
            return Ok(self.drop_unqueued(&message, Reason::Closed));
        }
        if !inner.has_room(&self.config, bytes) {
            return Err(message);
        }
        let (sender, outcome) = oneshot::channel();
        let receipt = Receipt::waiting(message.id(), outcome);
        let ticket = Ticket {
            receipt: Some(sender),
            number: inner.next,
            since: Instant::now(),
            bytes,
            unknown: false,
            retry: None,
        };
        inner.next += 1;
        inner.account.emitted += 1;
        inner.queued_bytes += bytes;
        inner.queued.push_back(Entry { message, ticket });
        let wake_worker = std::mem::take(&mut inner.worker_waits);
        let room_left = inner.has_room(&self.config, bytes);
        drop(inner);
        if wake_worker {
            self.work.notify_one();
        }
        if room_left {
            self.room.notify_one();
        }
        Ok(receipt)
    }

    fn drop_unqueued(&self, message: &Message, reason: Reason) -> Receipt {
        let mut inner = self.lock();
        inner.account.emitted += 1;
        let report = inner.count_drops(1, reason);
        drop(inner);
        tell_drops(report, reason);
        Receipt::decided(Some(message.id()), Err(self.drop_error(reason)))
    }

    fn drop_error(&self, reason: Reason) -> Error {
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

    // What the worker does.

    /// Tops `flight` up from the queue, waiting until there is something in it.
    ///
    /// `false` says that nothing is left and nothing will come.
    pub(super) async fn fill(&self, flight: &mut Flight) -> bool {
        loop {
            let (filled, closed, tick) = {
                let mut inner = self.lock();
                inner.account.retried += flight.tickets.len() as u64;
                inner.fill(flight, &self.config);
                let filled = !flight.is_empty();
                inner.worker_waits = !filled;
                if !filled {
                    inner.account.state = State::Idle;
                }
                (filled, inner.closed, inner.next_tick())
            };
            self.tell_streaks();
            if filled {
                self.expire(flight);
                if flight.is_empty() {
                    continue;
                }
                return true;
            }
            if closed {
                return false;
            }
            let work = self.work.notified();
            match tick {
                None => work.await,
                // Time passes also where nothing happens.
                Some(tick) => drop(tokio::time::timeout_at(tick, work).await),
            }
        }
    }

    /// Takes verdicts on the messages of a flight, and resolves their receipts.
    pub(super) fn settle(&self, tickets: &mut [Ticket], settlements: Settlements<'_>) {
        let mut refusal = None;
        let mut decided = Vec::new();
        let mut inner = self.lock();
        let (delivered, refused) = (inner.account.delivered, inner.account.refused);
        for (index, verdict) in settlements {
            let ticket = &mut tickets[index];
            let result = match verdict {
                Verdict::Accept => {
                    inner.account.delivered += 1;
                    Ok(())
                }
                Verdict::Refuse(error) => {
                    inner.account.refused += 1;
                    let error = error.with_outcome(crate::Outcome::Rejected);
                    refusal = Some(error.clone());
                    Err(error)
                }
                Verdict::Retry(error) => {
                    ticket.retry = Some(error);
                    continue;
                }
            };
            inner.in_flight -= 1;
            inner.in_flight_bytes -= ticket.bytes;
            decided.push((ticket.receipt.take(), result));
        }
        if inner.account.delivered > delivered {
            inner.account.last_delivery = Some(OffsetDateTime::now_utc());
        }
        let refused = inner.account.refused - refused;
        let report = inner.refusals.add(refused, Instant::now());
        drop(inner);
        tell_refusals(report, refusal.as_ref());
        for (receipt, result) in decided {
            // Nobody may be waiting any more.
            drop(receipt.map(|receipt| receipt.send(result)));
        }
        self.room.notify_one();
        self.progress.notify_waiters();
    }

    /// Takes what is settled out of the flight.
    pub(super) fn keep_unsettled(&self, flight: &mut Flight) {
        flight.retain(|ticket| !ticket.is_settled());
        let mut inner = self.lock();
        inner.first_in_flight = flight.tickets.first().map(|first| (first.number, first.since));
        drop(inner);
        self.progress.notify_waiters();
    }

    pub(super) fn set_state(&self, state: State) {
        self.lock().account.state = state;
    }

    /// Since when attempts have been failing, and whether the last did so permanently.
    pub(super) fn failing(&self) -> Option<(OffsetDateTime, bool)> {
        match self.lock().account.state {
            State::Retrying { since, permanent, .. } => Some((since, permanent)),
            _ => None,
        }
    }

    /// Drops what has waited for longer than it may.
    fn expire(&self, flight: &mut Flight) {
        let Some(max_age) = self.config.max_age else { return };
        let now = Instant::now();
        let is_old = |ticket: &Ticket| now.duration_since(ticket.since) > max_age;
        if flight.tickets.first().is_some_and(is_old) {
            self.give_up(flight, Reason::Age, is_old);
        }
    }

    /// Gives up everything that is pending and ends the queue.
    pub(super) fn end(&self, flight: &mut Flight) {
        let mut given_up = self.give_up(flight, Reason::Abandoned, |_| true);
        loop {
            let mut inner = self.lock();
            inner.closed = true;
            inner.fill(flight, &self.config);
            let left = !flight.is_empty();
            drop(inner);
            given_up += self.give_up(flight, Reason::Abandoned, |_| true);
            if !left {
                break;
            }
        }
        let mut inner = self.lock();
        inner.account.state = State::Closed;
        let reports = (inner.drops.end(), inner.refusals.end());
        drop(inner);
        tell_drops(reports.0, Reason::Closed);
        tell_refusals(reports.1, None);
        if given_up > 0 {
            tracing::warn!("{given_up} notifications were not delivered before the end");
        }
        self.ended.send_replace(true);
        self.room.notify_waiters();
        self.progress.notify_waiters();
    }

    fn give_up(&self, flight: &mut Flight, reason: Reason, which: impl Fn(&Ticket) -> bool) -> u64 {
        let mut given_up = Vec::new();
        let mut inner = self.lock();
        for ticket in flight.tickets.iter_mut().filter(|ticket| !ticket.is_settled()) {
            if which(ticket) {
                inner.in_flight -= 1;
                inner.in_flight_bytes -= ticket.bytes;
                given_up.push((ticket.receipt.take(), ticket.unknown));
            }
        }
        let report = inner.count_drops(given_up.len(), reason);
        flight.retain(|ticket| !ticket.is_settled());
        inner.first_in_flight = flight.tickets.first().map(|first| (first.number, first.since));
        drop(inner);
        if reason != Reason::Abandoned {
            tell_drops(report, reason);
        }
        let count = given_up.len() as u64;
        for (receipt, unknown) in given_up {
            let mut error = self.drop_error(reason);
            if unknown {
                error = error.with_outcome(crate::Outcome::Unknown);
            }
            drop(receipt.map(|receipt| receipt.send(Err(error))));
        }
        self.room.notify_one();
        self.progress.notify_waiters();
        count
    }

    fn tell_streaks(&self) {
        let mut inner = self.lock();
        let now = Instant::now();
        let (drops, refusals) = (inner.drops.tick(now), inner.refusals.tick(now));
        drop(inner);
        tell_drops(drops, Reason::Overflow);
        tell_refusals(refusals, None);
    }

    // Closing, and looking.

    /// Takes nothing more, and gives the worker `drain` for what is pending.
    pub(super) fn close(&self, drain: Duration) {
        self.lock().closed = true;
        self.drain_until.send_replace(Some(Instant::now() + drain));
        self.work.notify_one();
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
        loop {
            let progress = self.progress.notified();
            if self.lock().is_decided_below(target) {
                return;
            }
            progress.await;
        }
    }

    pub(super) fn stats(&self, suppressed: u64) -> Stats {
        let inner = self.lock();
        let Account { emitted, delivered, refused, dropped, retried, last_delivery, ref state } =
            inner.account;
        Stats {
            emitted,
            delivered,
            refused,
            dropped,
            pending: Pending {
                messages: (inner.queued.len() + inner.in_flight) as u64,
                bytes: (inner.queued_bytes + inner.in_flight_bytes) as u64,
            },
            retried,
            suppressed,
            oldest_pending: inner.oldest().map(|(_, since)| since.elapsed()),
            last_delivery,
            state: state.clone(),
        }
    }
}

impl Inner {
    fn has_room(&self, config: &QueueConfig, bytes: usize) -> bool {
        self.queued.len() + self.in_flight < config.max_messages
            && self.queued_bytes + self.in_flight_bytes + bytes <= config.max_bytes
    }

    fn fill(&mut self, flight: &mut Flight, config: &QueueConfig) {
        let mut bytes: usize = flight.tickets.iter().map(|ticket| ticket.bytes).sum();
        while let Some(entry) = self.queued.front() {
            let full = flight.messages.len() >= config.batch_messages
                || bytes + entry.ticket.bytes > config.batch_bytes;
            if full && !flight.is_empty() {
                break;
            }
            let Some(Entry { message, ticket }) = self.queued.pop_front() else { break };
            bytes += ticket.bytes;
            self.queued_bytes -= ticket.bytes;
            self.in_flight_bytes += ticket.bytes;
            self.in_flight += 1;
            flight.messages.push(message);
            flight.tickets.push(ticket);
        }
        self.first_in_flight = flight.tickets.first().map(|first| (first.number, first.since));
        // A queue that was full once must not keep its memory for ever.
        if self.queued.is_empty() && self.queued.capacity() > 4 * config.batch_messages {
            self.queued.shrink_to(config.batch_messages);
        }
    }

    fn count_drops(&mut self, count: usize, reason: Reason) -> Option<Report> {
        let count = count as u64;
        let Dropped { overflow, age, closed, abandoned } = &mut self.account.dropped;
        *match reason {
            Reason::Overflow => overflow,
            Reason::Age => age,
            Reason::Closed => closed,
            Reason::Abandoned => abandoned,
        } += count;
        if reason == Reason::Abandoned { None } else { self.drops.add(count, Instant::now()) }
    }

    /// The oldest pending message.
    fn oldest(&self) -> Option<(u64, Instant)> {
        let first_queued =
            || self.queued.front().map(|entry| (entry.ticket.number, entry.ticket.since));
        self.first_in_flight.filter(|_| self.in_flight > 0).or_else(first_queued)
    }

    fn is_decided_below(&self, target: u64) -> bool {
        self.oldest().is_none_or(|(number, _)| number >= target)
    }

    fn next_tick(&self) -> Option<Instant> {
        [self.drops.next_tick(), self.refusals.next_tick()].into_iter().flatten().min()
    }
}

fn weight(message: &Message) -> usize {
    message.body().len() + BOOKKEEPING
}

fn resolve(ticket: &mut Ticket, result: Result<()>) {
    drop(ticket.receipt.take().map(|receipt| receipt.send(result)));
}

fn tell_drops(report: Option<Report>, reason: Reason) {
    match report {
        None => {}
        Some(Report::Started) => match reason {
            Reason::Age => tracing::warn!("notifications older than `queue.max_age` are dropped"),
            Reason::Closed => tracing::warn!("notifications emitted after the end are dropped"),
            _ => tracing::warn!("notifications are dropped: the queue is full"),
        },
        Some(Report::Going { count }) => {
            tracing::warn!("notifications are still dropped: {count} so far");
        }
        Some(Report::Ended { count }) => {
            tracing::warn!("notifications are no longer dropped: {count} were");
        }
    }
}

fn tell_refusals(report: Option<Report>, error: Option<&Error>) {
    match (report, error) {
        (None, _) => {}
        (Some(Report::Started), Some(error)) => {
            tracing::warn!("notifications are refused: {error:#}");
        }
        (Some(Report::Started), None) => tracing::warn!("notifications are refused"),
        (Some(Report::Going { count }), _) => {
            tracing::warn!("notifications are still refused: {count} so far");
        }
        (Some(Report::Ended { count }), _) => {
            tracing::warn!("notifications are no longer refused: {count} were");
        }
    }
}
