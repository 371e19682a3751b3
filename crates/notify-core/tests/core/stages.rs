//! Stages: relaying stored messages, and the stage that a worker runs behind its transport.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use notify_conformance::samples;
use notify_conformance::script::{Script, ScriptAction, ScriptAttempt, ScriptEnd};
use notify_core::pipeline::{
    CloseSignal, NotifierBuilder, QueueConfig, Stage, StageAccount, Stats,
};
use notify_core::{ErrorKind, Message, Notifier};

fn builder(script: &Script) -> NotifierBuilder {
    Notifier::builder(script.transport()).publisher_id("host1")
}

/// A stage that stores only bodies gets every fact of a message back. It refuses damaged bodies.
#[tokio::test]
async fn a_message_is_restored_from_its_body() {
    for message in samples::messages(0..30) {
        let restored = Message::from_body(message.body().to_vec()).unwrap();
        assert_eq!(restored.body(), message.body());
        assert_eq!(
            (restored.id(), restored.event_type(), restored.priority(), restored.timestamp()),
            (message.id(), message.event_type(), message.priority(), message.timestamp())
        );
        assert_eq!(restored.publisher_id(), message.publisher_id());
    }
    let body = samples::messages(0..1)[0].body().to_vec();
    let text = String::from_utf8(body.clone()).unwrap();
    for damaged in [
        String::new(),
        "{}".into(),
        "[]".into(),
        format!("{text} x"),
        format!("{text}\n"),
        text.replace("image.create", "image melt"),
        text.replace("INFO", "FATAL"),
        text.replace("\"payload\"", "\"paylaod\""),
        text.replacen("2026-", "today-", 1),
        text.replace("image-0", "image-\u{202e}"),
    ] {
        assert_eq!(
            Message::from_body(damaged.clone().into()).unwrap_err().kind(),
            ErrorKind::Invalid
        );
        assert_ne!(damaged, text);
    }
    for cut in 0..body.len() {
        assert!(Message::from_body(body[..cut].to_vec()).is_err(), "{cut}");
    }
    assert!(Message::from_body([0xff].to_vec()).is_err());
}

/// `relay` waits for room without a timeout, and the destination gets the stored bytes.
#[tokio::test(start_paused = true)]
async fn relay_waits_for_room_and_keeps_the_body() {
    let script = Script::default();
    script.set_stalled(true);
    let mut queue = QueueConfig::default();
    queue.max_messages = 2;
    let (notifier, worker) = builder(&script)
        .queue(queue)
        .attempt_timeout(Duration::from_secs(1_000_000))
        .send_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    let worker = tokio::spawn(worker.run());
    let messages = samples::messages(0..3);
    for message in &messages[..2] {
        notifier.relay(message.clone()).await;
    }
    let mut third = Box::pin(notifier.relay(messages[2].clone()));
    let day = Duration::from_secs(86_400);
    assert!(tokio::time::timeout(day, &mut third).await.is_err(), "`relay` found room or gave up");
    script.set_stalled(false);
    third.await.await.unwrap();
    notifier.shutdown(day).await;
    worker.await.unwrap();
    let stored = script.stored();
    assert!(stored.iter().map(Message::body).eq(messages.iter().map(Message::body)));
}

/// With a durable source, closing lets the attempt in flight finish and starts no other.
#[tokio::test(start_paused = true)]
async fn close_leaves_queued_messages_to_a_durable_source() {
    for (end, delivered) in [(ScriptEnd::Ok, 1), (ScriptEnd::Transient, 0)] {
        let script = Script::default();
        script.set_stalled(true);
        let actions = if delivered == 0 { vec![ScriptAction::LeaveUnsettled] } else { Vec::new() };
        script.add_attempt(ScriptAttempt { actions, end });
        let mut queue = QueueConfig::default();
        queue.batch_messages = 1;
        let (notifier, worker) = builder(&script).queue(queue).durable_source().build().unwrap();
        let worker = tokio::spawn(worker.run());
        let mut receipts = Vec::new();
        for message in samples::messages(0..3) {
            receipts.push(notifier.relay(message).await);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        notifier.close();
        receipts.push(notifier.relay(samples::messages(3..4).remove(0)).await);
        script.set_stalled(false);
        let stats = worker.await.unwrap();
        assert_eq!((stats.emitted, stats.delivered), (3, delivered), "{end:?}");
        assert_eq!(stats.dropped.total(), 3 - delivered);
        assert_eq!(script.batch_sizes(), [1], "the worker started a second attempt");
        for receipt in receipts.drain(1..) {
            assert_eq!(receipt.await.unwrap_err().kind(), ErrorKind::Closed);
        }
    }
}

/// A stage that records its drain time and its end.
#[derive(Clone, Debug, Default)]
struct RecordingStage {
    drain_time: Arc<Mutex<Option<Duration>>>,
    ended: Arc<AtomicBool>,
}

#[async_trait]
impl Stage for RecordingStage {
    fn name(&self) -> &'static str {
        "behind"
    }

    fn account(&self) -> StageAccount {
        Arc::new(|| {
            let mut stats = Stats::default();
            stats.emitted = 7;
            stats
        })
    }

    async fn run(self: Box<Self>, closing: CloseSignal) {
        let drain_time = closing.await;
        *self.drain_time.lock().unwrap() = Some(drain_time);
        tokio::time::sleep(drain_time).await;
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// A stage gets the rest of the drain time once its transport is closed. `shutdown` waits for both.
#[tokio::test(start_paused = true)]
async fn a_stage_ends_after_its_transport_within_the_drain_time() {
    let script = Script::default();
    let stage = RecordingStage::default();
    let builder = builder(&script).behind(stage.clone());
    let (notifier, worker) = builder.build().unwrap();
    let worker = tokio::spawn(worker.run());
    notifier.relay(samples::messages(0..1).remove(0)).await.await.unwrap();
    assert!(stage.drain_time.lock().unwrap().is_none(), "the stage ends before the transport");
    let [(own, stats), (name, other)] = notifier.stages().try_into().unwrap();
    assert_eq!((own, name), ("scripted", "behind"));
    assert_eq!((stats.delivered, other.emitted), (1, 7));

    script.set_stalled(true);
    notifier.relay(samples::messages(1..2).remove(0)).await;
    let closing = notifier.clone();
    let shutdown = tokio::spawn(async move { closing.shutdown(Duration::from_secs(10)).await });
    tokio::time::sleep(Duration::from_secs(4)).await;
    script.set_stalled(false);
    shutdown.await.unwrap();
    assert!(stage.ended.load(Ordering::Relaxed), "`shutdown` returned before the stage ended");
    let left = stage.drain_time.lock().unwrap().unwrap();
    assert!(left > Duration::from_secs(5) && left <= Duration::from_secs(6), "{left:?}");
    assert_eq!(worker.await.unwrap().delivered, 2);
}

/// A dropped worker drops its stage, so that its files and locks are free.
#[tokio::test]
async fn dropping_the_worker_drops_its_stage() {
    let stage = RecordingStage::default();
    let (_notifier, worker) = builder(&Script::default()).behind(stage.clone()).build().unwrap();
    assert_eq!(Arc::strong_count(&stage.ended), 2);
    drop(worker);
    assert_eq!(Arc::strong_count(&stage.ended), 1);
}
