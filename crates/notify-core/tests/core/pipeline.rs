//! Delivery by the pipeline: batches, verdicts, retries, backoff, options and log lines.
//!
//! Most tests run on a paused clock, so waits cost no time and their length is exact.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use notify_conformance::samples;
use notify_conformance::script::{Script, ScriptAction, ScriptEnd};
use notify_core::codec::serde_json;
use notify_core::event::Payload;
use notify_core::pipeline::{NotifierBuilder, QueueConfig, WorkerState};
use notify_core::{ErrorKind, Event, EventType, Message, Notifier, Outcome, Priority};
use tokio::time::Instant;

use crate::fixtures::{event, notification};
use crate::support::{WakeCounter, attempt, build, builder, image_create, outcome, queue_config};

/// Delivery keeps the order of `emit`, in batches of at most `batch_messages`.
#[tokio::test(start_paused = true)]
async fn queued_messages_are_delivered_in_order_and_in_batches() {
    let script = Script::default();
    let (notifier, worker) = build(&script, queue_config(10_000, 100));
    let sent: Vec<_> = (0..250).map(samples::notification).collect();
    for notification in &sent {
        drop(notifier.resend(notification).await);
    }
    let worker = tokio::spawn(worker.run());
    notifier.flush(Duration::from_secs(5)).await.unwrap();
    assert_eq!(script.batch_sizes(), [100, 100, 50]);
    let ids: Vec<_> = sent.iter().map(|notification| notification.message_id).collect();
    assert_eq!(script.stored().iter().map(Message::id).collect::<Vec<_>>(), ids);
    let stats = notifier.shutdown(Duration::from_secs(1)).await;
    assert_eq!(
        (stats.emitted, stats.delivered, stats.state.clone()),
        (250, 250, WorkerState::Closed)
    );
    assert_eq!(worker.await.unwrap(), stats);
}

/// One batch may hold an accepted, a refused and a retried message.
#[tokio::test(start_paused = true)]
async fn each_message_gets_its_own_verdict() {
    let script = Script::default();
    script.add_attempt(attempt(
        &[ScriptAction::Accept, ScriptAction::Refuse, ScriptAction::Retry],
        ScriptEnd::Ok,
    ));
    let (notifier, worker) = build(&script, queue_config(10, 10));
    let [first, second, third] = std::array::from_fn(|_| notifier.emit(&image_create()));
    let ids = [&first, &third].map(|receipt| receipt.message_id().unwrap());
    tokio::spawn(worker.run());
    assert_eq!(outcome(first.await), None);
    assert_eq!(outcome(second.await), Some(Outcome::Rejected));
    assert_eq!(outcome(third.await), None);
    assert_eq!(script.stored().iter().map(Message::id).collect::<Vec<_>>(), ids);
    let stats = notifier.stats();
    assert_eq!((stats.delivered, stats.refused, stats.retried), (2, 1, 1));
    assert!(stats.last_delivery.is_some());
}

/// A receipt resolves at its verdict, even if the attempt hangs until its timeout. The worker does not
/// send an accepted message again.
#[tokio::test(start_paused = true)]
async fn a_verdict_is_final_even_if_the_attempt_is_dropped() {
    let script = Script::default();
    script.add_attempt(attempt(
        &[ScriptAction::Accept, ScriptAction::LeaveUnsettled],
        ScriptEnd::Stall,
    ));
    let (notifier, worker) = build(&script, queue_config(10, 10));
    let [first, second] = std::array::from_fn(|_| notifier.emit(&image_create()));
    let first_id = first.message_id().unwrap();
    tokio::spawn(worker.run());
    let start = Instant::now();
    assert_eq!(outcome(first.await), None);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(outcome(second.await), None);
    assert!(start.elapsed() >= Duration::from_secs(60), "the attempt timed out too early");
    let stored = script.stored();
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[0].id(), first_id, "the worker sent an accepted message again");
}

