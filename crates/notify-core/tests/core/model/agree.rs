//! Where the pipeline and its model must agree.

use std::collections::HashSet;
use std::time::Duration;

use notify_core::pipeline::{DropCounts, Stats, WorkerState};
use notify_core::{ErrorKind, Outcome, Result};

use super::reference::{Entry, Fate, Model, Tried, Worker as Doing};
use super::steps::Sort;
use super::{Claim, Machine};

impl Machine {
    pub(super) fn agrees(&mut self, model: &Model) {
        let stats = self.notifier.stats();
        balances(&stats);
        agrees_on_numbers(model, &stats);
        self.agrees_on_the_batch(model);
        self.agrees_on_receipts(model);
        self.agrees_on_flushes(model);
    }

    /// What the transport was handed is what is oldest, in order, and nothing that has its verdict.
    fn agrees_on_the_batch(&self, model: &Model) {
        let batch = (model.worker == Doing::Attempting)
            .then(|| model.flight.iter().map(|at| self.claims[*at].id().unwrap()).collect());
        assert_eq!(self.strings.offered(), batch);
        assert!(self.strings.is_closed() || model.worker != Doing::Gone || self.running.is_none());
    }

    fn agrees_on_receipts(&mut self, model: &Model) {
        let taken = self.strings.taken();
        let emitted: HashSet<_> = self.claims.iter().filter_map(Claim::id).collect();
        assert!(taken.iter().all(|id| emitted.contains(id)), "nothing comes from nowhere");
        for (at, (claim, entry)) in self.claims.iter_mut().zip(&model.messages).enumerate() {
            let id = claim.id();
            match claim {
                Claim::Held(receipt) => {
                    let result = receipt.wait(Duration::ZERO);
                    assert!(entry.allows(&result), "{at}: {entry:?} ended in {result:?}");
                    let taken = id.is_some_and(|id| taken.contains(&id));
                    match result.map_err(|error| error.outcome()) {
                        Ok(()) => assert!(taken || entry.sort == Sort::Disabled),
                        Err(Outcome::NotSent) => assert!(!taken, "not sent is true"),
                        Err(_) => {}
                    }
                }
                Claim::Dropped(_) => {}
                Claim::Enqueuing(_) => assert!(model.hoping.contains(&at), "{at} waits in vain"),
            }
        }
    }

    /// A flush ends when what was pending is decided; where that is in the middle of an attempt, at
    /// the latest with the attempt.
    fn agrees_on_flushes(&self, model: &Model) {
        for (flush, targets) in self.flushes.iter().zip(&model.flushes) {
            let decided = targets.iter().all(|at| model.messages[*at].fate.is_some());
            assert!(decided || !flush.is_finished(), "a flush ended early");
            let must = decided && model.worker != Doing::Attempting;
            assert!(flush.is_finished() || !must, "a flush did not end");
        }
    }
}

fn agrees_on_numbers(model: &Model, stats: &Stats) {
    let entered = model.messages.iter().enumerate();
    let emitted = entered
        .filter(|(at, entry)| !model.hoping.contains(at) && entry.sort != Sort::Disabled)
        .count();
    assert_eq!(stats.emitted, emitted as u64);
    let with =
        |fate: Fate| model.messages.iter().filter(|entry| entry.fate == Some(fate)).count() as u64;
    assert_eq!(
        [stats.delivered, stats.refused, stats.suppressed],
        [with(Fate::Delivered), with(Fate::Refused), with(Fate::Suppressed)],
    );
    let DropCounts { overflow, age, closed, abandoned, .. } = stats.dropped;
    assert_eq!(
        [overflow, age, closed, abandoned],
        [Fate::Overflow, Fate::Aged, Fate::Closed, Fate::Abandoned].map(with),
        "{stats:?}"
    );
    assert_eq!(stats.pending.messages, model.pending().count() as u64);
    assert_eq!(stats.pending.bytes, model.bytes(model.pending()) as u64);
    assert_eq!(stats.oldest_pending.is_some(), model.pending().count() > 0);
    assert_eq!(stats.last_delivery.is_some(), stats.delivered > 0);
    assert_eq!(stats.retried, model.retried);
    match (&stats.state, model.worker, model.failing) {
        (WorkerState::Idle, Doing::NotStarted | Doing::Idle, _)
        | (WorkerState::Closed, Doing::Gone, _)
        | (WorkerState::Delivering, Doing::Attempting, None) => {}
        (
            WorkerState::Retrying { permanent, .. },
            Doing::Attempting | Doing::Waiting,
            Some(failed),
        ) => {
            assert_eq!(*permanent, failed);
        }
        other => panic!("the state is another: {other:?}"),
    }
}

impl Entry {
    /// Whether a receipt may say this.
    fn allows(&self, result: &Result<()>) -> bool {
        let Some(fate) = self.fate else {
            return matches!(result, Err(error) if error.outcome() == Outcome::Unknown
                && error.kind() == ErrorKind::Timeout);
        };
        let kind = match (fate, result) {
            (Fate::Delivered | Fate::Suppressed, result) => return result.is_ok(),
            (_, Ok(())) => return false,
            (Fate::Refused, Err(error)) => return error.outcome() == Outcome::Rejected,
            (Fate::Overflow, _) => ErrorKind::Full,
            (Fate::Aged, _) => ErrorKind::Timeout,
            (Fate::Closed | Fate::Abandoned, _) => ErrorKind::Closed,
        };
        let outcomes: &[Outcome] = match self.tried {
            Tried::Never => &[Outcome::NotSent],
            Tried::NotTaken => &[Outcome::NotSent, Outcome::Unknown],
            Tried::MaybeTaken => &[Outcome::Unknown],
        };
        result
            .as_ref()
            .is_err_and(|error| error.kind() == kind && outcomes.contains(&error.outcome()))
    }
}

pub(super) fn balances(stats: &Stats) {
    let Stats { emitted, delivered, refused, dropped, pending, .. } = stats;
    assert_eq!(*emitted, delivered + refused + dropped.total() + pending.messages, "{stats:?}");
}
