//! The pipeline beside a model of it, in random steps.
//!
//! After every step both must agree on every number, on every receipt and on every message of the batch
//! in flight.
//!
//! A state machine that finds no bug proves little, so its author planted bugs in the pipeline. It found
//! each of these within a few cases:
//!
//! * a verdict that does not free the bytes in flight;
//! * a message that the worker forgets instead of retrying it;
//! * a lost wake-up of the worker, and of a caller that waits for room;
//! * `NotSent` for a message that an attempt, or a dropped worker, left unsettled;
//! * a message that does not fit the batch and moves to the end of the queue;
//! * the newest message dropped instead of the oldest;
//! * a refusal that counts as a delivery;
//! * a delivered message that the worker sends again;
//! * an expired message that counts as retried;
//! * a `close` that does not wake the worker;
//! * a failure that ends the worker.

mod comparison;
mod manual_transport;
mod message;
mod reference;
mod steps;

use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use notify_core::codec::{Encoding, SizeLimits};
use notify_core::event::{Payload, TaskStatus};
use notify_core::pipeline::{Overflow, QueueConfig, Receipt, Stats, WorkerState};
use notify_core::{Event, EventType, Notifier, Priority, Result, Worker};
use notify_testbed::proptest_cases;
use proptest::prelude::*;
use proptest_state_machine::{StateMachineTest, prop_state_machine};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, yield_now};
use uuid::Uuid;

use crate::fixtures::{event, notification, task};
use crate::support::assert_balances;
use manual_transport::{TransportControl, manual_transport};
use reference::{PipelineModel, WorkerPhase};
use steps::{PipelineStep, SampleKind};

prop_state_machine! {
    #![proptest_config(ProptestConfig {
        cases: proptest_cases(128),
        ..ProptestConfig::default()
    })]

    /// The pipeline and its model agree after every step, and once faults stop, the pipeline delivers
    /// everything.
    #[test]
    fn the_pipeline_matches_its_model(sequential 1..60 => PipelineMachine);
}

/// The pipeline under test, on one thread with a paused clock that only the steps advance.
struct PipelineMachine {
    runtime: Rc<Runtime>,
    notifier: Notifier,
    /// The worker before it runs.
    worker: Option<Worker>,
    /// The task of the running worker.
    running: Option<JoinHandle<Stats>>,
    transport: TransportControl,
    /// The caller of each message of the model.
    callers: Vec<CallerState>,
    flushes: Vec<JoinHandle<Result<()>>>,
}

/// The state of the caller of one message.
enum CallerState {
    KeepsReceipt(Receipt),
    /// The caller dropped its receipt, which must have no effect. Holds the message's id.
    DroppedReceipt(Option<Uuid>),
    /// The caller's call of `enqueue` did not return yet.
    Enqueues(JoinHandle<[Receipt; 1]>),
}

impl StateMachineTest for PipelineMachine {
    type SystemUnderTest = Self;
    type Reference = PipelineModel;

    fn init_test(model: &PipelineModel) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .map(Rc::new)
            .unwrap();
        let (transport, control) = manual_transport();
        let (notifier, worker) = Notifier::builder(transport)
            .publisher_id("host1")
            .encoding(encoding())
            .disabled(["task"])
            .queue(queue_config(model))
            .attempt_timeout(ATTEMPT_TIMEOUT)
            .send_timeout(NEVER)
            .drain_timeout(NEVER)
            .build()
            .unwrap();
        Self {
            runtime,
            notifier,
            worker: Some(worker),
            running: None,
            transport: control,
            callers: Vec::new(),
            flushes: Vec::new(),
        }
    }

    fn apply(mut machine: Self, model: &PipelineModel, step: PipelineStep) -> Self {
        // `emit` too must read the paused clock.
        let runtime = Rc::clone(&machine.runtime);
        let _clock = runtime.enter();
        machine.apply_step(step, model);
        machine.run_until_idle(model);
        machine.assert_matches(model);
        machine
    }

    fn teardown(mut machine: Self, mut model: PipelineModel) {
        let runtime = Rc::clone(&machine.runtime);
        let _clock = runtime.enter();
        machine.stop_faults(&mut model);
        machine.run_until_idle(&model);
        machine.assert_matches(&model);
    }
}

impl PipelineMachine {
    /// Applies one step to the pipeline.
    fn apply_step(&mut self, step: PipelineStep, model: &PipelineModel) {
        match step {
            PipelineStep::Emit(kinds, keep) => {
                for kind in kinds {
                    let receipt = self.notifier.emit(&SAMPLES[kind as usize]);
                    self.callers.push(if keep {
                        CallerState::KeepsReceipt(receipt)
                    } else {
                        CallerState::DroppedReceipt(receipt.message_id())
                    });
                    assert_balances(&self.notifier.stats());
                }
            }
            PipelineStep::Enqueue => {
                let notifier = self.notifier.clone();
                let enqueue = async move { [notifier.enqueue(&SAMPLES[0]).await] };
                self.callers.push(CallerState::Enqueues(self.runtime.spawn(enqueue)));
            }
            PipelineStep::Flush => {
                let notifier = self.notifier.clone();
                let flush = async move { notifier.flush(NEVER).await };
                self.flushes.push(self.runtime.spawn(flush));
            }
            PipelineStep::Start => {
                let worker = self.worker.take().unwrap();
                self.running = Some(self.runtime.spawn(worker.run()));
            }
            PipelineStep::Command(command) => self.transport.send(command),
            PipelineStep::TimeOut => self.advance(ATTEMPT_TIMEOUT),
            PipelineStep::Wait => self.advance(LONGEST_BACKOFF),
            PipelineStep::Age => self.advance(MAX_AGE + Duration::from_secs(1)),
            PipelineStep::Close => self.notifier.close(),
            PipelineStep::ShutDown(seconds) => {
                let stats =
                    self.runtime.block_on(self.notifier.shutdown(Duration::from_secs(seconds)));
                assert_eq!(stats.state == WorkerState::Closed, model.worker == WorkerPhase::Gone);
            }
            PipelineStep::DropWorker => {
                self.worker = None;
                if let Some(running) = self.running.take() {
                    running.abort();
                }
            }
        }
    }

