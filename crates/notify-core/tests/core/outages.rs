//! Outages: what the program and the log learn when nothing is delivered.

use std::time::Duration;

use notify_conformance::script::{Script, ScriptAction, ScriptEnd};
use notify_core::pipeline::{QueueConfig, WorkerState};
use notify_core::{ErrorKind, Outcome};

use crate::support::{attempt, builder, image_create, outcome};

/// An outage is told once and its end is told too, even if every message expired in between.
#[tokio::test(start_paused = true)]
async fn an_outage_is_logged_once_even_if_its_messages_expire() {
    let log = notify_testbed::log_recorder::LogRecorder::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let script = Script::default();
    let mut queue = QueueConfig::default();
    queue.max_age = Some(Duration::from_secs(60));
    let (notifier, worker) = builder(&script).queue(queue).build().unwrap();
    tokio::spawn(worker.run());
    for outage in 1..=3 {
        for _ in 0..100 {
            script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Transient));
        }
        let expired = notifier.emit(&image_create());
        assert_eq!(outcome(expired.await), Some(Outcome::Unknown));
        assert!(
            matches!(notifier.stats().state, WorkerState::Retrying { .. }),
            "idle while it fails"
        );
        script.clear_attempts();
        notifier.send(&image_create()).await.unwrap();
        assert_eq!(log.lines_with("delivery failed, retrying").len(), outage);
        assert_eq!(log.lines_with("delivery resumed after").len(), outage);
        tokio::time::sleep(Duration::from_secs(61)).await;
    }
}

/// An attempt that sent nothing leaves its messages `NotSent`, not `Unknown`.
#[tokio::test(start_paused = true)]
async fn messages_that_never_left_are_not_sent() {
    let script = Script::default();
    script.set_down(true);
    let (notifier, worker) = builder(&script).build().unwrap();
    let receipt = notifier.emit(&image_create());
    let worker = tokio::spawn(worker.run());
    tokio::time::sleep(Duration::from_secs(60)).await;
    notifier.shutdown(Duration::ZERO).await;
    let error = receipt.await.unwrap_err();
    assert_eq!((error.outcome(), error.kind()), (Outcome::NotSent, ErrorKind::Closed));
    assert!(format!("{error:#}").ends_with(": scripted outage"), "{error:#}");
    let stats = worker.await.unwrap();
    assert_eq!(stats.last_error.as_deref(), Some("scripted outage"));
}

/// D13: a program that forgot to run the worker learns that from its receipts, `send`, `flush` and the
/// account.
#[tokio::test(start_paused = true)]
async fn d13_a_worker_that_never_runs_is_visible() {
    let (notifier, _worker) = builder(&Script::default()).build().unwrap();
    assert_eq!(notifier.stats().state, WorkerState::NotStarted);
    let mut receipt = notifier.emit(&image_create());
    let second = Duration::from_secs(1);
    let errors = [
        receipt.wait(Duration::ZERO).unwrap_err(),
        notifier.send(&image_create()).await.unwrap_err(),
        notifier.flush(second).await.unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("the worker does not run"), "{error}");
    }
    assert_eq!(notifier.shutdown(second).await.state, WorkerState::NotStarted);
}

/// D13: a permanent error reaches the program without a log: by the receipt, by `send`, by `flush`, and by
/// the account of `shutdown`.
#[tokio::test(start_paused = true)]
async fn d13_a_permanent_error_is_visible_without_a_log() {
    let script = Script::default();
    for _ in 0..100 {
        script.add_attempt(attempt(&[ScriptAction::LeaveUnsettled], ScriptEnd::Permanent));
    }
    let (notifier, worker) = builder(&script).build().unwrap();
    tokio::spawn(worker.run());
    let mut receipt = notifier.emit(&image_create());
    let second = Duration::from_secs(1);
    tokio::time::sleep(second).await;
    let wait = receipt.wait(Duration::ZERO).unwrap_err();
    let flush = notifier.flush(second).await.unwrap_err();
    let stats = notifier.shutdown(second).await;
    let lost = receipt.await.unwrap_err();
    for error in [wait, flush, lost] {
        assert!(format!("{error:#}").contains("scripted permanent error"), "{error:#}");
    }
    assert_eq!(stats.last_error.as_deref(), Some("scripted permanent error"));
}
