//! A model test of queue, worker, spool and forwarder together.
//!
//! Random steps kill processes, cut the power and make the disk fail. In every state, the accounts
//! balance, the destination has only emitted messages, and first attempts keep their order. At the end
//! the faults stop, and every accepted message must be delivered or a dead letter.
//!
//! The clock of the runtime is paused, and the test moves it. The spool's own thread runs freely, so
//! that the same case can differ in the moments at which that thread makes progress: a failure may need
//! several runs to appear again.
//!
//! The test found each of these faults when they were planted in the spool:
//!
//! * a batch that counts as accepted although its commit failed, and a commit without `fdatasync`
//! * a message that is removed before its delivery, and a message that reading skips
//! * outcomes that leave messages pending, and dead letters that no counter counts
//! * a refused message without a dead letter
//! * a forwarder that does not learn of new messages
//! * a failed commit that claims to have stored nothing
//! * with a few hundred cases: a batch of a dropped attempt that the spool stores twice, and a file that
//!   is not rewritten after a failed sync

pub(crate) mod environment;
mod steps;

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use notify_conformance::samples;
use notify_core::pipeline::{QueueConfig, Receipt, Stats};
use notify_core::{Message, Notifier, Outcome};
use notify_spool::{Config, FullSpoolPolicy, Spool, admin};
use notify_testbed::disk::FaultyDisk;
use notify_testbed::proptest_cases;
use proptest::prelude::*;
use proptest_state_machine::{StateMachineTest, prop_state_machine};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, yield_now};
use uuid::Uuid;

use crate::support::assert_balanced;
use environment::{ProcessDisk, SimulatedDestination};
use steps::{ModelSettings, ModelStep};

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: proptest_cases(64), ..ProptestConfig::default() })]

    #[test]
    fn accepted_messages_are_never_lost(sequential 1..40 => SpoolMachine);
}

/// The system under test: one process after the other on one disk, with one destination.
struct SpoolMachine {
    settings: ModelSettings,
    dir: TempDir,
    disk: FaultyDisk,
    destination: SimulatedDestination,
    process: Option<SimulatedProcess>,
    emitted: Vec<EmittedMessage>,
    /// Whether the spool declined a message. The pipeline may then set it aside, behind later ones.
    has_declined: bool,
}

/// A process that stores and forwards.
struct SimulatedProcess {
    /// Keeps a blocking task alive, so that the paused clock does not move by itself.
    clock: mpsc::Sender<()>,
    runtime: Runtime,
    notifier: Notifier,
    worker: JoinHandle<Stats>,
    disk: Arc<ProcessDisk>,
    /// The number of processes that ended before this one started.
    predecessors: u64,
}

/// An emitted message and its outcome.
struct EmittedMessage {
    message: Message,
    /// The receipt, until it resolves or the process ends.
    receipt: Option<Receipt>,
    /// The result of the receipt; `None` if the process ended before it resolved.
    outcome: Option<Result<(), Outcome>>,
}

impl StateMachineTest for SpoolMachine {
    type SystemUnderTest = Self;
    type Reference = ModelSettings;

    fn init_test(settings: &ModelSettings) -> Self {
        let mut machine = Self {
            settings: settings.clone(),
            dir: tempfile::tempdir().unwrap(),
            disk: FaultyDisk::new(settings.seed),
            // Dead letters take at most half of the room, so that the last messages find some.
            destination: SimulatedDestination::with_max_refused(settings.max_messages / 2),
            process: None,
            emitted: Vec::new(),
            has_declined: false,
        };
        machine.start();
        machine
    }

    fn apply(mut machine: Self, _: &ModelSettings, step: ModelStep) -> Self {
        machine.execute(step);
        machine.replace_ended_process();
        machine.check_invariants();
        machine
    }

    fn teardown(mut machine: Self, _: ModelSettings) {
        machine.check_recovery();
    }
}