    /// Lets the transport accept everything, so that the worker delivers all messages and ends.
    fn stop_faults(&mut self, model: &mut PipelineModel) {
        // After the drain deadline, chance decides whether the worker makes one more attempt.
        if !model.drain_over {
            self.transport.accept_everything();
        }
        if let Some(worker) = self.worker.take() {
            self.running = Some(self.runtime.spawn(worker.run()));
        }
        if let Some(running) = self.running.take() {
            let drained = async {
                self.notifier.flush(Duration::from_secs(600)).await.unwrap();
                for caller in &mut self.callers {
                    caller.finish_enqueue().await;
                }
                self.notifier.close();
                running.await.unwrap()
            };
            let mut stats = self.runtime.block_on(drained);
            stats.suppressed = self.notifier.stats().suppressed;
            if model.worker != WorkerPhase::Gone {
                assert_eq!(stats, self.notifier.stats());
                model.deliver_all();
            }
        }
    }

    /// Advances the clock by a little more than `time`.
    fn advance(&self, time: Duration) {
        self.runtime.block_on(tokio::time::advance(time + Duration::from_millis(2)));
    }

    /// Runs all tasks until each of them waits, and lets a lingering batch go.
    ///
    /// No time passes in a backoff, which may be as short as the linger.
    fn run_until_idle(&mut self, model: &PipelineModel) {
        self.runtime.block_on(async {
            run_tasks().await;
            // With expiry, the worker may linger once for each message that it then drops.
            let lingers = if model.bounds.ages { model.bounds.max_messages } else { 1 };
            for _ in 0..lingers {
                if model.worker != WorkerPhase::Waiting {
                    tokio::time::advance(LINGER).await;
                    run_tasks().await;
                }
            }
            for caller in &mut self.callers {
                if matches!(caller, CallerState::Enqueues(task) if task.is_finished()) {
                    caller.finish_enqueue().await;
                }
            }
        });
    }
}

impl CallerState {
    /// Returns the message's id, if it has one and the caller knows it.
    fn id(&self) -> Option<Uuid> {
        match self {
            Self::KeepsReceipt(receipt) => receipt.message_id(),
            Self::DroppedReceipt(id) => *id,
            Self::Enqueues(_) => None,
        }
    }

    /// Waits until `enqueue` returns, and keeps its receipt.
    async fn finish_enqueue(&mut self) {
        if let Self::Enqueues(task) = self {
            let [receipt] = task.await.unwrap();
            *self = Self::KeepsReceipt(receipt);
        }
    }
}

/// Lets all other tasks run until each of them waits.
async fn run_tasks() {
    for _ in 0..YIELDS {
        yield_now().await;
    }
}

/// Returns the configuration of a model's bounds.
fn queue_config(model: &PipelineModel) -> QueueConfig {
    let mut queue = QueueConfig::default();
    queue.max_messages = model.bounds.max_messages;
    queue.batch_messages = model.bounds.batch_messages;
    if let Some((max_bytes, batch_bytes)) = model.bounds.bytes {
        (queue.max_bytes, queue.batch_bytes) = (max_bytes, batch_bytes);
    }
    if model.bounds.drop_oldest {
        queue.overflow = Overflow::DropOldest;
    }
    queue.max_age = model.bounds.ages.then_some(MAX_AGE);
    queue
}

/// Returns an encoding whose size limit is [`LIMIT`].
fn encoding() -> Encoding {
    Encoding { limits: SizeLimits { bytes: LIMIT, ..SizeLimits::default() }, ..Encoding::default() }
}

/// The event of each [`SampleKind`].
static SAMPLES: LazyLock<[Event; 4]> = LazyLock::new(|| {
    [
        event(EventType::ImageSend, Priority::Info),
        Event::ImageUpload(Payload::Warn("x".repeat(2000))),
        Event::ImageUpload(Payload::Error("x".repeat(LIMIT))),
        Event::TaskRun(task(TaskStatus::Pending).into()),
    ]
});

/// Returns the size of a message of this kind as the bounds count it, in bytes.
fn weight(kind: SampleKind) -> usize {
    static WEIGHTS: LazyLock<[usize; 2]> = LazyLock::new(|| {
        [SampleKind::Small, SampleKind::Large].map(|kind| {
            let mut notification = notification(SAMPLES[kind as usize].clone());
            notification.publisher_id = "host1".into();
            notification.encode(&encoding()).unwrap().body().len() + 256
        })
    });
    WEIGHTS[kind as usize]
}

/// The smallest valid `max_bytes`, with messages of at most [`LIMIT`] bytes.
const MIN_BYTES: usize = LIMIT + 256;
/// The size limit of a message in bytes.
const LIMIT: usize = 4096;
/// The attempt timeout.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest wait after a failure.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// The age at which messages expire, where they do.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// A time longer than a batch lingers.
const LINGER: Duration = Duration::from_millis(2);
/// A timeout that no case reaches.
const NEVER: Duration = Duration::from_secs(1_000_000_000);
/// The number of yields after which every task waits.
const YIELDS: usize = 30;
