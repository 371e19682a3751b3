//! The end of a notifier: close, drain, shutdown, and the drop of a notifier or a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use notify_conformance::script::{Script, ScriptAction, ScriptEnd};
use notify_core::pipeline::{Stats, WorkerState};
use notify_core::{Batch, ErrorKind, EventType, Notifier, Outcome, Result, Transport, Verdict};
use tokio::time::Instant;

use crate::support::{attempt, build, builder, image_create, outcome, queue_config};

/// `shutdown` returns at its deadline. Messages in flight end as unknown, queued ones as not sent.
#[tokio::test(start_paused = true)]
async fn shutdown_drains_until_its_deadline_and_drops_the_rest() {
    let script = Script::default();
    script.add_attempt(attempt(
        &[ScriptAction::Accept, ScriptAction::LeaveUnsettled, ScriptAction::LeaveUnsettled],
        ScriptEnd::Stall,
    ));
    let (notifier, worker) = build(&script, queue_config(10, 3));
    let receipts: Vec<_> = (0..5).map(|_| notifier.emit(&image_create())).collect();
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
    let late = notifier.emit(&image_create());
    assert_eq!(late.await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(notifier.stats().dropped.closed, 1);
    worker.await.unwrap();
}

/// A permanent error needs an operator, so `shutdown` does not spend its drain time on it.
#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_a_permanent_error() {
    let script = Script::default();
    for _ in 0..10 {
        script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Permanent));
    }
    let (notifier, worker) = build(&script, queue_config(10, 3));
    tokio::spawn(worker.run());
    drop(notifier.emit(&image_create()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    let stats = notifier.shutdown(Duration::from_secs(10)).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(stats.dropped.abandoned, 1);
}

/// A close during an attempt ends the long waits of an outage, as a close between two attempts does.
#[tokio::test(start_paused = true)]
async fn a_close_during_an_attempt_shortens_the_next_wait() {
    for seed in 0..20 {
        let script = Script::default();
        for _ in 0..10 {
            script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Transient));
        }
        let (notifier, worker) = builder(&script).seed(seed).build().unwrap();
        tokio::spawn(worker.run());
        drop(notifier.emit(&image_create()));
        let stats = shut_down_during_attempt(&script, &notifier, 10).await;
        assert_eq!((stats.delivered, stats.dropped.abandoned), (1, 0), "seed {seed}");
    }
}

/// A message that the attempt during the close sets aside is tried once more, as those are that were set
/// aside before.
#[tokio::test(start_paused = true)]
async fn a_message_set_aside_after_the_close_is_tried_once_more() {
    let script = Script::default();
    script.add_attempt(attempt(&[ScriptAction::Retry, ScriptAction::Accept], ScriptEnd::Ok));
    for _ in 0..9 {
        script.add_attempt(attempt(&[ScriptAction::Retry], ScriptEnd::Ok));
    }
    let (notifier, worker) = builder(&script).build().unwrap();
    drop((notifier.emit(&image_create()), notifier.emit(&image_create())));
    tokio::spawn(worker.run());
    let stats = shut_down_during_attempt(&script, &notifier, 10).await;
    assert_eq!((stats.delivered, stats.dropped.abandoned), (2, 0));
}

/// Dropping the last clone closes the notifier, and the worker drains the queue.
#[tokio::test(start_paused = true)]
async fn dropping_the_last_clone_drains_the_queue() {
    let script = Script::default();
    let (notifier, worker) = build(&script, queue_config(10, 3));
    let receipts: Vec<_> = (0..5).map(|_| notifier.clone().emit(&image_create())).collect();
    let worker = tokio::spawn(worker.run());
    drop(notifier);
    assert_eq!(worker.await.unwrap().delivered, 5);
    for receipt in receipts {
        receipt.await.unwrap();
    }
}

