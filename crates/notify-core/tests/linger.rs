//! Lingering: the messages of a stream form large batches, and an awaited message never lingers.
//!
//! This file is a program of its own. Receipts of all notifiers in a process share one counter of
//! waits, so other tests in the same process would end the stream.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail in any way")]

use std::time::Duration;

use notify_conformance::LaneFault;
use notify_conformance::script::Script;
use notify_core::event::Payload;
use notify_core::pipeline::QueueConfig;
use notify_core::{Event, EventType, Notifier, Priority};
use tokio::time::Instant;

/// The worker sends a first message at once, gathers a stream, and never delays an awaited message.
#[tokio::test(start_paused = true)]
async fn a_stream_lingers_and_an_awaited_message_does_not() {
    let script = Script::default();
    let (notifier, worker) = Notifier::builder(script.transport()).build().unwrap();
    tokio::spawn(worker.run());
    let event = Event::ImageUpload(Payload::Warn("slow".into()));
    let emit = async |count| {
        for _ in 0..count {
            drop(notifier.emit(&event));
        }
        // Yield more often than the worker needs to take a batch. The paused clock stands still.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    };

    // The worker sends the first message at once, and the others linger.
    for _ in 0..50 {
        emit(1).await;
    }
    assert_eq!(script.batch_sizes(), [1]);
    notifier.flush(Duration::from_secs(60)).await.unwrap();
    assert_eq!(script.batch_sizes(), [1, 49]);

    // A caller awaits one receipt after the other: no message lingers.
    let start = Instant::now();
    for _ in 0..50 {
        notifier.send(&event).await.unwrap();
        notifier.emit(&event).await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);

    // A stream again: the batch lingers until it holds 512 messages.
    emit(1).await;
    emit(1).await;
    let before = script.batch_sizes().len();
    emit(500).await;
    assert_eq!(script.batch_sizes().len(), before);
    emit(11).await;
    assert_eq!(script.batch_sizes().get(before..), Some(&[512][..]));
    assert_eq!(start.elapsed(), Duration::ZERO);
    a_batch_that_fills_half_of_the_room_beside_failing_lanes_does_not_linger().await;
}

/// Lanes that fail leave less room than a large batch needs. The others must not wait for that batch.
async fn a_batch_that_fills_half_of_the_room_beside_failing_lanes_does_not_linger() {
    let script = Script::with_lanes();
    script.set_fault(Priority::Warn, Some(LaneFault::Full));
    script.set_fault(Priority::Error, Some(LaneFault::Full));
    let mut queue = QueueConfig::default();
    queue.max_messages = 1_000;
    let builder = Notifier::builder(script.transport()).queue(queue);
    let (notifier, worker) = builder.build().unwrap();
    tokio::spawn(worker.run());
    for _ in 0..300 {
        drop(notifier.emit(&Event::ImageUpload(Payload::Warn("slow".into()))));
        drop(notifier.emit(&Event::ImageUpload(Payload::Error("failed".into()))));
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(notifier.stats().pending.messages, 600);
    let event = Event::Other {
        event_type: EventType::ImageCreate,
        priority: Priority::Info,
        payload: "x".into(),
    };
    let start = Instant::now();
    for count in [1, 1, 198, 1, 1] {
        for _ in 0..count {
            drop(notifier.emit(&event));
        }
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    let delivered = notifier.stats().delivered;
    assert!(delivered >= 200, "{delivered} of the other messages were delivered");
}
