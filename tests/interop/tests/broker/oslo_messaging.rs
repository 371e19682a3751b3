//! Real oslo.messaging listeners receive our notifications unchanged, in either order of start, and real
//! oslo.messaging publishers and listeners keep working in the same virtual host.

use std::collections::HashMap;

use glance_notify::event::{EventType, NotificationPayload, Priority, Task};
use glance_notify::pipeline::Stats;
use glance_notify::{Config, Event, Notification};
use notify_conformance::samples;
use notify_testbed::broker::oslo::{OsloConfig, OsloListener, OsloNotification, OsloPublisher};
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use serde_json::{Value, json};

/// Returns what Glance's own code sent in 2013, and an undocumented payload for every event type and
/// priority.
fn notifications() -> Vec<Notification> {
    let mut bodies = samples::glance_2013();
    for event_type in EventType::DOCUMENTED {
        for &priority in Priority::DOCUMENTED {
            let payload =
                json!({ "of": event_type, "at": priority, "text": "ünïcödé \u{2028} \"" });
            let event_type = event_type.clone();
            bodies.push(Event::Other { event_type, priority, payload }.into());
        }
    }
    let number = 0..;
    std::iter::zip(bodies, number)
        .map(|(payload, number)| Notification { payload, ..samples::notification(number) })
        .collect()
}

/// Sends through the facade, as a service does. Returns the counters at the end.
async fn send(vhost: &Vhost<'_>, settings: &str, notifications: &[Notification]) -> Stats {
    let config: Config =
        format!("strategy = 'rabbit'\nrabbit.url = '{}'\n{settings}", vhost.url()).parse().unwrap();
    let (notifier, worker) = glance_notify::start(&config).unwrap();
    let worker = tokio::spawn(worker.run());
    for notification in notifications {
        notifier.resend(notification).await.await.unwrap();
    }
    let stats = notifier.shutdown(std::time::Duration::from_secs(30)).await;
    worker.await.unwrap();
    stats
}

/// Panics unless the listener receives each notification once and unchanged.
fn assert_received(listener: &OsloListener, notifications: &[Notification]) {
    let mut received: HashMap<String, OsloNotification> = HashMap::new();
    for _ in notifications {
        let notified = listener.next();
        let id = notified.metadata["message_id"].as_str().unwrap().to_owned();
        assert!(received.insert(id, notified).is_none(), "received twice");
    }
    for notification in notifications {
        let sent = notification.encode(&glance_notify::codec::Encoding::default()).unwrap();
        let sent: Value = serde_json::from_slice(sent.body()).unwrap();
        let received = &received[&notification.message_id.to_string()];
        assert_eq!(received.priority, notification.priority().lower());
        assert_eq!(json!(received.event_type), sent["event_type"]);
        assert_eq!(json!(received.publisher_id), sent["publisher_id"]);
        assert_eq!(received.payload, sent["payload"]);
        assert_eq!(received.metadata["timestamp"], sent["timestamp"]);
    }
    assert_eq!(listener.log(), "");
}

/// Returns pairs of our settings and the listener's options whose declarations agree.
fn matching_settings(url: &str) -> [(&'static str, OsloConfig); 3] {
    [
        ("rabbit.durable = true", OsloConfig::new(url).durable()),
        ("rabbit.durable = false", OsloConfig::new(url)),
        ("rabbit.queue_type = 'quorum'", OsloConfig::new(url).quorum()),
    ]
}

/// The listener declares exchange and queues.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_starts_first_receives_all_eleven_events() {
    let notifications = notifications();
    for envelope in ["bare", "oslo-2.0"] {
        for number in 0..3 {
            let vhost = RabbitMq::shared().vhost();
            let (settings, options) = matching_settings(&vhost.url())[number].clone();
            let listener = OsloListener::start(&options);
            let settings = format!("{settings}\nrabbit.envelope = '{envelope}'");
            let stats = send(&vhost, &settings, &notifications).await;
            assert_eq!(stats.delivered, notifications.len() as u64);
            assert_received(&listener, &notifications);
        }
    }
}

/// Our strategy declares exchange and queues.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_starts_later_receives_all_eleven_events() {
    let notifications = notifications();
    for envelope in ["bare", "oslo-2.0"] {
        for number in 0..3 {
            let vhost = RabbitMq::shared().vhost();
            let (settings, options) = matching_settings(&vhost.url())[number].clone();
            let settings = format!("{settings}\nrabbit.envelope = '{envelope}'");
            send(&vhost, &settings, &notifications).await;
            assert_received(&OsloListener::start(&options), &notifications);
        }
    }
}

