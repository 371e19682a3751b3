//! Queue, worker, spool and forwarder together, while processes are killed, the power is cut and the
//! disk fails: what was accepted is never lost, and nothing is delivered that was not emitted.
//!
//! The clock of the runtime stands still and is moved by hand; the spool's own thread runs as it
//! likes. So a case is the same again in all but the moments at which the thread is overtaken by the
//! next step, and a failure may take a few tries to come again.
//!
//! Tried on a spool that was broken on purpose, it found: a batch accepted though its commit failed;
//! no `fdatasync`; a message removed before it was delivered, and one that reading passes over; what
//! was concluded left pending, and dead letters not counted; a refused message without a dead letter;
//! the forwarder not told of what is stored; a commit that failed said not to have stored anything;
//! and, for which it needs a few hundred cases, what an attempt that was dropped stored after all
//! stored again, and the file not written again after a sync failed, as it was when this was written.

mod steps;
pub(crate) mod world;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, mpsc};
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

use crate::support::balanced;
use steps::{Setting, Step};
use world::{Destination, DiskOf};

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: proptest_cases(64), ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_is_never_lost(sequential 1..40 => Machine);
}

struct Machine {
    setting: Setting,
    dir: TempDir,
    disk: FaultyDisk,
    destination: Destination,
    run: Option<Run>,
    emitted: Vec<Emitted>,
}

/// One process.
struct Run {
    /// While this is here, the clock does not move by itself, and the runtime does not end.
    clock: mpsc::Sender<()>,
    runtime: Runtime,
    notifier: Notifier,
    worker: JoinHandle<Stats>,
    disk: Arc<DiskOf>,
    born: u64,
}

struct Emitted {
    message: Message,
    receipt: Option<Receipt>,
    /// What the receipt said; nothing, where the process ended before.
    outcome: Option<Result<(), Outcome>>,
}

impl StateMachineTest for Machine {
    type SystemUnderTest = Self;
    type Reference = Setting;

    fn init_test(setting: &Setting) -> Self {
        let mut machine = Self {
            setting: setting.clone(),
            dir: tempfile::tempdir().unwrap(),
            disk: FaultyDisk::new(setting.seed),
            // Dead letters must not take all the room: there must be some for what comes last.
            destination: Destination::that_refuses_at_most(setting.max_messages / 2),
            run: None,
            emitted: Vec::new(),
        };
        machine.start();
        machine
    }

    fn apply(mut machine: Self, _: &Setting, step: Step) -> Self {
        machine.take(step);
        machine.replace_the_dead();
        machine.is_sound();
        machine
    }

    fn teardown(mut machine: Self, _: Setting) {
        machine.recovers();
    }
}