/// The worker puts the messages of a failed attempt before newer ones.
#[tokio::test(start_paused = true)]
async fn failed_messages_lead_the_next_batch() {
    let script = Script::default();
    script.add_attempt(attempt(
        &[ScriptAction::StoreUnsettled, ScriptAction::Retry],
        ScriptEnd::Transient,
    ));
    script.add_attempt(attempt(
        &[ScriptAction::Refuse, ScriptAction::Refuse, ScriptAction::Accept],
        ScriptEnd::Ok,
    ));
    let (notifier, worker) = build(&script, queue_config(10, 10));
    let first = notifier.emit(&image_create());
    let second = notifier.emit(&image_create());
    tokio::spawn(worker.run());
    let (error, permanent) = loop {
        match notifier.stats().state {
            WorkerState::Retrying { error, permanent, .. } => break (error, permanent),
            _ => tokio::task::yield_now().await,
        }
    };
    assert_eq!((error.as_str(), permanent), ("scripted transient error", false));
    let third = notifier.emit(&image_create());
    assert_eq!(outcome(first.await), Some(Outcome::Rejected));
    assert_eq!(outcome(second.await), Some(Outcome::Rejected));
    assert_eq!(outcome(third.await), None);
}

/// The backoff grows to 30 s, and `send` stops waiting after `send_timeout`.
#[tokio::test(start_paused = true)]
async fn the_wait_between_failures_grows() {
    let script = Script::default();
    for _ in 0..100 {
        script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Transient));
    }
    let (notifier, worker) = build(&script, queue_config(10, 10));
    tokio::spawn(worker.run());
    let start = Instant::now();
    notifier.send(&image_create()).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(120), "`send_timeout` is 120 s");
    notifier.flush(Duration::from_secs(3600)).await.unwrap();
    // The bounds of a hundred waits add up to 2 782 s. Jitter makes them about half as long.
    assert!((600..2782).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(script.batch_sizes().len(), 101);
}

/// An operator sees a permanent error in the state at the first failure.
#[tokio::test(start_paused = true)]
async fn a_permanent_error_is_reported_at_once_and_retried_every_30_s() {
    let script = Script::default();
    for _ in 0..3 {
        script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Permanent));
    }
    let (notifier, worker) = build(&script, queue_config(10, 10));
    tokio::spawn(worker.run());
    let start = Instant::now();
    let receipt = notifier.emit(&image_create());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(matches!(notifier.stats().state, WorkerState::Retrying { permanent: true, .. }));
    receipt.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 90);
}

/// When one queue of a broker is missing, messages for its other queues do not wait 30 s.
#[tokio::test(start_paused = true)]
async fn a_permanent_error_does_not_delay_other_messages() {
    let script = Script::default();
    for _ in 0..100 {
        let actions = [ScriptAction::LeaveUnsettled, ScriptAction::Accept];
        script.add_attempt(attempt(&actions, ScriptEnd::Permanent));
    }
    let (notifier, worker) = build(&script, queue_config(10, 10));
    tokio::spawn(worker.run());
    let stuck = notifier.emit(&image_create());
    let start = Instant::now();
    for _ in 0..100 {
        notifier.send(&image_create()).await.unwrap();
    }
    // A hundred jittered waits of at most 100 ms. The last message may have been alone in its batch.
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    assert!(matches!(notifier.stats().state, WorkerState::Retrying { permanent: true, .. }));
    stuck.await.unwrap();
}

/// With `max_age`, the worker drops an old message instead of retrying it.
#[tokio::test(start_paused = true)]
async fn messages_older_than_max_age_are_dropped() {
    let script = Script::default();
    for _ in 0..100 {
        script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Transient));
    }
    let mut config = queue_config(10, 10);
    config.max_age = Some(Duration::from_secs(300));
    let (notifier, worker) = build(&script, config);
    tokio::spawn(worker.run());
    let receipt = notifier.emit(&image_create());
    let start = Instant::now();
    assert_eq!(outcome(receipt.await), Some(Outcome::Unknown));
    assert!((300..=360).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(notifier.stats().dropped.age, 1);
    assert_eq!(notifier.stats().oldest_pending, None);
}

