//! What we send by RabbitMQ is what a real oslo.messaging listener gets, whoever came first; and its
//! publishers and listeners go on working beside us.

#![expect(clippy::unwrap_used, reason = "a test may fail, and say what it saw")]

use std::collections::HashMap;

use glance_notify::event::{Body, EventType, Priority, Task};
use glance_notify::pipeline::Stats;
use glance_notify::{Config, Event, Notification};
use notify_conformance::samples;
use notify_testbed::broker::oslo::{OsloConfig, OsloListener, OsloNotification, OsloPublisher};
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use serde_json::{Value, json};

/// Every event type that Glance's own code sent, and at every priority what is not documented.
fn notifications() -> Vec<Notification> {
    let mut bodies = samples::glance_2013();
    for &event_type in EventType::ALL {
        for &priority in Priority::ALL {
            let payload =
                json!({ "of": event_type, "at": priority, "text": "ünïcödé \u{2028} \"" });
            bodies.push(Body::AsRead { event_type, priority, payload });
        }
    }
    let number = 0..;
    std::iter::zip(bodies, number)
        .map(|(body, number)| Notification { body, ..samples::notification(number) })
        .collect()
}

/// Sends by the facade, as a service would.
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

/// That the listener got each of them once, word for word.
fn heard(listener: &OsloListener, notifications: &[Notification]) {
    let mut heard: HashMap<String, OsloNotification> = HashMap::new();
    for _ in notifications {
        let notified = listener.next();
        let id = notified.metadata["message_id"].as_str().unwrap().to_owned();
        assert!(heard.insert(id, notified).is_none(), "heard twice");
    }
    for notification in notifications {
        let sent = notification.encode(&glance_notify::codec::Encoding::default()).unwrap();
        let sent: Value = serde_json::from_slice(sent.body()).unwrap();
        let heard = &heard[&notification.message_id.to_string()];
        assert_eq!(heard.priority, notification.body.priority().lower());
        assert_eq!(json!(heard.event_type), sent["event_type"]);
        assert_eq!(json!(heard.publisher_id), sent["publisher_id"]);
        assert_eq!(heard.payload, sent["payload"]);
        assert_eq!(heard.metadata["timestamp"], sent["timestamp"]);
    }
    assert_eq!(listener.log(), "");
}

/// What both sides are told, so that their declarations agree.
fn agreements(url: &str) -> [(&'static str, OsloConfig); 3] {
    [
        ("rabbit.durable = true", OsloConfig::new(url).durable()),
        ("rabbit.durable = false", OsloConfig::new(url)),
        ("rabbit.queue_type = 'quorum'", OsloConfig::new(url).quorum()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_came_first_hears_all_eleven_events() {
    let notifications = notifications();
    for envelope in ["bare", "oslo-2.0"] {
        for number in 0..3 {
            let vhost = RabbitMq::shared().vhost();
            let (ours, theirs) = agreements(&vhost.url())[number].clone();
            let listener = OsloListener::start(&theirs);
            let settings = format!("{ours}\nrabbit.envelope = '{envelope}'");
            let stats = send(&vhost, &settings, &notifications).await;
            assert_eq!(stats.delivered, notifications.len() as u64);
            heard(&listener, &notifications);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_comes_later_hears_all_eleven_events() {
    let notifications = notifications();
    for envelope in ["bare", "oslo-2.0"] {
        for number in 0..3 {
            let vhost = RabbitMq::shared().vhost();
            let (ours, theirs) = agreements(&vhost.url())[number].clone();
            let settings = format!("{ours}\nrabbit.envelope = '{envelope}'");
            send(&vhost, &settings, &notifications).await;
            heard(&OsloListener::start(&theirs), &notifications);
        }
    }
}

/// What oslo.messaging declared on its default options is used by us on ours.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_listener_declared_is_adopted() {
    let notifications = notifications();
    let vhost = RabbitMq::shared().vhost();
    let listener = OsloListener::start(&OsloConfig::new(&vhost.url()));
    send(&vhost, "", &notifications).await;
    heard(&listener, &notifications);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_compat_openstack_its_services_work_whoever_came_first() {
    let compat = "compat = 'openstack'";
    let ours = [samples::notification(0), samples::notification(1)];
    let publish = |publisher: &OsloPublisher| {
        publisher.publish("info", "compute.instance.update", &json!({ "n": 1 }));
        publisher.publish("error", "compute.instance.update", &json!({ "n": 2 }));
    };
    let hear = |listener: &OsloListener| {
        let mut types: Vec<_> = (0..4).map(|_| listener.next().event_type.unwrap()).collect();
        types.sort();
        assert_eq!(
            types,
            ["compute.instance.update", "compute.instance.update", "image.create", "image.send"]
        );
    };

    // They first.
    let vhost = RabbitMq::shared().vhost();
    let options = OsloConfig::new(&vhost.url());
    let (listener, publisher) =
        (OsloListener::start(&options), OsloPublisher::start(&options, "messagingv2", "nova.host"));
    publish(&publisher);
    send(&vhost, compat, &ours).await;
    hear(&listener);
    assert_eq!(publisher.log(), "");

    // We first.
    let vhost = RabbitMq::shared().vhost();
    let options = OsloConfig::new(&vhost.url());
    send(&vhost, compat, &ours).await;
    let publisher = OsloPublisher::start(&options, "messagingv2", "nova.host");
    publish(&publisher);
    hear(&OsloListener::start(&options));
    assert_eq!(publisher.log(), "");
}

/// With `compat`, a task has the keys that Ceilometer expects.
#[tokio::test(flavor = "multi_thread")]
async fn with_compat_openstack_payloads_are_glances() {
    let vhost = RabbitMq::shared().vhost();
    let listener = OsloListener::start(&OsloConfig::new(&vhost.url()));
    let sample = samples::notification(0);
    let pending = glance_notify::event::TaskStatus::Pending;
    let task = Task::new(sample.message_id, "import", pending, sample.timestamp);
    let body = Body::from(Event::TaskRun(task.into()));
    send(&vhost, "compat = 'openstack'", &[Notification { body, ..sample }]).await;
    let payload = listener.next().payload;
    assert!(payload.get("id").is_some() && payload.get("task_id").is_none(), "{payload}");
}