/// Every receipt resolves when the worker is dropped: unknown for messages in flight, else not sent.
#[tokio::test(start_paused = true)]
async fn a_dropped_worker_settles_every_message() {
    let script = Script::default();
    script.add_attempt(attempt(
        &[ScriptAction::LeaveUnsettled, ScriptAction::LeaveUnsettled],
        ScriptEnd::Stall,
    ));
    let (notifier, worker) = build(&script, queue_config(10, 2));
    let receipts: Vec<_> = (0..3).map(|_| notifier.emit(&image_create())).collect();
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

/// Without a running worker, every call still returns within its timeout.
#[tokio::test(start_paused = true)]
async fn calls_return_without_a_running_worker() {
    let script = Script::default();
    let (notifier, worker) = build(&script, queue_config(1, 1));
    assert_eq!(outcome(notifier.send(&image_create()).await), Some(Outcome::Unknown));
    assert_eq!(outcome(notifier.send(&image_create()).await), Some(Outcome::NotSent));
    assert!(notifier.flush(Duration::from_secs(1)).await.is_err());
    assert_eq!(notifier.shutdown(Duration::from_secs(1)).await.pending.messages, 1);
    drop(worker);
    assert_eq!(notifier.stats().pending.messages, 0);
}

/// A transport that accepts every message and takes two seconds to close.
#[derive(Debug)]
struct SlowCloseTransport(Arc<AtomicBool>);

#[async_trait]
impl Transport for SlowCloseTransport {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn wants(&self, _: &EventType) -> bool {
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

/// A program that exits after `shutdown` must not cut a connection that is closing.
#[tokio::test(start_paused = true)]
async fn shutdown_waits_until_the_transport_is_closed() {
    let closed = Arc::new(AtomicBool::new(false));
    let transport = Box::new(SlowCloseTransport(Arc::clone(&closed)));
    let (notifier, worker) = Notifier::builder(transport).build().unwrap();
    tokio::spawn(worker.run());
    let stats = notifier.shutdown(Duration::from_secs(1)).await;
    assert!(closed.load(Ordering::SeqCst));
    assert_eq!(stats.state, WorkerState::Closed);
}

/// The drain timeout runs from the first `close`. Neither a second call nor a drop extends it.
#[tokio::test(start_paused = true)]
async fn closing_again_does_not_extend_the_drain_timeout() {
    let script = Script::default();
    script.set_stalled(true);
    let (notifier, worker) = Notifier::builder(script.transport()).build().unwrap();
    let receipt = notifier.emit(&image_create());
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

/// `shutdown` with an earlier deadline wakes a worker that waits in a backoff.
#[tokio::test(start_paused = true)]
async fn shutdown_shortens_the_drain_timeout() {
    let script = Script::default();
    for _ in 0..100 {
        script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Permanent));
    }
    let (notifier, worker) = Notifier::builder(script.transport())
        .drain_timeout(Duration::from_secs(3600))
        .build()
        .unwrap();
    drop(notifier.emit(&image_create()));
    tokio::spawn(worker.run());
    notifier.close();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    let stats = notifier.shutdown(Duration::ZERO).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!((stats.dropped.abandoned, stats.state), (1, WorkerState::Closed));
}

/// A closed queue gives room to no caller, so all callers in the line return at once.
#[tokio::test(start_paused = true)]
async fn close_wakes_every_caller_that_waits_for_room() {
    let script = Script::default();
    script.set_stalled(true);
    let (notifier, worker) = build(&script, queue_config(1, 1));
    tokio::spawn(worker.run());
    let first = notifier.emit(&image_create());
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let notifier = notifier.clone();
            tokio::spawn(async move { notifier.enqueue(&image_create()).await.await })
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

/// Shuts the notifier down within ten seconds, of which its `number`th attempt takes the first. Returns the
/// account.
async fn shut_down_during_attempt(script: &Script, notifier: &Notifier, number: usize) -> Stats {
    for attempts in [number - 1, number] {
        while script.batch_sizes().len() < attempts {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        script.set_stalled(true);
    }
    let end_of_attempt = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        script.set_stalled(false);
    };
    tokio::join!(notifier.shutdown(Duration::from_secs(10)), end_of_attempt).0
}
