//! The pipeline against a scripted transport with a paused clock: what it promises, one by one.

use std::time::Duration;

use crate::common::{event, notification};
use notify_conformance::samples;
use notify_conformance::script::{Script, ScriptAction, ScriptAttempt, ScriptEnd};
use notify_core::codec::serde_json;
use notify_core::event::Payload;
use notify_core::pipeline::{NotifierBuilder, QueueConfig, WorkerState};
use notify_core::{
    ErrorKind, Event, EventType, Message, Notifier, Outcome, Priority, Result, Worker,
};
use tokio::time::Instant;

pub(crate) fn queue(max_messages: usize, batch_messages: usize) -> QueueConfig {
    let mut queue = QueueConfig::default();
    (queue.max_messages, queue.batch_messages) = (max_messages, batch_messages);
    queue
}

pub(crate) fn build(script: &Script, queue: QueueConfig) -> (Notifier, Worker) {
    Notifier::builder(script.transport()).publisher_id("host1").queue(queue).build().unwrap()
}

pub(crate) fn create() -> Event {
    event(EventType::ImageCreate, Priority::Info)
}

pub(crate) fn attempt(actions: &[ScriptAction], end: ScriptEnd) -> ScriptAttempt {
    ScriptAttempt { actions: actions.to_vec(), end }
}

pub(crate) fn outcome(result: Result<()>) -> Option<Outcome> {
    result.err().map(|error| error.outcome())
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_is_batched_and_delivered_in_order() {
    let script = Script::default();
    let (notifier, worker) = build(&script, queue(10_000, 100));
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

#[tokio::test(start_paused = true)]
async fn each_message_gets_its_own_verdict() {
    let script = Script::default();
    script.add_attempt(attempt(
        &[ScriptAction::Accept, ScriptAction::Refuse, ScriptAction::Retry],
        ScriptEnd::Ok,
    ));
    let (notifier, worker) = build(&script, queue(10, 10));
    let [first, second, third] = std::array::from_fn(|_| notifier.emit(&create()));
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

/// A receipt resolves in the moment of its verdict, also when the attempt then never ends.
#[tokio::test(start_paused = true)]
async fn a_verdict_is_final_also_when_the_attempt_is_dropped() {
    let script = Script::default();
    script.add_attempt(attempt(
        &[ScriptAction::Accept, ScriptAction::LeaveUnsettled],
        ScriptEnd::Stall,
    ));
    let (notifier, worker) = build(&script, queue(10, 10));
    let [first, second] = std::array::from_fn(|_| notifier.emit(&create()));
    let first_id = first.message_id().unwrap();
    tokio::spawn(worker.run());
    let start = Instant::now();
    assert_eq!(outcome(first.await), None);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(outcome(second.await), None);
    assert!(start.elapsed() >= Duration::from_secs(60), "the attempt has its whole time");
    let taken = script.stored();
    assert_eq!(taken.len(), 2);
    assert_eq!(taken[0].id(), first_id, "and what was accepted is not sent again");
}

#[tokio::test(start_paused = true)]
async fn failed_messages_go_first_and_unknown_ones_say_so() {
    let script = Script::default();
    script.add_attempt(attempt(
        &[ScriptAction::StoreUnsettled, ScriptAction::Retry],
        ScriptEnd::Transient,
    ));
    script.add_attempt(attempt(
        &[ScriptAction::Refuse, ScriptAction::Refuse, ScriptAction::Accept],
        ScriptEnd::Ok,
    ));
    let (notifier, worker) = build(&script, queue(10, 10));
    let first = notifier.emit(&create());
    let second = notifier.emit(&create());
    tokio::spawn(worker.run());
    let (error, permanent) = loop {
        match notifier.stats().state {
            WorkerState::Retrying { error, permanent, .. } => break (error, permanent),
            _ => tokio::task::yield_now().await,
        }
    };
    assert_eq!((error.as_str(), permanent), ("scripted transient error", false));
    let third = notifier.emit(&create());
    assert_eq!(outcome(first.await), Some(Outcome::Rejected));
    assert_eq!(outcome(second.await), Some(Outcome::Rejected));
    assert_eq!(outcome(third.await), None);
}

#[tokio::test(start_paused = true)]
async fn waits_longer_and_longer_between_failures() {
    let script = Script::default();
    for _ in 0..100 {
        script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Transient));
    }
    let (notifier, worker) = build(&script, queue(10, 10));
    tokio::spawn(worker.run());
    let start = Instant::now();
    notifier.send(&create()).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(120), "bounded by `send_timeout`");
    notifier.flush(Duration::from_secs(3600)).await.unwrap();
    // A hundred waits, jittered over bounds that sum up to 2782 s: half of it, give or take.
    assert!((600..2782).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(script.batch_sizes().len(), 101);
}

#[tokio::test(start_paused = true)]
async fn a_permanent_error_is_shown_at_once_and_tried_every_30_s() {
    let script = Script::default();
    for _ in 0..3 {
        script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Permanent));
    }
    let (notifier, worker) = build(&script, queue(10, 10));
    tokio::spawn(worker.run());
    let start = Instant::now();
    let receipt = notifier.emit(&create());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(matches!(notifier.stats().state, WorkerState::Retrying { permanent: true, .. }));
    receipt.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 90);
}