impl SpoolMachine {
    /// Starts a process on the disk.
    fn start(&mut self) {
        let mut config = Config::new(self.dir.path().join("s"));
        config.max_messages = self.settings.max_messages;
        config.batch_messages = self.settings.forward_batch;
        if self.settings.refuses_when_full {
            config.when_full = FullSpoolPolicy::Refuse;
        }
        let disk = ProcessDisk::of_current_process(&self.disk);
        let config = config.on_disk(Arc::clone(&disk) as _);
        let (spool, forwarder) = Spool::open(config, self.destination.connect()).unwrap();
        let mut queue = QueueConfig::default();
        queue.batch_messages = self.settings.store_batch;
        let (notifier, worker) = Notifier::builder(spool)
            .publisher_id("host1")
            .queue(queue)
            .behind(forwarder)
            .build()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let (clock, stopped) = mpsc::channel::<()>();
        // A paused clock jumps ahead when every task is idle, even if the spool's thread is not. A
        // blocking task prevents that.
        runtime.spawn_blocking(move || stopped.recv());
        let worker = runtime.spawn(worker.run());
        let predecessors = self.disk.ended_processes();
        let process = SimulatedProcess { clock, runtime, notifier, worker, disk, predecessors };
        self.process = Some(process);
    }

    fn execute(&mut self, step: ModelStep) {
        match step {
            ModelStep::Emit(count) => {
                let process = self.process.as_ref().unwrap();
                for _ in 0..count {
                    let notification = samples::notification(self.emitted.len() as u64);
                    let receipt = process.runtime.block_on(process.notifier.resend(&notification));
                    let message = samples::encode(&notification);
                    let receipt = Some(receipt);
                    self.emitted.push(EmittedMessage { message, receipt, outcome: None });
                }
            }
            ModelStep::Destination(actions, end) => {
                let mut state = self.destination.state();
                (state.actions, state.end) = (actions, Some(end));
            }
            ModelStep::Proceed(turns, milliseconds) => {
                let process = self.process.as_ref().unwrap();
                for _ in 0..turns {
                    process.proceed(Duration::from_millis(milliseconds) / turns);
                }
            }
            ModelStep::Fail(fault) => self.disk.fail(fault),
            ModelStep::LimitRoom(room) => self.disk.limit(self.disk.allocated() + room * 1024),
            ModelStep::Heal => self.disk.heal(),
            ModelStep::Kill => self.disk.kill(),
            ModelStep::CutPower => self.disk.cut_power(),
            ModelStep::ShutDown(milliseconds) => {
                let process = self.process.as_ref().unwrap();
                let notifier = process.notifier.clone();
                let drain = Duration::from_millis(milliseconds);
                let ended = process.runtime.spawn(async move { notifier.shutdown(drain).await });
                process.until("the shutdown", Duration::from_millis(50), || ended.is_finished());
                self.end_process();
            }
        }
    }

    /// Starts a new process if a fault ended the last one.
    fn replace_ended_process(&mut self) {
        if self.process.as_ref().is_some_and(|it| it.predecessors != self.disk.ended_processes()) {
            self.end_process();
        }
        if self.process.is_none() {
            self.start();
        }
    }

    /// Ends the process: reads its resolved receipts, drops the others and waits for its thread.
    fn end_process(&mut self) {
        let process = self.process.take().unwrap();
        let SimulatedProcess { runtime, notifier, worker, clock, disk, .. } = process;
        self.read_receipts();
        for emitted in &mut self.emitted {
            emitted.receipt = None;
        }
        drop((notifier, worker, clock));
        drop(runtime);
        // A real kill ends the thread too. Here it must not work on beside the next process.
        within_a_minute("the end of the thread", || Arc::strong_count(&disk) == 1);
    }

    /// Moves the results of all resolved receipts into the outcomes.
    fn read_receipts(&mut self) {
        for emitted in &mut self.emitted {
            let Some(receipt) = &mut emitted.receipt else { continue };
            let mut context = Context::from_waker(Waker::noop());
            let Poll::Ready(result) = Pin::new(receipt).poll(&mut context) else { continue };
            emitted.outcome = Some(result.map_err(|error| error.outcome()));
            emitted.receipt = None;
        }
    }

