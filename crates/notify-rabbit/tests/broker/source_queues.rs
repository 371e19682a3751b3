//! Queues, permissions and messages: what a source takes, and what it leaves alone.

use std::io::Write as _;

use notify_core::source::{DeliverySettlements, IncomingBody, Source};
use notify_rabbit::{Password, Secret};
use notify_testbed::broker::rabbitmq::RabbitMq;
use serde_json::json;

use crate::source_support::{CREDIT, declare_services, publish, source, source_of, texts};
use crate::support::source_config;

/// Every kind of tap leaves the shared queue as it was: its properties, and every message in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_tap_leaves_the_shared_queue_unchanged() {
    for options in [
        json!({}),
        json!({ "queue": "audit" }),
        json!({ "queue": "audit", "queue_type": "quorum" }),
        json!({ "queue": "audit", "queue_type": "stream" }),
    ] {
        let vhost = RabbitMq::shared().vhost();
        declare_services(&vhost, &["info"]);
        publish(&vhost, "info", "before");
        let shared = || format!("{:?}", vhost.queue("notifications.info").unwrap());
        let before = shared();
        let mut tap = source(&vhost, options);
        assert_eq!(tap.attach().await, [""; 0]);
        assert_eq!(shared(), before);
        publish(&vhost, "info", "meanwhile");
        let received = tap.receive(1).await;
        tap.ack(&received).await;
        tap.close().await;
        let bodies = vhost.drain("notifications.info").into_iter().map(|message| message.body);
        assert_eq!(bodies.collect::<Vec<_>>(), [b"before".to_vec(), b"meanwhile".to_vec()]);
    }
}

/// Messages of several queues come in the order of the broker, and one acknowledgement covers them.
#[tokio::test(flavor = "multi_thread")]
async fn several_queues_are_read_in_order_under_one_acknowledgement() {
    let vhost = RabbitMq::shared().vhost();
    let priorities = ["info", "warn", "error"];
    declare_services(&vhost, &priorities);
    let queues: Vec<_> = priorities.iter().map(|name| format!("notifications.{name}")).collect();
    let mut source = source(&vhost, json!({ "consume": queues }));
    assert_eq!(source.attach().await, [""; 0]);
    for round in 0..10 {
        for priority in priorities {
            let bodies: Vec<_> = (0..3).map(|n| format!("{priority} {round} {n}")).collect();
            let key = format!("notifications.{priority}");
            vhost.publish_all("glance", &key, &json!({}), &bodies);
        }
    }
    let received = source.receive(90).await;
    assert!(received.is_sorted_by(|a, b| a.tag < b.tag));
    for priority in priorities {
        let place = format!("notifications.{priority}");
        let own = received.iter().filter(|delivery| delivery.position.place() == place);
        let own: Vec<_> = own.cloned().collect();
        let expected = (0..10).flat_map(|r| (0..3).map(move |n| format!("{priority} {r} {n}")));
        assert_eq!(texts(&own), expected.collect::<Vec<_>>());
    }
    // Everything but the last two, of which the first is released and the second acknowledged alone.
    let settlements = DeliverySettlements {
        through: Some(received[87].tag),
        releases: vec![received[88].tag],
        acks: vec![received[89].tag],
    };
    source.source.settle(&settlements).await.unwrap();
    let again = source.receive(1).await;
    assert_eq!(texts(&again), texts(&received[88..89]));
    assert!(again[0].redelivered);
    source.ack(&again).await;
    source.close().await;
    assert_eq!(vhost.queues().iter().map(|queue| queue.messages).sum::<u64>(), 0);
}

