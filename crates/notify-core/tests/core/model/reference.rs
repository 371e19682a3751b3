//! The model of the pipeline: lists of messages, without counters, locks or wake-ups.
//!
//! It is slow and simple on purpose. It must share no code with the pipeline.

use std::collections::VecDeque;

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::manual_transport::{AttemptEnd, Command, MessageAction};
use super::message::{ModelMessage, ModelOutcome, SendHistory};
use super::steps::{PipelineStep, QueueBounds, SampleKind, bounds, step};

/// The phase of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkerPhase {
    NotStarted,
    /// The queue is empty.
    Idle,
    Attempting,
    /// The last attempt failed, and the backoff runs.
    Waiting,
    Gone,
}

/// The state of the model. An index stands for the message that the test emitted at that place.
#[derive(Clone, Debug)]
pub(crate) struct PipelineModel {
    pub(crate) bounds: QueueBounds,
    pub(crate) messages: Vec<ModelMessage>,
    queued: VecDeque<usize>,
    /// The messages in flight; in an attempt also those of the batch that have their verdict.
    pub(crate) batch: Vec<usize>,
    /// The messages whose callers wait for room.
    pub(crate) waiting_for_room: VecDeque<usize>,
    /// The messages that each flush waits for.
    pub(crate) flushes: Vec<Vec<usize>>,
    pub(crate) worker: WorkerPhase,
    /// Whether the last failure was permanent; `None` if the last attempt succeeded.
    pub(crate) failing: Option<bool>,
    pub(crate) retried: u64,
    closed: bool,
    pub(crate) drain_over: bool,
    hour: u32,
}

impl ReferenceStateMachine for PipelineModel {
    type State = Self;
    type Transition = PipelineStep;

    fn init_state() -> BoxedStrategy<Self> {
        let model = |bounds| Self {
            bounds,
            messages: Vec::new(),
            queued: VecDeque::new(),
            batch: Vec::new(),
            waiting_for_room: VecDeque::new(),
            flushes: Vec::new(),
            worker: WorkerPhase::NotStarted,
            failing: None,
            retried: 0,
            closed: false,
            drain_over: false,
            hour: 0,
        };
        bounds().prop_map(model).boxed()
    }

    fn transitions(model: &Self) -> BoxedStrategy<PipelineStep> {
        let Self { bounds, worker, batch, messages, .. } = model;
        let step = step(bounds, *worker, batch.len(), messages.len());
        let model = model.clone();
        step.prop_filter("the step is possible", move |step| Self::preconditions(&model, step))
            .boxed()
    }

    fn preconditions(model: &Self, step: &PipelineStep) -> bool {
        let attempting = model.worker == WorkerPhase::Attempting;
        match step {
            PipelineStep::Emit(..)
            | PipelineStep::Flush
            | PipelineStep::Age
            | PipelineStep::Close
            | PipelineStep::ShutDown(_) => true,
            PipelineStep::Enqueue => model.bounds.has_predictable_room(),
            PipelineStep::Start => model.worker == WorkerPhase::NotStarted,
            // A transport that settles twice, or that lies, breaks its contract.
            PipelineStep::Command(Command::Act(at, action)) => {
                attempting && model.is_open(*at) && model.is_honest([*at], *action)
            }
            PipelineStep::Command(Command::ActOnRest(action)) => {
                attempting && model.is_honest(0..model.batch.len(), *action)
            }
            PipelineStep::Command(_) | PipelineStep::TimeOut => attempting,
            PipelineStep::Wait => model.worker == WorkerPhase::Waiting,
            PipelineStep::DropWorker => model.worker != WorkerPhase::Gone,
        }
    }

