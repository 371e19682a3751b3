//! What the worker does with the queue: takes batches, passes on verdicts, gives up.

use time::OffsetDateTime;
use tokio::time::Instant;

use super::account::Reason;
use super::block::{MessageBlock, Ticket};
use super::linger::WakeCondition;
use super::queue::Queue;
use super::stats::WorkerState;
use crate::error::Outcome;
use crate::transport::{Settlements, Verdict};

impl Queue {
    /// Tops `flight` up from the queue, waiting until there is something in it.
    ///
    /// `false` says that nothing is left and nothing will come.
    pub(super) async fn fill(&self, flight: &mut MessageBlock) -> bool {
        loop {
            // What is too old is not sent again, nor counted as if it were.
            self.expire(flight);
            if flight.is_empty() {
                self.gather().await;
            }
            let (closed, next_news) = self.top_up(flight);
            if !flight.is_empty() {
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
            match next_news {
                None => work.await,
                // There may be something to say before there is something to do.
                Some(next) => drop(tokio::time::timeout_at(next, work).await),
            }
        }
    }

    /// Tops `flight` up; returns whether the queue is closed, and when there will be news.
    fn top_up(&self, flight: &mut MessageBlock) -> (bool, Option<Instant>) {
        let mut inner = self.lock();
        inner.account.retried += flight.len() as u64;
        while inner.fill(flight, &self.config) {
            drop(inner);
            inner = self.lock();
        }
        if flight.is_empty() {
            inner.awaiting = WakeCondition::Work;
            inner.account.state = WorkerState::Idle;
        } else {
            inner.awaiting = WakeCondition::Nothing;
            inner.stream.goes_on();
        }
        let news = inner.account.news();
        let (closed, next_news) = (inner.closed, inner.account.next_news());
        drop(inner);
        news.tell();
        (closed, next_news)
    }

    /// Passes verdicts on the messages of a flight to the account and to their receipts.
    pub(super) fn settle(&self, tickets: &mut [Ticket], settlements: Settlements<'_>) {
        let (mut delivered, mut refused, mut refusal) = (0, 0, None);
        let mut bytes = 0;
        let mut decided = Vec::new();
        for (index, verdict) in settlements {
            let ticket = &mut tickets[index];
            let result = match verdict {
                Verdict::Accept => {
                    delivered += 1;
                    Ok(())
                }
                Verdict::Refuse(error) => {
                    refused += 1;
                    let error = error.with_outcome(Outcome::Rejected);
                    refusal = Some(error.clone());
                    Err(error)
                }
                Verdict::Retry(error) => {
                    ticket.retry = Some(error);
                    continue;
                }
            };
            bytes += ticket.bytes;
            // Mostly, nobody wants to know.
            let receipt = ticket.receipt.take().filter(|receipt| !receipt.is_closed());
            decided.extend(receipt.map(|receipt| (receipt, result)));
        }
        let mut inner = self.lock();
        inner.in_flight -= usize::try_from(delivered + refused).unwrap_or(usize::MAX);
        inner.in_flight_bytes -= bytes;
        inner.account.deliver(delivered);
        let news = inner.account.refuse(refused, refusal.as_ref());
        drop(inner);
        news.tell();
        // Whoever was woken without need would lose the place in the line of those who wait for room.
        let progress = delivered + refused > 0;
        for (receipt, result) in decided {
            // Nobody may be waiting any more.
            drop(receipt.send(result));
        }
        if progress {
            self.made_progress();
        }
    }

    /// Takes what is settled out of the flight.
    pub(super) fn keep_unsettled(&self, flight: &mut MessageBlock) {
        flight.keep_unsettled();
        self.lock().first_in_flight = flight.first();
        self.progress.notify_waiters();
    }

    /// Gives up everything that is pending and ends the queue. Warns of it, unless it is kept
    /// elsewhere.
    pub(super) fn end(&self, flight: &mut MessageBlock) {
        self.lock().closed = true;
        let mut given_up = 0;
        loop {
            given_up += self.give_up(flight, Reason::Abandoned, |_| true);
            while self.lock().fill(flight, &self.config) {}
            if flight.is_empty() {
                break;
            }
        }
        let mut inner = self.lock();
        inner.account.state = WorkerState::Closed;
        let news = inner.account.last_news();
        drop(inner);
        news.tell();
        if given_up > 0 && !self.source_keeps {
            tracing::warn!("{given_up} notifications were not delivered before the end");
        }
        self.made_progress();
    }

    pub(super) fn set_state(&self, state: WorkerState) {
        self.lock().account.state = state;
    }

    /// Since when attempts have been failing, and whether the last did so permanently.
    pub(super) fn failing(&self) -> Option<(OffsetDateTime, bool)> {
        match self.lock().account.state {
            WorkerState::Retrying { since, permanent, .. } => Some((since, permanent)),
            _ => None,
        }
    }

    /// Drops what has waited for longer than it may.
    fn expire(&self, flight: &mut MessageBlock) {
        let Some(max_age) = self.config.max_age else { return };
        let is_old = |ticket: &Ticket| ticket.since.elapsed() > max_age;
        if flight.tickets.front().is_some_and(is_old) {
            self.give_up(flight, Reason::Age, is_old);
        }
    }

    fn give_up(
        &self,
        flight: &mut MessageBlock,
        reason: Reason,
        which: impl Fn(&Ticket) -> bool,
    ) -> u64 {
        let mut given_up = Vec::new();
        let mut inner = self.lock();
        for ticket in flight.tickets.iter_mut().filter(|ticket| !ticket.is_settled()) {
            if which(ticket) {
                inner.in_flight -= 1;
                inner.in_flight_bytes -= ticket.bytes;
                given_up.push((ticket.receipt.take(), ticket.unknown));
            }
        }
        let count = given_up.len() as u64;
        let news = inner.account.drop_messages(count, reason);
        flight.keep_unsettled();
        inner.first_in_flight = flight.first();
        drop(inner);
        news.tell();
        for (receipt, unknown) in given_up {
            let error = self.drop_error(reason);
            let error = if unknown { error.with_outcome(Outcome::Unknown) } else { error };
            drop(receipt.map(|receipt| receipt.send(Err(error))));
        }
        if count > 0 {
            self.made_progress();
        }
        count
    }

    fn made_progress(&self) {
        self.room.notify_one();
        self.progress.notify_waiters();
    }
}
