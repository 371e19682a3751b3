//! Everything that ends or hinders reading: the source notices, tells, and goes on.

use std::time::SystemTime;

use notify_core::ErrorKind;
use notify_core::source::{Reception, Source};
use notify_testbed::broker::rabbitmq::RabbitMq;
use serde_json::json;

use crate::source_support::{declare_services, publish, source, texts};

/// A durable tap whose queue is deleted declares it again, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn reading_goes_on_after_the_queue_of_a_tap_was_deleted() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &[]);
    let mut source = source(&vhost, json!({ "queue": "audit" }));
    assert_eq!(source.attach().await, [""; 0]);
    publish(&vhost, "info", "one");
    assert_eq!(source.texts(1).await, ["one"]);
    vhost.delete_queue("glance-notify.audit");
    let error = source.session_end().await;
    assert!(error.is_transient(), "{error:#}");
    let expected = "cancelled the consumer of queue `glance-notify.audit`: the queue was deleted";
    assert!(error.to_string().contains(expected), "{error:#}");
    assert_eq!(source.attach().await, [""; 0]);
    publish(&vhost, "info", "two");
    let received = source.receive(1).await;
    assert_eq!(texts(&received), ["two"]);
    source.ack(&received).await;
    source.close().await;
}

/// A queue of others that is deleted is awaited, not declared.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_others_is_awaited_and_never_declared() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &["info"]);
    let queues = json!({ "consume": ["notifications.info", "notifications.error"] });
    let mut source = source(&vhost, queues);
    assert_eq!(source.detach().await, "queue `notifications.error` does not exist");
    publish(&vhost, "info", "one");
    assert_eq!(source.texts(1).await, ["one"]);
    assert_eq!(vhost.queues().len(), 1);
    declare_services(&vhost, &["error"]);
    assert_eq!(source.attach().await, [""; 0]);
    publish(&vhost, "error", "two");
    assert_eq!(source.texts(1).await, ["two"]);
    vhost.delete_queue("notifications.info");
    assert!(source.session_end().await.is_transient());
    assert_eq!(source.detach().await, "queue `notifications.info` does not exist");
    // The other queue goes on, with the unacknowledged message.
    assert_eq!(source.texts(1).await, ["two"]);
    assert_eq!(vhost.queues().len(), 1);
}

/// The unsettled messages of a session that ended go to other readers while the listener waits before the next one.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ended_withholds_no_message_from_other_readers() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &["info", "error"]);
    let queues = json!({ "consume": ["notifications.info", "notifications.error"] });
    let mut first = source(&vhost, queues);
    assert_eq!(first.attach().await, [""; 0]);
    publish(&vhost, "error", "one");
    assert_eq!(first.texts(1).await, ["one"]);
    vhost.delete_queue("notifications.info");
    assert!(first.session_end().await.is_transient());
    let mut second = source(&vhost, json!({ "consume": "notifications.error" }));
    assert_eq!(second.attach().await, [""; 0]);
    assert_eq!(second.texts(1).await, ["one"]);
    second.close().await;
    first.close().await;
}

/// A tap waits for an exchange that no service has declared yet, and declares none itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_tap_waits_for_an_exchange_and_declares_none() {
    let vhost = RabbitMq::shared().vhost();
    let mut source = source(&vhost, json!({ "exchanges": ["glance", "nova"] }));
    let reason = source.detach().await;
    assert_eq!(reason, "exchange `glance`, exchange `nova` do not exist");
    declare_services(&vhost, &[]);
    assert_eq!(source.detach().await, "exchange `nova` does not exist");
    publish(&vhost, "info", "one");
    assert_eq!(source.texts(1).await, ["one"]);
    let findings = source.source.check().await.unwrap();
    let nova = findings.iter().find(|finding| finding.subject == "exchange `nova`").unwrap();
    assert!(format!("{nova:?}").contains("does not exist"), "{nova:?}");
    vhost.declare_exchange("nova", "topic", &json!({}));
    assert_eq!(source.attach().await, [""; 0]);
}