/// A user with the permissions that the guide names can tap `notifications`, and can neither bind to
/// everything nor read the queues of the services.
#[tokio::test(flavor = "multi_thread")]
async fn the_permissions_of_the_guide_suffice_for_a_tap_and_for_nothing_else() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &["info"]);
    let user = format!("tap-{}", vhost.name());
    vhost.broker().add_user(&user, "hunter2");
    vhost.permit(&user, [r"^amq\.gen-.*$", r"^amq\.gen-.*$", r"^(glance|amq\.gen-.*)$"]);
    vhost.permit_topics(&user, "glance", ["^$", r"^(versioned_)?notifications\."]);
    let config = |options| {
        let mut config = source_config(&vhost.url(), options);
        config.endpoint.user = Some(user.clone());
        config.endpoint.password = Some(Password::Inline(Secret::new("hunter2")));
        config
    };
    let mut tap = source_of(config(json!({})));
    assert_eq!(tap.attach().await, [""; 0]);
    publish(&vhost, "info", "one");
    assert_eq!(tap.texts(1).await, ["one"]);

    let mut all = source_of(config(json!({ "topics": "#" })));
    let error = all.next().await.unwrap_err();
    assert!(!error.is_transient());
    let text = error.to_string();
    assert!(text.contains("access to topic '#.#' in exchange 'glance'"), "{text}");
    assert!(text.contains("`rabbitmqctl set_permissions` and `set_topic_permissions`"), "{text}");

    let mut shared = source_of(config(json!({ "consume": "notifications.info" })));
    let error = shared.next().await.unwrap_err();
    assert!(error.to_string().contains("permission denied to user"), "{error:#}");
    assert_eq!(vhost.queue("notifications.info").unwrap().messages, 1);
}

/// The table of the queue types: what a durable tap declares.
#[tokio::test(flavor = "multi_thread")]
async fn a_durable_tap_is_bounded_and_expires() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &[]);
    for queue_type in ["classic", "quorum", "stream"] {
        let options =
            json!({ "queue": queue_type, "queue_type": queue_type, "max_queue_bytes": 8_000_000 });
        let mut source = source(&vhost, options);
        assert_eq!(source.attach().await, [""; 0]);
        let queue = vhost.queue(&format!("glance-notify.{queue_type}")).unwrap();
        assert!(queue.durable && !queue.auto_delete);
        assert_eq!(queue.arguments["x-queue-type"], queue_type);
        assert_eq!(queue.arguments["x-max-length-bytes"], 8_000_000);
        if queue_type == "stream" {
            assert_eq!(queue.arguments["x-max-age"], "604800s");
        } else {
            assert_eq!(queue.arguments["x-overflow"], "drop-head");
            assert_eq!(queue.arguments["x-expires"], 604_800_000);
        }
        source.close().await;
    }
}

/// A durable tap that exists with other properties is used as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_tap_of_another_version_is_used_as_it_is() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &[]);
    vhost.declare_queue("glance-notify.audit", &json!({ "durable": true }));
    let mut source = source(&vhost, json!({ "queue": "audit" }));
    assert_eq!(source.attach().await, [""; 0]);
    publish(&vhost, "info", "one");
    assert_eq!(source.texts(1).await, ["one"]);
}

/// The command can count the queues of the services, and remove a tap that no listener reads.
#[tokio::test(flavor = "multi_thread")]
async fn queues_can_be_counted_and_a_tap_removed() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &["info", "error"]);
    publish(&vhost, "info", "one");
    let options = json!({ "queue": "audit" });
    let mut listener = source(&vhost, options.clone());
    assert_eq!(listener.attach().await, [""; 0]);
    publish(&vhost, "info", "two");
    let mut admin = source(&vhost, options);
    let depths = admin.source.queue_depths().await.unwrap();
    assert!(depths.errors.is_empty(), "{depths:?}");
    let depths: Vec<_> =
        depths.queues.iter().map(|d| (d.queue.as_str(), d.messages, d.consumers)).collect();
    let expected = [
        ("notifications.info", 2, 0),
        ("notifications.error", 0, 0),
        ("glance-notify.audit", 0, 1),
    ];
    assert_eq!(depths, expected);
    let error = admin.source.remove_tap().await.unwrap_err();
    assert!(error.to_string().contains("a listener reads the queue `glance-notify.audit`"));
    listener.close().await;
    assert_eq!(admin.source.remove_tap().await.unwrap(), 1);
    assert!(vhost.queue("glance-notify.audit").is_none());
    let error = source(&vhost, json!({})).source.remove_tap().await.unwrap_err();
    assert!(error.to_string().contains("only the queue of a durable tap"), "{error:#}");
}

