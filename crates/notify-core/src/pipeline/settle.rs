//! The worker's side of the queue: taking batches, settling messages, dropping them.

use time::OffsetDateTime;
use tokio::time::Instant;

use super::account::DropReason;
use super::block::{MessageBlock, MessageRecord};
use super::linger_state::WakeThreshold;
use super::queue::Queue;
use super::stats::WorkerState;
use crate::error::Outcome;
use crate::transport::{Settlements, Verdict};

impl Queue {
    /// Fills `batch` from the queue, and waits until it holds a message.
    ///
    /// Returns `false` when the queue is closed and empty.
    pub(super) async fn fill(&self, batch: &mut MessageBlock) -> bool {
        loop {
            // Drop expired messages first, so that they do not count as retried.
            self.drop_expired(batch);
            if batch.is_empty() {
                self.linger().await;
            }
            let (closed, next_report) = self.fill_now(batch);
            if !batch.is_empty() {
                self.drop_expired(batch);
                if batch.is_empty() {
                    continue;
                }
                return true;
            }
            if closed {
                return false;
            }
            let work = self.work.notified();
            match next_report {
                None => work.await,
                // A report may be due before the next message comes.
                Some(time) => drop(tokio::time::timeout_at(time, work).await),
            }
        }
    }

    /// Fills `batch` without waiting; returns whether the queue is closed, and the time of the next
    /// report.
    fn fill_now(&self, batch: &mut MessageBlock) -> (bool, Option<Instant>) {
        let mut state = self.lock();
        state.account.retried += batch.len() as u64;
        while state.fill(batch, &self.config) {
            drop(state);
            state = self.lock();
        }
        if batch.is_empty() {
            state.wake_threshold = WakeThreshold::OneMessage;
            state.account.state = WorkerState::Idle;
        } else {
            state.wake_threshold = WakeThreshold::Never;
            state.stream.note_batch();
        }
        let report = state.account.due_report();
        let (closed, next_report) = (state.closed, state.account.next_report());
        drop(state);
        report.log();
        (closed, next_report)
    }

    /// Passes the verdicts of an attempt on to the account and to the receipts.
    pub(super) fn settle(&self, records: &mut [MessageRecord], settlements: Settlements<'_>) {
        let (mut delivered, mut refused, mut refusal) = (0, 0, None);
        let mut bytes = 0;
        let mut decided = Vec::new();
        for (index, verdict) in settlements {
            let record = &mut records[index];
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
                    record.retry = Some(error);
                    continue;
                }
            };
            bytes += record.bytes;
            // Most callers drop their receipts, so collect only those that are still there.
            let receipt = record.receipt.take().filter(|receipt| !receipt.is_closed());
            decided.extend(receipt.map(|receipt| (receipt, result)));
        }
        let mut state = self.lock();
        state.in_flight -= usize::try_from(delivered + refused).unwrap_or(usize::MAX);
        state.in_flight_bytes -= bytes;
        state.account.deliver(delivered);
        let report = state.account.refuse(refused, refusal.as_ref());
        drop(state);
        report.log();
        for (receipt, result) in decided {
            // The caller may have dropped the receipt meanwhile.
            drop(receipt.send(result));
        }
        // An attempt that settled nothing made no room, so there is no caller to wake.
        if delivered + refused > 0 {
            self.notify_progress();
        }
    }

    /// Removes the settled messages from the batch.
    pub(super) fn keep_unsettled(&self, batch: &mut MessageBlock) {
        batch.keep_unsettled();
        self.lock().first_in_flight = batch.first();
        self.progress.notify_waiters();
    }

    /// Closes the queue for good and drops everything that is pending.
    ///
    /// Logs the number of dropped messages, unless a [durable
    /// source](super::NotifierBuilder::durable_source) still has them.
    pub(super) fn end(&self, batch: &mut MessageBlock) {
        self.lock().closed = true;
        let mut dropped = 0;
        loop {
            dropped += self.drop_where(batch, DropReason::Abandoned, |_| true);
            while self.lock().fill(batch, &self.config) {}
            if batch.is_empty() {
                break;
            }
        }
        let mut state = self.lock();
        state.account.state = WorkerState::Closed;
        let report = state.account.final_report();
        drop(state);
        report.log();
        if dropped > 0 && !self.durable_source {
            tracing::warn!(
                "{dropped} notifications were not delivered before the worker ended: fix the last \
                 error or raise `queue.drain_timeout`"
            );
        }
        self.notify_progress();
    }

    /// Sets the worker's state in the account.
    pub(super) fn set_state(&self, state: WorkerState) {
        self.lock().account.state = state;
    }

    /// Returns the time of the first failure, and whether the last one was permanent.
    ///
    /// `None` while attempts succeed.
    pub(super) fn failing(&self) -> Option<(OffsetDateTime, bool)> {
        match self.lock().account.state {
            WorkerState::Retrying { since, permanent, .. } => Some((since, permanent)),
            _ => None,
        }
    }

    /// Drops the messages of the batch that are older than `queue.max_age`.
    fn drop_expired(&self, batch: &mut MessageBlock) {
        let Some(max_age) = self.config.max_age else { return };
        let is_expired = |record: &MessageRecord| record.since.elapsed() > max_age;
        if batch.records.front().is_some_and(is_expired) {
            self.drop_where(batch, DropReason::Age, is_expired);
        }
    }

    /// Drops the unsettled messages of the batch that satisfy a condition; returns their number.
    fn drop_where(
        &self,
        batch: &mut MessageBlock,
        reason: DropReason,
        condition: impl Fn(&MessageRecord) -> bool,
    ) -> u64 {
        let mut dropped = Vec::new();
        let mut state = self.lock();
        for record in batch.records.iter_mut().filter(|record| !record.is_settled()) {
            if condition(record) {
                state.in_flight -= 1;
                state.in_flight_bytes -= record.bytes;
                dropped.push((record.receipt.take(), record.unknown));
            }
        }
        let count = dropped.len() as u64;
        let report = state.account.drop_messages(count, reason);
        batch.keep_unsettled();
        state.first_in_flight = batch.first();
        drop(state);
        report.log();
        for (receipt, unknown) in dropped {
            let error = reason.error(&self.config);
            let error = if unknown { error.with_outcome(Outcome::Unknown) } else { error };
            drop(receipt.map(|receipt| receipt.send(Err(error))));
        }
        if count > 0 {
            self.notify_progress();
        }
        count
    }

    /// Wakes the callers that wait for room or for a flush.
    fn notify_progress(&self) {
        self.room.notify_one();
        self.progress.notify_waiters();
    }
}
