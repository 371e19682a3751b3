//! Each counter of the broker, counted on a real RabbitMQ.

use std::sync::Arc;
use std::time::{Duration, Instant};

use notify_conformance::attempts::{deliver, send_once};
use notify_conformance::samples;
use notify_core::transport::{BrokerCounters, BrokerStats};
use notify_core::{Notifier, Transport, Verdict};
use notify_rabbit::Rabbit;
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use serde_json::json;

use crate::support::{rabbit, wait_until};

/// Returns a transport to a new virtual host, its counters and the virtual host.
fn start(options: serde_json::Value) -> (Rabbit, Arc<BrokerCounters>, Vhost<'static>) {
    let vhost = RabbitMq::shared().vhost();
    let transport = rabbit(&vhost.url(), options);
    let counters = transport.counters().expect("the destination is a broker");
    (transport, counters, vhost)
}

/// The first connection is none, and each later one is one. A duplicate counts together with its original.
#[tokio::test(flavor = "multi_thread")]
async fn counts_reconnects() {
    let (mut transport, counters, vhost) = start(json!({}));
    let messages = samples::messages(0..3);
    deliver(&mut transport, &messages).await;
    let mut duplicate = transport.duplicate().unwrap();
    deliver(duplicate.as_mut(), &messages).await;
    assert_eq!(counters.stats().reconnects, 0);
    for expected in [2, 4] {
        wait_until("the broker counts both connections", || vhost.connections() == 2).await;
        vhost.close_connections();
        wait_until("the broker has closed the connections", || vhost.connections() == 0).await;
        deliver(&mut transport, &messages).await;
        deliver(duplicate.as_mut(), &messages).await;
        assert_eq!(counters.stats().reconnects, expected);
    }
}

/// Each nack of a full queue is one.
#[tokio::test(flavor = "multi_thread")]
async fn counts_nacks() {
    let (mut transport, counters, vhost) = start(json!({}));
    deliver(&mut transport, &samples::messages(0..6)).await;
    assert_eq!(counters.stats().nacks, 0);
    vhost.fill(".*");
    let report = send_once(&mut transport, &samples::messages(6..30)).await;
    let retried = report.verdicts.iter().filter(|it| matches!(it, Some(Verdict::Retry(_))));
    let retried = retried.count() as u64;
    assert!(retried >= 20, "{report:?}");
    let BrokerStats { nacks, returns, .. } = counters.stats();
    assert_eq!((nacks, returns), (retried, 0));
}

/// Each message that the broker returns is one.
#[tokio::test(flavor = "multi_thread")]
async fn counts_returns() {
    let (mut transport, counters, vhost) = start(json!({ "declare": "verify" }));
    deliver(&mut rabbit(&vhost.url(), json!({})), &samples::messages(0..3)).await;
    vhost.unbind("notifications.warn", "glance", "notifications.warn");
    let messages = samples::messages(3..12);
    assert_eq!(send_once(&mut transport, &messages).await.accepted().len(), 6);
    let BrokerStats { nacks, returns, .. } = counters.stats();
    assert_eq!((nacks, returns), (0, 3));
}

/// The time from the broker's `connection.blocked` to its `connection.unblocked` counts, while it passes
/// and afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn counts_the_time_for_which_the_broker_blocks() {
    let broker = tokio::task::block_in_place(RabbitMq::start);
    let mut transport = rabbit(&broker.url(), json!({}));
    let counters = transport.counters().unwrap();
    let messages = samples::messages(0..6);
    deliver(&mut transport, &messages[..3]).await;
    assert_eq!(counters.stats().blocked, Duration::ZERO);
    let started = Instant::now();
    tokio::task::block_in_place(|| broker.raise_alarm());
    {
        let mut sending = std::pin::pin!(deliver(&mut transport, &messages[3..]));
        // The broker blocks a connection when it publishes.
        tokio::select! {
            _ = &mut sending => panic!("the broker does not block"),
            () = wait_until("the broker blocks", || counters.stats().blocked > Duration::ZERO) => {}
        }
        let blocked = counters.stats().blocked;
        assert!(blocked <= started.elapsed(), "{blocked:?}");
        let pause = Duration::from_millis(300);
        tokio::time::sleep(pause).await;
        assert!(counters.stats().blocked >= blocked + pause);
        tokio::task::block_in_place(|| broker.clear_alarm());
        sending.await;
    }
    // The task that counts learns of the end by itself, perhaps after the confirms.
    let mut last = counters.stats().blocked;
    wait_until("the count ends", || {
        let blocked = counters.stats().blocked;
        std::mem::replace(&mut last, blocked) == blocked
    })
    .await;
    assert!(last <= started.elapsed());
}

/// Each confirm has a latency, which no clock of the test exceeds. `Stats` shows the counters, and so does its
/// JSON form.
#[tokio::test(flavor = "multi_thread")]
async fn measures_the_latency_of_confirms() {
    let (transport, _, _vhost) = start(json!({}));
    let (notifier, worker) = Notifier::builder(transport).publisher_id("host1").build().unwrap();
    let worker = tokio::spawn(worker.run());
    let started = Instant::now();
    for message in samples::messages(0..300) {
        drop(notifier.relay(message).await);
    }
    notifier.shutdown(Duration::from_secs(60)).await;
    let stats = worker.await.unwrap();
    assert_eq!(stats.delivered, 300);
    let latency = stats.broker.unwrap().confirm_latency;
    assert_eq!(latency.count, 300);
    assert!(latency.max > Duration::ZERO && latency.max <= started.elapsed(), "{latency:?}");
    assert!(latency.sum >= latency.max && latency.sum <= latency.max * 300, "{latency:?}");
    let json = serde_json::to_value(&stats).unwrap();
    assert_eq!(json["broker"]["confirm_latency"]["count"], 300);
    assert_eq!(json["broker"]["confirm_latency"]["max"], latency.max.as_secs_f64());
    assert_eq!(json["broker"]["reconnects"], 0);
}
