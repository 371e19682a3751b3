//! The addresses that each product gets, as the peer sees them, and topics.

use std::fmt::Write as _;

use notify_conformance::attempts::send_once;
use notify_conformance::samples;
use notify_core::Verdict;
use notify_qpid::Qpid;
use notify_testbed::broker::proton::ProtonPeer;
use serde_json::{Value, json};

use crate::support::{config, within};

/// The addresses and capabilities in the attach frames stay as each product needs them. A peer that
/// claims to be the product records them.
#[tokio::test(flavor = "multi_thread")]
async fn each_product_gets_its_own_addresses() {
    let mut table = String::new();
    for (product, version) in [
        ("qpid-cpp", "1.40.0"),
        ("RabbitMQ", "3.10.8"),
        ("RabbitMQ", "4.0.5"),
        ("ActiveMQ", "6.1.7"),
    ] {
        for node in ["queue", "topic"] {
            let peer = ProtonPeer::builder().product(product, version).start();
            attach_all(&peer, json!({ "node": node, "exchange": "gl/ance" })).await;
            writeln!(table, "{product} {version}, {node}").unwrap();
            for attached in peer.state().attached {
                writeln!(table, "  {} {:?}", attached.address, attached.capabilities).unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// The Open carries the container id, with the process id for the broker's operator, and
/// `qpid.virtual_host`.
#[tokio::test(flavor = "multi_thread")]
async fn open_names_the_process_and_the_virtual_host() {
    let peer = ProtonPeer::start();
    attach_all(&peer, json!({ "virtual_host": "vhost:glance" })).await;
    let opened = peer.state().opened.unwrap();
    let container = format!("glance-notify:{}-", std::process::id());
    assert!(opened.container.starts_with(&container), "{opened:?}");
    assert_eq!(opened.hostname.as_deref(), Some("vhost:glance"));
}

/// `qpid.node = "topic"`: the subject routes each message, one link serves all priorities, and a message
/// without a binding is never reported as accepted.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_routes_by_subject_and_retries_unroutable_messages() {
    let peer = ProtonPeer::builder()
        .binding("glance", "notifications.info", "infos")
        .binding("glance", "notifications.w#", "warnings")
        .create_nothing()
        .start();
    let config = config(&peer.url(), json!({ "node": "topic" }));
    let mut transport = Qpid::new(config).unwrap();
    let attempt = within(send_once(&mut transport, &samples::messages(0..9))).await;
    attempt.result.as_ref().unwrap();
    assert_eq!(attempt.accepted().len(), 6);
    let retried = |verdict: &&Option<Verdict>| matches!(verdict, Some(Verdict::Retry(_)));
    assert_eq!(attempt.verdicts.iter().filter(retried).count(), 3);
    assert_eq!((peer.messages("infos").len(), peer.messages("warnings").len()), (3, 3));
    assert_eq!(peer.state().attached.len(), 1, "one link for one address");
}

/// `qpid.address` replaces the addresses of the dialect.
#[tokio::test(flavor = "multi_thread")]
async fn uses_a_configured_address() {
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

/// Sends one message of each priority, so that the peer sees every link.
async fn attach_all(peer: &ProtonPeer, table: Value) {
    let mut transport = Qpid::new(config(&peer.url(), table)).unwrap();
    let attempt = within(send_once(&mut transport, &samples::messages(0..3))).await;
    attempt.result.as_ref().unwrap();
    assert_eq!(attempt.accepted().len(), 3, "{attempt:?}");
}