    fn apply(mut model: Self, step: &PipelineStep) -> Self {
        match step {
            PipelineStep::Emit(kinds, _) => kinds.iter().for_each(|kind| model.emit(*kind)),
            PipelineStep::Enqueue => {
                let new = model.add(SampleKind::Small);
                model.waiting_for_room.push_back(new);
            }
            PipelineStep::Flush => model.flushes.push(model.pending().collect()),
            PipelineStep::Command(Command::Act(at, action)) => model.act(*at, *action),
            PipelineStep::Command(Command::ActOnRest(action)) => model.act_on_rest(*action),
            PipelineStep::Command(Command::Return(AttemptEnd::Ok)) => model.end_attempt(None),
            PipelineStep::Command(Command::Return(AttemptEnd::Transient))
            | PipelineStep::TimeOut => model.end_attempt(Some(false)),
            PipelineStep::Command(Command::Return(AttemptEnd::Permanent)) => {
                model.end_attempt(Some(true));
            }
            PipelineStep::Start | PipelineStep::Wait => model.worker = WorkerPhase::Idle,
            PipelineStep::Age => {
                model.hour += 1;
                match model.worker {
                    WorkerPhase::Attempting => model.end_attempt(Some(false)),
                    WorkerPhase::Waiting => model.worker = WorkerPhase::Idle,
                    _ => {}
                }
            }
            // A second `close` changes nothing.
            PipelineStep::Close if model.closed => {}
            PipelineStep::Close => model.close(),
            PipelineStep::ShutDown(_) => {
                model.drain_over = true;
                model.close();
                if model.worker == WorkerPhase::Attempting {
                    model.end_attempt(Some(false));
                    model.end();
                }
            }
            PipelineStep::DropWorker => {
                if model.worker == WorkerPhase::Attempting {
                    model.end_attempt(Some(false));
                }
                model.end();
            }
        }
        model.run_until_idle();
        model
    }
}

