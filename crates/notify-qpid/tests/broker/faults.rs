//! Faults of the peer: the transport never reports a lost message as accepted, never hangs, and
//! recovers from each.
//!
//! The peer injects a fault after a number of messages. The fault ends a link, a session or the
//! connection, or it makes the peer silent. These are the levels at which AMQP 1.0 can fail.

use std::time::Duration;

use notify_conformance::attempts::{deliver, send_once};
use notify_conformance::samples;
use notify_core::{Error, ErrorKind, Message, Outcome, Verdict};
use notify_qpid::Qpid;
use notify_testbed::broker::proton::{PeerFault, PeerOutcome, ProtonPeer};
use notify_testbed::wait::wait_until;
use serde_json::{Value, json};

use crate::support::{config, within};

/// The peer detaches the link with an error. The transport reports its condition, and a new link
/// delivers the rest.
#[tokio::test(flavor = "multi_thread")]
async fn recovers_from_a_detach() {
    let error = survives(PeerFault::Detach, json!({})).await.to_string();
    let detached = error.contains("amqp:link:detach-forced: on demand");
    // Proton ends the session over a message that was on its way when it detached the link.
    assert!(detached || error.contains("amqp:invalid-field: no such handle"), "{error}");
}

/// The peer detaches the link without closing it. The withheld outcomes never come, and the transport does not
/// wait for them.
#[tokio::test(flavor = "multi_thread")]
async fn recovers_from_a_detach_that_closes_nothing() {
    // The window is full in that moment, so the transport sends nothing and only waits.
    let error = survives(PeerFault::Suspend, json!({ "window": 4 })).await.to_string();
    assert!(error.contains("detached the link"), "{error}");
}

/// The peer ends the session with an error, as RabbitMQ 3 does for a problem of one link.
#[tokio::test(flavor = "multi_thread")]
async fn recovers_from_a_session_end() {
    let error = survives(PeerFault::End, json!({})).await;
    assert!(error.to_string().contains("amqp:internal-error: on demand"), "{error}");
}

/// The reason survives while the transport sends: the client's session forgets it if a message was on the way to
/// the session in that moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_end_while_it_sends_keeps_its_reason() {
    let peer = ProtonPeer::start();
    let config = config(&peer.url(), json!({ "window": 4 }));
    let mut transport = Qpid::new(config).unwrap();
    let messages = infos(0..50);
    for _ in 0..200 {
        peer.inject(PeerFault::End, 20, Some(1));
        let error = within(send_once(&mut transport, &messages)).await.error().to_string();
        assert!(error.contains("amqp:internal-error: on demand"), "{error}");
    }
}

/// The peer closes the connection with an error, as a broker does when it shuts down.
#[tokio::test(flavor = "multi_thread")]
async fn recovers_from_a_close() {
    let error = survives(PeerFault::Close, json!({})).await;
    assert!(error.to_string().contains("amqp:connection:forced: on demand"), "{error}");
}

/// The peer drops the TCP connection without a close, as a killed broker does.
#[tokio::test(flavor = "multi_thread")]
async fn recovers_from_a_dropped_connection() {
    let error = survives(PeerFault::Drop, json!({})).await;
    assert!(error.to_string().contains("connection to 127.0.0.1"), "{error}");
}

/// The peer keeps the connection and sends nothing: the heartbeat detects it, as a lost connection, which
/// isolates no lane.
#[tokio::test(flavor = "multi_thread")]
async fn recovers_from_a_silent_peer() {
    let error = survives(PeerFault::Silent, json!({ "heartbeat": 1 })).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("has been silent for too long"), "{error}");
}

/// A link that the peer detached while nothing was in flight costs no attempt: the next one attaches a new
/// link.
#[tokio::test(flavor = "multi_thread")]
async fn a_detach_of_an_idle_link_costs_no_attempt() {
    let peer = ProtonPeer::start();
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    let messages = infos(0..3);
    send_once(&mut transport, &messages[..1]).await.assert_all_accepted();
    for message in &messages[1..] {
        peer.detach("notifications.info");
        // The client has answered the detach, so it knows of it.
        wait_until("the client detaches its link", || peer.state().links == 0);
        send_once(&mut transport, std::slice::from_ref(message)).await.assert_all_accepted();
    }
    assert_eq!(peer.messages("notifications.info").len(), 3);
    assert_eq!(peer.state().connections, 1);
}

