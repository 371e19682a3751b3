//! Eight emitters, a worker and somebody who reads the account, each on a thread of its own, while
//! the notifier comes to its end in one way or another.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::pipeline::{attempt, build, create, queue};
use notify_conformance::script::{Script, ScriptAction, ScriptEnd};
use notify_core::pipeline::{Overflow, Receipt, Stats, WorkerState};
use notify_core::{Message, Notifier, Outcome};
use tokio::runtime::Runtime;

/// How a notifier ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Close,
    ShutDown,
    DropWorker,
}

#[test]
fn the_account_holds_while_eight_emit_and_somebody_ends_it() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(8).enable_all().build().unwrap();
    for round in 0..10 {
        for ending in [Ending::Close, Ending::ShutDown, Ending::DropWorker] {
            let overflow = if round % 2 == 0 { Overflow::DropNewest } else { Overflow::DropOldest };
            end(&runtime, ending, overflow, round * 60);
        }
    }
}

/// Ends a notifier once `after` messages were emitted.
fn end(runtime: &Runtime, ending: Ending, overflow: Overflow, after: u64) {
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
    let mut config = queue(16, 5);
    config.overflow = overflow;
    let (notifier, worker) = build(&script, config);
    let worker = runtime.spawn(worker.run());
    let reading = AtomicBool::new(true);
    let receipts: Vec<Receipt> = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while reading.load(Ordering::Relaxed) {
                balances(&notifier.stats());
            }
        });
        let emitters: Vec<_> =
            (0..EMITTERS).map(|_| scope.spawn(|| emit(runtime, &notifier))).collect();
        while notifier.stats().emitted < after {
            std::thread::yield_now();
        }
        match ending {
            Ending::Close => notifier.close(),
            Ending::ShutDown => drop(runtime.block_on(notifier.shutdown(Duration::ZERO))),
            Ending::DropWorker => worker.abort(),
        }
        let receipts = emitters.into_iter().flat_map(|emitter| emitter.join().unwrap()).collect();
        drop(runtime.block_on(notifier.shutdown(Duration::from_secs(60))));
        reading.store(false, Ordering::Relaxed);
        reader.join().unwrap();
        receipts
    });
    adds_up(&notifier.stats(), receipts, &script);
}

fn emit(runtime: &Runtime, notifier: &Notifier) -> Vec<Receipt> {
    (0..EACH)
        .map(|number| match number % 8 {
            0 => runtime.block_on(notifier.enqueue(&create())),
            _ => notifier.emit(&create()),
        })
        .collect()
}

/// What the receipts say, counted, is what the account says, and is true.
fn adds_up(stats: &Stats, receipts: Vec<Receipt>, script: &Script) {
    balances(stats);
    assert_eq!((stats.pending.messages, stats.pending.bytes), (0, 0));
    assert_eq!((&stats.state, stats.emitted), (&WorkerState::Closed, EMITTERS * EACH));
    let taken: HashSet<_> = script.stored().iter().map(Message::id).collect();
    let (mut delivered, mut refused, mut dropped) = (0, 0, 0);
    for mut receipt in receipts {
        let taken = taken.contains(&receipt.message_id().unwrap());
        match receipt.wait(Duration::ZERO).map_err(|error| error.outcome()) {
            Ok(()) => {
                delivered += 1;
                assert!(taken, "delivered is true");
            }
            Err(Outcome::Rejected) => refused += 1,
            Err(outcome) => {
                dropped += 1;
                assert!(!taken || outcome == Outcome::Unknown, "not sent is true");
            }
        }
    }
    assert_eq!(
        (stats.delivered, stats.refused, stats.dropped.total()),
        (delivered, refused, dropped)
    );
}

fn balances(stats: &Stats) {
    let Stats { emitted, delivered, refused, dropped, pending, .. } = stats;
    assert_eq!(*emitted, delivered + refused + dropped.total() + pending.messages, "{stats:?}");
}

const EMITTERS: u64 = 8;
const EACH: u64 = 120;
