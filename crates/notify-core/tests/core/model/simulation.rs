//! One case: the pipeline, its destination and the ledger, on one thread with a paused clock.

use std::time::Duration;

use notify_core::codec::{Encoding, SizeLimits};
use notify_core::event::Payload;
use notify_core::pipeline::{Overflow, QueueConfig, Receipt, Stats, WorkerState};
use notify_core::{Event, Notifier, Priority, Result, Worker};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::LONGEST_BACKOFF;
use super::destination::{ConnectionFault, Destination, LaneFault, SentMessage, is_picked};
use super::ledger::{Ledger, LedgerEntry};
use super::steps::{IncurableFault, LIMIT, PipelineSetup, PipelineStep, SampleSize};

/// The pipeline under test with everything around it.
pub(crate) struct Simulation {
    setup: PipelineSetup,
    destination: Destination,
    notifier: Notifier,
    /// The worker before it runs.
    worker: Option<Worker>,
    /// The task of the running worker.
    running: Option<JoinHandle<Stats>>,
    ledger: Ledger,
    enqueues: Vec<(Priority, JoinHandle<[Receipt; 1]>)>,
    /// The flushes, each with the number of entries that it waits for.
    flushes: Vec<(usize, JoinHandle<Result<()>>)>,
    closed: bool,
}

impl Simulation {
    /// Returns a pipeline whose worker does not run yet.
    pub(crate) fn new(setup: &PipelineSetup) -> Self {
        let destination = Destination::new();
        let limits = SizeLimits { bytes: LIMIT, ..SizeLimits::default() };
        let (notifier, worker) = Notifier::builder(destination.transport())
            .publisher_id("host1")
            .seed(setup.seed)
            .encoding(Encoding { limits, ..Encoding::default() })
            .queue(queue_config(setup))
            .send_timeout(Duration::from_secs(20))
            .drain_timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        let mut simulation = Self {
            setup: setup.clone(),
            destination,
            notifier,
            worker: Some(worker),
            running: None,
            ledger: Ledger::default(),
            enqueues: Vec::new(),
            flushes: Vec::new(),
            closed: false,
        };
        simulation.break_for_good();
        simulation
    }

    /// Applies one step.
    pub(crate) async fn apply(&mut self, step: &PipelineStep) {
        match *step {
            PipelineStep::Emit(priority, size, count, keep) => {
                for _ in 0..count {
                    self.emit(priority, size, keep);
                }
            }
            PipelineStep::Enqueue(priority) => {
                let notifier = self.notifier.clone();
                let enqueue =
                    async move { [notifier.enqueue(&event(priority, SampleSize::Small)).await] };
                self.enqueues.push((priority, tokio::spawn(enqueue)));
            }
            PipelineStep::Flush => {
                let notifier = self.notifier.clone();
                let flush = async move { notifier.flush(Duration::MAX).await };
                self.flushes.push((self.ledger.0.len(), tokio::spawn(flush)));
            }
            PipelineStep::Start => self.start(),
            PipelineStep::Connection(fault) => self.destination.state().connection = fault,
            PipelineStep::Lane(priority, Some(fault)) => {
                self.destination.state().faults.insert(priority, fault);
            }
            PipelineStep::Lane(priority, None) => {
                self.destination.state().faults.remove(&priority);
            }
            PipelineStep::BreakAfter(messages) => {
                self.destination.state().break_after = Some(messages);
            }
            PipelineStep::Wait(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            }
            PipelineStep::Close => {
                self.notifier.close();
                self.closed = true;
            }
            PipelineStep::DropWorker => {
                self.worker = None;
                self.closed = true;
                if let Some(running) = self.running.take() {
                    running.abort();
                }
            }
        }
        self.break_for_good();
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.collect_enqueued().await;
    }

    /// Checks the ledger, and that no flush ended too early.
    pub(crate) fn check(&mut self) {
        let stats = self.notifier.stats();
        assert!(stats.pending.messages <= self.setup.max_messages as u64, "{stats:?}");
        self.ledger.check(&stats, &self.destination.state());
        for (before, flush) in &self.flushes {
            let pending = self.ledger.0[..*before]
                .iter()
                .any(|entry| entry.receipt.is_some() && entry.outcome.is_none());
            assert!(!pending || !flush.is_finished(), "a flush ended too early");
        }
        let never_ran = self.worker.is_some();
        assert_eq!(stats.state == WorkerState::NotStarted, never_ran, "{stats:?}");
    }

