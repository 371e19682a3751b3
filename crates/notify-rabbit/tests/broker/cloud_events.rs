//! CloudEvents in both modes: what a consumer of any kind sees, and what our source reads.

use notify_conformance::attempts::send_once;
use notify_conformance::samples;
use notify_core::codec::{
    Encoding, Envelope, NotificationInput, NotificationLine, Sequence, SizeLimits,
};
use notify_core::source::{IncomingBody, IncomingDelivery};
use notify_core::{Context, Message, Notification, Verdict};
use notify_testbed::broker::rabbitmq::RabbitMq;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::source_support::{declare_services, source};
use crate::support::rabbit;

/// The words of `rabbit.envelope` for the two modes.
const MODES: [(&str, Envelope); 2] =
    [("cloudevents", Envelope::CloudEvents), ("cloudevents-binary", Envelope::CloudEventsBinary)];

/// Returns a message with a context, a sequence and a publisher id to encode.
fn full() -> Message {
    let notification =
        Notification { publisher_id: "image.höst 1".into(), ..samples::notification(0) };
    let message = notification.encode(&Encoding::default()).unwrap();
    let context = Context::builder().request_id("req-1").user("bob").project("web").build();
    let sequence = Sequence::new(Uuid::from_u128(7), "notifications.info", 1 << 40);
    message.with_context(context.unwrap()).with_sequence(sequence)
}

/// Returns the message, the context and the sequence that a delivery holds.
fn read(delivery: &IncomingDelivery) -> (Vec<u8>, Context, Option<Sequence>) {
    let IncomingBody::Bytes(bytes) = &delivery.body else { panic!("{delivery:?}") };
    let line = NotificationLine::decode(bytes, &SizeLimits::default()).unwrap();
    let NotificationInput::Notification(notification) = line.input else { panic!("an event") };
    let message = notification.encode(&Encoding::default()).unwrap();
    (message.body().to_vec(), line.context, line.sequence)
}

/// Content type, headers and body are as `docs/rabbitmq.md` says.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_sees_a_cloud_event_in_each_mode() {
    let message = full();
    for (word, envelope) in MODES {
        let vhost = RabbitMq::shared().vhost();
        let mut transport = rabbit(&vhost.url(), json!({ "envelope": word }));
        send_once(&mut transport, std::slice::from_ref(&message)).await.assert_all_accepted();
        let received = vhost.drain("notifications.info").remove(0);
        assert_eq!(received.properties["content_type"], envelope.content_type());
        assert_eq!(received.body, &*envelope.wrap(&message));
        let headers = received.headers.clone().unwrap();
        assert_eq!(headers["glance-notify-user"], "bob");
        let attributes: Vec<_> =
            headers.iter().filter(|(name, _)| name.starts_with("ce-")).collect();
        if envelope == Envelope::CloudEvents {
            assert!(attributes.is_empty(), "{attributes:?}");
            assert_eq!(received.json()["source"], "image.h%C3%B6st%201");
        } else {
            let expected = json!({
                "ce-specversion": "1.0", "ce-id": message.id(), "ce-source": "image.h%C3%B6st%201",
                "ce-type": format!("org.openstack.{}", message.event_type().as_str()),
                "ce-time": "2026-11-18T11:06:40.000000Z", "ce-priority": "INFO",
                "ce-requestid": "req-1", "ce-userid": "bob", "ce-projectid": "web",
                "ce-sequenceepoch": "00000000-0000-0000-0000-000000000007",
                "ce-sequencelane": "notifications.info", "ce-sequencenumber": "1099511627776",
            });
            let attributes =
                attributes.into_iter().map(|(name, value)| (name.clone(), value.clone()));
            assert_eq!(Value::Object(attributes.collect()), expected);
            let body: Value = serde_json::from_slice(message.body()).unwrap();
            assert_eq!(received.json(), body["payload"]);
        }
    }
}

/// Our source reads what our transport wrote, in each mode, with everything beside the notification.
#[tokio::test(flavor = "multi_thread")]
async fn the_source_reads_cloud_events_in_each_mode() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &["info"]);
    let mut tap = source(&vhost, json!({}));
    assert_eq!(tap.attach().await, [""; 0]);
    let message = full();
    for (word, _) in MODES {
        let options = json!({ "durable": false, "envelope": word });
        let mut transport = rabbit(&vhost.url(), options);
        send_once(&mut transport, std::slice::from_ref(&message)).await.assert_all_accepted();
    }
    for delivery in tap.receive(2).await {
        let expected =
            (message.body().to_vec(), message.context().clone(), message.sequence().cloned());
        assert_eq!(read(&delivery), expected);
        assert_eq!((&delivery.context, &delivery.sequence), (&expected.1, &expected.2));
    }
    tap.close().await;
}

/// Binary mode of other programs: the prefixes of the AMQP binding, a time as a number, and a body that is
/// not JSON.
#[tokio::test(flavor = "multi_thread")]
async fn the_source_reads_the_binary_mode_of_other_programs() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &["info"]);
    let mut tap = source(&vhost, json!({}));
    assert_eq!(tap.attach().await, [""; 0]);
    let properties = |prefix: &str| {
        let attributes = json!({
            "specversion": "1.0", "id": "6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11", "source": "h",
            "type": "org.openstack.image.upload", "time": 1_700_000_000_123_u64, "priority": "WARN",
        });
        let attributes = attributes.as_object().unwrap().clone().into_iter();
        let headers: Value =
            attributes.map(|(name, value)| (format!("{prefix}{name}"), value)).collect();
        json!({ "content_type": "application/json", "headers": headers })
    };
    for prefix in ["ce-", "cloudEvents_", "cloudEvents:"] {
        vhost.publish("glance", "notifications.info", &properties(prefix), b"\"gone\"");
    }
    vhost.publish("glance", "notifications.info", &properties("ce-"), b"<gone/>");
    let received = tap.receive(4).await;
    for delivery in &received[..3] {
        let body = String::from_utf8(read(delivery).0).unwrap();
        assert!(
            body.contains(r#""timestamp":"2023-11-14 22:13:20.123000","payload":"gone""#),
            "{body}"
        );
    }
    let IncomingBody::Unusable(bytes, reason) = &received[3].body else { panic!("{received:?}") };
    assert_eq!(&bytes[..], b"<gone/>");
    assert_eq!(reason, "the body of the CloudEvent in binary mode is not JSON");
    tap.close().await;
}

/// Headers larger than a frame would end the connection at each attempt, so the transport refuses the
/// message, and the others arrive.
#[tokio::test(flavor = "multi_thread")]
async fn refuses_attributes_that_no_header_holds() {
    let vhost = RabbitMq::shared().vhost();
    let long = Notification { publisher_id: "é".repeat(1000).into(), ..samples::notification(1) };
    let long = long.encode(&Encoding::default()).unwrap();
    let messages = [samples::messages(0..1).remove(0), long, samples::messages(3..4).remove(0)];
    let mut transport = rabbit(&vhost.url(), json!({ "envelope": "cloudevents-binary" }));
    let report = send_once(&mut transport, &messages).await;
    assert_eq!(report.accepted(), [0, 2]);
    let Some(Verdict::Refuse(error)) = &report.verdicts[1] else { panic!("{:?}", report.verdicts) };
    let error = error.to_string();
    assert!(error.contains("shorten `publisher_id`, or set `rabbit.envelope = "), "{error}");
    let mut transport = rabbit(&vhost.url(), json!({ "envelope": "cloudevents" }));
    send_once(&mut transport, &messages).await.assert_all_accepted();
}
