//! What the pipeline should do, told as simply as possible: lists of messages and no counters.

use std::collections::VecDeque;

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::puppet::{Act, End, Order};
use super::steps::{Bounds, Sort, Step, bounds, step};

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) sort: Sort,
    pub(crate) tried: Tried,
    pub(crate) fate: Option<Fate>,
    /// Whether it has been in a batch before, in which hour it was queued, and what the attempt under
    /// way said of it and did with it.
    offered: bool,
    born: u32,
    retry: bool,
    swallowed: bool,
}

/// Whether the destination may have a message that nobody said it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tried {
    Never,
    /// Each time the destination said that it did not take it.
    NotTaken,
    MaybeTaken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    Refused,
    Suppressed,
    Overflow,
    Aged,
    Closed,
    Abandoned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worker {
    NotStarted,
    Idle,
    Attempting,
    Waiting,
    Gone,
}

/// What there is at a moment. Messages are named by the order in which they were asked for.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) bounds: Bounds,
    pub(crate) messages: Vec<Entry>,
    queued: VecDeque<usize>,
    /// What the worker has taken; in an attempt, the batch, settled messages included.
    pub(crate) flight: Vec<usize>,
    /// Those that wait for room.
    pub(crate) hoping: VecDeque<usize>,
    /// What each flush waits for.
    pub(crate) flushes: Vec<Vec<usize>>,
    pub(crate) worker: Worker,
    /// Whether the last attempt failed, and permanently.
    pub(crate) failing: Option<bool>,
    pub(crate) retried: u64,
    closed: bool,
    pub(crate) drain_over: bool,
    hour: u32,
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let model = |bounds| Self {
            bounds,
            messages: Vec::new(),
            queued: VecDeque::new(),
            flight: Vec::new(),
            hoping: VecDeque::new(),
            flushes: Vec::new(),
            worker: Worker::NotStarted,
            failing: None,
            retried: 0,
            closed: false,
            drain_over: false,
            hour: 0,
        };
        bounds().prop_map(model).boxed()
    }

    fn transitions(model: &Self) -> BoxedStrategy<Step> {
        let Self { bounds, worker, flight, messages, .. } = model;
        let step = step(bounds, *worker, flight.len(), messages.len());
        let model = model.clone();
        step.prop_filter("it is possible", move |step| Self::preconditions(&model, step)).boxed()
    }

    fn preconditions(model: &Self, step: &Step) -> bool {
        let attempting = model.worker == Worker::Attempting;
        match step {
            Step::Emit(..) | Step::Flush | Step::Age | Step::Close | Step::ShutDown(_) => true,
            Step::Enqueue => model.bounds.lines_up(),
            Step::Start => model.worker == Worker::NotStarted,
            // A second verdict is a bug of the transport, and so is one that is not true.
            Step::Order(Order::Do(at, act)) => {
                attempting && model.is_open(*at) && model.is_true([*at], *act)
            }
            Step::Order(Order::DoRest(act)) => {
                attempting && model.is_true(0..model.flight.len(), *act)
            }
            Step::Order(_) | Step::TimeOut => attempting,
            Step::Wait => model.worker == Worker::Waiting,
            Step::DropWorker => model.worker != Worker::Gone,
        }
    }

    fn apply(mut model: Self, step: &Step) -> Self {
        match step {
            Step::Emit(sorts, _) => sorts.iter().for_each(|sort| model.emit(*sort)),
            Step::Enqueue => {
                let new = model.enter(Sort::Small);
                model.hoping.push_back(new);
            }
            Step::Flush => model.flushes.push(model.pending().collect()),
            Step::Order(Order::Do(at, act)) => model.act(*at, *act),
            Step::Order(Order::DoRest(act)) => {
                model.act_on_rest(*act);
            }
            Step::Order(Order::End(End::Ok)) => model.end_attempt(None),
            Step::Order(Order::End(End::Transient)) | Step::TimeOut => {
                model.end_attempt(Some(false));
            }
            Step::Order(Order::End(End::Permanent)) => model.end_attempt(Some(true)),
            Step::Start | Step::Wait => model.worker = Worker::Idle,
            Step::Age => {
                model.hour += 1;
                match model.worker {
                    Worker::Attempting => model.end_attempt(Some(false)),
                    Worker::Waiting => model.worker = Worker::Idle,
                    _ => {}
                }
            }
            // Closing again changes nothing.
            Step::Close if model.closed => {}
            Step::Close => model.close(),
            Step::ShutDown(_) => {
                model.drain_over = true;
                model.close();
                if model.worker == Worker::Attempting {
                    model.end_attempt(Some(false));
                    model.end();
                }
            }
            Step::DropWorker => {
                if model.worker == Worker::Attempting {
                    model.end_attempt(Some(false));
                }
                model.end();
            }
        }
        model.come_to_rest();
        model
    }
}

