//! A queue that is full: what is dropped, and who waits for room.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::pipeline::{attempt, build, create, outcome, queue};
use notify_conformance::script::{Script, ScriptAction, ScriptEnd};
use notify_core::codec::{Encoding, SizeLimits};
use notify_core::event::Payload;
use notify_core::pipeline::{Overflow, PendingCounts};
use notify_core::{Event, Notifier, Outcome};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_the_newest() {
    let script = Script::default();
    let (notifier, worker) = build(&script, queue(3, 10));
    let receipts: Vec<_> = (0..5).map(|_| notifier.emit(&create())).collect();
    let stats = notifier.stats();
    assert_eq!((stats.emitted, stats.dropped.overflow, stats.pending.messages), (5, 2, 3));
    tokio::spawn(worker.run());
    let mut outcomes = Vec::new();
    for receipt in receipts {
        outcomes.push(outcome(receipt.await));
    }
    let dropped = Some(Outcome::NotSent);
    assert_eq!(outcomes, [None, None, None, dropped, dropped]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_the_oldest_that_is_not_in_flight() {
    let script = Script::default();
    script.set_stalled(true);
    let mut config = queue(3, 1);
    config.overflow = Overflow::DropOldest;
    let (notifier, worker) = build(&script, config);
    tokio::spawn(worker.run());
    let mut receipts = vec![notifier.emit(&create())];
    tokio::time::sleep(Duration::from_millis(1)).await;
    receipts.extend((0..4).map(|_| notifier.emit(&create())));
    assert_eq!(notifier.stats().dropped.overflow, 2);
    script.set_stalled(false);
    let mut outcomes = Vec::new();
    for receipt in receipts {
        outcomes.push(outcome(receipt.await));
    }
    let dropped = Some(Outcome::NotSent);
    assert_eq!(outcomes, [None, dropped, dropped, None, None]);
}

/// What cannot make room is not dropped for it: here the bytes are in flight.
#[tokio::test(start_paused = true)]
async fn nothing_is_dropped_in_vain() {
    let script = Script::default();
    script.set_stalled(true);
    let mut config = queue(10, 1);
    config.max_bytes = 1024 * 1024 + 256;
    config.overflow = Overflow::DropOldest;
    let (notifier, worker) = build(&script, config);
    tokio::spawn(worker.run());
    let large = Event::ImageUpload(Payload::Error("x".repeat(600_000)));
    let in_flight = notifier.emit(&large);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let queued = notifier.emit(&create());
    let dropped = notifier.emit(&large);
    assert_eq!(outcome(dropped.await), Some(Outcome::NotSent));
    script.set_stalled(false);
    assert_eq!((outcome(in_flight.await), outcome(queued.await)), (None, None));
}

#[tokio::test(start_paused = true)]
async fn bounds_without_end_are_no_panic() {
    let script = Script::default();
    let mut config = queue(usize::MAX, usize::MAX);
    (config.max_bytes, config.batch_bytes) = (usize::MAX, usize::MAX);
    let limits = SizeLimits { bytes: usize::MAX, keys: usize::MAX, ..SizeLimits::default() };
    let (notifier, worker) = Notifier::builder(script.transport())
        .queue(config)
        .encoding(Encoding { limits, ..Encoding::default() })
        .build()
        .unwrap();
    tokio::spawn(worker.run());
    notifier.send(&create()).await.unwrap();
    assert_eq!(notifier.shutdown(Duration::from_secs(1)).await.delivered, 1);
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_in_bytes_too() {
    let script = Script::default();
    let mut config = queue(10_000, 1024);
    config.max_bytes = 2 * 1024 * 1024;
    let (notifier, worker) = build(&script, config);
    let large = Event::ImageUpload(Payload::Error("x".repeat(500_000)));
    let receipts: Vec<_> = (0..6).map(|_| notifier.emit(&large)).collect();
    let stats = notifier.stats();
    assert_eq!((stats.pending.messages, stats.dropped.overflow), (4, 2));
    assert!((2_000_000..=2 * 1024 * 1024).contains(&stats.pending.bytes));
    drop(receipts);
    tokio::spawn(worker.run());
    notifier.flush(Duration::from_secs(5)).await.unwrap();
    assert_eq!(notifier.stats().pending, PendingCounts::default());
}

#[tokio::test(start_paused = true)]
async fn enqueue_waits_for_room_and_gives_up() {
    let script = Script::default();
    script.set_stalled(true);
    let (notifier, worker) = build(&script, queue(1, 1));
    tokio::spawn(worker.run());
    let first = notifier.enqueue(&create()).await;
    let start = Instant::now();
    let second = notifier.enqueue(&create()).await;
    assert_eq!(start.elapsed(), Duration::from_secs(120));
    assert_eq!(outcome(second.await), Some(Outcome::NotSent));
    let waiting: Vec<_> = (0..64)
        .map(|_| {
            let notifier = notifier.clone();
            tokio::spawn(async move { notifier.send(&create()).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(notifier.stats().emitted, 2, "nothing is counted that only waits");
    script.set_stalled(false);
    first.await.unwrap();
    for task in waiting {
        task.await.unwrap().unwrap();
    }
}

/// Whoever is woken and needs more room than there is may keep others waiting, but not until they are
/// dropped.
#[tokio::test(start_paused = true)]
async fn nobody_is_dropped_while_there_is_room() {
    let script = Script::default();
    script.add_attempt(attempt(&[ScriptAction::Accept], ScriptEnd::Ok));
    for _ in 0..10 {
        script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Stall));
    }
    script.set_stalled(true);
    let mut config = queue(10, 1);
    config.max_bytes = 1024 * 1024 + 256;
    let (notifier, worker) = build(&script, config);
    tokio::spawn(worker.run());
    let pending = [notifier.emit(&sized(500_000)), notifier.emit(&sized(500_000))];
    let waiting = [700_000, 100_000].map(|bytes| {
        let notifier = notifier.clone();
        tokio::spawn(async move { [notifier.enqueue(&sized(bytes)).await] })
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    script.set_stalled(false);
    let [large, small] = waiting;
    let [large] = large.await.unwrap();
    assert_eq!(outcome(large.await), Some(Outcome::NotSent));
    drop(small.await.unwrap());
    let stats = notifier.stats();
    assert_eq!((stats.pending.messages, stats.dropped.overflow), (2, 1), "{stats:?}");
    drop(pending);
}

/// Or a large notification would wait for ever beside a stream of small ones.
#[tokio::test(start_paused = true)]
async fn whoever_waits_for_room_gets_it_in_turn() {
    let script = Script::default();
    let mut config = queue(10, 1);
    config.max_bytes = 1024 * 1024 + 256;
    let (notifier, worker) = build(&script, config);
    let pending = [500_000, 500_000].map(|bytes| notifier.emit(&sized(bytes)));
    let waiting = [900_000, 30_000].map(|bytes| {
        let notifier = notifier.clone();
        tokio::spawn(async move { notifier.send(&sized(bytes)).await })
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(notifier.stats().emitted, 2, "there is room for the small one, but it came later");
    tokio::spawn(worker.run());
    for task in waiting {
        task.await.unwrap().unwrap();
    }
    let sizes: Vec<_> = script.stored().iter().map(|message| message.body().len()).collect();
    assert!(sizes[2] > 900_000 && sizes[3] < 50_000, "{sizes:?}");
    drop(pending);
}

/// Or many tasks would wait in a line for each notification. Who wants more room than there is still
/// comes first.
#[tokio::test(start_paused = true)]
async fn who_finds_room_passes_those_who_have_not_noticed_theirs() {
    let script = Script::default();
    let (notifier, worker) = build(&script, queue(2, 2));
    let pending = [notifier.emit(&create()), notifier.emit(&create())];
    let event = create();
    let enqueue = || Box::pin(notifier.enqueue(&event));
    let (mut first, mut second) = (enqueue(), enqueue());
    assert!(look(&mut first).is_none() && look(&mut second).is_none());
    tokio::spawn(worker.run());
    notifier.flush(Duration::from_secs(60)).await.unwrap();

    assert!(look(&mut enqueue()).is_none(), "the first wants room, and has not noticed it");
    let first = first.await;
    let passed = look(&mut enqueue()).expect("there is room, and the second has not noticed");
    drop(second.await);
    notifier.flush(Duration::from_secs(60)).await.unwrap();
    assert_eq!(notifier.stats().delivered, 5);
    drop((pending, first, passed));
}

/// What has come of a future, without waiting for it.
fn look<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// On real threads, with a queue that is full most of the time: a wake-up that is lost would leave
/// somebody waiting until something is dropped.
#[test]
fn no_wake_up_is_lost_between_threads() {
    const THREADS: usize = 8;
    const EACH: usize = 5_000;
    let script = Script::default();
    let (notifier, worker) = build(&script, queue(3, 2));
    let worker = worker.spawn_thread().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let emitting: Vec<_> = (0..THREADS)
        .map(|_| {
            let notifier = notifier.clone();
            runtime.spawn(async move {
                for number in 0..EACH {
                    let receipt = notifier.enqueue(&create()).await;
                    // Now and then the queue runs dry, and the worker waits.
                    if number % 16 == 0 {
                        receipt.await.unwrap();
                    }
                }
            })
        })
        .collect();
    for task in emitting {
        runtime.block_on(task).unwrap();
    }
    notifier.close();
    let total = (THREADS * EACH) as u64;
    let stats = worker.join().unwrap();
    assert_eq!((stats.emitted, stats.delivered), (total, total), "{stats:?}");
}

fn sized(bytes: usize) -> Event {
    Event::ImageUpload(Payload::Error("x".repeat(bytes)))
}