impl PipelineModel {
    /// Returns the messages that are queued or in flight.
    pub(crate) fn pending(&self) -> impl Iterator<Item = usize> + '_ {
        self.unsettled().chain(self.queued.iter().copied())
    }

    /// Returns the size of these messages as the bounds count it.
    pub(crate) fn bytes(&self, messages: impl Iterator<Item = usize>) -> usize {
        messages.map(|at| super::weight(self.messages[at].kind)).sum()
    }

    /// Lets the transport accept everything, and closes the notifier at the end.
    pub(crate) fn deliver_all(&mut self) {
        loop {
            match self.worker {
                WorkerPhase::NotStarted | WorkerPhase::Waiting => self.worker = WorkerPhase::Idle,
                WorkerPhase::Attempting => {
                    self.act_on_rest(MessageAction::Accept);
                    self.end_attempt(None);
                }
                WorkerPhase::Idle | WorkerPhase::Gone => break,
            }
            self.run_until_idle();
        }
        self.close();
        self.run_until_idle();
    }

    /// Returns the messages of the batch without an outcome.
    fn unsettled(&self) -> impl Iterator<Item = usize> + '_ {
        self.batch.iter().copied().filter(|at| self.messages[*at].outcome.is_none())
    }

    /// Returns whether the message at this index of the batch has no verdict.
    fn is_open(&self, at: usize) -> bool {
        let message = self.batch.get(at).map(|at| &self.messages[*at]);
        message.is_some_and(|message| message.outcome.is_none() && !message.retry)
    }

    /// Returns whether an honest transport can take this action on messages of the batch.
    ///
    /// It must not decline a message that it stored.
    fn is_honest(&self, indices: impl IntoIterator<Item = usize>, action: MessageAction) -> bool {
        let is_stored = |at: usize| self.messages[self.batch[at]].stored_unsettled;
        matches!(action, MessageAction::Accept | MessageAction::StoreUnsettled)
            || !indices.into_iter().any(is_stored)
    }

    /// Adds a message and returns its index.
    fn add(&mut self, kind: SampleKind) -> usize {
        self.messages.push(ModelMessage::new(kind, self.hour));
        self.messages.len() - 1
    }

    /// Gives a message its outcome.
    fn decide(&mut self, at: usize, outcome: ModelOutcome) {
        let previous = self.messages[at].outcome.replace(outcome);
        assert_eq!(previous, None, "a message got a second outcome");
    }

    /// Returns whether the queue has room for one more message.
    fn has_room(&self, kind: SampleKind) -> bool {
        self.pending().count() < self.bounds.max_messages && self.has_bytes(self.pending(), kind)
    }

    /// Returns whether `max_bytes` allows one more message beside `others`.
    fn has_bytes(&self, others: impl Iterator<Item = usize>, kind: SampleKind) -> bool {
        let Some((max_bytes, _)) = self.bounds.bytes else { return true };
        self.bytes(others) + super::weight(kind) <= max_bytes
    }

    /// Emits a message, as `Notifier::emit` does.
    fn emit(&mut self, kind: SampleKind) {
        let new = self.add(kind);
        match kind {
            SampleKind::Disabled => return self.decide(new, ModelOutcome::Suppressed),
            SampleKind::TooLarge => return self.decide(new, ModelOutcome::Refused),
            SampleKind::Small | SampleKind::Large => {}
        }
        if self.closed {
            return self.decide(new, ModelOutcome::Closed);
        }
        if self.bounds.drop_oldest && self.has_bytes(self.unsettled(), kind) {
            while !self.has_room(kind) {
                let Some(oldest) = self.queued.pop_front() else { break };
                self.decide(oldest, ModelOutcome::Overflow);
            }
        }
        if self.has_room(kind) {
            self.queued.push_back(new);
        } else {
            self.decide(new, ModelOutcome::Overflow);
        }
    }

    /// Acts on the message at this index of the batch.
    fn act(&mut self, at: usize, action: MessageAction) {
        let at = self.batch[at];
        match action {
            MessageAction::Accept => self.decide(at, ModelOutcome::Delivered),
            MessageAction::Refuse => self.decide(at, ModelOutcome::Refused),
            MessageAction::Retry => self.messages[at].retry = true,
            MessageAction::StoreUnsettled => self.messages[at].stored_unsettled = true,
        }
    }

    /// Acts on every message of the batch without a verdict.
    fn act_on_rest(&mut self, action: MessageAction) {
        for at in 0..self.batch.len() {
            if self.is_open(at) {
                self.act(at, action);
            }
        }
    }

    /// Ends the attempt. `failure` says whether its error is permanent; `None` stands for `Ok`.
    fn end_attempt(&mut self, failure: Option<bool>) {
        self.batch = self.unsettled().collect();
        for at in &self.batch {
            let message = &mut self.messages[*at];
            let declined = std::mem::take(&mut message.retry);
            message.stored_unsettled = false;
            let history = if declined { SendHistory::Declined } else { SendHistory::Uncertain };
            message.history = message.history.max(history);
        }
        self.failing = failure.or((!self.batch.is_empty()).then_some(false));
        self.worker = if self.failing.is_some() { WorkerPhase::Waiting } else { WorkerPhase::Idle };
    }

    /// Closes the notifier, which ends a backoff.
    fn close(&mut self) {
        self.closed = true;
        if self.worker == WorkerPhase::Waiting {
            self.worker = WorkerPhase::Idle;
        }
    }

    /// Ends the worker and drops everything that is pending.
    fn end(&mut self) {
        self.closed = true;
        for at in self.pending().collect::<Vec<_>>() {
            self.decide(at, ModelOutcome::Abandoned);
        }
        self.batch.clear();
        self.queued.clear();
        self.worker = WorkerPhase::Gone;
    }

    /// Lets the worker and then the callers in the line act until no more action is possible.
    fn run_until_idle(&mut self) {
        loop {
            if self.worker == WorkerPhase::Idle {
                self.work();
            }
            let Some(&first) = self.waiting_for_room.front() else { return };
            if self.closed {
                self.decide(first, ModelOutcome::Closed);
            } else if self.has_room(SampleKind::Small) {
                self.queued.push_back(first);
                self.messages[first].hour = self.hour;
            } else {
                return;
            }
            self.waiting_for_room.pop_front();
        }
    }

    /// Starts the next attempt of an idle worker, or ends it when the notifier is closed.
    fn work(&mut self) {
        self.expire();
        self.fill();
        while self.expire() && self.batch.is_empty() {
            self.fill();
        }
        if self.batch.is_empty() {
            self.failing = None;
            if self.closed {
                self.end();
            }
            return;
        }
        for at in &self.batch {
            let was_sent = std::mem::replace(&mut self.messages[*at].was_sent, true);
            self.retried += u64::from(was_sent);
        }
        self.worker = WorkerPhase::Attempting;
        if self.drain_over {
            self.end_attempt(Some(false));
            self.end();
        }
    }

    /// Drops the expired messages of the batch; returns whether there were any.
    fn expire(&mut self) -> bool {
        let is_expired = |at: &usize| self.bounds.ages && self.messages[*at].hour < self.hour;
        let (expired, others) = self.batch.iter().partition::<Vec<usize>, _>(|at| is_expired(at));
        self.batch = others;
        for at in &expired {
            self.decide(*at, ModelOutcome::Expired);
        }
        !expired.is_empty()
    }

    /// Moves queued messages into the batch until it is full.
    fn fill(&mut self) {
        while let Some(&next) = self.queued.front() {
            let bytes = self.bytes(self.batch.iter().copied().chain([next]));
            let fits = self.batch.len() < self.bounds.batch_messages
                && self.bounds.bytes.is_none_or(|(_, batch_bytes)| bytes <= batch_bytes);
            if !fits && !self.batch.is_empty() {
                return;
            }
            self.batch.push(next);
            self.queued.pop_front();
        }
    }
}
