//! Our source reads what real oslo.messaging publishers notify, beside real oslo.messaging listeners,
//! which miss nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use glance_notify::config::Redact;
use glance_notify::listen::{
    DeadLetters, Listener, ListenerConfig, RabbitSource, RabbitSourceConfig, SourceQueue,
    SourceState,
};
use glance_notify::transport::rabbit::QueueType;
use notify_testbed::broker::oslo::{OsloConfig, OsloListener, OsloNotification, OsloPublisher};
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use notify_testbed::wait::{HANG_TIMEOUT, wait_until};
use serde_json::{Value, json};
use tokio::time::timeout;

/// A tap reads everything that oslo.messaging notifies, in both envelopes and with every kind of queue,
/// while an oslo.messaging listener on the shared queues receives all of it too. Nothing of the tap is
/// left afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_tap_reads_what_oslo_messaging_notifies_beside_its_listener() {
    let samples = samples();
    for driver in ["messaging", "messagingv2"] {
        for options in 0..3 {
            let vhost = RabbitMq::shared().vhost();
            let oslo = oslo_options(&vhost)[options].clone();
            let beside = OsloListener::start(&oslo);
            let queues = vhost.queues().len();
            let mut listener = listen(&vhost, SourceQueue::Temporary).await;
            let publisher = OsloPublisher::start(&oslo, driver, "image.host1");
            for (priority, event_type, payload) in &samples {
                publisher.publish(priority, event_type, payload);
            }
            let theirs = received(&beside, samples.len());
            let ours = read(&mut listener, samples.len()).await;
            assert_eq!(ours, theirs, "{driver} {options}");
            let counts = listener.close(HANG_TIMEOUT).await.total;
            assert_eq!((counts.acked, counts.unreadable), (samples.len() as u64, 0));
            assert_eq!(vhost.queues().len(), queues);
            assert_eq!((publisher.log(), beside.log()), (String::new(), String::new()));
        }
    }
}

/// Without a listener, the shared queues can be consumed afterwards, in every form.
#[tokio::test(flavor = "multi_thread")]
async fn shared_queues_are_consumed_after_the_fact() {
    let samples = samples();
    for options in 0..3 {
        let vhost = RabbitMq::shared().vhost();
        let oslo = oslo_options(&vhost)[options].clone();
        let publisher = OsloPublisher::start(&oslo, "messagingv2", "image.host1");
        for (priority, event_type, payload) in &samples {
            publisher.publish(priority, event_type, payload);
        }
        let queues = vhost.queues().into_iter().map(|queue| queue.name).collect();
        let mut listener = listen(&vhost, SourceQueue::Shared { queues }).await;
        let ours = read(&mut listener, samples.len()).await;
        let types: BTreeSet<_> =
            ours.values().map(|facts| facts["event_type"].as_str().unwrap()).collect();
        let expected: BTreeSet<_> = samples.iter().map(|(_, kind, _)| kind.as_str()).collect();
        assert_eq!(types, expected);
        listener.close(HANG_TIMEOUT).await;
        wait_until("the queues are empty", || {
            vhost.queues().iter().all(|queue| queue.messages == 0)
        });
    }
}

/// Our source and an oslo.messaging listener share the messages of a pool, in either order of start.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_is_shared_with_oslo_messaging() {
    for oslo_first in [true, false] {
        let vhost = RabbitMq::shared().vhost();
        let oslo = OsloConfig::new(&vhost.url()).pool("audit");
        vhost.declare_exchange("glance", "topic", &json!({}));
        let pool = SourceQueue::Pool {
            name: "audit".into(),
            queue_type: QueueType::Classic,
            durable: false,
        };
        let (member, mut listener) = if oslo_first {
            let member = OsloListener::start(&oslo);
            (member, listen(&vhost, pool).await)
        } else {
            let listener = listen(&vhost, pool).await;
            (OsloListener::start(&oslo), listener)
        };
        wait_until("both consume", || vhost.queue("audit").is_some_and(|q| q.consumers >= 2));
        let publisher = OsloPublisher::start(&oslo, "messaging", "image.host1");
        for number in 0..20 {
            publisher.publish("info", "image.create", &json!({ "number": number }));
        }
        let mut numbers = BTreeSet::new();
        let mut note = |payload: &Value| assert!(numbers.insert(payload["number"].as_u64()));
        let (mut theirs, mut ours) = (0, 0);
        let (start, turn) = (std::time::Instant::now(), Duration::from_millis(100));
        while theirs + ours < 20 {
            assert!(start.elapsed() < HANG_TIMEOUT, "{theirs} and {ours} of 20");
            if let Some(notification) = member.next_within(turn) {
                theirs += 1;
                note(&notification.payload);
            }
            if let Ok(delivery) = timeout(turn, listener.next_delivery()).await {
                let delivery = delivery.unwrap().unwrap();
                let body: Value =
                    serde_json::from_slice(delivery.message().unwrap().body()).unwrap();
                ours += 1;
                note(&body["payload"]);
                delivery.ack().await.unwrap();
            }
        }
        assert!(theirs > 0 && ours > 0, "{theirs} and {ours} of 20");
        assert_eq!(numbers.len(), 20);
        listener.close(HANG_TIMEOUT).await;
    }
}

