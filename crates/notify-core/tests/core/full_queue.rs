//! A full queue: the message that the notifier drops, and the line of callers that wait for room.

use std::time::Duration;

use notify_conformance::LaneFault;
use notify_conformance::script::{Script, ScriptAction, ScriptEnd};
use notify_core::codec::{Encoding, SizeLimits};
use notify_core::event::Payload;
use notify_core::pipeline::{Overflow, PendingCounts};
use notify_core::{Event, Notifier, Outcome, Priority};
use tokio::time::Instant;

use crate::support::{attempt, build, builder, image_create, outcome, poll_once, queue_config};

/// By default, `emit` drops the message that finds the queue full.
#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_the_newest_message() {
    let script = Script::default();
    let (notifier, worker) = build(&script, queue_config(3, 10));
    let receipts: Vec<_> = (0..5).map(|_| notifier.emit(&image_create())).collect();
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

/// `Overflow::DropOldest` drops the oldest queued message and keeps those in flight.
#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_the_oldest_message_that_is_not_in_flight() {
    let script = Script::default();
    script.set_stalled(true);
    let mut config = queue_config(3, 1);
    config.overflow = Overflow::DropOldest;
    let (notifier, worker) = build(&script, config);
    tokio::spawn(worker.run());
    let mut receipts = vec![notifier.emit(&image_create())];
    tokio::time::sleep(Duration::from_millis(1)).await;
    receipts.extend((0..4).map(|_| notifier.emit(&image_create())));
    assert_eq!(notifier.stats().dropped.overflow, 2);
    script.set_stalled(false);
    let mut outcomes = Vec::new();
    for receipt in receipts {
        outcomes.push(outcome(receipt.await));
    }
    let dropped = Some(Outcome::NotSent);
    assert_eq!(outcomes, [None, dropped, dropped, None, None]);
}

/// Returns a destination without an answer, and its notifier, whose queue of a megabyte drops the oldest message.
fn stalled_megabyte() -> (Script, Notifier) {
    let script = Script::default();
    script.set_stalled(true);
    let mut config = queue_config(10, 1);
    config.max_bytes = 1024 * 1024 + 256;
    config.overflow = Overflow::DropOldest;
    let (notifier, worker) = build(&script, config);
    tokio::spawn(worker.run());
    (script, notifier)
}

/// If the messages in flight alone fill the queue, dropping a queued one makes no room: keep it.
#[tokio::test(start_paused = true)]
async fn an_old_message_is_not_dropped_when_that_makes_no_room() {
    let (script, notifier) = stalled_megabyte();
    let in_flight = notifier.emit(&sized(600_000));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let queued = notifier.emit(&image_create());
    let dropped = notifier.emit(&sized(600_000));
    assert_eq!(outcome(dropped.await), Some(Outcome::NotSent));
    script.set_stalled(false);
    assert_eq!((outcome(in_flight.await), outcome(queued.await)), (None, None));
}

/// The same holds for the messages in flight together with those of permits.
#[tokio::test(start_paused = true)]
async fn an_old_message_is_not_dropped_beside_permits_when_that_makes_no_room() {
    let (script, notifier) = stalled_megabyte();
    let permit = notifier.reserve(400_000).await.unwrap();
    let in_flight = notifier.emit(&sized(400_000));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let reserved = permit.emit(&sized(390_000)).unwrap();
    let queued = notifier.emit(&image_create());
    let dropped = notifier.emit(&sized(400_000));
    assert_eq!(outcome(dropped.await), Some(Outcome::NotSent));
    script.set_stalled(false);
    for receipt in [in_flight, reserved, queued] {
        receipt.await.unwrap();
    }
}

/// `usize::MAX` means without a bound.
#[tokio::test(start_paused = true)]
async fn unbounded_queues_do_not_panic() {
    let script = Script::default();
    let mut config = queue_config(usize::MAX, usize::MAX);
    (config.max_bytes, config.batch_bytes) = (usize::MAX, usize::MAX);
    let limits = SizeLimits { bytes: usize::MAX, keys: usize::MAX, ..SizeLimits::default() };
    let (notifier, worker) = Notifier::builder(script.transport())
        .queue(config)
        .encoding(Encoding { limits, ..Encoding::default() })
        .build()
        .unwrap();
    tokio::spawn(worker.run());
    notifier.send(&image_create()).await.unwrap();
    assert_eq!(notifier.shutdown(Duration::from_secs(1)).await.delivered, 1);
}