impl Machine {
    fn start(&mut self) {
        let mut config = Config::new(self.dir.path().join("s"));
        config.max_messages = self.setting.max_messages;
        config.batch_messages = self.setting.batch;
        if self.setting.refuses_when_full {
            config.when_full = FullSpoolPolicy::Refuse;
        }
        let disk = DiskOf::the_process_that_now_lives(&self.disk);
        let config = config.on_disk(Arc::clone(&disk) as _);
        let (spool, forwarder) = Spool::open(config, self.destination.connect()).unwrap();
        let mut queue = QueueConfig::default();
        queue.batch_messages = self.setting.front_batch;
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
        // A paused clock jumps ahead when there is nothing to do, unless something blocks: what the
        // spool's thread does would be nothing.
        runtime.spawn_blocking(move || stopped.recv());
        let worker = runtime.spawn(worker.run());
        let born = self.disk.ended_processes();
        self.run = Some(Run { clock, runtime, notifier, worker, disk, born });
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Emit(count) => {
                let run = self.run.as_ref().unwrap();
                for _ in 0..count {
                    let notification = samples::notification(self.emitted.len() as u64);
                    let receipt = run.runtime.block_on(run.notifier.resend(&notification));
                    let message = samples::encode(&notification);
                    let receipt = Some(receipt);
                    self.emitted.push(Emitted { message, receipt, outcome: None });
                }
            }
            Step::Destination(acts, end) => {
                let mut seen = self.destination.seen();
                (seen.acts, seen.end) = (acts, Some(end));
            }
            Step::GoOn(turns, milliseconds) => {
                let run = self.run.as_ref().unwrap();
                for _ in 0..turns {
                    run.go_on(Duration::from_millis(milliseconds) / turns);
                }
            }
            Step::Fail(fault) => self.disk.fail(fault),
            Step::Fill(room) => self.disk.limit(self.disk.allocated() + room * 1024),
            Step::Heal => self.disk.heal(),
            Step::Kill => self.disk.kill(),
            Step::CutPower => self.disk.cut_power(),
            Step::End(milliseconds) => {
                let run = self.run.as_ref().unwrap();
                let notifier = run.notifier.clone();
                let drain = Duration::from_millis(milliseconds);
                let ended = run.runtime.spawn(async move { notifier.shutdown(drain).await });
                run.until("the end", Duration::from_millis(50), || ended.is_finished());
                self.bury();
            }
        }
    }

    /// A process for one that has ended.
    fn replace_the_dead(&mut self) {
        if self.run.as_ref().is_some_and(|run| run.born != self.disk.ended_processes()) {
            self.bury();
        }
        if self.run.is_none() {
            self.start();
        }
    }

    /// What the process leaves behind: receipts that said something, and a lock that is free.
    fn bury(&mut self) {
        let Run { runtime, notifier, worker, clock, disk, .. } = self.run.take().unwrap();
        self.look_at_receipts();
        for emitted in &mut self.emitted {
            emitted.receipt = None;
        }
        drop((notifier, worker, clock));
        drop(runtime);
        // The thread of a process that was killed is none any more: it must not be taken for another
        // process.
        within_a_minute("the thread to end", || Arc::strong_count(&disk) == 1);
    }

    fn look_at_receipts(&mut self) {
        for emitted in &mut self.emitted {
            let Some(receipt) = &mut emitted.receipt else { continue };
            match receipt.wait(Duration::ZERO) {
                Err(error) if error.to_string().starts_with("no outcome after") => continue,
                result => emitted.outcome = Some(result.map_err(|error| error.outcome())),
            }
            emitted.receipt = None;
        }
    }

    /// What must be true at every moment.
    fn is_sound(&mut self) {
        for (_, stats) in self.run.as_ref().unwrap().notifier.stages() {
            balanced(&stats);
        }
        self.look_at_receipts();
        let seen = self.destination.seen();
        let numbers: HashMap<Uuid, usize> = self
            .emitted
            .iter()
            .enumerate()
            .map(|(at, emitted)| (emitted.message.id(), at))
            .collect();
        for (id, body) in &seen.taken {
            let number = numbers.get(id).expect("nothing comes from nowhere");
            let Emitted { message, outcome, .. } = &self.emitted[*number];
            assert!(message.body() == body.as_slice(), "the bytes are those that were emitted");
            assert!(
                !matches!(outcome, Some(Err(Outcome::NotSent | Outcome::Rejected))),
                "{number} is delivered, and was said not to be: {outcome:?}"
            );
        }
        for offers in &seen.offers {
            let order: Vec<_> = offers.iter().map(|id| numbers[id]).collect();
            assert!(order.is_sorted(), "first attempts are in order: {order:?}");
        }
    }

    /// Once faults stop, everything is delivered or a dead letter.
    fn recovers(&mut self) {
        self.disk.heal();
        // A fault may have struck a moment ago.
        self.replace_the_dead();
        (self.destination.seen().acts, self.destination.seen().end) = (Vec::new(), None);
        // What the last run left is known once the slot is open, and it is once it takes something.
        within_a_minute("something to be accepted", || {
            self.take(Step::Emit(1));
            self.take(Step::GoOn(20, 20_000));
            self.look_at_receipts();
            self.emitted.last().unwrap().outcome == Some(Ok(()))
        });
        let run = self.run.as_ref().unwrap();
        run.until("everything to be delivered", Duration::from_secs(1), || {
            run.notifier.stages().iter().all(|(_, stats)| stats.pending.messages == 0)
        });
        self.is_sound();
        assert!(self.emitted.iter().all(|emitted| emitted.receipt.is_none()));
        self.take(Step::End(1000));
        let dead = self.dead_letters();
        let seen = self.destination.seen();
        let taken: HashSet<_> = seen.taken.iter().map(|(id, _)| *id).collect();
        for (number, Emitted { message, outcome, .. }) in self.emitted.iter().enumerate() {
            let id = message.id();
            let kept = taken.contains(&id) || dead.contains(&id);
            assert!(kept || *outcome != Some(Ok(())), "{number} was accepted, and is lost");
            assert!(
                !dead.contains(&id) || seen.refused.contains(&id),
                "{number} was never refused"
            );
        }
    }

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

impl Run {
    /// Gives everybody a turn, and then moves the clock.
    fn go_on(&self, time: Duration) {
        self.runtime.block_on(async {
            for _ in 0..20 {
                yield_now().await;
            }
        });
        std::thread::sleep(TURN);
        self.runtime.block_on(tokio::time::advance(time));
    }

    fn until(&self, what: &str, step: Duration, mut condition: impl FnMut() -> bool) {
        within_a_minute(what, || {
            self.go_on(step);
            condition()
        });
    }
}

fn within_a_minute(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited a minute for {what}");
        std::thread::sleep(TURN);
    }
}

/// How long the spool's thread has to itself in each turn.
const TURN: Duration = Duration::from_micros(50);