/// As where one of the destination's queues is missing, and the others are there.
#[tokio::test(start_paused = true)]
async fn what_nobody_mends_does_not_hold_up_what_gets_through_beside_it() {
    let script = Script::default();
    for _ in 0..100 {
        script.add_attempt(attempt(
            &[ScriptAction::LeaveUnsettled, ScriptAction::Accept],
            ScriptEnd::Permanent,
        ));
    }
    let (notifier, worker) = build(&script, queue(10, 10));
    tokio::spawn(worker.run());
    let stuck = notifier.emit(&create());
    let start = Instant::now();
    for _ in 0..100 {
        notifier.send(&create()).await.unwrap();
    }
    // A hundred jittered waits of up to 100 ms; the last may have been alone in its attempt.
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    assert!(matches!(notifier.stats().state, WorkerState::Retrying { permanent: true, .. }));
    stuck.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn old_messages_are_given_up_where_that_is_configured() {
    let script = Script::default();
    for _ in 0..100 {
        script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Transient));
    }
    let mut config = queue(10, 10);
    config.max_age = Some(Duration::from_secs(300));
    let (notifier, worker) = build(&script, config);
    tokio::spawn(worker.run());
    let receipt = notifier.emit(&create());
    let start = Instant::now();
    assert_eq!(outcome(receipt.await), Some(Outcome::Unknown));
    assert!((300..=360).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(notifier.stats().dropped.age, 1);
    assert_eq!(notifier.stats().oldest_pending, None);
}

#[tokio::test(start_paused = true)]
async fn waits_without_end_are_no_panic() {
    let script = Script::default();
    let (notifier, worker) = Notifier::builder(script.transport())
        .send_timeout(Duration::MAX)
        .attempt_timeout(Duration::MAX)
        .drain_timeout(Duration::MAX)
        .build()
        .unwrap();
    tokio::spawn(worker.run());
    notifier.send(&create()).await.unwrap();
    notifier.flush(Duration::MAX).await.unwrap();
    notifier.emit(&create()).wait(Duration::ZERO).unwrap_err();
    assert_eq!(notifier.shutdown(Duration::MAX).await.delivered, 2);
}

#[tokio::test(start_paused = true)]
async fn disabled_notifications_are_suppressed_by_type_and_by_group() {
    let script = Script::default();
    let (notifier, worker) =
        Notifier::builder(script.transport()).disabled(["image", "task.run"]).build().unwrap();
    tokio::spawn(worker.run());
    for &event_type in EventType::ALL {
        let enabled = event_type.group() == "task" && event_type != EventType::TaskRun;
        assert_eq!(notifier.enabled(event_type), enabled, "{event_type}");
        notifier.send(&event(event_type, Priority::Info)).await.unwrap();
        notifier.resend(&notification(event(event_type, Priority::Info))).await.await.unwrap();
    }
    let stats = notifier.stats();
    assert_eq!((stats.emitted, stats.suppressed, script.stored().len()), (6, 16, 6));
}

#[test]
fn what_cannot_work_is_refused_when_it_is_built() {
    let error = |change: fn(NotifierBuilder) -> NotifierBuilder| {
        change(Notifier::builder(Script::default().transport())).build().unwrap_err().to_string()
    };
    let text = error(|builder| builder.disabled(["image.member"]));
    assert!(text.contains("\"image.member\" is neither"), "{text}");
    assert!(error(|builder| builder.publisher_id("")).contains("`publisher_id` is empty"));
    assert!(error(|builder| builder.queue(queue(0, 1))).contains("at least 1"));
    let text = error(|builder| {
        let mut config = QueueConfig::default();
        config.max_bytes = 1024;
        builder.queue(config)
    });
    assert!(text.contains("`queue.max_bytes` must be at least 1048832"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_encoded_is_refused_and_counted() {
    let script = Script::default();
    let (notifier, _worker) = build(&script, queue(10, 10));
    let receipt = notifier.emit(&Event::ImageUpload(Payload::Error("x".repeat(2_000_000))));
    assert_eq!(receipt.message_id(), None);
    assert_eq!(receipt.await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!((notifier.stats().emitted, notifier.stats().refused), (1, 1));
}

/// A program without a runtime: a worker on its own thread, and a receipt that is waited for.
#[test]
fn works_without_a_runtime() {
    let script = Script::default();
    script.set_stalled(true);
    let (notifier, worker) = build(&script, queue(10, 10));
    let worker = worker.spawn_thread().unwrap();
    let mut receipt = notifier.emit(&create());
    let error = receipt.wait(Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    script.set_stalled(false);
    receipt.wait(Duration::from_secs(30)).unwrap();
    receipt.wait(Duration::ZERO).unwrap();
    notifier.close();
    assert_eq!(worker.join().unwrap().delivered, 1);
}

/// More than tokio lets a task poll in one turn.
#[tokio::test(start_paused = true)]
async fn many_outcomes_that_are_known_are_waited_for_in_one_turn_of_a_task() {
    let script = Script::default();
    let (notifier, worker) = build(&script, queue(1_000, 1_000));
    let receipts: Vec<_> = (0..1_000).map(|_| notifier.emit(&create())).collect();
    tokio::spawn(worker.run());
    notifier.flush(Duration::from_secs(60)).await.unwrap();
    for mut receipt in receipts {
        receipt.wait(Duration::ZERO).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn stats_can_be_serialised() {
    let script = Script::default();
    script.add_attempt(attempt(&[ScriptAction::Accept], ScriptEnd::Ok));
    script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Permanent));
    let (notifier, worker) = build(&script, queue(10, 10));
    tokio::spawn(worker.run());
    notifier.send(&create()).await.unwrap();
    let receipt = notifier.emit(&create());
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
            "state": {
                "name": "retrying", "since": "…", "error": "scripted permanent error",
                "permanent": true
            },
        })
    );
    drop(receipt);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_comes_and_goes_is_told_once_a_minute() {
    let log = notify_testbed::log_recorder::LogRecorder::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let script = Script::default();
    let (notifier, worker) = build(&script, queue(10, 10));
    let worker = tokio::spawn(worker.run());
    let fail_and_recover = async || {
        script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Transient));
        notifier.send(&create()).await.unwrap();
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
