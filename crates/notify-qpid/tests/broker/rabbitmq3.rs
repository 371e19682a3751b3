//! Queues of RabbitMQ 3.10: created, used as they are, and its known losses.
//!
//! RabbitMQ 3 is the product with the most known losses, so these tests also hold what the transport
//! does about them: it creates missing queues before it sends, and it warns about the rest.
//! `cargo xtask brokers rabbitmq4` leaves this module out.

use notify_conformance::attempts::send_once;
use notify_conformance::{Harness as _, samples};
use notify_core::transport::FindingState;
use notify_core::{ErrorKind, Transport as _};
use notify_qpid::Qpid;
use notify_testbed::broker::rabbitmq::RabbitMq;
use notify_testbed::log_recorder::LogRecorder;
use serde_json::json;
use tracing::instrument::WithSubscriber as _;

use crate::contract_rabbitmq::{RabbitNode, drain};
use crate::nodes::transport;
use crate::support::{QUEUES, config, within};

/// A missing queue is created so that it survives a restart of the broker. Without this, RabbitMQ 3
/// would accept the messages and drop them.
#[tokio::test(flavor = "multi_thread")]
async fn creates_missing_queues_as_durable() {
    let node = RabbitNode::start().await;
    node.vhost
        .in_background(|vhost| {
            for (queue, _) in QUEUES {
                vhost.delete_queue(queue);
            }
        })
        .await;
    let mut transport = transport(&node, json!({}));
    let attempt = within(send_once(&mut transport, &samples::messages(0..9))).await;
    attempt.result.as_ref().unwrap();
    assert_eq!(attempt.accepted().len(), 9);
    node.vhost
        .in_background(|vhost| {
            for (name, _) in QUEUES {
                let queue = vhost.queue(name).unwrap();
                assert!(queue.durable && !queue.auto_delete, "{queue:?}");
                assert_eq!(drain(vhost, name).len(), 3);
            }
        })
        .await;
}

