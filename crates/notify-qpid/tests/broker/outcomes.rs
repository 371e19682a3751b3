//! Every outcome of AMQP 1.0, and what is sent.

use notify_conformance::samples;
use notify_core::{ErrorKind, Priority, Transport as _, Verdict};
use notify_qpid::Qpid;
use notify_testbed::broker::proton::{PeerFault, PeerOutcome, ProtonPeer};
use serde_json::json;

use crate::support::{attempt, config, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_arrives_as_it_is_specified() {
    let peer = ProtonPeer::start();
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    let message = &samples::messages(1..2)[0];
    assert_eq!(message.priority(), Priority::Error);
    assert_eq!(attempt(&mut transport, std::slice::from_ref(message)).await.accepted(), 1);
    let received = peer.messages("notifications.error").remove(0);
    assert!(received.durable);
    assert_eq!(received.priority, 4);
    assert_eq!((received.id, received.id_type), (message.id().to_string(), "str".into()));
    assert_eq!(received.subject.as_deref(), Some("notifications.error"));
    assert_eq!(received.content_type.as_deref(), Some("application/json"));
    assert_eq!(received.content_encoding, None);
    assert_eq!(received.creation_time, 1_795_000_000_000);
    let properties = json!({
        "event_type": "image.send", "priority": "ERROR", "publisher_id": "image.host1",
    });
    assert_eq!(json!(received.properties), properties);
    assert_eq!(received.section, "data");
    assert_eq!(received.body, message.body());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_envelope_of_oslo_is_a_data_section_too() {
    let peer = ProtonPeer::start();
    let config = config(&peer.url(), json!({ "envelope": "oslo-2.0" }));
    let mut transport = Qpid::new(config).unwrap();
    let messages = samples::messages(0..1);
    assert_eq!(attempt(&mut transport, &messages).await.accepted(), 1);
    let received = peer.messages("notifications.info").remove(0);
    assert_eq!((received.section.as_str(), received.body), ("data", messages[0].oslo_v2()));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_is_refused_with_the_peers_condition() {
    let peer = ProtonPeer::start();
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    peer.inject(PeerFault::Reject, 1, Some(1));
    // Of one priority: one link, one order.
    let messages: Vec<_> = [0, 3, 6].map(|n| samples::messages(n..n + 1).remove(0)).into();
    let attempt = attempt(&mut transport, &messages).await;
    attempt.end.unwrap();
    let Some(Verdict::Refuse(error)) = &attempt.verdicts[1] else {
        panic!("{:?}", attempt.verdicts)
    };
    assert_eq!(error.kind(), ErrorKind::Rejected);
    let said = "rejected it: amqp:not-allowed: rejected on demand\\u{1b}]52;c;aGk=\\u{7}";
    assert!(error.to_string().contains(said), "{error}");
    assert_eq!(peer.messages("notifications.info").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn released_is_to_be_retried() {
    is_to_be_retried(PeerFault::Release, "released it").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modified_is_to_be_retried() {
    is_to_be_retried(PeerFault::Modify, "modified it").await;
}

async fn is_to_be_retried(fault: PeerFault, said: &str) {
    let peer = ProtonPeer::start();
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    peer.inject(fault, 0, Some(1));
    let messages = samples::messages(0..1);
    let first = attempt(&mut transport, &messages).await;
    first.end.unwrap();
    let Some(Verdict::Retry(error)) = &first.verdicts[0] else { panic!("{:?}", first.verdicts) };
    assert!(error.is_transient() && error.to_string().contains(said), "{error}");
    assert_eq!(peer.messages("notifications.info").len(), 0);
    assert_eq!(attempt(&mut transport, &messages).await.accepted(), 1);
    assert_eq!(peer.messages("notifications.info").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withheld_outcome_is_a_backlog_and_costs_one_copy_at_most() {
    let peer = ProtonPeer::start();
    let confirm_timeout = 0.2;
    let config = config(&peer.url(), json!({ "confirm_timeout": confirm_timeout }));
    let mut transport = Qpid::new(config).unwrap();
    peer.inject(PeerFault::Hold, 0, None);
    let messages: Vec<_> = (0..50).map(|n| samples::messages(n * 3..n * 3 + 1).remove(0)).collect();
    for waited in ["0.2", "0.4", "0.8"] {
        let attempt = within(attempt(&mut transport, &messages)).await;
        let error = attempt.end.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full);
        let said = format!(
            "has 1 messages for `notifications.info` and has not said for {waited} s what becomes"
        );
        assert!(error.to_string().starts_with("backlogged: "), "{error}");
        assert!(error.to_string().contains(&said), "{error}");
        assert!(attempt.verdicts.iter().all(Option::is_none));
    }
    // A peer that has settled nothing yet was given one message at a time.
    assert_eq!(peer.state().deliveries, 3);
    peer.clear_faults();
    assert_eq!(attempt(&mut transport, &messages).await.accepted(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dropped_send_left_on_its_way_is_not_sent_again() {
    let peer = ProtonPeer::start();
    let mut transport = Qpid::new(config(&peer.url(), json!({ "window": 5 }))).unwrap();
    assert_eq!(attempt(&mut transport, &samples::messages(0..1)).await.accepted(), 1);
    peer.inject(PeerFault::Hold, 0, None);
    let messages: Vec<_> = (1..11).map(|n| samples::messages(n * 3..n * 3 + 1).remove(0)).collect();
    {
        let mut sending = std::pin::pin!(attempt(&mut transport, &messages));
        within(async {
            while peer.state().held < 5 {
                let turn = std::time::Duration::from_millis(10);
                assert!(tokio::time::timeout(turn, &mut sending).await.is_err());
            }
        })
        .await;
    }
    peer.clear_faults();
    assert_eq!(peer.settle_held(PeerOutcome::Accept), 5);
    let attempt = within(attempt(&mut transport, &messages)).await;
    attempt.end.as_ref().unwrap();
    assert_eq!(attempt.accepted(), 10);
    let received = peer.messages("notifications.info");
    let ids: Vec<_> = received.iter().skip(1).map(|message| message.id.clone()).collect();
    let sent: Vec<_> = messages.iter().map(|message| message.id().to_string()).collect();
    assert_eq!(ids, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_notification_twice_in_a_batch_is_settled_twice() {
    let peer = ProtonPeer::start();
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    let message = samples::messages(0..1).remove(0);
    let messages = vec![message; 3];
    assert_eq!(within(attempt(&mut transport, &messages)).await.accepted(), 3);
    assert_eq!(peer.messages("notifications.info").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_the_window_is_on_its_way() {
    let peer = ProtonPeer::start();
    let config = config(&peer.url(), json!({ "window": 7, "confirm_timeout": 0.5 }));
    let mut transport = Qpid::new(config).unwrap();
    let messages: Vec<_> = (0..50).map(|n| samples::messages(n * 3..n * 3 + 1).remove(0)).collect();
    assert_eq!(attempt(&mut transport, &messages).await.accepted(), 50);
    peer.inject(PeerFault::Hold, 0, None);
    assert!(attempt(&mut transport, &messages).await.end.is_err());
    assert_eq!(peer.state().deliveries, 57);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_gives_little_credit_is_served() {
    let peer = ProtonPeer::builder().credit(1).start();
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    let attempt = within(attempt(&mut transport, &samples::messages(0..60))).await;
    attempt.end.as_ref().unwrap();
    assert_eq!(attempt.accepted(), 60);
    transport.close().await.unwrap();
}
