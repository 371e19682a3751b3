//! The listener beside a model of the place, in random steps with faults.
//!
//! Everything random comes from the seed: the steps, the jitter and the faults. The runtime has one
//! thread and a paused clock, so a seed repeats its run exactly. A failure prints the seed; put it into
//! `LISTENER_SEED` to run it alone.
//!
//! The model knows what the program decided about each message. It holds that
//!
//! * the account balances after every step;
//! * the place forgets no message that the program did not acknowledge or refuse;
//! * no session outlives a settlement that the place could refuse: an unknown tag panics;
//! * once faults stop, every message is acknowledged or a dead letter;
//! * after `close`, nothing is held, and the place has everything else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use notify_conformance::samples;
use notify_conformance::source_script::{SourceFault, SourceScript};
use notify_core::listener::{DeadLetters, Delivery, Listener, ListenerConfig};
use notify_core::source::SettlementMode;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::assert_account_balances;

/// The invariant "the listener's account balances", with those of the module's documentation.
#[test]
fn the_listeners_account_balances() {
    if let Ok(seed) = std::env::var("LISTENER_SEED") {
        run_seed(seed.parse().unwrap());
        return;
    }
    for seed in 0..notify_testbed::proptest_cases(150).into() {
        run_seed(seed);
    }
}

/// One seed gives one run: the steps of two runs are the same.
#[test]
fn a_seed_repeats_its_run() {
    for seed in 0..5 {
        assert_eq!(run_seed(seed), run_seed(seed));
    }
}

/// Runs the steps of one seed, and returns what happened.
fn run_seed(seed: u64) -> Vec<String> {
    let report = std::panic::catch_unwind(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(run(seed))
    });
    report.unwrap_or_else(|_| panic!("run again with LISTENER_SEED={seed}"))
}

async fn run(seed: u64) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mode = if random.bool() { SettlementMode::Individual } else { SettlementMode::Cumulative };
    let script = SourceScript::with_mode(mode);
    let mut config = ListenerConfig::default();
    config.prefetch = random.usize(1..12);
    config.attempts = random.u32(1..4);
    let mut jitter = random.fork();
    let listener = Listener::builder(script.source(), DeadLetters::Discard)
        .config(config)
        .random(move || jitter.f64())
        .start()
        .unwrap();
    let mut run = ModelRun { random, script, listener, model: Model::default(), held: Vec::new() };
    for _ in 0..run.random.usize(20..120) {
        run.step().await;
        run.check();
    }
    run.finish().await
}

/// The decisions of the program.
#[derive(Default)]
struct Model {
    /// The published messages, by id.
    published: BTreeMap<Uuid, Vec<u8>>,
    /// The number of published bodies that hold no message.
    poison: u64,
    /// The messages that the program acknowledged.
    acked: BTreeSet<Uuid>,
    /// The messages that the program refused or let fail.
    refused: BTreeSet<Uuid>,
    faults: u64,
    log: Vec<String>,
}

/// The listener under test with its place and its model.
struct ModelRun {
    random: fastrand::Rng,
    script: SourceScript,
    listener: Listener,
    model: Model,
    /// The deliveries that the program has.
    held: Vec<Delivery>,
}

impl ModelRun {
    /// Takes one random step.
    async fn step(&mut self) {
        let step = self.random.u8(0..12);
        match step {
            0 | 1 => self.publish(),
            2 => {
                let poison = self.random.u64(..).to_le_bytes().to_vec();
                self.model.poison += 1;
                self.script.publish_bytes([poison]);
            }
            3 => {
                let fault = self.random.choice(FAULTS).unwrap();
                self.model.faults += 1;
                self.script.add_fault(fault);
            }
            4 => sleep(Duration::from_millis(self.random.u64(0..40_000))).await,
            5..=7 => {
                let (max, linger) = (self.random.usize(1..8), self.random.u64(0..300));
                let wait = Duration::from_millis(self.random.u64(0..2000));
                let next = self.listener.next_batch(max, Duration::from_millis(linger));
                if let Ok(Ok(Some(batch))) = timeout(wait, next).await {
                    self.held.extend(batch);
                }
            }
            _ => self.settle().await,
        }
        let counts = self.listener.stats().total;
        self.model.log.push(format!("{step} {counts:?}"));
    }

