//! The worker's side of the queue: filling batches, settling messages, dropping them.
//!
//! `conclude` decides about the messages that an attempt left without a final verdict.

use std::sync::MutexGuard;

use tokio::time::Instant;

use super::account::{DropReason, LossReport};
use super::block::{MessageBlock, MessageRecord};
use super::generations::SettledGenerations;
use super::lane_queues::LaneScope;
use super::linger_state::WakeThreshold;
use super::load::Load;
use super::queue::{Queue, QueueState, WorkerPhase};
use super::queue_config::QueueConfig;
use crate::error::Outcome;
use crate::transport::{Settlements, Verdict};

/// The reasons for a worker to look at the queue again.
struct NextLook {
    /// Whether no message will come any more.
    finished: bool,
    /// The time of the next report or of the next message that is due.
    time: Option<Instant>,
}

impl Queue {
    /// Fills `batch` from the lanes of a scope, and waits until it holds a message.
    ///
    /// Returns `false` when the queue is closed and the scope has no message that may be sent in time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes no message.
    pub(super) async fn fill(&self, batch: &mut MessageBlock, scope: LaneScope) -> bool {
        loop {
            self.drop_expired();
            if scope == LaneScope::Shared {
                self.linger().await;
            }
            let next = self.fill_now(batch, scope);
            if !batch.is_empty() {
                self.drop_expired_in(batch);
                if batch.is_empty() {
                    continue;
                }
                self.count_attempts(batch);
                return true;
            }
            if next.finished {
                return false;
            }
            let work = match scope {
                LaneScope::Shared => self.work.notified(),
                LaneScope::Isolated(lane) => self.lane_work[lane.index()].notified(),
            };
            match next.time {
                None => work.await,
                Some(time) => drop(tokio::time::timeout_at(time, work).await),
            }
        }
    }

    /// Fills `batch` without waiting.
    fn fill_now(&self, batch: &mut MessageBlock, scope: LaneScope) -> NextLook {
        let now = Instant::now();
        let mut state = self.lock();
        if state.closed && self.durable_source {
            return NextLook { finished: true, time: None };
        }
        state.pending.start_batch(scope);
        while state.fill(batch, scope, &self.config, now) {
            drop(state);
            state = self.lock();
        }
        if scope == LaneScope::Shared {
            if batch.is_empty() {
                state.wake_threshold = WakeThreshold::OneMessage;
            } else {
                state.wake_threshold = WakeThreshold::Never;
                state.stream.note_batch();
            }
        }
        let report = state.account.due_report();
        let due = state.pending.next_due(scope);
        let finished = state.closed && self.has_finished(&state, scope, due);
        let time = [state.account.next_report(), due].into_iter().flatten().min();
        drop(state);
        report.log(&self.log_prefix);
        NextLook { finished, time }
    }

    /// Returns whether a closed queue has no message left that a scope can send before the drain
    /// deadline.
    fn has_finished(&self, state: &QueueState, scope: LaneScope, due: Option<Instant>) -> bool {
        let is_empty = match scope {
            LaneScope::Shared => state.pending.load() + state.in_flight == Load::default(),
            LaneScope::Isolated(lane) => state.pending.lane(lane).load() == Load::default(),
        };
        // A permanent error needs an operator: do not spend the drain time on it.
        let end = *self.drain_until().borrow();
        let too_late = due.is_some_and(|due| end.is_some_and(|end| due >= end));
        is_empty || too_late && state.in_flight == Load::default() && state.is_failing_for_good()
    }

    /// Counts one more attempt of each message of a batch.
    fn count_attempts(&self, batch: &mut MessageBlock) {
        let mut retried = 0;
        for record in &mut batch.records {
            retried += u64::from(record.attempts > 0);
            record.attempts += 1;
        }
        if retried > 0 {
            self.lock().account.retried += retried;
        }
    }