/// `Duration::MAX` means without a deadline, in every option and call.
#[tokio::test(start_paused = true)]
async fn unbounded_timeouts_do_not_panic() {
    let script = Script::default();
    let (notifier, worker) = Notifier::builder(script.transport())
        .send_timeout(Duration::MAX)
        .attempt_timeout(Duration::MAX)
        .drain_timeout(Duration::MAX)
        .build()
        .unwrap();
    tokio::spawn(worker.run());
    notifier.send(&image_create()).await.unwrap();
    notifier.flush(Duration::MAX).await.unwrap();
    notifier.emit(&image_create()).wait(Duration::ZERO).unwrap_err();
    assert_eq!(notifier.shutdown(Duration::MAX).await.delivered, 2);
}

/// `disabled` takes event types and groups. Disabled notifications succeed and count as suppressed.
#[tokio::test(start_paused = true)]
async fn disabled_notifications_are_suppressed_by_type_and_by_group() {
    let script = Script::default();
    let (notifier, worker) =
        Notifier::builder(script.transport()).disabled(["image", "task.run"]).build().unwrap();
    tokio::spawn(worker.run());
    for event_type in EventType::DOCUMENTED {
        let enabled = event_type.group() == "task" && *event_type != EventType::TaskRun;
        assert_eq!(notifier.enabled(event_type), enabled, "{event_type}");
        notifier.send(&event(event_type, Priority::Info)).await.unwrap();
        notifier.resend(&notification(event(event_type, Priority::Info))).await.await.unwrap();
    }
    let stats = notifier.stats();
    assert_eq!((stats.emitted, stats.suppressed, script.stored().len()), (6, 16, 6));
}

/// A stored message of a type that was disabled since is delivered, not counted as delivered without
/// being sent.
#[tokio::test(start_paused = true)]
async fn relay_sends_messages_of_disabled_types() {
    let script = Script::default();
    let (notifier, worker) = builder(&script).disabled(["image", "task"]).build().unwrap();
    tokio::spawn(worker.run());
    let message = samples::messages(0..1).remove(0);
    notifier.relay(message.clone()).await.await.unwrap();
    assert_eq!(script.stored()[0].id(), message.id());
    assert_eq!(notifier.stats().delivered, 1);
}

/// `build` reports options that cannot work, and names the option.
#[test]
fn build_refuses_unknown_names_and_empty_bounds() {
    let error = |change: fn(NotifierBuilder) -> NotifierBuilder| {
        change(Notifier::builder(Script::default().transport())).build().unwrap_err().to_string()
    };
    let text = error(|builder| builder.disabled(["image member"]));
    assert!(text.contains("\"image member\" is neither"), "{text}");
    assert!(error(|builder| builder.publisher_id("")).contains("`publisher_id` is empty"));
    assert!(error(|builder| builder.queue(queue_config(0, 1))).contains("at least 1"));
    let text = error(|builder| {
        let mut config = QueueConfig::default();
        config.max_bytes = 1024;
        builder.queue(config)
    });
    assert!(text.contains("`queue.max_bytes` must be at least 1048832"), "{text}");
}