impl Model {
    /// What is neither delivered nor given up.
    pub(crate) fn pending(&self) -> impl Iterator<Item = usize> + '_ {
        self.unsettled().chain(self.queued.iter().copied())
    }

    pub(crate) fn bytes(&self, messages: impl Iterator<Item = usize>) -> usize {
        messages.map(|at| super::weight(self.messages[at].sort)).sum()
    }

    /// The transport accepts everything from now on, and the notifier is closed in the end.
    pub(crate) fn deliver_all(&mut self) {
        loop {
            match self.worker {
                Worker::NotStarted | Worker::Waiting => self.worker = Worker::Idle,
                Worker::Attempting => {
                    self.act_on_rest(Act::Accept);
                    self.end_attempt(None);
                }
                Worker::Idle | Worker::Gone => break,
            }
            self.come_to_rest();
        }
        self.close();
        self.come_to_rest();
    }

    fn unsettled(&self) -> impl Iterator<Item = usize> + '_ {
        self.flight.iter().copied().filter(|at| self.messages[*at].fate.is_none())
    }

    /// Whether the message at this place of the batch has no verdict.
    fn is_open(&self, at: usize) -> bool {
        let entry = self.flight.get(at).map(|at| &self.messages[*at]);
        entry.is_some_and(|entry| entry.fate.is_none() && !entry.retry)
    }

    /// Whether a transport that does not lie can do this with messages of the batch.
    fn is_true(&self, places: impl IntoIterator<Item = usize>, act: Act) -> bool {
        let swallowed = |at: usize| self.messages[self.flight[at]].swallowed;
        matches!(act, Act::Accept | Act::Swallow) || !places.into_iter().any(swallowed)
    }

    fn enter(&mut self, sort: Sort) -> usize {
        self.messages.push(Entry {
            sort,
            tried: Tried::Never,
            fate: None,
            offered: false,
            born: self.hour,
            retry: false,
            swallowed: false,
        });
        self.messages.len() - 1
    }

    fn decide(&mut self, at: usize, fate: Fate) {
        let previous = self.messages[at].fate.replace(fate);
        assert_eq!(previous, None, "a fate is final");
    }

    fn has_room(&self, sort: Sort) -> bool {
        self.pending().count() < self.bounds.max_messages && self.has_bytes(self.pending(), sort)
    }

    fn has_bytes(&self, beside: impl Iterator<Item = usize>, sort: Sort) -> bool {
        let Some((max_bytes, _)) = self.bounds.bytes else { return true };
        self.bytes(beside) + super::weight(sort) <= max_bytes
    }

    fn emit(&mut self, sort: Sort) {
        let new = self.enter(sort);
        match sort {
            Sort::Disabled => return self.decide(new, Fate::Suppressed),
            Sort::TooLarge => return self.decide(new, Fate::Refused),
            Sort::Small | Sort::Large => {}
        }
        if self.closed {
            return self.decide(new, Fate::Closed);
        }
        if self.bounds.drop_oldest && self.has_bytes(self.unsettled(), sort) {
            while !self.has_room(sort) {
                let Some(oldest) = self.queued.pop_front() else { break };
                self.decide(oldest, Fate::Overflow);
            }
        }
        if self.has_room(sort) {
            self.queued.push_back(new);
        } else {
            self.decide(new, Fate::Overflow);
        }
    }

    fn act(&mut self, at: usize, act: Act) {
        let at = self.flight[at];
        match act {
            Act::Accept => self.decide(at, Fate::Delivered),
            Act::Refuse => self.decide(at, Fate::Refused),
            Act::Retry => self.messages[at].retry = true,
            Act::Swallow => self.messages[at].swallowed = true,
        }
    }

    fn act_on_rest(&mut self, act: Act) {
        for at in 0..self.flight.len() {
            if self.is_open(at) {
                self.act(at, act);
            }
        }
    }

    /// `failed` says whether it failed, and permanently.
    fn end_attempt(&mut self, failed: Option<bool>) {
        self.flight = self.unsettled().collect();
        for at in &self.flight {
            let entry = &mut self.messages[*at];
            let said = std::mem::take(&mut entry.retry);
            entry.swallowed = false;
            let tried = if said { Tried::NotTaken } else { Tried::MaybeTaken };
            entry.tried = entry.tried.max(tried);
        }
        self.failing = failed.or((!self.flight.is_empty()).then_some(false));
        self.worker = if self.failing.is_some() { Worker::Waiting } else { Worker::Idle };
    }

    fn close(&mut self) {
        self.closed = true;
        if self.worker == Worker::Waiting {
            self.worker = Worker::Idle;
        }
    }

    /// Everything ends: what is pending is given up.
    fn end(&mut self) {
        self.closed = true;
        for at in self.pending().collect::<Vec<_>>() {
            self.decide(at, Fate::Abandoned);
        }
        self.flight.clear();
        self.queued.clear();
        self.worker = Worker::Gone;
    }

    /// The worker does what it can, then those who wait for room do, until nobody can do anything.
    fn come_to_rest(&mut self) {
        loop {
            if self.worker == Worker::Idle {
                self.work();
            }
            let Some(&first) = self.hoping.front() else { return };
            if self.closed {
                self.decide(first, Fate::Closed);
            } else if self.has_room(Sort::Small) {
                self.queued.push_back(first);
                self.messages[first].born = self.hour;
            } else {
                return;
            }
            self.hoping.pop_front();
        }
    }

    fn work(&mut self) {
        self.expire();
        self.fill();
        while self.expire() && self.flight.is_empty() {
            self.fill();
        }
        if self.flight.is_empty() {
            self.failing = None;
            if self.closed {
                self.end();
            }
            return;
        }
        for at in &self.flight {
            self.retried += u64::from(std::mem::replace(&mut self.messages[*at].offered, true));
        }
        self.worker = Worker::Attempting;
        if self.drain_over {
            self.end_attempt(Some(false));
            self.end();
        }
    }

    /// Gives up what the worker holds and is too old; whether there was any.
    fn expire(&mut self) -> bool {
        let aged = |at: &usize| self.bounds.ages && self.messages[*at].born < self.hour;
        let (old, young) = self.flight.iter().partition::<Vec<usize>, _>(|at| aged(at));
        self.flight = young;
        for at in &old {
            self.decide(*at, Fate::Aged);
        }
        !old.is_empty()
    }

    fn fill(&mut self) {
        while let Some(&next) = self.queued.front() {
            let bytes = self.bytes(self.flight.iter().copied().chain([next]));
            let fits = self.flight.len() < self.bounds.batch_messages
                && self.bounds.bytes.is_none_or(|(_, batch_bytes)| bytes <= batch_bytes);
            if !fits && !self.flight.is_empty() {
                return;
            }
            self.flight.push(next);
            self.queued.pop_front();
        }
    }
}