/// Large messages fill the queue before their number does.
#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_in_bytes_too() {
    let script = Script::default();
    let mut config = queue_config(10_000, 1024);
    config.max_bytes = 2 * 1024 * 1024;
    let (notifier, worker) = build(&script, config);
    let receipts: Vec<_> = (0..6).map(|_| notifier.emit(&sized(500_000))).collect();
    let stats = notifier.stats();
    assert_eq!((stats.pending.messages, stats.dropped.overflow), (4, 2));
    assert!((2_000_000..=2 * 1024 * 1024).contains(&stats.pending.bytes));
    drop(receipts);
    tokio::spawn(worker.run());
    notifier.flush(Duration::from_secs(5)).await.unwrap();
    assert_eq!(notifier.stats().pending, PendingCounts::default());
}

/// In a small queue, nothing may be left as the share of a lane that fails. It is probed all the same, also if
/// each of its messages is followed by one of a lane that works.
#[tokio::test(start_paused = true)]
async fn a_lane_without_a_share_is_probed_again() {
    let script = Script::with_lanes();
    script.set_fault(Priority::Error, Some(LaneFault::Full));
    let (notifier, worker) = builder(&script).queue(queue_config(1, 1)).build().unwrap();
    tokio::spawn(worker.run());
    let evicted = notifier.emit(&sized(10));
    tokio::time::sleep(Duration::from_millis(1)).await;
    notifier.send(&image_create()).await.unwrap();
    assert_eq!(outcome(evicted.await), Some(Outcome::NotSent));
    script.set_fault(Priority::Error, None);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let probe = notifier.emit(&sized(10));
    drop(notifier.emit(&image_create()));
    probe.await.unwrap();
    assert_eq!(notifier.stats().dropped.overflow, 2);
}

