//! The pipeline beside a model of it: after every step both must agree on every number, on every
//! receipt and on every message of the batch that the transport was handed.
//!
//! A machine that finds nothing proves little, so it was tried on a pipeline that was broken on
//! purpose. It found, each within a few cases: bytes in flight that a verdict does not free; messages
//! let go that were to be tried again; a wake-up of the worker that is lost, and one of whoever waits
//! for room; `NotSent` where an attempt left it open, and where the worker is dropped in one; what
//! does not fit a batch sent to the end of the queue; the newest dropped instead of the oldest; a
//! refusal counted as a delivery; delivered messages offered again; messages given up for their age
//! counted as sent again; a `close` that does not wake the worker; a failure taken for the end.

mod agree;
mod puppet;
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

use crate::common::{event, task};
use agree::balances;
use puppet::{Strings, puppet};
use reference::{Model, Worker as Doing};
use steps::{Sort, Step};

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: proptest_cases(128), ..ProptestConfig::default() })]

    #[test]
    fn the_pipeline_does_what_its_model_does(sequential 1..60 => Machine);
}

/// The pipeline under test, on one thread whose clock stands still unless a step moves it.
struct Machine {
    runtime: Rc<Runtime>,
    notifier: Notifier,
    worker: Option<Worker>,
    running: Option<JoinHandle<Stats>>,
    strings: Strings,
    /// One for each message, as in the model.
    claims: Vec<Claim>,
    flushes: Vec<JoinHandle<Result<()>>>,
}

/// What a caller has of a message.
enum Claim {
    Held(Receipt),
    /// The receipt was dropped. Nothing must come of that.
    Dropped(Option<Uuid>),
    Enqueuing(JoinHandle<[Receipt; 1]>),
}

impl StateMachineTest for Machine {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .map(Rc::new)
            .unwrap();
        let (transport, strings) = puppet();
        let (notifier, worker) = Notifier::builder(transport)
            .publisher_id("host1")
            .encoding(encoding())
            .disabled(["task"])
            .queue(queue(model))
            .attempt_timeout(ATTEMPT)
            .send_timeout(NEVER)
            .drain_timeout(NEVER)
            .build()
            .unwrap();
        let (claims, flushes) = (Vec::new(), Vec::new());
        Self { runtime, notifier, worker: Some(worker), running: None, strings, claims, flushes }
    }

    fn apply(mut machine: Self, model: &Model, step: Step) -> Self {
        // Also what emits looks at the clock that stands still.
        let runtime = Rc::clone(&machine.runtime);
        let _clock = runtime.enter();
        machine.take(step, model);
        machine.come_to_rest(model);
        machine.agrees(model);
        machine
    }

    fn teardown(mut machine: Self, mut model: Model) {
        let runtime = Rc::clone(&machine.runtime);
        let _clock = runtime.enter();
        machine.heal(&mut model);
        machine.come_to_rest(&model);
        machine.agrees(&model);
    }
}

impl Machine {
    fn take(&mut self, step: Step, model: &Model) {
        match step {
            Step::Emit(sorts, held) => {
                for sort in sorts {
                    let receipt = self.notifier.emit(&EVENTS[sort as usize]);
                    self.claims.push(if held {
                        Claim::Held(receipt)
                    } else {
                        Claim::Dropped(receipt.message_id())
                    });
                    balances(&self.notifier.stats());
                }
            }
            Step::Enqueue => {
                let notifier = self.notifier.clone();
                let enqueue = async move { [notifier.enqueue(&EVENTS[0]).await] };
                self.claims.push(Claim::Enqueuing(self.runtime.spawn(enqueue)));
            }
            Step::Flush => {
                let notifier = self.notifier.clone();
                let flush = async move { notifier.flush(NEVER).await };
                self.flushes.push(self.runtime.spawn(flush));
            }
            Step::Start => {
                let worker = self.worker.take().unwrap();
                self.running = Some(self.runtime.spawn(worker.run()));
            }
            Step::Order(order) => self.strings.order(order),
            Step::TimeOut => self.pass(ATTEMPT),
            Step::Wait => self.pass(LONGEST_WAIT),
            Step::Age => self.pass(AGE + Duration::from_secs(1)),
            Step::Close => self.notifier.close(),
            Step::ShutDown(seconds) => {
                let stats =
                    self.runtime.block_on(self.notifier.shutdown(Duration::from_secs(seconds)));
                assert_eq!(stats.state == WorkerState::Closed, model.worker == Doing::Gone);
            }
            Step::DropWorker => {
                self.worker = None;
                if let Some(running) = self.running.take() {
                    running.abort();
                }
            }
        }
    }