/// The transport changes no existing queue, delivers to it, and warns if it is not durable.
#[tokio::test(flavor = "multi_thread")]
async fn uses_existing_queues_as_they_are() {
    let node = RabbitNode::start().await;
    node.vhost
        .in_background(|vhost| {
            for (queue, _) in QUEUES {
                vhost.delete_queue(queue);
            }
            vhost.declare_queue("notifications.info", &json!({ "durable": false }));
            let quorum = json!({ "durable": true, "arguments": { "x-queue-type": "quorum" } });
            vhost.declare_queue("notifications.warn", &quorum);
            let bounded = json!({ "durable": true, "arguments": { "x-max-length": 1000 } });
            vhost.declare_queue("notifications.error", &bounded);
        })
        .await;
    let mut transport = transport(&node, json!({}));
    let log = LogRecorder::default();
    let messages = samples::messages(0..9);
    let sending = send_once(&mut transport, &messages).with_subscriber(log.clone());
    let attempt = within(sending).await;
    attempt.result.as_ref().unwrap();
    assert_eq!(attempt.accepted().len(), 9);
    let warnings = log.lines_with("WARN");
    let not_durable = "/queue/notifications.info is not durable: its messages are lost when";
    assert!(warnings.len() == 2 && warnings[1].contains(not_durable), "{warnings:?}");
    node.vhost
        .in_background(|vhost| {
            assert!(!vhost.queue("notifications.info").unwrap().durable);
            assert_eq!(vhost.queue("notifications.warn").unwrap().r#type, "quorum");
            assert_eq!(drain(vhost, "notifications.info").len(), 3);
            assert_eq!(drain(vhost, "notifications.error").len(), 3);
        })
        .await;
}

/// You are warned that RabbitMQ 3 accepts messages for a deleted queue, once and not for every batch.
#[tokio::test(flavor = "multi_thread")]
async fn warns_once_about_known_losses() {
    let node = RabbitNode::start().await;
    let mut transport = transport(&node, json!({}));
    let log = LogRecorder::default();
    for _ in 0..3 {
        let messages = samples::messages(0..3);
        let sending = send_once(&mut transport, &messages).with_subscriber(log.clone());
        assert_eq!(within(sending).await.accepted().len(), 3);
    }
    let expected = "RabbitMQ 3 accepts and drops messages for a queue that is deleted";
    assert_eq!(log.lines_with(expected).len(), 1, "{:?}", log.lines());
    assert_eq!(
        log.lines_with("`qpid` is connected to RabbitMQ 3.10").len(),
        1,
        "{:?}",
        log.lines()
    );
}

/// A user with write permission only delivers to existing queues, and gets a warning.
#[tokio::test(flavor = "multi_thread")]
async fn delivers_without_permission_to_create_queues() {
    let node = RabbitNode::start().await;
    let name = format!("svc-{}", node.vhost.name());
    let user = name.clone();
    node.vhost
        .in_background(move |vhost| {
            vhost.broker().eval(&format!(
                r#"rabbit_auth_backend_internal:add_user(<<"{user}">>, <<"secret">>, <<"test">>)"#
            ));
            vhost.permit(&user, ["", "^amq\\.default$", ""]);
        })
        .await;
    let port = node.vhost.broker().port();
    let url = format!("amqp://{name}:secret@127.0.0.1:{port}/vhost:{}", node.vhost.name());
    let mut transport = Qpid::new(config(&url, json!({}))).unwrap();
    let log = LogRecorder::default();
    let messages = samples::messages(0..9);
    let sending = send_once(&mut transport, &messages).with_subscriber(log.clone());
    let attempt = within(sending).await;
    attempt.result.as_ref().unwrap();
    assert_eq!(attempt.accepted().len(), 9);
    assert_eq!(
        log.lines_with("may not create /queue/notifications.info").len(),
        1,
        "{:?}",
        log.lines()
    );
    node.vhost.in_background(|vhost| assert_eq!(drain(vhost, "notifications.info").len(), 3)).await;
}

/// `glance-notify check` reports broker, TLS, login, every address and known losses. It sends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn check_reports_every_prerequisite() {
    let node = RabbitNode::start().await;
    let mut transport = transport(&node, json!({}));
    let findings = within(transport.check()).await.unwrap();
    let subjects: Vec<_> = findings.iter().map(|finding| finding.subject.as_str()).collect();
    assert_eq!(
        subjects,
        [
            "broker",
            "TLS",
            "login",
            "address /amq/queue/notifications.info",
            "address /amq/queue/notifications.warn",
            "address /amq/queue/notifications.error",
            "routing",
        ]
    );
    let FindingState::Good(broker) = &findings[0].state else { panic!("{findings:?}") };
    assert!(broker.starts_with("RabbitMQ 3.10"), "{broker}");
    assert!(matches!(findings[6].state, FindingState::Warning(_)));
    assert!(
        node.vhost
            .in_background(|vhost| vhost.queues().iter().all(|queue| queue.messages == 0))
            .await
    );
}

/// A virtual host that does not exist is a permanent error.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_virtual_host_is_a_permanent_error() {
    let node = RabbitNode::start().await;
    let url = format!("amqp://guest:guest@127.0.0.1:{}/vhost:nowhere", node.vhost.broker().port());
    let mut transport = Qpid::new(config(&url, json!({}))).unwrap();
    let error = within(send_once(&mut transport, &samples::messages(0..1))).await.error();
    assert_eq!(error.kind(), ErrorKind::Access);
    let expected = "may not use the virtual host `vhost:nowhere`, or it does not exist";
    assert!(error.to_string().contains(expected), "{error}");
}

/// A node without the plugin speaks AMQP 0-9-1 only. The permanent error names the plugin.
#[tokio::test(flavor = "multi_thread")]
async fn names_the_missing_plugin() {
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let url = format!("amqp://guest:guest@127.0.0.1:{}", broker.port());
    let mut transport = Qpid::new(config(&url, json!({}))).unwrap();
    let error = within(send_once(&mut transport, &samples::messages(0..1))).await.error();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("enable its plugin rabbitmq_amqp1_0"), "{error}");
}
