//! The Python SDK of CloudEvents reads what our strategies send, and our source reads what the SDK writes.

use std::collections::BTreeSet;
use std::time::Duration;

use glance_notify::codec::{Context, Encoding, Message};
use glance_notify::event::{EventType, Priority};
use glance_notify::listen::{
    DeadLetters, Listener, ListenerConfig, RabbitSource, RabbitSourceConfig, SourceState,
};
use glance_notify::{Config, Event};
use notify_conformance::samples;
use notify_testbed::broker::cloud_events::{CloudEventFacts, CloudEventsBinding, CloudEventsSdk};
use notify_testbed::broker::proton;
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use notify_testbed::wait::HANG_TIMEOUT;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

/// The words of `envelope` for the two modes.
const MODES: [&str; 2] = ["cloudevents", "cloudevents-binary"];

/// Emits each documented event at each priority, and one of another service. Returns their number.
async fn emit(settings: &str) -> usize {
    let config: Config = settings.parse().unwrap();
    let (notifier, worker) = glance_notify::start(&config).unwrap();
    let worker = tokio::spawn(worker.run());
    let context = samples::context();
    let documented = EventType::DOCUMENTED.iter().flat_map(|event_type| {
        Priority::DOCUMENTED.iter().map(move |&priority| (event_type.clone(), priority))
    });
    let other = (EventType::new("compute.instance.create.end").unwrap(), Priority::Info);
    let mut count = 0;
    for (event_type, priority) in documented.chain([other]) {
        let payload = json!({ "number": count, "text": "ünïcödé \u{2028} \"\\", "null": null });
        let event = Event::Other { event_type, priority, payload };
        notifier.emit_with(&event, &context).await.unwrap();
        count += 1;
    }
    notifier.shutdown(Duration::from_secs(30)).await;
    worker.await.unwrap();
    count
}

/// Panics unless the SDK found every attribute and the data of one event that [`emit`] sent.
#[track_caller]
fn assert_event(read: &CloudEventFacts, queue: &str) {
    let text = |name: &str| read.attributes[name].as_str().unwrap();
    let names: BTreeSet<_> = read.attributes.keys().map(String::as_str).collect();
    let expected = [
        "datacontenttype",
        "id",
        "priority",
        "projectid",
        "requestid",
        "sequenceepoch",
        "sequencelane",
        "sequencenumber",
        "source",
        "specversion",
        "time",
        "traceparent",
        "tracestate",
        "type",
        "userid",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    assert_eq!((text("specversion"), text("datacontenttype")), ("1.0", "application/json"));
    assert_eq!(text("source"), "image.h%C3%B6st%201");
    assert!(text("type").starts_with("org.openstack."), "{read:?}");
    assert!(text("time").ends_with('Z'), "{read:?}");
    assert_eq!((text("requestid"), text("userid"), text("projectid")), ("req-1", "bob", "web"));
    assert_eq!(text("sequencelane"), queue);
    assert_eq!(format!("notifications.{}", text("priority").to_lowercase()), queue);
    assert_eq!(read.data["text"], "ünïcödé \u{2028} \"\\");
}

/// Settings of a strategy that sends to a virtual host.
fn settings(strategy: &str, url: &str, envelope: &str) -> String {
    format!(
        "strategy = '{strategy}'\npublisher_id = 'image.höst 1'\n{strategy}.url = '{url}'\n\
         {strategy}.envelope = '{envelope}'"
    )
}

/// The SDK reads both modes over AMQP 0-9-1, by the binding for RabbitMQ.
#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_reads_what_rabbit_sends() {
    let mut sdk = CloudEventsSdk::start();
    for envelope in MODES {
        let vhost = RabbitMq::shared().vhost();
        let sent = emit(&settings("rabbit", &vhost.url(), envelope)).await;
        let mut read = 0;
        for priority in ["info", "warn", "error"] {
            let queue = format!("notifications.{priority}");
            for message in vhost.drain(&queue) {
                assert_event(&sdk.read_rabbitmq(&message).unwrap(), &queue);
                read += 1;
            }
        }
        assert_eq!(read, sent, "{envelope}");
    }
}