/// `enqueue` gives up after `send_timeout`. A caller that still waits is not part of the account.
#[tokio::test(start_paused = true)]
async fn enqueue_waits_for_room_until_its_timeout() {
    let script = Script::default();
    script.set_stalled(true);
    let (notifier, worker) = build(&script, queue_config(1, 1));
    tokio::spawn(worker.run());
    let first = notifier.enqueue(&image_create()).await;
    let start = Instant::now();
    let second = notifier.enqueue(&image_create()).await;
    assert_eq!(start.elapsed(), Duration::from_secs(120));
    assert_eq!(outcome(second.await), Some(Outcome::NotSent));
    let waiting: Vec<_> = (0..64)
        .map(|_| {
            let notifier = notifier.clone();
            tokio::spawn(async move { notifier.send(&image_create()).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(notifier.stats().emitted, 2, "a waiting caller counts as emitted");
    script.set_stalled(false);
    first.await.unwrap();
    for task in waiting {
        task.await.unwrap().unwrap();
    }
}

/// The first caller may need more room than there is. The callers behind it wait, but at their timeout
/// they take the room that suffices for them.
#[tokio::test(start_paused = true)]
async fn no_message_is_dropped_while_there_is_room_for_it() {
    let script = Script::default();
    script.add_attempt(attempt(&[ScriptAction::Accept], ScriptEnd::Ok));
    for _ in 0..10 {
        script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Stall));
    }
    script.set_stalled(true);
    let mut config = queue_config(10, 1);
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

/// A stream of `emit` cannot starve a caller that waits for room.
#[tokio::test(start_paused = true)]
async fn emit_does_not_starve_enqueue() {
    let script = Script::default();
    let (notifier, worker) = build(&script, queue_config(2, 1));
    tokio::spawn(worker.run());
    let full = [notifier.emit(&image_create()), notifier.emit(&image_create())];
    let event = image_create();
    let mut waiting = Box::pin(notifier.enqueue(&event));
    assert!(poll_once(&mut waiting).is_none());
    for receipt in full {
        receipt.await.unwrap();
    }
    // Both places are free. `emit` takes one of them before the waiting caller runs, and leaves one.
    script.set_stalled(true);
    let passing = notifier.emit(&image_create());
    let dropped = notifier.emit(&image_create());
    assert_eq!(outcome(dropped.await), Some(Outcome::NotSent));
    let waited = poll_once(&mut waiting).expect("`emit` took the room of a caller that waits");
    script.set_stalled(false);
    passing.await.unwrap();
    waited.await.unwrap();
}

/// A stream of small notifications cannot starve a large one that waits for room.
#[tokio::test(start_paused = true)]
async fn callers_get_room_in_the_order_of_their_calls() {
    let script = Script::default();
    let mut config = queue_config(10, 1);
    config.max_bytes = 1024 * 1024 + 256;
    let (notifier, worker) = build(&script, config);
    let pending = [500_000, 500_000].map(|bytes| notifier.emit(&sized(bytes)));
    let waiting = [900_000, 30_000].map(|bytes| {
        let notifier = notifier.clone();
        tokio::spawn(async move { notifier.send(&sized(bytes)).await })
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(notifier.stats().emitted, 2, "the small message overtook the large one");
    tokio::spawn(worker.run());
    for task in waiting {
        task.await.unwrap().unwrap();
    }
    let sizes: Vec<_> = script.stored().iter().map(|message| message.body().len()).collect();
    assert!(sizes[2] > 900_000 && sizes[3] < 50_000, "{sizes:?}");
    drop(pending);
}

/// A caller that waits for room comes first. A caller behind it whose turn came, but whose task did not
/// run yet, delays no other; otherwise every notification of a busy program would stand in a line.
#[tokio::test(start_paused = true)]
async fn a_new_caller_may_pass_callers_that_did_not_notice_their_turn() {
    let script = Script::default();
    let (notifier, worker) = build(&script, queue_config(2, 2));
    let pending = [notifier.emit(&image_create()), notifier.emit(&image_create())];
    let event = image_create();
    let enqueue = || Box::pin(notifier.enqueue(&event));
    let (mut first, mut second) = (enqueue(), enqueue());
    assert!(poll_once(&mut first).is_none() && poll_once(&mut second).is_none());
    tokio::spawn(worker.run());
    notifier.flush(Duration::from_secs(60)).await.unwrap();

    assert!(poll_once(&mut enqueue()).is_none(), "a new caller passed the first one, which waits");
    let first = first.await;
    let passed = poll_once(&mut enqueue()).expect("there is room, and the second did not run yet");
    drop(second.await);
    notifier.flush(Duration::from_secs(60)).await.unwrap();
    assert_eq!(notifier.stats().delivered, 5);
    drop((pending, first, passed));
}

/// On real threads with a queue that is mostly full, a lost wake-up would leave a caller waiting until
/// its message is dropped.
#[test]
fn no_wake_up_is_lost_between_threads() {
    const THREADS: usize = 8;
    const NOTIFICATIONS: usize = 5_000;
    let script = Script::default();
    let (notifier, worker) = build(&script, queue_config(3, 2));
    let worker = worker.spawn_thread().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let emitters: Vec<_> = (0..THREADS)
        .map(|_| {
            let notifier = notifier.clone();
            runtime.spawn(async move {
                for number in 0..NOTIFICATIONS {
                    let receipt = notifier.enqueue(&image_create()).await;
                    // Every sixteenth wait empties the queue, so that the worker goes idle.
                    if number % 16 == 0 {
                        receipt.await.unwrap();
                    }
                }
            })
        })
        .collect();
    for task in emitters {
        runtime.block_on(task).unwrap();
    }
    notifier.close();
    let total = (THREADS * NOTIFICATIONS) as u64;
    let stats = worker.join().unwrap();
    assert_eq!((stats.emitted, stats.delivered), (total, total), "{stats:?}");
}

/// Returns an event of about this many bytes.
fn sized(bytes: usize) -> Event {
    Event::ImageUpload(Payload::Error("x".repeat(bytes)))
}
