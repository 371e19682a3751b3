//! RabbitMQ 4, which speaks AMQP 1.0 without a plugin and has addresses of its own.
//!
//! Debian 12 has RabbitMQ 3, so `cargo xtask test` ignores these tests. `cargo xtask brokers rabbitmq4`
//! runs them.

use std::time::{Duration, Instant};

use notify_conformance::attempts::send_once;
use notify_conformance::{Harness as _, samples};
use notify_core::transport::FindingState;
use notify_core::{ErrorKind, Transport as _, Verdict};
use notify_testbed::log_recorder::LogRecorder;
use serde_json::json;
use tracing::instrument::WithSubscriber as _;

use crate::contract_rabbitmq::RabbitNode;
use crate::nodes::transport;
use crate::support::within;

/// `glance-notify check` reports broker, TLS, login and the addresses of version 2. It knows no loss to
/// warn about.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ 4: cargo xtask brokers rabbitmq4"]
async fn check_reports_the_addresses() {
    let node = RabbitNode::start().await;
    let findings = within(transport(&node, json!({})).check()).await.unwrap();
    let subjects: Vec<_> = findings.iter().map(|finding| finding.subject.as_str()).collect();
    assert_eq!(
        subjects,
        [
            "broker",
            "TLS",
            "login",
            "address /queues/notifications.info",
            "address /queues/notifications.warn",
            "address /queues/notifications.error",
        ]
    );
    let FindingState::Good(broker) = &findings[0].state else { panic!("{findings:?}") };
    assert!(broker.starts_with("RabbitMQ 4."), "{broker}");
    let is_good = |state: &FindingState| matches!(state, FindingState::Good(_));
    assert!(findings.iter().all(|finding| is_good(&finding.state)), "{findings:?}");
}

/// The broker creates no queue. The error names the missing one, and the messages of the others arrive.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ 4: cargo xtask brokers rabbitmq4"]
async fn a_missing_queue_delays_no_other() {
    let node = RabbitNode::start().await;
    node.vhost.in_background(|vhost| vhost.delete_queue("notifications.error")).await;
    let mut transport = transport(&node, json!({}));
    let log = LogRecorder::default();
    let messages = samples::messages(0..9);
    let sending = send_once(&mut transport, &messages).with_subscriber(log.clone());
    let attempt = within(sending).await;
    assert_eq!(attempt.accepted().len(), 6, "{:?}", log.lines());
    let error = attempt.verdicts.iter().flatten().find_map(|verdict| match verdict {
        Verdict::Retry(error) => Some(error),
        _ => None,
    });
    let error = error.expect("the messages of the missing queue are retried");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("/queues/notifications.error"), "{error}");
}

/// A queue with `reject-publish` that is full rejects. The transport retries, and delivers when there is
/// room: on classic and on quorum queues.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ 4: cargo xtask brokers rabbitmq4"]
async fn a_full_queue_is_retried_until_there_is_room() {
    for kind in ["classic", "quorum"] {
        let node = RabbitNode::start().await;
        node.vhost
            .in_background(move |vhost| {
                vhost.delete_queue("notifications.info");
                let arguments = json!({
                    "x-queue-type": kind, "x-max-length": 1, "x-overflow": "reject-publish",
                });
                let queue = json!({ "durable": true, "arguments": arguments });
                vhost.declare_queue("notifications.info", &queue);
            })
            .await;
        let mut transport = transport(&node, json!({}));
        let infos = (0..30).step_by(3).flat_map(|index| samples::messages(index..index + 1));
        let messages: Vec<_> = infos.collect();
        // A quorum queue tells publishers with a delay that it is full, and again that it has room.
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let report = within(send_once(&mut transport, &messages)).await;
            let refused = report.verdicts.iter().flatten().any(|v| matches!(v, Verdict::Refuse(_)));
            assert!(!refused, "{kind}: {report:?}");
            if report.accepted().len() < messages.len() {
                break;
            }
            assert!(Instant::now() < deadline, "{kind}: the queue is never full");
        }
        node.vhost.in_background(|vhost| vhost.drain("notifications.info")).await;
        while within(send_once(&mut transport, &messages[..1])).await.accepted().is_empty() {
            assert!(Instant::now() < deadline, "{kind}: the queue never has room");
        }
    }
}