/// The SDK reads both modes over AMQP 1.0, by the AMQP binding.
#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_reads_what_qpid_sends() {
    let broker = RabbitMq::builder().plugin("rabbitmq_amqp1_0").start();
    // RabbitMQ 4 creates none.
    for priority in ["info", "warn", "error"] {
        broker
            .root()
            .declare_queue(&format!("notifications.{priority}"), &json!({ "durable": true }));
    }
    let mut sdk = CloudEventsSdk::start();
    for envelope in MODES {
        let sent = emit(&settings("qpid", &broker.url(), envelope)).await;
        let mut read = 0;
        for priority in ["info", "warn", "error"] {
            let queue = format!("notifications.{priority}");
            let count = broker.root().queue(&queue).unwrap().messages;
            let address = format!("/amq/queue/{queue}");
            proton::read_messages(broker.port(), "vhost:/", &address, count, true, |message| {
                assert_event(&sdk.read_amqp(&message).unwrap(), &queue);
                read += 1;
            });
        }
        assert_eq!(read, sent, "{envelope}");
    }
}

/// Returns a message as the CloudEvent that the SDK is to write.
fn facts(message: &Message) -> CloudEventFacts {
    let attributes = message.cloud_event().attributes();
    let mut attributes: Map<_, _> =
        attributes.map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
    attributes.insert("datacontenttype".into(), "application/json".into());
    let data = serde_json::from_str(message.cloud_event().data()).unwrap();
    CloudEventFacts { attributes, data }
}

/// A tap reads both modes of the SDK by both bindings, and refuses a foreign CloudEvent with a reason.
#[tokio::test(flavor = "multi_thread")]
async fn a_tap_reads_what_the_sdk_writes() {
    let vhost = RabbitMq::shared().vhost();
    vhost.declare_exchange("glance", "topic", &json!({}));
    let mut listener = tap(&vhost).await;
    let mut sdk = CloudEventsSdk::start();
    let event = Event::Other {
        event_type: EventType::new("image.member.create").unwrap(),
        priority: Priority::Warn,
        payload: json!({ "n": [1, 2.5, null], "text": "é" }),
    };
    let notification =
        glance_notify::Notification { payload: event.into(), ..samples::notification(0) };
    let message = notification.encode(&Encoding::default()).unwrap();
    let context = Context::builder().request_id("req-1").user("bob").build().unwrap();
    let message = message.with_context(context.clone());
    let mut foreign = facts(&message);
    foreign.attributes.insert("type".into(), "com.example.someevent".into());
    for binding in [CloudEventsBinding::RabbitMq, CloudEventsBinding::Amqp] {
        for is_binary in [true, false] {
            for event in [&facts(&message), &foreign] {
                let written = sdk.write(event, binding, is_binary);
                vhost.publish("glance", "notifications.warn", &written.properties, &written.body);
            }
            let delivery = next(&mut listener).await;
            assert_eq!(
                delivery.message().unwrap().body(),
                message.body(),
                "{binding:?} {is_binary}"
            );
            assert_eq!(*delivery.context(), context);
            delivery.ack().await.unwrap();
            let delivery = next(&mut listener).await;
            let reason = delivery.unreadable().unwrap().reason.to_string();
            assert_eq!(
                reason,
                "/type: expected `org.openstack.` and the name of an event, found \"com.example.someevent\""
            );
            delivery.refuse("foreign").await.unwrap();
        }
    }
    listener.close(HANG_TIMEOUT).await;
}

/// Starts a tap and waits until it is attached.
async fn tap(vhost: &Vhost<'_>) -> Listener {
    let config = RabbitSourceConfig::from_url(&vhost.url()).unwrap();
    let source = RabbitSource::new(config).unwrap();
    let mut bounds = ListenerConfig::default();
    bounds.deliver_unreadable = true;
    let listener = Listener::builder(source, DeadLetters::Discard).config(bounds).start().unwrap();
    let attached = async {
        while !matches!(listener.stats().sources[0].state, SourceState::Attached { .. }) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(HANG_TIMEOUT, attached).await.is_ok(), "{:?}", listener.stats());
    listener
}

/// Returns the next delivery.
async fn next(listener: &mut Listener) -> glance_notify::listen::Delivery {
    timeout(HANG_TIMEOUT, listener.next_delivery()).await.unwrap().unwrap().unwrap()
}