/// The peer settles a window of messages and detaches the link at once. The transport records every outcome,
/// although its next message finds the link gone, so no message arrives twice.
///
/// One thread runs the transport and these requests, so the transport sees the outcomes and the detach together.
#[tokio::test]
async fn a_detach_discards_no_outcome_that_came_before_it() {
    const WINDOW: usize = 20;
    let peer = ProtonPeer::start();
    let options = json!({ "window": WINDOW, "confirm_timeout": 600 });
    let mut transport = Qpid::new(config(&peer.url(), options)).unwrap();
    let messages = infos(0..61);
    send_once(&mut transport, &messages[..1]).await.assert_all_accepted();
    peer.inject(PeerFault::Hold, 0, None);
    let first = {
        let mut sending = std::pin::pin!(send_once(&mut transport, &messages[1..]));
        within(async {
            while peer.state().withheld < WINDOW {
                let turn = Duration::from_millis(10);
                assert!(tokio::time::timeout(turn, &mut sending).await.is_err());
            }
        })
        .await;
        peer.clear_faults();
        assert_eq!(peer.settle_withheld(PeerOutcome::Accept), WINDOW as u64);
        peer.detach("notifications.info");
        // The peer answers a request before it writes to the socket.
        std::thread::sleep(Duration::from_millis(100));
        within(sending).await
    };
    assert!(first.error().is_transient(), "{first:?}");
    assert_eq!(first.accepted().len(), WINDOW, "{first:?}");
    within(deliver(&mut transport, &messages[1 + WINDOW..])).await;
    let received = peer.messages("notifications.info");
    for message in &messages[..=WINDOW] {
        let id = message.id().to_string();
        assert_eq!(received.iter().filter(|received| received.id == id).count(), 1, "{id}");
    }
}

/// Injects `fault` into the middle of a batch, then checks that every message arrives in the end.
/// Returns the error of the batch.
///
/// The peer withholds some outcomes before the fault. They never come, and `confirm_timeout` is long,
/// so only the fault itself can end the wait.
async fn survives(fault: PeerFault, table: Value) -> Error {
    let peer = ProtonPeer::start();
    let mut table = table;
    table["confirm_timeout"] = json!(600);
    let mut transport = Qpid::new(config(&peer.url(), table)).unwrap();
    let messages = infos(0..40);
    assert_eq!(send_once(&mut transport, &messages[..1]).await.accepted().len(), 1);
    peer.inject(PeerFault::Hold, 4, Some(3));
    peer.inject(fault, 10, Some(1));
    let first = within(send_once(&mut transport, &messages[1..])).await;
    let error = first.error();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(error.outcome(), Outcome::Unknown);
    if fault == PeerFault::Silent {
        peer.end_silence();
    }
    assert!(first.accepted().len() < 39, "{first:?}");
    let remaining: Vec<_> = messages[1..]
        .iter()
        .zip(&first.verdicts)
        .filter(|(_, verdict)| !matches!(verdict, Some(Verdict::Accept)))
        .map(|(message, _)| message.clone())
        .collect();
    within(deliver(&mut transport, &remaining)).await;
    let received = peer.messages("notifications.info");
    for message in &messages {
        let id = message.id().to_string();
        assert!(received.iter().any(|received| received.id == id), "{id} did not arrive");
    }
    error
}

/// The heartbeat of the client does not run while it is stuck in a write. The TCP user timeout detects
/// this peer.
#[tokio::test(flavor = "multi_thread")]
async fn detects_a_peer_that_freezes_during_a_write() {
    let peer = ProtonPeer::builder().credit(10_000).start();
    let mut transport = Qpid::new(config(
        &peer.url(),
        json!({
            "heartbeat": 2, "window": 10_000, "confirm_timeout": 600, "connect_timeout": 2,
        }),
    ))
    .unwrap();
    let messages: Vec<_> = infos(0..2000);
    within(deliver(&mut transport, &messages[..1])).await;
    peer.freeze();
    // Far more bytes than the buffers of both sockets hold.
    let large: Vec<Message> = (0..300).map(|_| large()).collect();
    let error = within(send_once(&mut transport, &large)).await.error();
    assert!(error.is_transient(), "{error:?}");
    let error = within(send_once(&mut transport, &messages[..1])).await.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    peer.unfreeze();
    // The peer first works through its backlog.
    within(deliver(&mut transport, &messages)).await;
}

/// Without credit, nothing can be sent: `qpid.confirm_timeout` ends the wait.
#[tokio::test(flavor = "multi_thread")]
async fn gives_up_on_a_peer_without_credit() {
    let peer = ProtonPeer::builder().credit(0).start();
    let config = config(&peer.url(), json!({ "confirm_timeout": 0.3 }));
    let mut transport = Qpid::new(config).unwrap();
    let error = within(send_once(&mut transport, &infos(0..2))).await.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(
        error.to_string().contains("has accepted no message for `notifications.info`"),
        "{error}"
    );
}

/// One bad queue delays no other: the messages of the existing node arrive, and those of the missing ones
/// are retried, with an error that names their node. After `refuse_unroutable_after` they are refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_node_delays_no_other_address() {
    let peer = ProtonPeer::builder().queue("notifications.info").create_nothing().start();
    let config = |seconds| config(&peer.url(), json!({ "refuse_unroutable_after": seconds }));
    let messages = samples::messages(0..30);
    let mut transport = Qpid::new(config(600.0)).unwrap();
    for _ in 0..2 {
        let report = within(send_once(&mut transport, &messages)).await;
        assert!(report.result.is_ok(), "{:?}", report.result);
        assert_eq!(report.accepted().len(), 10);
        let retried = report.verdicts.iter().filter(|v| matches!(v, Some(Verdict::Retry(_))));
        assert_eq!(retried.count(), 20);
        let error = report.error();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("has no node `notifications."), "{error}");
        assert!(error.to_string().contains("create it, or correct `qpid.node`"), "{error}");
    }
    let mut transport = Qpid::new(config(0.001)).unwrap();
    send_once(&mut transport, &messages).await.result.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let report = within(send_once(&mut transport, &messages)).await;
    let refused = report.verdicts.iter().filter(|v| matches!(v, Some(Verdict::Refuse(_))));
    assert_eq!(refused.count(), 20, "{:?}", report.verdicts);
}

