//! The publisher and the listener of oslo.messaging work together.

use notify_testbed::broker::oslo::{OsloConfig, OsloListener, OsloPublisher};
use notify_testbed::broker::rabbitmq::RabbitMq;
use serde_json::json;

/// Every driver and kind of queue delivers.
#[test]
fn the_listener_receives_published_notifications() {
    for (driver, options) in [
        ("messagingv2", (|o| o) as fn(OsloConfig) -> OsloConfig),
        ("messaging", OsloConfig::durable),
        ("messagingv2", OsloConfig::quorum),
    ] {
        let vhost = RabbitMq::shared().vhost();
        let options = options(OsloConfig::new(&vhost.url()));
        let listener = OsloListener::start(&options);
        let publisher = OsloPublisher::start(&options, driver, "image.host");
        publisher.publish("error", "image.upload", &json!("disk full"));
        publisher.publish("info", "image.create", &json!({"id": "x", "size": 5}));

        let mut received = [listener.next(), listener.next()];
        received.sort_by(|a, b| a.event_type.cmp(&b.event_type));
        let [create, upload] = received;
        assert_eq!((create.priority.as_str(), upload.priority.as_str()), ("info", "error"));
        assert_eq!(create.event_type.as_deref(), Some("image.create"));
        assert_eq!(create.publisher_id.as_deref(), Some("image.host"));
        assert_eq!(create.payload, json!({"id": "x", "size": 5}));
        assert_eq!(upload.payload, json!("disk full"));
        assert!(
            create.metadata["message_id"].is_string() && create.metadata["timestamp"].is_string()
        );
        assert!(create.context.is_object());
        assert_eq!(publisher.log(), "");
    }
}

/// oslo.messaging reports a lost notification in its log only.
#[test]
fn a_failing_publisher_logs_an_error() {
    let vhost = RabbitMq::shared().vhost();
    vhost.declare_exchange("glance", "fanout", &json!({}));
    let publisher =
        OsloPublisher::start(&OsloConfig::new(&vhost.url()), "messagingv2", "image.host");
    publisher.publish("info", "image.create", &json!({}));
    assert!(publisher.log().contains("inequivalent arg 'type'"), "{}", publisher.log());
}