/// A tap whose exchange is deleted is detached since the last look that found it, not since the look that
/// missed it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_exchange_counts_from_the_last_good_look() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &[]);
    let mut source = source(&vhost, json!({}));
    assert_eq!(source.attach().await, [""; 0]);
    vhost.delete_exchange("glance");
    let deleted_at = SystemTime::now();
    match source.next().await {
        Ok(Reception::Detached { reason, since: Some(since) }) => {
            assert_eq!(reason, "exchange `glance` does not exist");
            assert!(since <= deleted_at, "{since:?} is after {deleted_at:?}");
        }
        other => panic!("expected a loss, found {other:?}"),
    }
    declare_services(&vhost, &[]);
    assert_eq!(source.attach().await, [""; 0]);
    source.close().await;
}

/// A restart of the broker loses an exchange that is not durable, and the binding of a durable tap with
/// it. The tap is detached until a service declares the exchange again.
#[tokio::test(flavor = "multi_thread")]
async fn a_tap_binds_again_after_a_restart_lost_the_exchange() {
    let broker = RabbitMq::start();
    let vhost = broker.vhost();
    declare_services(&vhost, &[]);
    let mut source = source(&vhost, json!({ "queue": "audit" }));
    assert_eq!(source.attach().await, [""; 0]);
    vhost.publish("glance", "notifications.info", &json!({ "delivery_mode": 2 }), b"one");
    let received = source.receive(1).await;
    source.ack(&received).await;
    vhost.publish("glance", "notifications.info", &json!({ "delivery_mode": 2 }), b"two");
    assert_eq!(source.texts(1).await, ["two"]);
    broker.restart();
    assert!(source.session_end().await.is_transient());
    assert_eq!(source.detach().await, "exchange `glance` does not exist");
    assert_eq!(source.texts(1).await, ["two"], "the queue kept its message");
    declare_services(&vhost, &[]);
    assert_eq!(source.attach().await, [""; 0]);
    publish(&vhost, "info", "three");
    assert_eq!(source.texts(1).await, ["three"]);
}

/// The broker closes the channel of a consumer that does not acknowledge in time. The messages come
/// again, also those of a temporary tap.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_timeout_loses_nothing() {
    let broker = RabbitMq::start();
    broker.eval("application:set_env(rabbit, consumer_timeout, 1000)");
    broker.eval("application:set_env(rabbit, channel_tick_interval, 500)");
    let vhost = broker.vhost();
    declare_services(&vhost, &[]);
    let mut source = source(&vhost, json!({}));
    assert_eq!(source.attach().await, [""; 0]);
    publish(&vhost, "info", "one");
    assert_eq!(source.texts(1).await, ["one"]);
    let error = source.session_end().await;
    assert!(error.is_transient(), "{error:#}");
    assert!(error.to_string().contains("settle deliveries sooner, or raise `consumer_timeout`"));
    // The next channel has time to acknowledge, also on a slow machine.
    broker.eval("application:set_env(rabbit, consumer_timeout, 60000)");
    publish(&vhost, "info", "two");
    assert_eq!(source.attach().await, [""; 0]);
    let received = source.receive(2).await;
    assert_eq!(texts(&received), ["one", "two"]);
    assert!(received[0].redelivered && !received[1].redelivered);
    source.ack(&received).await;
    assert_eq!(vhost.connections(), 1, "the connection goes on");
}

/// Only one listener reads a durable tap: the next one is refused until the first ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_listener_of_a_durable_tap_is_refused() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &[]);
    for queue_type in ["classic", "quorum"] {
        let options = json!({ "queue": queue_type, "queue_type": queue_type });
        let mut first = source(&vhost, options.clone());
        assert_eq!(first.attach().await, [""; 0]);
        let mut second = source(&vhost, options);
        let error = second.session_end().await;
        assert!(error.is_transient(), "{queue_type}: {error:#}");
        assert!(error.to_string().contains("another listener reads it"), "{queue_type}: {error:#}");
        publish(&vhost, "info", queue_type);
        let received = first.receive(1).await;
        first.ack(&received).await;
        first.close().await;
        second.attach().await;
        second.close().await;
    }
}