/// Context and sequence are headers that listeners of oslo.messaging do not look at.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_receives_notifications_with_context_and_sequence() {
    let context = samples::context();
    for envelope in ["bare", "oslo-2.0"] {
        let vhost = RabbitMq::shared().vhost();
        let listener = OsloListener::start(&OsloConfig::new(&vhost.url()));
        let url = vhost.url();
        let config = format!(
            "strategy = 'rabbit'\nrabbit.url = '{url}'\nrabbit.envelope = '{envelope}'\n\
             rabbit.durable = false"
        );
        let (notifier, worker) = glance_notify::start(&config.parse::<Config>().unwrap()).unwrap();
        let worker = tokio::spawn(worker.run());
        let mut sent = HashMap::new();
        for event_type in EventType::DOCUMENTED.iter().cloned() {
            let payload = json!({ "id": "c80a1a6c" });
            let event = Event::Other { event_type, priority: Priority::Error, payload };
            let receipt = notifier.emit_with(&event, &context);
            sent.insert(receipt.message_id().unwrap().to_string(), event);
            receipt.await.unwrap();
        }
        notifier.shutdown(std::time::Duration::from_secs(30)).await;
        worker.await.unwrap();
        for _ in 0..sent.len() {
            let received = listener.next();
            let event = sent.remove(received.metadata["message_id"].as_str().unwrap()).unwrap();
            assert_eq!(received.event_type.as_deref(), Some(event.event_type().as_str()));
        }
        assert_eq!(listener.log(), "");
    }
}

/// With the default options of both sides, our strategy uses the declarations of oslo.messaging.
#[tokio::test(flavor = "multi_thread")]
async fn adopts_the_declarations_of_a_listener() {
    let notifications = notifications();
    let vhost = RabbitMq::shared().vhost();
    let listener = OsloListener::start(&OsloConfig::new(&vhost.url()));
    send(&vhost, "", &notifications).await;
    assert_received(&listener, &notifications);
}

/// `compat = "openstack"` lets other services publish and listen in the same virtual host.
#[tokio::test(flavor = "multi_thread")]
async fn compat_openstack_works_with_other_services_in_either_order() {
    let compat = "compat = 'openstack'";
    let sent = [samples::notification(0), samples::notification(1)];
    let publish = |publisher: &OsloPublisher| {
        publisher.publish("info", "compute.instance.update", &json!({ "n": 1 }));
        publisher.publish("error", "compute.instance.update", &json!({ "n": 2 }));
    };
    let receive_all = |listener: &OsloListener| {
        let mut types: Vec<_> = (0..4).map(|_| listener.next().event_type.unwrap()).collect();
        types.sort();
        assert_eq!(
            types,
            ["compute.instance.update", "compute.instance.update", "image.create", "image.send"]
        );
    };

    // The other service starts first.
    let vhost = RabbitMq::shared().vhost();
    let options = OsloConfig::new(&vhost.url());
    let (listener, publisher) =
        (OsloListener::start(&options), OsloPublisher::start(&options, "messagingv2", "nova.host"));
    publish(&publisher);
    send(&vhost, compat, &sent).await;
    receive_all(&listener);
    assert_eq!(publisher.log(), "");

    // Our strategy starts first.
    let vhost = RabbitMq::shared().vhost();
    let options = OsloConfig::new(&vhost.url());
    send(&vhost, compat, &sent).await;
    let publisher = OsloPublisher::start(&options, "messagingv2", "nova.host");
    publish(&publisher);
    receive_all(&OsloListener::start(&options));
    assert_eq!(publisher.log(), "");
}

/// With `compat`, a task has the keys that Ceilometer expects.
#[tokio::test(flavor = "multi_thread")]
async fn compat_openstack_sends_the_payloads_of_glance() {
    let vhost = RabbitMq::shared().vhost();
    let listener = OsloListener::start(&OsloConfig::new(&vhost.url()));
    let sample = samples::notification(0);
    let pending = glance_notify::event::TaskStatus::Pending;
    let task = Task::new(sample.message_id, "import", pending, sample.timestamp);
    let payload = NotificationPayload::from(Event::TaskRun(task.into()));
    send(&vhost, "compat = 'openstack'", &[Notification { payload, ..sample }]).await;
    let payload = listener.next().payload;
    assert!(payload.get("id").is_some() && payload.get("task_id").is_none(), "{payload}");
}