/// Twenty undecodable and five failing messages before twenty good ones, with a prefetch of 10: the good
/// ones come after at most 100 deliveries, and each bad one is in the dead-letter file once.
#[tokio::test(flavor = "multi_thread")]
async fn poison_on_a_broker_neither_blocks_nor_loops() {
    let vhost = RabbitMq::shared().vhost();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dead.jsonl");
    let queue = "notifications.info";
    vhost.declare_queue(
        queue,
        &json!({ "arguments": { "x-queue-type": "quorum" }, "durable": true }),
    );
    let body = |number: usize| {
        json!({
            "message_id": format!("00000000-0000-0000-0000-{number:012}"), "priority": "INFO",
            "publisher_id": "image.host1", "event_type": "image.create",
            "payload": { "number": number }, "timestamp": "2026-11-22 12:00:00.000000",
        })
        .to_string()
    };
    let poison = (0..20).map(|number| format!("poison {number}"));
    let bodies: Vec<_> = poison.chain((0..5).map(body)).chain((100..120).map(body)).collect();
    vhost.publish_all("", queue, &json!({ "delivery_mode": 2 }), &bodies);

    let mut bounds = ListenerConfig::default();
    (bounds.prefetch, bounds.attempts) = (10, 3);
    let mut config = RabbitSourceConfig::from_url(&vhost.url()).unwrap();
    config.queue = SourceQueue::Shared { queues: vec![queue.into()] };
    let mut listener =
        Listener::builder(RabbitSource::new(config).unwrap(), DeadLetters::file(&file))
            .config(bounds)
            .start()
            .unwrap();
    let (mut handed_out, mut good, mut more) = (0, BTreeSet::new(), 200);
    while listener.stats().total.dead_lettered < 25 {
        let next = timeout(HANG_TIMEOUT, listener.next_delivery()).await.unwrap().unwrap().unwrap();
        let payload: Value =
            serde_json::from_slice::<Value>(next.message().unwrap().body()).unwrap();
        let number = payload["payload"]["number"].as_u64().unwrap();
        handed_out += 1;
        if number < 5 {
            drop(next.fail("always"));
        } else {
            good.insert(number);
            next.ack().await.unwrap();
        }
        if (100..120).all(|number| good.contains(&number)) {
            assert!(handed_out <= 100 || more > 200, "{handed_out} deliveries");
            // A failure counts only if something else succeeded since.
            vhost.publish("", queue, &json!({ "delivery_mode": 2 }), body(more).as_bytes());
            more += 1;
        }
    }
    let counts = listener.close(HANG_TIMEOUT).await.total;
    assert_eq!((counts.dead_lettered, counts.unreadable, counts.lost), (25, 20, 0));
    let letters = dead_letters(&file);
    assert_eq!(letters.len(), 25);
    let bodies: BTreeSet<_> =
        letters.iter().map(|letter| letter["body"].as_str().unwrap()).collect();
    assert_eq!(bodies.len(), 25);
    for letter in &letters {
        let reason = letter["reason"].as_str().unwrap();
        let is_poison = letter["body"].as_str().unwrap().starts_with("poison");
        assert!(reason.starts_with(if is_poison { "not JSON" } else { "failed" }), "{reason}");
    }
}

