//! Context and sequence beside the body: what the destination gets, and which numbers are taken.

use std::time::Duration;

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_core::codec::{Encoding, Sequence, SizeLimits};
use notify_core::event::Payload;
use notify_core::listener::SequenceGaps;
use notify_core::pipeline::{NotifierBuilder, Overflow};
use notify_core::{Context, ErrorKind, Event, Message, Notifier};
use proptest::prelude::*;

use crate::support::{image_create, queue_config};

fn builder(script: &Script) -> NotifierBuilder {
    Notifier::builder(script.transport()).publisher_id("host1").seed(1)
}

fn warning() -> Event {
    Event::ImageUpload(Payload::Warn("slow".into()))
}

fn context() -> Context {
    Context::builder().user("bob").request_id("req-1").build().unwrap()
}

/// Returns lane and number of each message.
fn numbers(messages: &[Message]) -> Vec<(&str, u64)> {
    let sequences = messages.iter().filter_map(Message::sequence);
    sequences.map(|sequence| (sequence.lane(), sequence.number())).collect()
}

/// Runs the worker until everything is delivered, and returns what the destination got.
async fn deliver(script: &Script, notifier: Notifier, worker: notify_core::Worker) -> Vec<Message> {
    let worker = tokio::spawn(worker.run());
    notifier.shutdown(Duration::from_secs(60)).await;
    worker.await.unwrap();
    script.stored()
}

/// Every way to emit hands the context over beside the body, which stays as it is.
#[tokio::test(start_paused = true)]
async fn every_way_to_emit_carries_the_context() {
    let script = Script::with_lanes();
    let (notifier, worker) = builder(&script).build().unwrap();
    let permit = notifier.try_reserve(4096).unwrap();
    let worker = tokio::spawn(worker.run());
    notifier.emit_with(&warning(), &context());
    notifier.enqueue_with(&warning(), &context()).await.await.unwrap();
    notifier.send_with(&warning(), &context()).await.unwrap();
    permit.emit_with(&warning(), &context()).unwrap().await.unwrap();
    let again = notifier.stamp(warning());
    notifier.resend_with(&again, &context()).await.await.unwrap();
    notifier.send(&warning()).await.unwrap();
    notifier.shutdown(Duration::from_secs(10)).await;
    worker.await.unwrap();
    let stored = script.stored();
    let contexts: Vec<_> = stored.iter().map(|message| message.context().clone()).collect();
    assert_eq!(contexts[..5], vec![context(); 5]);
    assert!(contexts[5].is_empty());
    assert!(stored.iter().all(|message| !String::from_utf8_lossy(message.body()).contains("bob")));
    assert_eq!(numbers(&stored), (1..=5).map(|n| ("warn", n)).collect::<Vec<_>>());
    assert_eq!(stored[4].sequence(), None, "a resend takes no number");
}

/// Each lane and each destination numbers by itself, and a file, which has no lanes, numbers nothing.
#[tokio::test(start_paused = true)]
async fn each_destination_and_each_lane_numbers_by_itself() {
    let (broker, other, file) = (Script::with_lanes(), Script::with_lanes(), Script::default());
    let (notifier, worker) = builder(&broker)
        .named("broker")
        .destination(
            Notifier::builder(other.transport())
                .named("other")
                .events(["image.create".parse().unwrap()]),
        )
        .destination(Notifier::builder(file.transport()).named("file"))
        .build()
        .unwrap();
    for event in [warning(), image_create(), warning(), image_create()] {
        notifier.emit_with(&event, &context());
    }
    let again = notifier.stamp(image_create());
    drop(notifier.resend_with(&again, &context()).await);
    let stored = deliver(&broker, notifier, worker).await;
    assert_eq!(numbers(&stored), [("warn", 1), ("info", 1), ("warn", 2), ("info", 2)]);
    assert_eq!(numbers(&other.stored()), [("info", 1), ("info", 2)]);
    assert_eq!((file.stored().len(), numbers(&file.stored())), (5, vec![]));
    let epoch = |script: &Script| script.stored()[1].sequence().unwrap().epoch();
    assert_ne!(epoch(&broker), epoch(&other));
    assert!(file.stored().iter().all(|message| *message.context() == context()));
}