/// RabbitMQ deletes a quorum queue only if the request does not ask whether the queue is unused.
#[tokio::test(flavor = "multi_thread")]
async fn a_tap_on_a_quorum_queue_can_be_removed() {
    let vhost = RabbitMq::shared().vhost();
    let arguments = json!({ "x-queue-type": "quorum" });
    vhost.declare_queue("glance-notify.audit", &json!({ "durable": true, "arguments": arguments }));
    let mut admin = source(&vhost, json!({ "queue": "audit", "queue_type": "quorum" }));
    assert_eq!(admin.source.remove_tap().await.unwrap(), 0);
    assert!(vhost.queue("glance-notify.audit").is_none());
    assert_eq!(admin.source.remove_tap().await.unwrap(), 0, "there is none any more");
}

/// A body that kombu compressed is unpacked within the limit. Another compression is unusable.
#[tokio::test(flavor = "multi_thread")]
async fn compressed_bodies_are_unpacked_within_the_limit() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &[]);
    let mut source = source(&vhost, json!({}));
    assert_eq!(source.attach().await, [""; 0]);
    let zlib = |text: &[u8]| {
        let mut encoder =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    let bomb = zlib(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < CREDIT.max_bytes);
    for (compression, body) in [
        ("application/x-gzip", zlib(b"{}")),
        ("application/x-gzip", bomb),
        ("application/x-gzip", b"{}".to_vec()),
        ("application/x-bz2", b"{}".to_vec()),
    ] {
        let properties = json!({ "headers": { "compression": compression } });
        vhost.publish("glance", "notifications.info", &properties, &body);
    }
    let received = source.receive(4).await;
    assert_eq!(texts(&received[..1]), ["{}"]);
    assert!(matches!(received[1].body, IncomingBody::TooLarge(size) if size > 1 << 20));
    assert!(
        matches!(&received[2].body, IncomingBody::Unusable(_, reason) if reason.contains("zlib"))
    );
    assert!(
        matches!(&received[3].body, IncomingBody::Unusable(_, reason) if reason.contains("x-bz2"))
    );
}

/// A body beyond the limit is discarded while it streams in, and headers that are nested too deep are
/// dropped: neither ends the session.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_messages_do_not_end_the_session() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &[]);
    let mut source = source(&vhost, json!({}));
    assert_eq!(source.attach().await, [""; 0]);
    let nested = (0..120).fold(json!(1), |inner, _| json!({ "a": inner }));
    let key = "notifications.info";
    vhost.publish("glance", key, &json!({ "headers": { "a": nested } }), b"one");
    vhost.publish("glance", key, &json!({}), &vec![b'x'; 16 << 20]);
    vhost.publish("glance", key, &json!({}), b"");
    vhost.publish("glance", "notifications.info.more", &json!({}), b"two");
    let received = source.receive(4).await;
    assert!(matches!(received[1].body, IncomingBody::TooLarge(size) if size == 16 << 20));
    assert_eq!(
        texts(&[received[0].clone(), received[2].clone(), received[3].clone()]),
        ["one", "", "two"]
    );
    source.ack(&received).await;
    let no_room = notify_core::source::Credit { room: 0, ..CREDIT };
    publish(&vhost, "info", "three");
    let waiting =
        tokio::time::timeout(std::time::Duration::from_millis(300), source.source.receive(no_room));
    assert!(waiting.await.is_err(), "handed over a message without room");
    assert_eq!(source.texts(1).await, ["three"]);
}

/// The consumers of a pool share its messages, and the services' queue keeps its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_shares_its_messages() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &["info"]);
    let options = json!({ "pool": "audit", "durable": false });
    let mut first = source(&vhost, options.clone());
    assert_eq!(first.attach().await, [""; 0]);
    let mut second = source(&vhost, options);
    assert_eq!(second.attach().await, [""; 0]);
    let bodies: Vec<_> = (0..10).map(|n| n.to_string()).collect();
    vhost.publish_all("glance", "notifications.info", &json!({}), &bodies);
    let of_first = first.receive(5).await;
    let of_second = second.receive(5).await;
    let mut all = [texts(&of_first), texts(&of_second)].concat();
    all.sort();
    assert_eq!(all, bodies);
    first.ack(&of_first).await;
    second.ack(&of_second).await;
    first.close().await;
    second.close().await;
    assert_eq!(vhost.queue("audit").unwrap().messages, 0);
    assert_eq!(vhost.queue("notifications.info").unwrap().messages, 10);
}
