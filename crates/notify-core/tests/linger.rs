//! Lingering: the messages of a stream form large batches, and an awaited message never lingers.
//!
//! This file is a program of its own. Receipts of all notifiers in a process share one counter of
//! waits, so other tests in the same process would end the stream.

use std::time::Duration;

use notify_conformance::script::Script;
use notify_core::event::Payload;
use notify_core::{Event, Notifier};
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
}
