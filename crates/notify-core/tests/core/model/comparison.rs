//! The comparison of the pipeline with its model after each step.

use std::collections::HashSet;
use std::time::Duration;

use notify_core::Outcome;
use notify_core::pipeline::{DropCounts, Stats, WorkerState};

use super::message::ModelOutcome;
use super::reference::{PipelineModel, WorkerPhase};
use super::steps::SampleKind;
use super::{CallerState, PipelineMachine};
use crate::support::assert_balances;

impl PipelineMachine {
    /// Asserts that numbers, batch, receipts and flushes match the model.
    pub(super) fn assert_matches(&mut self, model: &PipelineModel) {
        let stats = self.notifier.stats();
        assert_balances(&stats);
        assert_numbers_match(model, &stats);
        self.assert_batch_matches(model);
        self.assert_receipts_match(model);
        self.assert_flushes_match(model);
    }

    /// Asserts that the batch in flight holds the oldest messages, in order, and no settled one.
    fn assert_batch_matches(&self, model: &PipelineModel) {
        let batch = (model.worker == WorkerPhase::Attempting)
            .then(|| model.batch.iter().map(|at| self.callers[*at].id().unwrap()).collect());
        assert_eq!(self.transport.batch(), batch);
        let ended = model.worker == WorkerPhase::Gone && self.running.is_some();
        assert!(self.transport.is_closed() || !ended, "the worker did not close its transport");
    }

    /// Asserts that each receipt has an outcome that the model allows and the destination confirms.
    fn assert_receipts_match(&mut self, model: &PipelineModel) {
        let stored = self.transport.stored();
        let emitted: HashSet<_> = self.callers.iter().filter_map(CallerState::id).collect();
        assert!(stored.iter().all(|id| emitted.contains(id)), "the destination has a foreign id");
        for (at, (caller, message)) in self.callers.iter_mut().zip(&model.messages).enumerate() {
            let id = caller.id();
            match caller {
                CallerState::KeepsReceipt(receipt) => {
                    let result = receipt.wait(Duration::ZERO);
                    assert!(message.allows(&result), "{at}: {message:?} ended in {result:?}");
                    let is_stored = id.is_some_and(|id| stored.contains(&id));
                    match result.map_err(|error| error.outcome()) {
                        Ok(()) => assert!(is_stored || message.kind == SampleKind::Disabled),
                        Err(Outcome::NotSent) => assert!(!is_stored, "stored, but `NotSent`"),
                        Err(_) => {}
                    }
                }
                CallerState::DroppedReceipt(_) => {}
                CallerState::Enqueues(_) => assert!(
                    model.waiting_for_room.contains(&at),
                    "{at} still waits although there is room"
                ),
            }
        }
    }

    /// Asserts that a flush ends once the messages that it waits for have their outcomes.
    ///
    /// In the middle of an attempt it may end later, but at the latest with the attempt.
    fn assert_flushes_match(&self, model: &PipelineModel) {
        for (flush, targets) in self.flushes.iter().zip(&model.flushes) {
            let decided = targets.iter().all(|at| model.messages[*at].outcome.is_some());
            assert!(decided || !flush.is_finished(), "a flush ended too early");
            let must_end = decided && model.worker != WorkerPhase::Attempting;
            assert!(flush.is_finished() || !must_end, "a flush did not end");
        }
    }
}

/// Asserts that every number of the account, and the worker's state, follow from the model.
fn assert_numbers_match(model: &PipelineModel, stats: &Stats) {
    let messages = model.messages.iter().enumerate();
    let emitted = messages
        .filter(|(at, message)| {
            !model.waiting_for_room.contains(at) && message.kind != SampleKind::Disabled
        })
        .count();
    assert_eq!(stats.emitted, emitted as u64);
    let count = |outcome: ModelOutcome| {
        model.messages.iter().filter(|message| message.outcome == Some(outcome)).count() as u64
    };
    assert_eq!(
        [stats.delivered, stats.refused, stats.suppressed],
        [
            count(ModelOutcome::Delivered),
            count(ModelOutcome::Refused),
            count(ModelOutcome::Suppressed)
        ],
    );
    let DropCounts { overflow, age, closed, abandoned, .. } = stats.dropped;
    assert_eq!(
        [overflow, age, closed, abandoned],
        [
            ModelOutcome::Overflow,
            ModelOutcome::Expired,
            ModelOutcome::Closed,
            ModelOutcome::Abandoned
        ]
        .map(count),
        "{stats:?}"
    );
    assert_eq!(stats.pending.messages, model.pending().count() as u64);
    assert_eq!(stats.pending.bytes, model.bytes(model.pending()) as u64);
    assert_eq!(stats.oldest_pending.is_some(), model.pending().count() > 0);
    assert_eq!(stats.last_delivery.is_some(), stats.delivered > 0);
    assert_eq!(stats.retried, model.retried);
    match (&stats.state, model.worker, model.failing) {
        (WorkerState::Idle, WorkerPhase::NotStarted | WorkerPhase::Idle, _)
        | (WorkerState::Closed, WorkerPhase::Gone, _)
        | (WorkerState::Delivering, WorkerPhase::Attempting, None) => {}
        (
            WorkerState::Retrying { permanent, .. },
            WorkerPhase::Attempting | WorkerPhase::Waiting,
            Some(expected),
        ) => {
            assert_eq!(*permanent, expected);
        }
        other => panic!("the worker's state does not match its phase: {other:?}"),
    }
}
