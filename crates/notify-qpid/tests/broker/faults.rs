//! Every fault of the peer, by name: none is called accepted, none hangs, all are recovered from.

use std::time::Duration;

use notify_conformance::samples;
use notify_core::{Error, ErrorKind, Message};
use notify_qpid::Qpid;
use notify_testbed::broker::proton::{PeerFault, ProtonPeer};
use serde_json::{Value, json};

use crate::support::{attempt, config, deliver, within};

#[tokio::test(flavor = "multi_thread")]
async fn detach_is_an_error_and_heals() {
    let error = is_survived(PeerFault::Detach, json!({})).await;
    assert!(error.to_string().contains("amqp:link:detach-forced: on demand"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn end_is_an_error_and_heals() {
    let error = is_survived(PeerFault::End, json!({})).await;
    assert!(error.to_string().contains("amqp:internal-error: on demand"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn close_is_an_error_and_heals() {
    let error = is_survived(PeerFault::Close, json!({})).await;
    assert!(error.to_string().contains("amqp:connection:forced: on demand"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drop_is_an_error_and_heals() {
    let error = is_survived(PeerFault::Drop, json!({})).await;
    assert!(error.to_string().contains("is gone: the connection was lost"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_an_error_and_heals() {
    let error = is_survived(PeerFault::Silent, json!({ "heartbeat": 1 })).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("has been silent for too long"), "{error}");
}

/// With outcomes withheld in front of the fault: those would never come, nor be given up for long.
async fn is_survived(fault: PeerFault, table: Value) -> Error {
    let peer = ProtonPeer::start();
    let mut table = table;
    table["confirm_timeout"] = json!(600);
    let mut transport = Qpid::new(config(&peer.url(), table)).unwrap();
    let messages = infos(0..40);
    assert_eq!(attempt(&mut transport, &messages[..1]).await.accepted(), 1);
    peer.inject(PeerFault::Hold, 4, Some(3));
    peer.inject(fault, 10, Some(1));
    let first = within(attempt(&mut transport, &messages[1..])).await;
    let error = first.end.as_ref().unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    if fault == PeerFault::Silent {
        peer.end_silence();
    }
    assert!(first.accepted() < 39, "{first:?}");
    let left: Vec<_> = messages[1..]
        .iter()
        .zip(&first.verdicts)
        .filter(|(_, verdict)| verdict.is_none())
        .map(|(message, _)| message.clone())
        .collect();
    within(deliver(&mut transport, &left)).await;
    let received = peer.messages("notifications.info");
    for message in &messages {
        let id = message.id().to_string();
        assert!(received.iter().any(|received| received.id == id), "{id} is not there");
    }
    error.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_freezes_while_we_write_is_noticed() {
    let peer = ProtonPeer::builder().credit(10_000).start();
    let mut transport = Qpid::new(config(
        &peer.url(),
        json!({
            "heartbeat": 2, "window": 10_000, "confirm_timeout": 600, "connect_timeout": 2,
        }),
    ))
    .unwrap();
    let messages: Vec<_> = infos(0..2000);
    assert_eq!(attempt(&mut transport, &messages[..1]).await.accepted(), 1);
    peer.freeze();
    // Far more than the buffers of both sockets.
    let large: Vec<Message> = (0..300).map(|_| large()).collect();
    let error = within(attempt(&mut transport, &large)).await.end.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let error = within(attempt(&mut transport, &messages[..1])).await.end.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    peer.thaw();
    // It has a backlog to work through before it hears us.
    within(deliver(&mut transport, &messages)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_gives_no_credit_is_given_up() {
    let peer = ProtonPeer::builder().credit(0).start();
    let config = config(&peer.url(), json!({ "confirm_timeout": 0.3 }));
    let mut transport = Qpid::new(config).unwrap();
    let error = within(attempt(&mut transport, &infos(0..2))).await.end.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(error.to_string().contains("has taken nothing for `notifications.info`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_node_is_named_and_keeps_nobody_else_from_delivery() {
    let peer = ProtonPeer::builder().queue("notifications.info").create_nothing().start();
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    let messages = samples::messages(0..30);
    for _ in 0..2 {
        let attempt = within(attempt(&mut transport, &messages)).await;
        assert_eq!(attempt.accepted(), 10);
        let error = attempt.end.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("has no node `notifications."), "{error}");
        assert!(error.to_string().contains("create it, or correct `qpid.node`"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_deleted_is_an_error_that_becomes_permanent() {
    let peer = ProtonPeer::builder().queue("notifications.info").create_nothing().start();
    let mut transport = Qpid::new(config(&peer.url(), json!({ "confirm_timeout": 600 }))).unwrap();
    let messages = infos(0..10);
    assert_eq!(attempt(&mut transport, &messages[..1]).await.accepted(), 1);
    peer.delete_queue("notifications.info");
    let error = within(attempt(&mut transport, &messages)).await.end.unwrap_err();
    assert!(
        error.to_string().contains("`notifications.info` is gone: amqp:resource-deleted"),
        "{error}"
    );
    assert!(error.is_transient());
    // The library may answer the detach when it has begun to write again, which costs the connection.
    let permanent = within(async {
        loop {
            let error = attempt(&mut transport, &messages).await.end.unwrap_err();
            if !error.is_transient() {
                return error;
            }
        }
    })
    .await;
    assert_eq!(permanent.kind(), ErrorKind::Config, "{permanent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_comes_and_goes_costs_neither_threads_nor_descriptors() {
    let peer = ProtonPeer::start();
    let messages = infos(0..10);
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    assert_eq!(attempt(&mut transport, &messages).await.accepted(), 10);
    let before = (count("/proc/self/fd"), count("/proc/self/task"));
    for round in 0..40 {
        match round % 4 {
            0 => peer.inject(PeerFault::Drop, 3, Some(1)),
            1 => peer.inject(PeerFault::End, 3, Some(1)),
            2 => peer.inject(PeerFault::Close, 3, Some(1)),
            _ => {
                transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
            }
        }
        let _ = within(attempt(&mut transport, &messages)).await;
        peer.clear_faults();
        within(deliver(&mut transport, &messages)).await;
    }
    within(async {
        // Other tests of this process have theirs.
        while count("/proc/self/fd") > before.0 + 60 || count("/proc/self/task") > before.1 + 60 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    within(async {
        while peer.state().connections > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

fn count(directory: &str) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

fn infos(numbers: std::ops::Range<u64>) -> Vec<Message> {
    numbers.map(|number| samples::messages(number * 3..number * 3 + 1).remove(0)).collect()
}

fn large() -> Message {
    let mut notification = samples::notification(0);
    let text = "x".repeat(256 * 1024);
    notification.body =
        notify_core::Event::ImageUpload(notify_core::event::Payload::Error(text)).into();
    samples::encode(&notification)
}