/// Of two listeners of a durable tap that start together, at most one reads it. The broker refuses a second
/// one on a classic queue only, and the configured type is not always that of the queue.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_listeners_that_start_together_at_most_one_reads() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &[]);
    for (configured, existing) in
        [("classic", "classic"), ("quorum", "quorum"), ("classic", "quorum")]
    {
        let name = format!("{configured}-{existing}");
        if configured != existing {
            let queue = json!({ "durable": true, "arguments": { "x-queue-type": existing } });
            vhost.declare_queue(&format!("glance-notify.{name}"), &queue);
        }
        let options = json!({ "queue": name, "queue_type": configured });
        let mut alone = source(&vhost, options.clone());
        assert_eq!(alone.attach().await, [""; 0]);
        alone.close().await;
        for _ in 0..4 {
            let mut first = source(&vhost, options.clone());
            let mut second = source(&vhost, options.clone());
            let results: [_; 2] = tokio::join!(first.next(), second.next()).into();
            for error in results.iter().filter_map(|result| result.as_ref().err()) {
                assert!(error.is_transient(), "{name}: {error:#}");
                assert!(error.to_string().contains("another listener reads it"), "{error:#}");
            }
            assert!(results.iter().any(Result::is_err), "{name}: both read");
            second.close().await;
            if results[0].is_err() {
                first.attach().await;
            }
            first.close().await;
        }
    }
}

/// A frozen broker is noticed after two heartbeats, and reading goes on when it thaws.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_is_noticed() {
    let broker = RabbitMq::start();
    let vhost = broker.vhost();
    declare_services(&vhost, &["info"]);
    let mut source = source(
        &vhost,
        json!({ "consume": "notifications.info", "heartbeat": 1, "connect_timeout": 1 }),
    );
    // A slow machine can need another attempt, because the timeouts are short.
    source.attach().await;
    broker.freeze();
    let error = source.session_end().await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:#}");
    assert!(source.next().await.unwrap_err().is_transient());
    broker.unfreeze();
    source.attach().await;
    publish(&vhost, "info", "one");
    assert_eq!(source.texts(1).await, ["one"]);
}

/// A stream that was deleted and declared again is read from its start, although the offsets of the
/// messages are smaller than those that were acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_declared_anew_is_read_from_its_start() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &[]);
    let dir = tempfile::tempdir().unwrap();
    let options = json!({
        "queue": "audit", "queue_type": "stream", "checkpoint": dir.path().join("position"),
    });
    let mut first = source(&vhost, options.clone());
    assert_eq!(first.attach().await, [""; 0]);
    for text in ["one", "two", "three"] {
        publish(&vhost, "info", text);
    }
    let received = first.receive(3).await;
    assert_eq!(texts(&received), ["one", "two", "three"]);
    assert_eq!(received[2].position.offset(), 2);
    first.ack(&received).await;
    first.close().await;

    // There is no message with the same offset, for which the source searches a minute, or another one.
    for new in [vec!["four"], vec!["five", "six", "seven", "eight"]] {
        vhost.delete_queue("glance-notify.audit");
        let stream = json!({
            "durable": true, "arguments": { "x-queue-type": "stream" },
        });
        vhost.declare_queue("glance-notify.audit", &stream);
        vhost.bind("glance-notify.audit", "glance", "notifications.#");
        for text in &new {
            publish(&vhost, "info", text);
        }
        let mut source = source(&vhost, options.clone());
        // The source can be attached before it knows.
        let mut reasons = source.attach().await;
        if reasons.is_empty() {
            reasons = source.attach().await;
        }
        assert_eq!(reasons, ["the stream was declared anew: reading it from its start"]);
        let received = source.receive(new.len()).await;
        assert_eq!(texts(&received), new);
        source.ack(&received).await;
        source.close().await;
    }
}
