//! Each counter of the broker, counted on RabbitMQ, or on a peer where RabbitMQ 3 cannot show it.

use std::time::{Duration, Instant};

use notify_conformance::attempts::{deliver, send_once};
use notify_conformance::{Harness as _, samples};
use notify_core::Transport as _;
use notify_core::transport::BrokerStats;
use notify_qpid::Qpid;
use notify_testbed::broker::proton::{PeerFault, ProtonPeer};
use serde_json::json;

use crate::contract_rabbitmq::RabbitNode;
use crate::support::{config, within};

/// On RabbitMQ, the first connection is none, and each later one is one. Each outcome has a latency.
#[tokio::test(flavor = "multi_thread")]
async fn counts_reconnects_and_the_latency_of_outcomes() {
    let node = RabbitNode::start().await;
    let mut transport = node.transport();
    let counters = transport.counters().unwrap();
    let started = Instant::now();
    deliver(transport.as_mut(), &samples::messages(0..30)).await;
    let BrokerStats { reconnects, confirm_latency, .. } = counters.stats();
    assert_eq!((reconnects, confirm_latency.count), (0, 30));
    assert!(confirm_latency.max > Duration::ZERO && confirm_latency.max <= started.elapsed());
    assert!(confirm_latency.sum >= confirm_latency.max);
    node.vhost
        .in_background(|vhost| {
            vhost.sync_metadata();
            vhost.broker().kill();
            vhost.broker().restart();
        })
        .await;
    deliver(transport.as_mut(), &samples::messages(30..60)).await;
    let BrokerStats { reconnects, confirm_latency, nacks, returns, .. } = counters.stats();
    assert_eq!((reconnects, nacks, returns), (1, 0, 0));
    assert!(confirm_latency.count >= 60, "{confirm_latency:?}");
}

/// Released messages are nacks, and messages that the broker rejects for want of a node are returns.
#[tokio::test(flavor = "multi_thread")]
async fn counts_nacks_and_returns() {
    let peer = ProtonPeer::start();
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    let counters = transport.counters().unwrap();
    peer.inject(PeerFault::Release, 0, Some(4));
    within(send_once(&mut transport, &samples::messages(0..9))).await;
    peer.clear_faults();
    peer.reject_with(Some("amqp:not-found"));
    peer.inject(PeerFault::Reject, 0, Some(2));
    within(send_once(&mut transport, &samples::messages(9..18))).await;
    let BrokerStats { nacks, returns, .. } = counters.stats();
    assert_eq!((nacks, returns), (4, 2));
}

/// A broker that gives no credit holds messages back.
#[tokio::test(flavor = "multi_thread")]
async fn counts_the_time_without_credit() {
    let peer = ProtonPeer::builder().credit(1).start();
    let table = json!({ "confirm_timeout": 2 });
    let mut transport = Qpid::new(config(&peer.url(), table)).unwrap();
    let counters = transport.counters().unwrap();
    let messages: Vec<_> = (0..4).flat_map(|n| samples::messages(n * 3..n * 3 + 1)).collect();
    deliver(&mut transport, &messages[..1]).await;
    let started = Instant::now();
    // The peer gives its only credit again with each delivery, so it must stop reading.
    peer.inject(PeerFault::Silent, 0, Some(1));
    {
        let mut sending = std::pin::pin!(deliver(&mut transport, &messages[1..]));
        within(async {
            while counters.stats().blocked == Duration::ZERO {
                let turn = Duration::from_millis(10);
                assert!(tokio::time::timeout(turn, &mut sending).await.is_err());
            }
        })
        .await;
    }
    peer.end_silence();
    let blocked = counters.stats().blocked;
    assert!(blocked <= started.elapsed(), "{blocked:?}");
    within(deliver(&mut transport, &messages[1..])).await;
}