    /// Once faults stop, everything that is pending is delivered, and the worker ends.
    fn heal(&mut self, model: &mut Model) {
        // Where the time to drain is over, it is chance whether there is one more attempt.
        if !model.drain_over {
            self.strings.release();
        }
        if let Some(worker) = self.worker.take() {
            self.running = Some(self.runtime.spawn(worker.run()));
        }
        if let Some(running) = self.running.take() {
            let drained = async {
                self.notifier.flush(Duration::from_secs(600)).await.unwrap();
                for claim in &mut self.claims {
                    claim.arrive().await;
                }
                self.notifier.close();
                running.await.unwrap()
            };
            let mut stats = self.runtime.block_on(drained);
            stats.suppressed = self.notifier.stats().suppressed;
            if model.worker != Doing::Gone {
                assert_eq!(stats, self.notifier.stats());
                model.deliver_all();
            }
        }
    }

    /// Lets time pass in one moment.
    fn pass(&self, time: Duration) {
        // What is under way has set its timers.
        self.runtime.block_on(tokio::time::advance(time + Duration::from_millis(2)));
    }

    /// Lets everybody do what can be done at once, or after the moment for which the worker may wait
    /// for company. The wait after a failure may be as short, so no time passes in it.
    fn come_to_rest(&mut self, model: &Model) {
        self.runtime.block_on(async {
            take_turns().await;
            // As often as it finds that what came is too old.
            let moments = if model.bounds.ages { model.bounds.max_messages } else { 1 };
            for _ in 0..moments {
                if model.worker != Doing::Waiting {
                    tokio::time::advance(MOMENT).await;
                    take_turns().await;
                }
            }
            for claim in &mut self.claims {
                if matches!(claim, Claim::Enqueuing(task) if task.is_finished()) {
                    claim.arrive().await;
                }
            }
        });
    }
}

impl Claim {
    fn id(&self) -> Option<Uuid> {
        match self {
            Self::Held(receipt) => receipt.message_id(),
            Self::Dropped(id) => *id,
            Self::Enqueuing(_) => None,
        }
    }

    async fn arrive(&mut self) {
        if let Self::Enqueuing(task) = self {
            let [receipt] = task.await.unwrap();
            *self = Self::Held(receipt);
        }
    }
}

async fn take_turns() {
    for _ in 0..MANY {
        yield_now().await;
    }
}

fn queue(model: &Model) -> QueueConfig {
    let mut queue = QueueConfig::default();
    queue.max_messages = model.bounds.max_messages;
    queue.batch_messages = model.bounds.batch_messages;
    if let Some((max_bytes, batch_bytes)) = model.bounds.bytes {
        (queue.max_bytes, queue.batch_bytes) = (max_bytes, batch_bytes);
    }
    if model.bounds.drop_oldest {
        queue.overflow = Overflow::DropOldest;
    }
    queue.max_age = model.bounds.ages.then_some(AGE);
    queue
}

fn encoding() -> Encoding {
    Encoding { limits: SizeLimits { bytes: LIMIT, ..SizeLimits::default() }, ..Encoding::default() }
}

/// What each [`Sort`] is.
static EVENTS: LazyLock<[Event; 4]> = LazyLock::new(|| {
    [
        event(EventType::ImageSend, Priority::Info),
        Event::ImageUpload(Payload::Warn("x".repeat(2000))),
        Event::ImageUpload(Payload::Error("x".repeat(LIMIT))),
        Event::TaskRun(task(TaskStatus::Pending).into()),
    ]
});

/// What a message of this sort counts for in bounds, in bytes.
fn weight(sort: Sort) -> usize {
    static WEIGHTS: LazyLock<[usize; 2]> = LazyLock::new(|| {
        [Sort::Small, Sort::Large].map(|sort| {
            let mut notification = crate::common::notification(EVENTS[sort as usize].clone());
            notification.publisher_id = "host1".into();
            notification.encode(&encoding()).unwrap().body().len() + 256
        })
    });
    WEIGHTS[sort as usize]
}

/// The least that `max_bytes` can be, with messages of [`LIMIT`] bytes.
const MIN_BYTES: usize = LIMIT + 256;
const LIMIT: usize = 4096;
const ATTEMPT: Duration = Duration::from_secs(60);
/// The longest that the worker waits after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const AGE: Duration = Duration::from_secs(3600);
/// Longer than the worker waits for company.
const MOMENT: Duration = Duration::from_millis(2);
const NEVER: Duration = Duration::from_secs(1_000_000_000);
/// How many turns everybody gets to come to rest.
const MANY: usize = 30;
