//! Queues and exchanges of RabbitMQ 3.10: created, used as they are, missing, deleted, full.

use notify_conformance::{Harness as _, samples};
use notify_core::transport::FindingState;
use notify_core::{ErrorKind, Transport as _};
use notify_qpid::Qpid;
use notify_testbed::log_recorder::LogRecorder;
use serde_json::{Value, json};
use tracing::instrument::WithSubscriber as _;

use crate::contract_rabbitmq::{Node, drain};
use crate::support::{QUEUES, attempt, config, within};

fn transport(node: &Node, table: Value) -> Qpid {
    let port = node.vhost.broker().port();
    let url = format!("amqp://guest:guest@127.0.0.1:{port}/vhost:{}", node.vhost.name());
    Qpid::new(config(&url, table)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_queues_are_created_durable() {
    let node = Node::start().await;
    node.with(|vhost| {
        for (queue, _) in QUEUES {
            vhost.delete_queue(queue);
        }
    })
    .await;
    let mut transport = transport(&node, json!({}));
    let attempt = within(attempt(&mut transport, &samples::messages(0..9))).await;
    attempt.end.as_ref().unwrap();
    assert_eq!(attempt.accepted(), 9);
    node.with(|vhost| {
        for (name, _) in QUEUES {
            let queue = vhost.queue(name).unwrap();
            assert!(queue.durable && !queue.auto_delete, "{queue:?}");
            assert_eq!(drain(vhost, name).len(), 3);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_that_differ_are_used_as_they_are() {
    let node = Node::start().await;
    node.with(|vhost| {
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
    let sending = attempt(&mut transport, &messages).with_subscriber(log.clone());
    let attempt = within(sending).await;
    attempt.end.as_ref().unwrap();
    assert_eq!(attempt.accepted(), 9);
    let warnings = log.lines_with("WARN");
    let not_durable = "/queue/notifications.info is not durable: lost when";
    assert!(warnings.len() == 2 && warnings[1].contains(not_durable), "{warnings:?}");
    node.with(|vhost| {
        assert!(!vhost.queue("notifications.info").unwrap().durable);
        assert_eq!(vhost.queue("notifications.warn").unwrap().r#type, "quorum");
        assert_eq!(drain(vhost, "notifications.info").len(), 3);
        assert_eq!(drain(vhost, "notifications.error").len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_broker_loses_is_warned_about_once_per_connection() {
    let node = Node::start().await;
    let mut transport = transport(&node, json!({}));
    let log = LogRecorder::default();
    for _ in 0..3 {
        let messages = samples::messages(0..3);
        let sending = attempt(&mut transport, &messages).with_subscriber(log.clone());
        assert_eq!(within(sending).await.accepted(), 3);
    }
    let said = "RabbitMQ 3 accepts and drops messages for a queue that is deleted";
    assert_eq!(log.lines_with(said).len(), 1, "{:?}", log.lines());
    assert_eq!(
        log.lines_with("`qpid` is connected to RabbitMQ 3.10").len(),
        1,
        "{:?}",
        log.lines()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_write_delivers_to_queues_that_others_made() {
    let node = Node::start().await;
    let name = format!("svc-{}", node.vhost.name());
    let user = name.clone();
    node.with(move |vhost| {
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
    let sending = attempt(&mut transport, &messages).with_subscriber(log.clone());
    let attempt = within(sending).await;
    attempt.end.as_ref().unwrap();
    assert_eq!(attempt.accepted(), 9);
    assert_eq!(
        log.lines_with("may not create /queue/notifications.info").len(),
        1,
        "{:?}",
        log.lines()
    );
    node.with(|vhost| assert_eq!(drain(vhost, "notifications.info").len(), 3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_reaches_the_queues_that_are_bound() {
    let node = Node::start().await;
    node.with(|vhost| {
        vhost.declare_exchange("glance", "topic", &json!({ "durable": true }));
        for (queue, _) in QUEUES {
            vhost.bind(queue, "glance", queue);
        }
    })
    .await;
    let mut transport = transport(&node, json!({ "node": "topic" }));
    assert_eq!(within(attempt(&mut transport, &samples::messages(0..9))).await.accepted(), 9);
    node.with(|vhost| {
        for (name, _) in QUEUES {
            assert_eq!(drain(vhost, name).len(), 3);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_exchange_is_named() {
    let node = Node::start().await;
    let mut transport = transport(&node, json!({ "node": "topic", "exchange": "nowhere" }));
    let error = within(attempt(&mut transport, &samples::messages(0..1))).await.end.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(
        error.to_string().contains("has no node `/exchange/nowhere/notifications.info`"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_is_deleted_is_an_error() {
    let node = Node::start().await;
    node.with(|vhost| vhost.declare_exchange("glance", "topic", &json!({ "durable": true }))).await;
    let mut transport = transport(&node, json!({ "node": "topic", "confirm_timeout": 600 }));
    assert_eq!(within(attempt(&mut transport, &samples::messages(0..3))).await.accepted(), 3);
    node.with(|vhost| vhost.delete_exchange("glance")).await;
    let attempt = within(attempt(&mut transport, &samples::messages(0..3))).await;
    assert_eq!(attempt.accepted(), 0);
    assert!(attempt.end.unwrap_err().to_string().contains("amqp:not-found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_an_error_and_never_called_accepted() {
    let node = Node::start().await;
    let mut transport = transport(&node, json!({ "confirm_timeout": 600 }));
    assert_eq!(within(attempt(&mut transport, &samples::messages(0..3))).await.accepted(), 3);
    let full = json!({ "max-length": 1, "overflow": "reject-publish" });
    node.with(move |vhost| vhost.set_policy("full", ".*", &full)).await;
    let attempt = within(attempt(&mut transport, &samples::messages(0..3))).await;
    assert_eq!(attempt.accepted(), 0);
    let error = attempt.end.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_shows_what_sending_needs() {
    let node = Node::start().await;
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
    assert!(node.with(|vhost| vhost.queues().iter().all(|queue| queue.messages == 0)).await);
}