/// While everything fails, as during an outage of a database, nothing becomes a dead letter, nothing goes
/// back to the queue, and everything is acknowledged afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_store_dead_letters_nothing() {
    let vhost = RabbitMq::shared().vhost();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dead.jsonl");
    let oslo = OsloConfig::new(&vhost.url());
    let publisher = OsloPublisher::start(&oslo, "messagingv2", "image.host1");
    for number in 0..30 {
        publisher.publish("info", "image.create", &json!({ "number": number }));
    }
    let mut config = RabbitSourceConfig::from_url(&vhost.url()).unwrap();
    config.queue = SourceQueue::Shared { queues: vec!["notifications.info".into()] };
    let mut bounds = ListenerConfig::default();
    (bounds.prefetch, bounds.attempts) = (10, 2);
    let mut listener =
        Listener::builder(RabbitSource::new(config).unwrap(), DeadLetters::file(&file))
            .config(bounds)
            .start()
            .unwrap();
    let outage = std::time::Instant::now();
    let mut failures = 0;
    while outage.elapsed() < Duration::from_secs(5) || failures < 10 {
        assert!(outage.elapsed() < HANG_TIMEOUT, "{failures}");
        let next = timeout(Duration::from_secs(1), listener.next_delivery()).await;
        if let Ok(delivery) = next {
            drop(delivery.unwrap().unwrap().fail("the database is away"));
            failures += 1;
        }
    }
    assert_eq!(listener.stats().total.dead_lettered, 0);
    assert_eq!(read(&mut listener, 30).await.len(), 30);
    let counts = listener.close(HANG_TIMEOUT).await.total;
    assert_eq!((counts.received, counts.acked, counts.dead_lettered), (30, 30, 0));
    assert_eq!(dead_letters(&file).len(), 0);
}

/// Returns the priority, the event type and the payload of what OpenStack's services notify.
fn samples() -> Vec<(String, String, Value)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/openstack-2026");
    let mut samples = Vec::new();
    for service in ["glance", "audit", "cinder", "nova"] {
        let text = std::fs::read_to_string(directory.join(format!("{service}-v1.jsonl"))).unwrap();
        for line in text.lines() {
            let body: Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| body[key].as_str().unwrap().to_owned();
            let priority = text("priority").to_lowercase();
            // kombu turns an object with `__type__` into a Python value, which is no JSON.
            let is_json = !line.contains("__type__");
            if is_json && ["info", "warn", "error"].contains(&priority.as_str()) {
                samples.push((priority, text("event_type"), body["payload"].clone()));
            }
        }
    }
    assert!(samples.len() > 200);
    samples
}

/// Returns the options of oslo.messaging: plain, durable, and quorum queues.
fn oslo_options(vhost: &Vhost<'_>) -> [OsloConfig; 3] {
    let plain = OsloConfig::new(&vhost.url());
    [plain.clone(), plain.clone().durable(), plain.quorum()]
}

/// Starts a listener that keeps secrets, and waits until it is attached.
async fn listen(vhost: &Vhost<'_>, queue: SourceQueue) -> Listener {
    let mut config = RabbitSourceConfig::from_url(&vhost.url()).unwrap();
    config.queue = queue;
    let mut bounds = ListenerConfig::default();
    bounds.redact = Redact::Off;
    let listener = Listener::builder(RabbitSource::new(config).unwrap(), DeadLetters::Discard)
        .config(bounds)
        .start()
        .unwrap();
    let attached = async {
        while !matches!(listener.stats().sources[0].state, SourceState::Attached { .. }) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(HANG_TIMEOUT, attached).await.is_ok(), "{:?}", listener.stats());
    listener
}

/// Reads and acknowledges this many notifications. Returns their facts by their id.
async fn read(listener: &mut Listener, count: usize) -> BTreeMap<String, Value> {
    let mut facts = BTreeMap::new();
    while facts.len() < count {
        let batch = listener.next_batch(100, Duration::from_millis(50));
        let batch = timeout(HANG_TIMEOUT, batch)
            .await
            .unwrap_or_else(|_| panic!("{} of {count}: {:?}", facts.len(), listener.stats()));
        let batch = batch.unwrap().unwrap();
        for message in batch.messages() {
            let body: Value = serde_json::from_slice(message.body()).unwrap();
            let read = json!({
                "priority": body["priority"].as_str().unwrap().to_lowercase(),
                "event_type": body["event_type"], "publisher_id": body["publisher_id"],
                "payload": body["payload"], "timestamp": body["timestamp"],
            });
            assert!(facts.insert(message.id().to_string(), read).is_none(), "read twice");
        }
        batch.ack().await.unwrap();
    }
    facts
}

/// Waits until a listener of oslo.messaging has this many notifications. Returns the same facts.
fn received(listener: &OsloListener, count: usize) -> BTreeMap<String, Value> {
    let facts = |notification: OsloNotification| {
        let id = notification.metadata["message_id"].as_str().unwrap().to_owned();
        let facts = json!({
            "priority": notification.priority, "event_type": notification.event_type,
            "publisher_id": notification.publisher_id, "payload": notification.payload,
            "timestamp": notification.metadata["timestamp"],
        });
        (id, facts)
    };
    let received: BTreeMap<_, _> = (0..count).map(|_| facts(listener.next())).collect();
    assert_eq!(received.len(), count);
    received
}

/// Returns the lines of a dead-letter file, which may be missing.
fn dead_letters(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