/// An attach without an answer delays no address that has a link, and all attaches of an attempt end within one
/// `connect_timeout`.
#[tokio::test(flavor = "multi_thread")]
async fn an_attach_without_an_answer_delays_no_attached_address() {
    let peer = ProtonPeer::builder()
        .unattachable("notifications.warn")
        .unattachable("notifications.error")
        .start();
    let connect_timeout = Duration::from_secs(5);
    let options = json!({ "connect_timeout": connect_timeout.as_secs() });
    let mut transport = Qpid::new(config(&peer.url(), options)).unwrap();
    let message = samples::messages(0..1);
    send_once(&mut transport, &message).await.assert_all_accepted();
    let messages = samples::messages(3..33);
    let started = std::time::Instant::now();
    let report = {
        let mut sending = std::pin::pin!(send_once(&mut transport, &messages));
        within(async {
            while peer.messages("notifications.info").len() < 11 {
                let turn = Duration::from_millis(10);
                assert!(tokio::time::timeout(turn, &mut sending).await.is_err());
            }
        })
        .await;
        within(sending).await
    };
    assert!(started.elapsed() < connect_timeout * 2, "{:?}", started.elapsed());
    // The worker then attempts each of these lanes by itself.
    let error = report.result.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("did not answer an attach"), "{error}");
    assert_eq!(report.accepted().len(), 10);
    assert_eq!(report.verdicts.iter().filter(|verdict| verdict.is_none()).count(), 20);
}

/// A missing node concerns its lane, also in a batch of that lane alone. An operator must act at once only if no
/// address works.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_node_is_permanent_only_if_no_address_works() {
    let messages = infos(0..2);
    for (existing, table) in [
        ("elsewhere", json!({})),
        ("elsewhere", json!({ "address": "notifications" })),
        ("notifications.warn", json!({ "refuse_unroutable_after": 0.3 })),
    ] {
        let peer = ProtonPeer::builder().queue(existing).create_nothing().start();
        let mut transport = Qpid::new(config(&peer.url(), table)).unwrap();
        let report = within(send_once(&mut transport, &messages)).await;
        if existing == "elsewhere" {
            assert_eq!(report.into_error().kind(), ErrorKind::Config);
            continue;
        }
        assert!(report.result.is_ok(), "{:?}", report.result);
        assert_eq!(report.first_retry().kind(), ErrorKind::Config);
        tokio::time::sleep(Duration::from_millis(400)).await;
        let report = within(send_once(&mut transport, &messages)).await;
        let refused = report.verdicts.iter().filter(|v| matches!(v, Some(Verdict::Refuse(_))));
        assert_eq!(refused.count(), 2, "{:?}", report.verdicts);
    }
}

/// When a node is missing at the next attach, an operator must act. If the transport has not seen the broker's
/// detach before it writes, its lane fails first, which is transient.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_node_becomes_a_permanent_error() {
    let peer = ProtonPeer::builder().queue("notifications.info").create_nothing().start();
    let mut transport = Qpid::new(config(&peer.url(), json!({ "confirm_timeout": 600 }))).unwrap();
    let messages = infos(0..10);
    assert_eq!(send_once(&mut transport, &messages[..1]).await.accepted().len(), 1);
    peer.delete_queue("notifications.info");
    let permanent = within(async {
        loop {
            let error = send_once(&mut transport, &messages).await.error();
            if !error.is_transient() {
                return error;
            }
        }
    })
    .await;
    assert_eq!(permanent.kind(), ErrorKind::Config, "{permanent:?}");
}

/// Forty faults and reconnects leave no thread, no descriptor and no connection behind.
#[tokio::test(flavor = "multi_thread")]
async fn reconnecting_leaks_no_threads_or_descriptors() {
    let peer = ProtonPeer::start();
    let messages = infos(0..10);
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    assert_eq!(send_once(&mut transport, &messages).await.accepted().len(), 10);
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
        let _ = within(send_once(&mut transport, &messages)).await;
        peer.clear_faults();
        within(deliver(&mut transport, &messages)).await;
    }
    within(async {
        // Other tests of this process have threads and descriptors too.
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

/// Returns the number of entries of a directory.
fn count(directory: &str) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

/// Returns messages of the priority info, which all go to one address.
fn infos(numbers: std::ops::Range<u64>) -> Vec<Message> {
    numbers.map(|number| samples::messages(number * 3..number * 3 + 1).remove(0)).collect()
}

/// Returns a message of 256 KiB.
fn large() -> Message {
    let mut notification = samples::notification(0);
    let text = "x".repeat(256 * 1024);
    notification.payload =
        notify_core::Event::ImageUpload(notify_core::event::Payload::Error(text)).into();
    samples::encode(&notification)
}
