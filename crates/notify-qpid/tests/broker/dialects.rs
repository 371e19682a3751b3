//! What each product is sent, as the peer sees it; and topics.

use std::fmt::Write as _;

use notify_conformance::samples;
use notify_core::Verdict;
use notify_qpid::Qpid;
use notify_testbed::broker::proton::ProtonPeer;
use serde_json::{Value, json};

use crate::support::{attempt, config, within};

#[tokio::test(flavor = "multi_thread")]
async fn every_product_gets_its_own_addresses() {
    let mut seen = String::new();
    for (product, version) in [
        ("qpid-cpp", "1.40.0"),
        ("RabbitMQ", "3.10.8"),
        ("RabbitMQ", "4.0.5"),
        ("ActiveMQ", "6.1.7"),
    ] {
        for node in ["queue", "topic"] {
            let peer = ProtonPeer::builder().product(product, version).start();
            let table = json!({ "node": node, "exchange": "gl/ance" });
            attach_all(&peer, table).await;
            writeln!(seen, "{product} {version}, {node}").unwrap();
            for attached in peer.state().attached {
                writeln!(seen, "  {} {:?}", attached.address, attached.capabilities).unwrap();
            }
        }
    }
    insta::assert_snapshot!(seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_learns_who_we_are() {
    let peer = ProtonPeer::start();
    attach_all(&peer, json!({ "virtual_host": "vhost:glance" })).await;
    let opened = peer.state().opened.unwrap();
    let container = format!("glance-notify:{}-", std::process::id());
    assert!(opened.container.starts_with(&container), "{opened:?}");
    assert_eq!(opened.hostname.as_deref(), Some("vhost:glance"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_routes_by_subject_and_says_what_nobody_gets() {
    let peer = ProtonPeer::builder()
        .binding("glance", "notifications.info", "infos")
        .binding("glance", "notifications.w#", "warnings")
        .create_nothing()
        .start();
    let config = config(&peer.url(), json!({ "node": "topic" }));
    let mut transport = Qpid::new(config).unwrap();
    let attempt = within(attempt(&mut transport, &samples::messages(0..9))).await;
    attempt.end.as_ref().unwrap();
    assert_eq!(attempt.accepted(), 6);
    let retried = |verdict: &&Option<Verdict>| matches!(verdict, Some(Verdict::Retry(_)));
    assert_eq!(attempt.verdicts.iter().filter(retried).count(), 3);
    assert_eq!((peer.messages("infos").len(), peer.messages("warnings").len()), (3, 3));
    assert_eq!(peer.state().attached.len(), 1, "one link for one address");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_the_operators_own_is_used() {
    let peer =
        ProtonPeer::builder().binding("glance", "notifications.#", "all").create_nothing().start();
    let address = "{exchange}/{topic}.{priority}";
    attach_all(&peer, json!({ "address": address })).await;
    let ids: Vec<_> = peer.messages("all").into_iter().map(|message| message.id).collect();
    assert_eq!(ids.len(), 3);
    let addresses: Vec<_> = peer.state().attached.into_iter().map(|link| link.address).collect();
    let expected = ["info", "warn", "error"].map(|name| format!("glance/notifications.{name}"));
    assert_eq!(addresses, expected);
}

/// Sends a message of each priority.
async fn attach_all(peer: &ProtonPeer, table: Value) {
    let mut transport = Qpid::new(config(&peer.url(), table)).unwrap();
    let attempt = within(attempt(&mut transport, &samples::messages(0..3))).await;
    attempt.end.as_ref().unwrap();
    assert_eq!(attempt.accepted(), 3, "{attempt:?}");
}