    fn publish(&mut self) {
        let first = self.model.published.len() as u64;
        let messages = samples::messages(first..first + self.random.u64(1..10));
        let body = |message: &notify_core::Message| (message.id(), message.body().to_vec());
        self.model.published.extend(messages.iter().map(body));
        self.script.publish(messages);
    }

    /// Settles one of the deliveries that the program has.
    async fn settle(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let index = self.random.usize(0..self.held.len());
        let delivery = self.held.swap_remove(index);
        let id = delivery.message().unwrap().id();
        let receipt = match self.random.u8(0..8) {
            0..=3 => {
                self.model.acked.insert(id);
                delivery.ack()
            }
            4 => delivery.release(),
            5 => {
                self.model.refused.insert(id);
                delivery.fail("the model says so")
            }
            6 => {
                self.model.refused.insert(id);
                delivery.refuse("the model says so")
            }
            _ => {
                self.model.refused.insert(id);
                return drop(delivery);
            }
        };
        // A receipt may be dropped.
        if self.random.bool() {
            receipt.await.unwrap();
        }
    }

    /// Checks the invariants of every moment.
    fn check(&self) {
        assert_account_balances(&self.listener.stats().total);
        let mut poison = 0;
        for body in self.script.acked() {
            let Ok(message) = notify_core::Message::from_body(body) else {
                poison += 1;
                continue;
            };
            let id = message.id();
            assert!(
                self.model.acked.contains(&id) || self.model.refused.contains(&id),
                "{id} is gone, and the program neither acknowledged nor refused it"
            );
        }
        assert!(poison <= self.model.poison);
    }

    /// Stops the faults, lets the program acknowledge everything, and closes.
    async fn finish(mut self) -> Vec<String> {
        for delivery in std::mem::take(&mut self.held) {
            self.model.acked.insert(delivery.message().unwrap().id());
            delivery.ack().await.unwrap();
        }
        let keep = self.random.bool();
        let limit = if keep { self.random.usize(0..10) } else { usize::MAX };
        let mut taken = 0;
        while taken < limit
            && let Ok(next) = timeout(Duration::from_secs(600), self.listener.next_delivery()).await
        {
            // A permanent fault of the script before the first session: the listener keeps trying.
            let Ok(delivery) = next else {
                sleep(Duration::from_secs(31)).await;
                continue;
            };
            taken += 1;
            let delivery = delivery.unwrap();
            self.model.acked.insert(delivery.message().unwrap().id());
            delivery.ack().await.unwrap();
            self.check();
        }
        if !keep {
            // The last dead letters may need a session after a fault.
            sleep(Duration::from_secs(600)).await;
            self.check();
            assert_eq!(self.script.unacked(), 0, "something is stuck");
            let counts = self.listener.stats().total;
            assert!(counts.unreadable >= self.model.poison);
            assert_eq!(counts.held, 0);
        }
        let acked_before = self.script.acked().len();
        let left = self.script.unacked();
        let Self { listener, script, mut model, .. } = self;
        let counts = listener.close(Duration::from_secs(60)).await.total;
        assert_account_balances(&counts);
        assert_eq!(counts.held, 0);
        assert_eq!(script.unacked() + script.acked().len(), left + acked_before);
        model.log.push(format!("{counts:?} {}", script.deliveries()));
        model.log
    }
}

/// The faults that a step adds.
const FAULTS: [SourceFault; 6] = [
    SourceFault::FailReceive,
    SourceFault::DenyReceive,
    SourceFault::FailSettle,
    SourceFault::LoseConfirmation,
    SourceFault::StallSettle,
    SourceFault::Detach,
];