    /// Heals what heals, checks that everything else is delivered, and that `shutdown` ends in time.
    pub(crate) async fn finish(mut self) -> Vec<SentMessage> {
        self.destination.heal();
        self.break_for_good();
        self.start();
        tokio::time::sleep(RECOVERY_TIME).await;
        self.collect_enqueued().await;
        self.check();
        let stuck = self.ledger.undecided().find(|entry| !self.is_stuck(entry));
        assert!(stuck.is_none(), "not delivered: {stuck:?}, {:?}", self.notifier.stats());
        let pending = self.notifier.stats().pending.messages;
        for (_, flush) in &self.flushes {
            assert!(pending > 0 || flush.is_finished(), "a flush did not end");
        }

        let start = Instant::now();
        let stats = self.notifier.shutdown(DRAIN_TIME).await;
        assert!(start.elapsed() <= DRAIN_TIME + CLOSE_TIME, "{:?}", start.elapsed());
        assert_eq!((stats.state.clone(), stats.pending.messages), (WorkerState::Closed, 0));
        self.check();
        assert_eq!(self.ledger.undecided().count(), 0, "a receipt has no outcome");
        assert!(self.flushes.iter().all(|(_, flush)| flush.is_finished()), "a flush did not end");
        if let Some(running) = self.running {
            assert_eq!(running.await.unwrap().delivered, stats.delivered);
        }
        let destination = self.destination.state();
        assert_eq!(destination.open, 0, "a transport stays open");
        destination.sent.clone()
    }

    /// Emits one notification. In a lane that works, it is dropped for want of room only if the queue is
    /// full.
    fn emit(&mut self, priority: Priority, size: SampleSize, keep: bool) {
        let before = self.notifier.stats();
        let receipt = self.notifier.emit(&event(priority, size));
        let after = self.notifier.stats();
        let dropped = after.dropped.overflow > before.dropped.overflow;
        let saw_nothing = self.destination.state().sent.is_empty();
        if dropped && self.setup.bytes.is_none() && saw_nothing {
            // No lane is known to fail alone, so every lane may take all the room.
            let taken = before.pending.messages + self.waiting_callers();
            assert!(taken >= self.setup.max_messages as u64, "dropped although there is room");
        }
        let id = receipt.message_id();
        let receipt = keep.then_some(receipt);
        self.ledger.0.push(LedgerEntry { priority, size, id, receipt, outcome: None });
    }

    /// Returns the number of callers that may have room reserved.
    fn waiting_callers(&self) -> u64 {
        self.enqueues.len().min(Priority::DOCUMENTED.len()) as u64
    }

    /// Enters the notifications of `enqueue` calls that returned.
    async fn collect_enqueued(&mut self) {
        let mut waiting = Vec::new();
        for (priority, task) in self.enqueues.drain(..) {
            if !task.is_finished() {
                waiting.push((priority, task));
                continue;
            }
            let [receipt] = task.await.unwrap();
            self.ledger.0.push(LedgerEntry {
                priority,
                size: SampleSize::Small,
                // The order of these is that of their calls, not of their returns.
                id: None,
                receipt: Some(receipt),
                outcome: None,
            });
        }
        self.enqueues = waiting;
    }

    /// Starts the worker.
    fn start(&mut self) {
        if let Some(worker) = self.worker.take() {
            self.running = Some(tokio::spawn(worker.run()));
        }
    }

    /// Sets the fault that never heals.
    fn break_for_good(&mut self) {
        let mut state = self.destination.state();
        match self.setup.incurable {
            Some(IncurableFault::Lane(priority, fault)) => {
                state.faults.insert(priority, fault);
            }
            Some(IncurableFault::Connection(fault)) => state.connection = fault,
            None => {}
        }
    }

    /// Returns whether a message cannot be delivered because of the fault that never heals.
    fn is_stuck(&self, entry: &LedgerEntry) -> bool {
        match self.setup.incurable {
            None => false,
            Some(IncurableFault::Connection(fault)) => fault != ConnectionFault::None,
            Some(IncurableFault::Lane(priority, LaneFault::Picky)) => {
                priority == entry.priority && entry.id.is_none_or(is_picked)
            }
            Some(IncurableFault::Lane(priority, _)) => priority == entry.priority,
        }
    }
}

/// Returns an event of a priority and size.
fn event(priority: Priority, size: SampleSize) -> Event {
    let text = match size {
        SampleSize::Small => "x".into(),
        SampleSize::Large => "x".repeat(2000),
        SampleSize::TooLarge => "x".repeat(LIMIT),
    };
    match priority {
        Priority::Warn => Event::ImageUpload(Payload::Warn(text)),
        Priority::Error => Event::ImageUpload(Payload::Error(text)),
        priority => Event::Other {
            event_type: notify_core::EventType::new("image.text").unwrap(),
            priority,
            payload: text.into(),
        },
    }
}

/// Returns the queue of a setup.
fn queue_config(setup: &PipelineSetup) -> QueueConfig {
    let mut queue = QueueConfig::default();
    queue.max_messages = setup.max_messages;
    queue.batch_messages = setup.batch_messages;
    if let Some((max_bytes, batch_bytes)) = setup.bytes {
        (queue.max_bytes, queue.batch_bytes) = (max_bytes, batch_bytes);
    }
    if setup.drop_oldest {
        queue.overflow = Overflow::DropOldest;
    }
    queue.max_age = setup.max_age;
    queue
}

/// The time within which everything is delivered once faults are over: some backoffs and timeouts.
const RECOVERY_TIME: Duration = LONGEST_BACKOFF.saturating_mul(40);
/// The drain time of the last `shutdown`.
const DRAIN_TIME: Duration = Duration::from_secs(10);
/// The time that closing the transports may take beside that.
const CLOSE_TIME: Duration = Duration::from_secs(6);