/// A notification beyond the size limits counts as emitted and refused, and has no id.
#[tokio::test(start_paused = true)]
async fn a_notification_that_cannot_be_encoded_is_refused() {
    let script = Script::default();
    let (notifier, _worker) = build(&script, queue_config(10, 10));
    let receipt = notifier.emit(&Event::ImageUpload(Payload::Error("x".repeat(2_000_000))));
    assert_eq!(receipt.message_id(), None);
    assert_eq!(receipt.await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!((notifier.stats().emitted, notifier.stats().refused), (1, 1));
}

/// A program without a runtime runs the worker on a thread and blocks on receipts.
#[test]
fn works_without_a_runtime() {
    let script = Script::default();
    script.set_stalled(true);
    let (notifier, worker) = build(&script, queue_config(10, 10));
    let worker = worker.spawn_thread().unwrap();
    let mut receipt = notifier.emit(&image_create());
    let error = receipt.wait(Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    script.set_stalled(false);
    receipt.wait(Duration::from_secs(30)).unwrap();
    receipt.wait(Duration::ZERO).unwrap();
    notifier.close();
    assert_eq!(worker.join().unwrap().delivered, 1);
}

/// One task may wait for any number of known outcomes without a pause.
#[tokio::test(start_paused = true)]
async fn one_task_can_wait_for_a_thousand_known_outcomes() {
    let script = Script::default();
    let (notifier, worker) = build(&script, queue_config(1_000, 1_000));
    let receipts: Vec<_> = (0..1_000).map(|_| notifier.emit(&image_create())).collect();
    tokio::spawn(worker.run());
    notifier.flush(Duration::from_secs(60)).await.unwrap();
    for mut receipt in receipts {
        receipt.wait(Duration::ZERO).unwrap();
    }
}

/// A message that stays for long does not keep the memory of a task that waited for it and ended.
#[tokio::test(start_paused = true)]
async fn a_dropped_receipt_drops_its_waker() {
    let script = Script::default();
    let (notifier, _worker) = build(&script, queue_config(10, 10));
    let mut receipt = notifier.emit(&image_create());
    let counter = Arc::<WakeCounter>::default();
    let waker = Waker::from(Arc::clone(&counter));
    let polled = Pin::new(&mut receipt).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    drop((waker, receipt));
    assert_eq!(Arc::strong_count(&counter), 1);
    assert_eq!(notifier.stats().pending.messages, 1);
}

/// The JSON of `Stats` is an interface: monitoring reads it.
#[tokio::test(start_paused = true)]
async fn stats_serialise_to_json() {
    let script = Script::default();
    script.add_attempt(attempt(&[ScriptAction::Accept], ScriptEnd::Ok));
    script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Permanent));
    let (notifier, worker) = build(&script, queue_config(10, 10));
    tokio::spawn(worker.run());
    notifier.send(&image_create()).await.unwrap();
    let receipt = notifier.emit(&image_create());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut stats = serde_json::to_value(notifier.stats()).unwrap();
    for pointer in ["/last_delivery", "/state/since"] {
        let time = stats.pointer_mut(pointer).unwrap();
        assert_eq!(time.as_str().unwrap().len(), "2026-11-22T12:00:00Z".len());
        *time = "…".into();
    }
    assert_eq!(
        stats,
        serde_json::json!({
            "emitted": 2, "delivered": 1, "refused": 0,
            "dropped": { "overflow": 0, "age": 0, "closed": 0, "abandoned": 0 },
            "pending": { "messages": 1, "bytes": stats["pending"]["bytes"] },
            "retried": 0, "suppressed": 0, "oldest_pending": 2.0, "last_delivery": "…",
            "last_error_is_permanent": true,
            "last_error": "scripted permanent error",
            "state": {
                "name": "retrying", "since": "…", "error": "scripted permanent error",
                "permanent": true
            },
        })
    );
    drop(receipt);
}

/// A destination that fails and recovers by turns fills no log.
#[tokio::test(start_paused = true)]
async fn an_intermittent_failure_is_logged_once_a_minute() {
    let log = notify_testbed::log_recorder::LogRecorder::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let script = Script::default();
    let (notifier, worker) = build(&script, queue_config(10, 10));
    let worker = tokio::spawn(worker.run());
    let fail_and_recover = async || {
        script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Transient));
        notifier.send(&image_create()).await.unwrap();
    };
    for _ in 0..20 {
        fail_and_recover().await;
    }
    assert_eq!(log.lines_with("delivery failed, retrying").len(), 1);
    assert_eq!(log.lines_with("delivery resumed after").len(), 1);
    tokio::time::sleep(Duration::from_secs(61)).await;
    fail_and_recover().await;
    assert_eq!(log.lines_with("delivery failed, retrying").len(), 2);
    assert_eq!(log.lines_with("delivery resumed after").len(), 2);
    notifier.shutdown(Duration::ZERO).await;
    worker.await.unwrap();
}

/// The rules of `disabled` hold for event types that no specification documents.
#[tokio::test(start_paused = true)]
async fn disables_other_event_types_by_type_and_by_group() {
    let script = Script::default();
    let (notifier, _worker) = Notifier::builder(script.transport())
        .disabled(["compute", "image.member.create"])
        .build()
        .unwrap();
    for (name, enabled) in [
        ("compute.instance.exists", false),
        ("image.member.create", false),
        ("image.member.delete", true),
        ("computer", true),
    ] {
        assert_eq!(notifier.enabled(&EventType::new(name).unwrap()), enabled, "{name}");
    }
}
