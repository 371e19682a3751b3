//! The addresses that each product gets, as the peer sees them, and topics.

use std::fmt::Write as _;

use notify_conformance::attempts::send_once;
use notify_conformance::samples;
use notify_core::transport::{Finding, FindingState};
use notify_core::{Transport as _, Verdict};
use notify_qpid::Qpid;
use notify_testbed::broker::proton::{AttachFrame, ProtonPeer};
use notify_testbed::log_recorder::LogRecorder;
use serde_json::{Value, json};
use tracing::instrument::WithSubscriber as _;

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
        ("apache-activemq-artemis", "2.40.0"),
    ] {
        for node in ["queue", "topic"] {
            let peer = ProtonPeer::builder().product(product, version).start();
            attach_all(&peer, json!({ "node": node, "exchange": "gl/ance" })).await;
            writeln!(table, "{product} {version}, {node}").unwrap();
            for attached in peer.state().attached {
                let AttachFrame { address, capabilities, properties, .. } = attached;
                let properties = serde_json::to_string(&properties).unwrap();
                writeln!(table, "  {address} {capabilities:?} {properties}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// qpidd creates a missing queue durable, because the attach asks for it. You are warned about an existing
/// queue that is not, once, and `check` shows it.
#[tokio::test(flavor = "multi_thread")]
async fn warns_about_a_queue_of_qpidd_that_is_not_durable() {
    let peer = ProtonPeer::builder()
        .product("qpid-cpp", "1.40.0")
        .queue("notifications.warn")
        .transient("notifications.warn")
        .start();
    let log = LogRecorder::default();
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    let messages = samples::messages(0..6);
    for _ in 0..2 {
        let sending = send_once(&mut transport, &messages).with_subscriber(log.clone());
        sending.await.assert_all_accepted();
        transport.close().await.unwrap();
    }
    let warning = "node `notifications.warn` is not durable";
    let lines = log.lines();
    assert_eq!(lines.iter().filter(|line| line.contains(warning)).count(), 1, "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("`notifications.info` is not")), "{lines:?}");
    let findings = transport.check().await.unwrap();
    let is_warned = |finding: &&Finding| matches!(finding.state, FindingState::Warning(_));
    let warned: Vec<_> = findings.iter().filter(is_warned).map(|it| it.subject.as_str()).collect();
    assert_eq!(warned, ["address notifications.warn"]);
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
