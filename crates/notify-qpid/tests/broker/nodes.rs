//! Queues and exchanges of RabbitMQ: bound, missing, deleted and full.

use notify_conformance::attempts::send_once;
use notify_conformance::{Harness as _, samples};
use notify_core::ErrorKind;
use notify_qpid::Qpid;
use serde_json::{Value, json};

use crate::contract_rabbitmq::{RabbitNode, drain};
use crate::support::{QUEUES, config, within};

/// Returns a transport to the node's virtual host.
pub(crate) fn transport(node: &RabbitNode, table: Value) -> Qpid {
    let port = node.vhost.broker().port();
    let url = format!("amqp://guest:guest@127.0.0.1:{port}/vhost:{}", node.vhost.name());
    Qpid::new(config(&url, table)).unwrap()
}

/// `qpid.node = "topic"`: the exchange routes each priority to its queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_reaches_the_bound_queues() {
    let node = RabbitNode::start().await;
    node.vhost
        .in_background(|vhost| {
            vhost.declare_exchange("glance", "topic", &json!({ "durable": true }));
            for (queue, _) in QUEUES {
                vhost.bind(queue, "glance", queue);
            }
        })
        .await;
    let mut transport = transport(&node, json!({ "node": "topic" }));
    assert_eq!(
        within(send_once(&mut transport, &samples::messages(0..9))).await.accepted().len(),
        9
    );
    node.vhost
        .in_background(|vhost| {
            for (name, _) in QUEUES {
                assert_eq!(drain(vhost, name).len(), 3);
            }
        })
        .await;
}

/// A missing exchange is a permanent error that names the address.
#[tokio::test(flavor = "multi_thread")]
async fn names_a_missing_exchange() {
    let node = RabbitNode::start().await;
    let mut transport = transport(&node, json!({ "node": "topic", "exchange": "nowhere" }));
    let error = within(send_once(&mut transport, &samples::messages(0..1))).await.error();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    // RabbitMQ 3 has `/exchange/…`, and RabbitMQ 4 `/exchanges/…`.
    let error = error.to_string();
    assert!(error.contains("has no node `/exchange"), "{error}");
    assert!(error.contains("/nowhere/notifications.info`"), "{error}");
}

/// No message is reported as accepted after the exchange is deleted, and the error comes long before
/// `confirm_timeout`.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_exchange_is_an_error() {
    let node = RabbitNode::start().await;
    node.vhost
        .in_background(|vhost| {
            vhost.declare_exchange("glance", "topic", &json!({ "durable": true }));
            for (queue, _) in QUEUES {
                vhost.bind(queue, "glance", queue);
            }
        })
        .await;
    let mut transport = transport(&node, json!({ "node": "topic", "confirm_timeout": 600 }));
    assert_eq!(
        within(send_once(&mut transport, &samples::messages(0..3))).await.accepted().len(),
        3
    );
    node.vhost.in_background(|vhost| vhost.delete_exchange("glance")).await;
    let attempt = within(send_once(&mut transport, &samples::messages(0..3))).await;
    assert_eq!(attempt.accepted().len(), 0);
    // RabbitMQ 3 ends the link, and RabbitMQ 4 releases the messages.
    let error = attempt.error().to_string();
    assert!(error.contains("amqp:not-found") || error.contains("unroutable"), "{error}");
}

/// `overflow = reject-publish`: a full queue is a transient error.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_never_reported_as_accepted() {
    let node = RabbitNode::start().await;
    let mut transport = transport(&node, json!({ "confirm_timeout": 600 }));
    assert_eq!(
        within(send_once(&mut transport, &samples::messages(0..3))).await.accepted().len(),
        3
    );
    let full = json!({ "max-length": 1, "overflow": "reject-publish" });
    node.vhost.in_background(move |vhost| vhost.set_policy("full", ".*", &full)).await;
    let attempt = within(send_once(&mut transport, &samples::messages(0..3))).await;
    assert_eq!(attempt.accepted().len(), 0);
    let error = attempt.error();
    assert!(error.is_transient(), "{error:?}");
}
