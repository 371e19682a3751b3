//! How a notifier ends: what is told to whom, and by when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::pipeline::{attempt, build, create, outcome, queue};
use async_trait::async_trait;
use notify_conformance::script::{Script, ScriptAction, ScriptEnd};
use notify_core::pipeline::WorkerState;
use notify_core::{Batch, ErrorKind, EventType, Notifier, Outcome, Result, Transport, Verdict};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn shutdown_drains_within_its_time_and_gives_up_the_rest() {
    let script = Script::default();
    script.add_attempt(attempt(
        &[ScriptAction::Accept, ScriptAction::LeaveUnsettled, ScriptAction::LeaveUnsettled],
        ScriptEnd::Stall,
    ));
    let (notifier, worker) = build(&script, queue(10, 3));
    let receipts: Vec<_> = (0..5).map(|_| notifier.emit(&create())).collect();
    let worker = tokio::spawn(worker.run());
    tokio::time::sleep(Duration::from_millis(1)).await;
    let start = Instant::now();
    let stats = notifier.shutdown(Duration::from_secs(7)).await;
    assert_eq!(start.elapsed().as_secs(), 7);
    assert_eq!((stats.delivered, stats.dropped.abandoned), (1, 4));
    assert_eq!((stats.pending.messages, stats.state), (0, WorkerState::Closed));
    let mut outcomes = Vec::new();
    for receipt in receipts {
        outcomes.push(outcome(receipt.await));
    }
    let (unknown, not_sent) = (Some(Outcome::Unknown), Some(Outcome::NotSent));
    assert_eq!(outcomes, [None, unknown, unknown, not_sent, not_sent]);
    let late = notifier.emit(&create());
    assert_eq!(late.await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(notifier.stats().dropped.closed, 1);
    worker.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_what_only_an_operator_can_mend() {
    let script = Script::default();
    for _ in 0..10 {
        script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Permanent));
    }
    let (notifier, worker) = build(&script, queue(10, 3));
    tokio::spawn(worker.run());
    drop(notifier.emit(&create()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    let stats = notifier.shutdown(Duration::from_secs(10)).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(stats.dropped.abandoned, 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_clone_drains_what_it_leaves_behind() {
    let script = Script::default();
    let (notifier, worker) = build(&script, queue(10, 3));
    let receipts: Vec<_> = (0..5).map(|_| notifier.clone().emit(&create())).collect();
    let worker = tokio::spawn(worker.run());
    drop(notifier);
    assert_eq!(worker.await.unwrap().delivered, 5);
    for receipt in receipts {
        receipt.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_dropped_decides_everything() {
    let script = Script::default();
    script.add_attempt(attempt(
        &[ScriptAction::LeaveUnsettled, ScriptAction::LeaveUnsettled],
        ScriptEnd::Stall,
    ));
    let (notifier, worker) = build(&script, queue(10, 2));
    let receipts: Vec<_> = (0..3).map(|_| notifier.emit(&create())).collect();
    let worker = tokio::spawn(worker.run());
    tokio::time::sleep(Duration::from_secs(1)).await;
    worker.abort();
    let mut outcomes = Vec::new();
    for receipt in receipts {
        outcomes.push(outcome(receipt.await));
    }
    let unknown = Some(Outcome::Unknown);
    assert_eq!(outcomes, [unknown, unknown, Some(Outcome::NotSent)]);
    assert_eq!(notifier.stats().dropped.abandoned, 3);
    let start = Instant::now();
    assert_eq!(notifier.shutdown(Duration::from_secs(10)).await.state, WorkerState::Closed);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// A worker that nobody runs delivers nothing, and nothing waits for it for ever.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_for_a_worker_that_does_not_run() {
    let script = Script::default();
    let (notifier, worker) = build(&script, queue(1, 1));
    assert_eq!(outcome(notifier.send(&create()).await), Some(Outcome::Unknown));
    assert_eq!(outcome(notifier.send(&create()).await), Some(Outcome::NotSent));
    assert!(notifier.flush(Duration::from_secs(1)).await.is_err());
    assert_eq!(notifier.shutdown(Duration::from_secs(1)).await.pending.messages, 1);
    drop(worker);
    assert_eq!(notifier.stats().pending.messages, 0);
}

/// Takes everything, and a while to close.
#[derive(Debug)]
struct SlowToClose(Arc<AtomicBool>);

#[async_trait]
impl Transport for SlowToClose {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn wants(&self, _: EventType) -> bool {
        true
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        batch.settle_rest(&Verdict::Accept);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.0.store(true, Ordering::SeqCst);
        Ok(())
    }
}

/// A program that ends after `shutdown` must not cut its connection in the middle of a farewell.
#[tokio::test(start_paused = true)]
async fn shutdown_waits_until_the_transport_is_closed() {
    let closed = Arc::new(AtomicBool::new(false));
    let transport = Box::new(SlowToClose(Arc::clone(&closed)));
    let (notifier, worker) = Notifier::builder(transport).build().unwrap();
    tokio::spawn(worker.run());
    let stats = notifier.shutdown(Duration::from_secs(1)).await;
    assert!(closed.load(Ordering::SeqCst));
    assert_eq!(stats.state, WorkerState::Closed);
}

/// The time to drain runs from the first `close`, whoever closes again or goes away after it.
#[tokio::test(start_paused = true)]
async fn closing_again_gives_no_more_time() {
    let script = Script::default();
    script.set_stalled(true);
    let (notifier, worker) = Notifier::builder(script.transport()).build().unwrap();
    let receipt = notifier.emit(&create());
    tokio::spawn(worker.run());
    let start = Instant::now();
    notifier.close();
    tokio::time::sleep(Duration::from_secs(4)).await;
    notifier.close();
    tokio::time::sleep(Duration::from_secs(4)).await;
    drop(notifier);
    assert_eq!(receipt.await.unwrap_err().outcome(), Outcome::Unknown);
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

/// Whoever shuts down has less patience than whoever closed: the worker does not sleep through it.
#[tokio::test(start_paused = true)]
async fn shutdown_cuts_short_a_longer_time_to_drain() {
    let script = Script::default();
    for _ in 0..100 {
        script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Permanent));
    }
    let (notifier, worker) = Notifier::builder(script.transport())
        .drain_timeout(Duration::from_secs(3600))
        .build()
        .unwrap();
    drop(notifier.emit(&create()));
    tokio::spawn(worker.run());
    notifier.close();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    let stats = notifier.shutdown(Duration::ZERO).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!((stats.dropped.abandoned, stats.state), (1, WorkerState::Closed));
}

/// There will be no room any more, so nobody waits for it.
#[tokio::test(start_paused = true)]
async fn whoever_waits_for_room_is_told_at_once() {
    let script = Script::default();
    script.set_stalled(true);
    let (notifier, worker) = build(&script, queue(1, 1));
    tokio::spawn(worker.run());
    let first = notifier.emit(&create());
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let notifier = notifier.clone();
            tokio::spawn(async move { notifier.enqueue(&create()).await.await })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    notifier.close();
    for task in waiting {
        assert_eq!(task.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    drop(first);
}
