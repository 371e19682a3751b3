//! The account on real threads: eight emitters, a reader of the account and a worker, while the notifier
//! ends; and the wake-ups of several destinations.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify_conformance::script::{Script, ScriptAction, ScriptEnd};
use notify_core::pipeline::{Overflow, Receipt, Stats, WorkerState};
use notify_core::{Message, Notifier, Outcome};
use tokio::runtime::Runtime;

use crate::support::{assert_balances, attempt, build, image_create, queue_config};

/// A way to end a notifier.
#[derive(Clone, Copy, Debug)]
enum Termination {
    Close,
    ShutDown,
    DropWorker,
}

/// The account balances whenever another thread reads it, and at the end it matches the receipts.
#[test]
fn the_account_balances_on_many_threads_until_the_end() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(8).enable_all().build().unwrap();
    for round in 0..10 {
        for termination in [Termination::Close, Termination::ShutDown, Termination::DropWorker] {
            let overflow = if round % 2 == 0 { Overflow::DropNewest } else { Overflow::DropOldest };
            run(&runtime, termination, overflow, round * 60);
        }
    }
}

/// Two threads wait for each of their notifications at three destinations, so one lost wake-up of a worker would
/// stop them. The second destination never finishes its first attempt, and delays no other.
#[test]
fn every_worker_wakes_on_many_threads() {
    let destination = |name: &str| {
        let builder = Notifier::builder(Script::default().transport());
        builder.publisher_id("host").named(name)
    };
    let hanging = Script::default();
    hanging.add_attempt(attempt(&[], ScriptEnd::Stall));
    let hanging = Notifier::builder(hanging.transport()).named("hanging").optional();
    let (notifier, worker) =
        destination("a").destination(hanging).destination(destination("b")).build().unwrap();
    let worker = worker.spawn_thread().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for number in 0..2_000 {
                    let mut receipt = notifier.emit(&image_create());
                    // Some workers wait for messages then, and others linger.
                    if number % 3 > 0 {
                        receipt.wait(Duration::from_secs(60)).unwrap();
                    }
                }
            });
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(notifier.flush(Duration::from_secs(60))).unwrap();
    runtime.block_on(notifier.shutdown(Duration::ZERO));
    worker.join().unwrap();
    let destinations = notifier.destinations();
    let required = destinations.iter().filter(|it| it.name != "hanging");
    assert_eq!(required.map(|it| it.stats.delivered).collect::<Vec<_>>(), [4_000, 4_000]);
}

/// Emits on all threads, and ends the notifier after `threshold` messages.
fn run(runtime: &Runtime, termination: Termination, overflow: Overflow, threshold: u64) {
    let script = Script::default();
    for _ in 0..3 {
        script.add_attempt(attempt(
            &[
                ScriptAction::Accept,
                ScriptAction::Refuse,
                ScriptAction::Retry,
                ScriptAction::Accept,
            ],
            ScriptEnd::Ok,
        ));
        script.add_attempt(attempt(
            &[ScriptAction::Accept, ScriptAction::StoreUnsettled],
            ScriptEnd::Transient,
        ));
    }
    let mut config = queue_config(16, 5);
    config.overflow = overflow;
    let (notifier, worker) = build(&script, config);
    let worker = runtime.spawn(worker.run());
    let reading = AtomicBool::new(true);
    let receipts: Vec<Receipt> = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while reading.load(Ordering::Relaxed) {
                assert_balances(&notifier.stats());
            }
        });
        let emitters: Vec<_> =
            (0..EMITTERS).map(|_| scope.spawn(|| emit(runtime, &notifier))).collect();
        while notifier.stats().emitted < threshold {
            std::thread::yield_now();
        }
        match termination {
            Termination::Close => notifier.close(),
            Termination::ShutDown => drop(runtime.block_on(notifier.shutdown(Duration::ZERO))),
            Termination::DropWorker => worker.abort(),
        }
        let receipts = emitters.into_iter().flat_map(|emitter| emitter.join().unwrap()).collect();
        drop(runtime.block_on(notifier.shutdown(Duration::from_secs(60))));
        reading.store(false, Ordering::Relaxed);
        reader.join().unwrap();
        receipts
    });
    assert_receipts_match(&notifier.stats(), receipts, &script);
}

/// Emits the notifications of one thread, every eighth with `enqueue`.
fn emit(runtime: &Runtime, notifier: &Notifier) -> Vec<Receipt> {
    (0..NOTIFICATIONS)
        .map(|number| match number % 8 {
            0 => runtime.block_on(notifier.enqueue(&image_create())),
            _ => notifier.emit(&image_create()),
        })
        .collect()
}

/// Asserts that the receipts add up to the account, and that none contradicts the destination.
fn assert_receipts_match(stats: &Stats, receipts: Vec<Receipt>, script: &Script) {
    assert_balances(stats);
    assert_eq!((stats.pending.messages, stats.pending.bytes), (0, 0));
    assert_eq!((&stats.state, stats.emitted), (&WorkerState::Closed, EMITTERS * NOTIFICATIONS));
    let stored: HashSet<_> = script.stored().iter().map(Message::id).collect();
    let (mut delivered, mut refused, mut dropped) = (0, 0, 0);
    for mut receipt in receipts {
        let is_stored = stored.contains(&receipt.message_id().unwrap());
        match receipt.wait(Duration::ZERO).map_err(|error| error.outcome()) {
            Ok(()) => {
                delivered += 1;
                assert!(is_stored, "delivered, but not stored");
            }
            Err(Outcome::Rejected) => refused += 1,
            Err(outcome) => {
                dropped += 1;
                assert!(!is_stored || outcome == Outcome::Unknown, "stored, but `NotSent`");
            }
        }
    }
    assert_eq!(
        (stats.delivered, stats.refused, stats.dropped.total()),
        (delivered, refused, dropped)
    );
}

/// The number of emitting threads.
const EMITTERS: u64 = 8;
/// The number of notifications that each thread emits.
const NOTIFICATIONS: u64 = 120;
