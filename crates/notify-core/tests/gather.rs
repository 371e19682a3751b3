//! A stream that nobody waits for is gathered into batches; nobody who waits is kept waiting.
//!
//! A program of its own: in others, somebody always waits for a receipt.

use std::time::Duration;

use notify_conformance::script::Script;
use notify_core::event::Payload;
use notify_core::{Event, Notifier};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_stream_is_gathered_and_nobody_who_waits_is_kept_waiting() {
    let script = Script::default();
    let (notifier, worker) = Notifier::builder(script.transport()).build().unwrap();
    tokio::spawn(worker.run());
    let event = Event::ImageUpload(Payload::Warn("slow".into()));
    let emit = async |count| {
        for _ in 0..count {
            drop(notifier.emit(&event));
        }
        // Longer than the worker needs to take it, if it does; no time passes.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    };

    // The first is not kept waiting, those behind it wait for each other.
    for _ in 0..50 {
        emit(1).await;
    }
    assert_eq!(script.batch_sizes(), [1]);
    notifier.flush(Duration::from_secs(60)).await.unwrap();
    assert_eq!(script.batch_sizes(), [1, 49]);

    // One after the other, awaited.
    let start = Instant::now();
    for _ in 0..50 {
        notifier.send(&event).await.unwrap();
        notifier.emit(&event).await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);

    // A stream again: no longer than until there are enough of them.
    emit(1).await;
    emit(1).await;
    let before = script.batch_sizes().len();
    emit(500).await;
    assert_eq!(script.batch_sizes().len(), before);
    emit(11).await;
    assert_eq!(script.batch_sizes().get(before..), Some(&[512][..]));
    assert_eq!(start.elapsed(), Duration::ZERO);
}
