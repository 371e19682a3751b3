//! Compatibility with oslo.messaging: the same declarations, properties and bodies.
//!
//! The fixtures hold what oslo.messaging 18.3.1 with kombu 5.7.0 declared and published on RabbitMQ
//! 3.10.8:
//!
//! | fixture | driver | option |
//! |---|---|---|
//! | `v1` | `messaging` | |
//! | `v2` | `messagingv2` | |
//! | `v2-durable` | `messagingv2` | durable queues |
//! | `v2-quorum` | `messagingv2` | quorum queues |
//!
//! The order of keys in a body counts too. The property `priority` does not: oslo.messaging sets it to
//! 0, which is the default.

use crate::support::rabbit;
use notify_conformance::attempts::send_once;
use notify_conformance::samples;
use notify_testbed::broker::rabbitmq::RabbitMq;
use serde_json::{Value, json};

/// Returns the properties and headers of a message as JSON.
fn properties(received: &notify_testbed::broker::rabbitmq::RabbitMqMessage) -> Value {
    let mut properties = received.properties.clone();
    let mut headers = received.headers.clone();
    if let Some(headers) = &mut headers {
        // The broker adds this header.
        headers.remove("x-delivery-count");
    }
    properties.insert("headers".into(), json!(headers));
    Value::Object(properties)
}

/// Returns the queues and messages of oslo.messaging that a fixture holds.
fn captured(name: &str) -> Value {
    let text = match name {
        "v1" => include_str!("fixtures/v1.json"),
        "v2" => include_str!("fixtures/v2.json"),
        "v2-durable" => include_str!("fixtures/v2-durable.json"),
        _ => include_str!("fixtures/v2-quorum.json"),
    };
    serde_json::from_str(text).unwrap()
}

/// For each envelope and type of queue, the queues and messages equal those of oslo.messaging.
#[tokio::test(flavor = "multi_thread")]
async fn declares_and_publishes_like_oslo_messaging() {
    for (name, options) in [
        ("v1", json!({ "durable": false })),
        ("v2", json!({ "durable": false, "envelope": "oslo-2.0" })),
        ("v2-durable", json!({ "envelope": "oslo-2.0" })),
        ("v2-quorum", json!({ "queue_type": "quorum", "envelope": "oslo-2.0" })),
    ] {
        let (vhost, captured) = (RabbitMq::shared().vhost(), captured(name));
        let messages = samples::messages(0..3);
        let mut transport = rabbit(&vhost.url(), options);
        send_once(&mut transport, &messages).await.assert_all_accepted();

        for expected in captured["queues"].as_array().unwrap() {
            let queue = vhost.queue(expected["name"].as_str().unwrap()).unwrap();
            assert_eq!(queue.r#type, expected["type"], "{name}");
            assert_eq!(queue.durable, expected["durable"], "{name}");
            assert_eq!(queue.auto_delete, expected["auto_delete"], "{name}");
            let mut arguments = json!(queue.arguments);
            if arguments["x-queue-type"] == "classic" {
                // RabbitMQ 4 adds its default.
                arguments.as_object_mut().unwrap().remove("x-queue-type");
            }
            assert_eq!(arguments, expected["arguments"], "{name}");
        }
        for expected in captured["messages"].as_array().unwrap() {
            let queue = expected["routing_key"].as_str().unwrap();
            for received in vhost.drain(queue) {
                assert_eq!(received.exchange, expected["exchange"]);
                assert_eq!(received.routing_key, queue);
                let sent = properties(&received);
                for (property, value) in expected["properties"].as_object().unwrap() {
                    match property.as_str() {
                        "priority" => {}
                        "headers" => assert_eq!(sent["headers"], json!({}), "{name}"),
                        _ => assert_eq!(&sent[property], value, "{name}: {property}"),
                    }
                }
                let message =
                    messages.iter().find(|m| m.id().to_string() == received.message_id()).unwrap();
                assert_eq!(sent["type"], message.event_type().as_str());
                assert_eq!(sent["app_id"], "glance-notify");
                assert_eq!(sent["timestamp"], message.timestamp().unix_timestamp());
                let (body, oslo_body) = (received.json(), expected["body"].as_str().unwrap());
                let oslo_body: Value = serde_json::from_str(oslo_body).unwrap();
                let keys = |body: &Value| {
                    let keys = body.as_object().unwrap().keys();
                    keys.filter(|key| *key != "_unique_id").cloned().collect::<Vec<_>>()
                };
                assert_eq!(keys(&body), keys(&oslo_body), "{name}");
                if name == "v1" {
                    assert_eq!(received.body, message.body());
                } else {
                    assert_eq!(body["oslo.version"], oslo_body["oslo.version"]);
                    assert_eq!(body["oslo.message"].as_str().unwrap().as_bytes(), message.body());
                }
            }
        }
    }
}