    /// Passes the verdicts of an attempt on to the account and to the receipts.
    pub(super) fn settle(&self, records: &mut [MessageRecord], settlements: Settlements<'_>) {
        let (mut delivered, mut refused, mut refusal) = (0, 0, None);
        let mut settled = Load::default();
        let mut generations = SettledGenerations::default();
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
            settled += record.load();
            generations.add(record.generation);
            // Most callers drop their receipts, so collect only those that are still there.
            let receipt = record.receipt.take().filter(|receipt| !receipt.is_abandoned());
            decided.extend(receipt.map(|receipt| (receipt, result)));
        }
        let mut state = self.lock();
        state.in_flight -= settled;
        generations.remove_from(&mut state.generations);
        state.pending.settled += delivered + refused;
        state.account.deliver(delivered);
        let report = state.account.refuse(refused, refusal.as_ref());
        drop(state);
        report.log(&self.log_prefix);
        for (receipt, result) in decided {
            receipt.send(result);
        }
        // Without a settled message there is no new room before the attempt ends.
        if delivered + refused > 0 {
            self.notify_progress();
        }
    }

    /// Notes that the worker runs.
    pub(super) fn start(&self) {
        self.lock().phase = WorkerPhase::Running;
    }

    /// Closes the queue for good and drops everything that is pending, but for other batches in flight.
    ///
    /// Logs the number of dropped messages, unless a [durable
    /// source](super::NotifierBuilder::durable_source) still has them.
    pub(super) fn end(&self) {
        let mut dropped = 0;
        loop {
            let mut block = MessageBlock::default();
            let mut state = self.lock();
            state.closed = true;
            state.pending.take_any(&mut block);
            if block.is_empty() {
                break;
            }
            dropped += block.len();
            self.drop_taken(state, block, DropReason::Abandoned);
        }
        let mut state = self.lock();
        state.phase = WorkerPhase::Ended;
        let report = state.account.final_report();
        drop(state);
        report.log(&self.log_prefix);
        self.log_abandoned(dropped);
        self.notify_progress();
    }

    /// Drops the messages of a batch in flight, because its worker ends.
    pub(super) fn abandon(&self, batch: &mut MessageBlock) {
        batch.keep_unsettled();
        if !batch.is_empty() {
            self.log_abandoned(batch.len());
            let mut state = self.lock();
            state.in_flight -= batch.load();
            self.drop_taken(state, std::mem::take(batch), DropReason::Abandoned);
        }
    }

    /// Logs the number of messages that the end of the worker drops.
    fn log_abandoned(&self, dropped: usize) {
        if dropped > 0 && !self.durable_source {
            tracing::warn!(
                "{}{dropped} notifications were not delivered before the worker ended: fix the last \
                 error or raise `queue.drain_timeout`",
                self.log_prefix
            );
        }
    }

    /// Drops the messages of all lanes that are older than `queue.max_age`.
    fn drop_expired(&self) {
        let Some(max_age) = self.config.max_age else { return };
        let Some(time) = Instant::now().checked_sub(max_age) else { return };
        loop {
            let mut expired = MessageBlock::default();
            let mut state = self.lock();
            state.pending.take_expired(&mut expired, time);
            if expired.is_empty() {
                return;
            }
            self.drop_taken(state, expired, DropReason::Age);
        }
    }

    /// Drops the messages of a batch that are older than `queue.max_age`.
    fn drop_expired_in(&self, batch: &mut MessageBlock) {
        let Some(max_age) = self.config.max_age else { return };
        let is_expired = |record: &MessageRecord| record.since.elapsed() > max_age;
        if !batch.records.iter().any(is_expired) {
            return;
        }
        let mut expired = MessageBlock::default();
        for (message, record) in std::mem::take(batch).drain() {
            if is_expired(&record) { &mut expired } else { &mut *batch }.push(message, record);
        }
        let now = Instant::now();
        let mut state = self.lock();
        state.in_flight -= expired.load();
        // No attempt ends for a probe that is not sent.
        for record in &expired.records {
            state.pending.cancel_probe(record.lane, now);
        }
        self.drop_taken(state, expired, DropReason::Age);
    }

    /// Counts messages that left the queue as dropped, and settles them after the unlock.
    pub(super) fn drop_taken(
        &self,
        mut state: MutexGuard<'_, QueueState>,
        block: MessageBlock,
        reason: DropReason,
    ) {
        // A durable source still has its messages and sends them again: no loss to report.
        let counted = if self.durable_source { DropReason::Abandoned } else { reason };
        let report = state.count_drops(&block, counted);
        let cause = state.last_error();
        drop(state);
        report.log(&self.log_prefix);
        let mut error = self.drop_error(reason);
        if let Some(cause) = cause.filter(|_| reason == DropReason::Abandoned) {
            error = error.with_source(cause);
        }
        for record in block.records {
            let error = error.clone();
            let error = if record.unknown { error.with_outcome(Outcome::Unknown) } else { error };
            if let Some(receipt) = record.receipt {
                receipt.send(Err(error));
            }
        }
        self.notify_progress();
    }

    /// Wakes the callers that wait for room or for a flush.
    pub(super) fn notify_progress(&self) {
        self.room.notify();
        self.progress.notify_waiters();
    }
}

impl QueueState {
    /// Moves messages into `batch`; returns whether more may follow. See
    /// [`LaneQueues::fill`](super::lane_queues::LaneQueues::fill).
    fn fill(
        &mut self,
        batch: &mut MessageBlock,
        scope: LaneScope,
        config: &QueueConfig,
        now: Instant,
    ) -> bool {
        let before = batch.load();
        let more = self.pending.fill(batch, scope, config, now);
        self.in_flight += batch.load() - before;
        self.oldest_in_flight[scope.index()] = batch.records.front().map(|record| record.since);
        more
    }

    /// Counts messages that left the queue as dropped.
    #[must_use]
    fn count_drops(&mut self, block: &MessageBlock, reason: DropReason) -> LossReport {
        for record in &block.records {
            self.generations.remove(record.generation, 1);
        }
        self.account.drop_messages(block.len() as u64, reason)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::lane_queue::LanePhase;
    use super::super::random::RandomSource;
    use super::*;
    use crate::codec::message::Message;
    use crate::transport::lanes::{Lane, Lanes};

    /// A probe that is too old before it is sent leaves its lane to the next probe.
    #[tokio::test(start_paused = true)]
    async fn a_probe_that_expires_unsent_does_not_stop_its_lane() {
        let max_age = Some(Duration::from_secs(10));
        let config = QueueConfig { max_age, ..QueueConfig::default() };
        let (lanes, random) = (Lanes::by(["a", "b"], |_| 0).unwrap(), RandomSource::seeded(1));
        let queue = Queue::new(config, "", "test", lanes, false, random);
        for _ in 0..2 {
            let body = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h","event_type":"image.upload","priority":"ERROR","timestamp":"2026-11-22 12:00:00.123456","payload":"storage is full"}"#;
            let (_, submission) = queue.submission(Message::from_body(body.to_vec()).unwrap());
            queue.push(submission);
        }
        let until = Instant::now();
        queue.lock().pending.lane_mut(Lane::at(0)).phase = LanePhase::Waiting { until };
        let mut batch = MessageBlock::default();
        queue.fill_now(&mut batch, LaneScope::Shared);
        assert_eq!(batch.len(), 1);
        tokio::time::advance(Duration::from_secs(11)).await;
        queue.drop_expired_in(&mut batch);
        assert!(batch.is_empty());
        queue.fill_now(&mut batch, LaneScope::Shared);
        assert_eq!(batch.len(), 1);
    }
}