/// Refused and dropped notifications take numbers; suppressed and resent ones take none.
#[tokio::test(start_paused = true)]
async fn losses_take_numbers_and_resends_take_none() {
    let script = Script::with_lanes();
    let limits = SizeLimits { bytes: 2048, ..SizeLimits::default() };
    let (notifier, worker) = builder(&script)
        .encoding(Encoding { limits, ..Encoding::default() })
        .queue(queue_config(4, 1))
        .disabled(["task"])
        .build()
        .unwrap();
    let large = Event::ImageUpload(Payload::Warn("x".repeat(4096)));
    let refused = notifier.emit(&large); // 1
    assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::TooLarge);
    notifier.emit(&Event::TaskRun(Payload::Warn("suppressed".into())));
    notifier.emit(&warning()); // 2
    let again = notifier.stamp(warning());
    drop(notifier.resend(&again).await);
    drop(notifier.relay(samples::messages(0..1).remove(0)).await);
    notifier.emit(&warning()); // 3
    let full = notifier.emit(&warning()); // 4
    assert_eq!(full.await.unwrap_err().kind(), ErrorKind::Full);
    let context = Context::builder().user("u".repeat(255)).build().unwrap();
    let fits = Event::ImageUpload(Payload::Warn("x".repeat(1700)));
    assert_eq!(notifier.emit_with(&fits, &context).await.unwrap_err().kind(), ErrorKind::TooLarge); // 5
    let (done, other) = (notifier.clone(), script.clone());
    let stored = deliver(&script, notifier, worker).await;
    assert_eq!(stored.len(), 4);
    assert_eq!(numbers(&stored), [("warn", 2), ("warn", 3)]);
    let late = done.emit(&warning());
    assert_eq!(late.await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(other.stored().len(), 4);
}

/// A message that `relay` passes on keeps the number and the context that it has.
#[tokio::test(start_paused = true)]
async fn relay_keeps_the_number() {
    let script = Script::with_lanes();
    let (notifier, worker) = builder(&script).durable_source().build().unwrap();
    let sequence = Sequence::new(uuid::Uuid::from_u128(9), "elsewhere", 77);
    let stored = samples::messages(0..1).remove(0);
    let message = stored.with_context(context()).with_sequence(sequence.clone());
    let worker = tokio::spawn(worker.run());
    notifier.relay(message).await.await.unwrap();
    notifier.shutdown(Duration::from_secs(10)).await;
    worker.await.unwrap();
    let stored = script.stored();
    assert_eq!((stored[0].sequence(), stored[0].context()), (Some(&sequence), &context()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever a full queue drops, its numbers are exactly those that a reader of the rest misses.
    #[test]
    fn a_reader_names_what_overflow_dropped(
        bursts in prop::collection::vec(1..12_usize, 1..12),
        oldest in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let script = Script::with_lanes();
            let mut queue = queue_config(6, 2);
            queue.overflow = if oldest { Overflow::DropOldest } else { Overflow::DropNewest };
            let (notifier, worker) = builder(&script).queue(queue).build().unwrap();
            let worker = tokio::spawn(worker.run());
            notifier.send(&warning()).await.unwrap();
            for burst in bursts {
                (0..burst).for_each(|_| drop(notifier.emit(&warning())));
                notifier.flush(Duration::from_secs(60)).await.unwrap();
            }
            notifier.send(&warning()).await.unwrap();
            let stats = notifier.shutdown(Duration::from_secs(60)).await;
            worker.await.unwrap();
            let mut gaps = SequenceGaps::new(10_000);
            for message in script.stored() {
                gaps.add(message.sequence().unwrap());
            }
            let seen: Vec<_> = script.stored().iter().map(|it| it.sequence().unwrap().number()).collect();
            let missing: Vec<_> = gaps.iter().flat_map(|gap| gap.numbers()).collect();
            assert_eq!(missing.len() as u64, stats.dropped.overflow);
            let expected: Vec<_> = (1..=stats.emitted).filter(|n| !seen.contains(n)).collect();
            assert_eq!(missing, expected);
        });
    }
}