    /// Checks the conditions that hold in every state.
    fn check_invariants(&mut self) {
        let stages = self.process.as_ref().unwrap().notifier.stages();
        for (_, stats) in &stages {
            assert_balanced(stats);
        }
        self.has_declined |= stages[0].1.retried > 0;
        self.read_receipts();
        let state = self.destination.state();
        let numbers: HashMap<Uuid, usize> = self
            .emitted
            .iter()
            .enumerate()
            .map(|(number, emitted)| (emitted.message.id(), number))
            .collect();
        for (id, body) in &state.stored {
            let number = numbers.get(id).expect("the destination may only get emitted messages");
            let EmittedMessage { message, outcome, .. } = &self.emitted[*number];
            assert!(message.body() == body.as_slice(), "the bytes of {number} changed");
            assert!(
                !matches!(outcome, Some(Err(Outcome::NotSent | Outcome::Rejected))),
                "{number} is delivered, but its receipt resolved to {outcome:?}"
            );
        }
        for attempts in &state.first_attempts {
            let order: Vec<_> = attempts.iter().map(|id| numbers[id]).collect();
            assert!(
                self.has_declined || order.is_sorted(),
                "first attempts are out of order: {order:?}"
            );
        }
    }

    /// Ends all faults, and checks that every accepted message is delivered or a dead letter.
    fn check_recovery(&mut self) {
        self.disk.heal();
        // The last step may have ended the process.
        self.replace_ended_process();
        (self.destination.state().actions, self.destination.state().end) = (Vec::new(), None);
        // The accounts know the messages of earlier processes once the slot is open, and it is open
        // once it accepts a message.
        within_a_minute("an accepted message", || {
            self.execute(ModelStep::Emit(1));
            self.execute(ModelStep::Proceed(20, 20_000));
            self.read_receipts();
            self.emitted.last().unwrap().outcome == Some(Ok(()))
        });
        let process = self.process.as_ref().unwrap();
        process.until("delivery of all messages", Duration::from_secs(1), || {
            process.notifier.stages().iter().all(|(_, stats)| stats.pending.messages == 0)
        });
        self.check_invariants();
        assert!(self.emitted.iter().all(|emitted| emitted.receipt.is_none()));
        self.execute(ModelStep::ShutDown(1000));
        let dead = self.dead_letters();
        let state = self.destination.state();
        let delivered: HashSet<_> = state.stored.iter().map(|(id, _)| *id).collect();
        for (number, EmittedMessage { message, outcome, .. }) in self.emitted.iter().enumerate() {
            let id = message.id();
            let survived = delivered.contains(&id) || dead.contains(&id);
            assert!(survived || *outcome != Some(Ok(())), "{number} was accepted, but is lost");
            assert!(
                !dead.contains(&id) || state.refused.contains(&id),
                "{number} is a dead letter, but was never refused"
            );
        }
    }

    /// Returns the ids of the dead letters on the disk, and checks that nothing is pending there.
    fn dead_letters(&self) -> HashSet<Uuid> {
        let spool = self.dir.path().join("s");
        std::fs::write(spool.join("slot-0.redb"), self.disk.content()).unwrap();
        let slot = admin::OpenSlot::open(&spool, 0).unwrap();
        assert_eq!(slot.contents().pending.messages, 0);
        let dead: Vec<_> =
            slot.dead_letters().map(|letter| letter.unwrap().message.unwrap()).collect();
        assert_eq!(slot.contents().dead.messages, dead.len() as u64);
        let bodies: HashMap<_, _> = self
            .emitted
            .iter()
            .map(|emitted| (emitted.message.id(), emitted.message.body()))
            .collect();
        assert!(dead.iter().all(|letter| bodies[&letter.id()] == letter.body()));
        dead.iter().map(Message::id).collect()
    }
}

impl SimulatedProcess {
    /// Lets all tasks and the spool's thread run for a moment, then moves the clock.
    fn proceed(&self, time: Duration) {
        self.runtime.block_on(async {
            for _ in 0..20 {
                yield_now().await;
            }
        });
        std::thread::sleep(TURN);
        self.runtime.block_on(tokio::time::advance(time));
    }

    /// Proceeds in steps of `step` until `condition` holds.
    fn until(&self, what: &str, step: Duration, mut condition: impl FnMut() -> bool) {
        within_a_minute(what, || {
            self.proceed(step);
            condition()
        });
    }
}

/// Repeats `condition` until it holds, at most for a minute of real time.
fn within_a_minute(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "timed out after a minute: {what}");
        std::thread::sleep(TURN);
    }
}

/// The time that the spool's thread has to itself in each turn.
const TURN: Duration = Duration::from_micros(50);
