//! The outcomes of AMQP 1.0, and the message on the wire.
//!
//! The peer is a program on Apache Qpid Proton that settles messages as a test tells it. It also
//! records the messages, so these tests read them with a client that is not ours.

use notify_conformance::attempts::{deliver, send_once};
use notify_conformance::samples;
use notify_core::codec::{Envelope, Sequence};
use notify_core::{Context, ErrorKind, Outcome, Priority, Transport as _, Verdict};
use notify_qpid::Qpid;
use notify_testbed::broker::proton::{PeerFault, PeerOutcome, ProtonPeer};
use serde_json::json;
use uuid::Uuid;

use crate::support::{config, within};

/// Header, properties, application properties and body are as `docs/brokers.md` specifies them.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_arrives_as_specified() {
    let peer = ProtonPeer::start();
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    let message = &samples::messages(1..2)[0];
    assert_eq!(message.priority(), Priority::Error);
    assert_eq!(send_once(&mut transport, std::slice::from_ref(message)).await.accepted().len(), 1);
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

/// Context and sequence are application properties beside the others, and the body stays as it is.
#[tokio::test(flavor = "multi_thread")]
async fn context_and_sequence_are_application_properties() {
    let peer = ProtonPeer::start();
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    let sequence = Sequence::new(Uuid::from_u128(7), "notifications.info", 1 << 40);
    let message = samples::messages(0..1).remove(0).with_context(samples::context());
    let message = message.with_sequence(sequence);
    assert_eq!(send_once(&mut transport, std::slice::from_ref(&message)).await.accepted().len(), 1);
    let received = peer.messages("notifications.info").remove(0);
    let expected = json!({
        "event_type": "image.create", "priority": "INFO", "publisher_id": "image.host1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "congo=t61rcWkgMzE",
        "glance-notify-request-id": "req-1", "glance-notify-user": "bob",
        "glance-notify-project": "web", "glance-notify-lane": "notifications.info",
        "glance-notify-epoch": "00000000-0000-0000-0000-000000000007",
        "glance-notify-number": 1_u64 << 40,
    });
    assert_eq!(json!(received.properties), expected);
    assert_eq!(received.body, message.body());
}

/// `qpid.envelope = "oslo-2.0"` puts oslo.messaging's envelope into the one data section.
#[tokio::test(flavor = "multi_thread")]
async fn the_oslo_envelope_is_a_data_section() {
    let peer = ProtonPeer::start();
    let config = config(&peer.url(), json!({ "envelope": "oslo-2.0" }));
    let mut transport = Qpid::new(config).unwrap();
    let messages = samples::messages(0..1);
    assert_eq!(send_once(&mut transport, &messages).await.accepted().len(), 1);
    let received = peer.messages("notifications.info").remove(0);
    assert_eq!((received.section.as_str(), received.body), ("data", messages[0].oslo_v2()));
}

/// CloudEvents in both modes are as `docs/brokers.md` says.
#[tokio::test(flavor = "multi_thread")]
async fn cloud_events_have_the_form_of_their_binding() {
    let peer = ProtonPeer::start();
    let context = Context::builder().user("bob").build().unwrap();
    let message = samples::messages(1..2).remove(0).with_context(context);
    for (number, (word, envelope)) in [
        ("cloudevents", Envelope::CloudEvents),
        ("cloudevents-binary", Envelope::CloudEventsBinary),
    ]
    .into_iter()
    .enumerate()
    {
        let config = config(&peer.url(), json!({ "envelope": word }));
        let mut transport = Qpid::new(config).unwrap();
        let sent = send_once(&mut transport, std::slice::from_ref(&message)).await;
        sent.assert_all_accepted();
        let received = peer.messages("notifications.error").remove(number);
        assert_eq!(received.content_type.as_deref(), Some(envelope.content_type()));
        assert_eq!(
            (received.section.as_str(), &received.body[..]),
            ("data", &*envelope.wrap(&message))
        );
        let mut expected = json!({
            "event_type": "image.send", "priority": "ERROR", "publisher_id": "image.host1",
            "glance-notify-user": "bob",
        });
        for (name, value) in envelope.attributes(&message) {
            expected[format!("cloudEvents_{name}")] = json!(value);
        }
        assert_eq!(json!(received.properties), expected);
        let has_user = expected["cloudEvents_userid"] == "bob";
        assert_eq!(has_user, envelope == Envelope::CloudEventsBinary);
    }
}

/// `rejected` refuses one message for good, with the peer's reason, escaped. Its neighbours arrive.
#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_rejected_message_with_the_peers_condition() {
    let peer = ProtonPeer::start();
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    peer.inject(PeerFault::Reject, 1, Some(1));
    // Messages of one priority share a link, so they keep their order.
    let messages: Vec<_> = [0, 3, 6].map(|n| samples::messages(n..n + 1).remove(0)).into();
    let attempt = send_once(&mut transport, &messages).await;
    attempt.result.unwrap();
    let Some(Verdict::Refuse(error)) = &attempt.verdicts[1] else {
        panic!("{:?}", attempt.verdicts)
    };
    assert_eq!(error.kind(), ErrorKind::Rejected);
    let expected =
        "rejected the message: amqp:not-allowed: rejected on demand\\u{1b}]52;c;aGk=\\u{7}";
    assert!(error.to_string().contains(expected), "{error}");
    assert_eq!(peer.messages("notifications.info").len(), 2);
}

/// Each rejection has the verdict of its meaning: a full or busy broker gets the message again for any
/// time, an unknown reason for `qpid.refuse_unroutable_after`, and an invalid message never.
#[tokio::test(flavor = "multi_thread")]
async fn each_rejection_has_the_verdict_of_its_meaning() {
    let peer = ProtonPeer::start();
    let message = samples::messages(0..1);
    for (condition, expected) in [
        (Some("amqp:resource-limit-exceeded"), ["retry", "retry"]),
        (Some("com.microsoft:server-busy"), ["retry", "retry"]),
        (Some("amqp:internal-error"), ["retry", "refuse"]),
        (Some("amqp:not-found"), ["retry", "refuse"]),
        (None, ["retry", "refuse"]),
        (Some("amqp:decode-error"), ["refuse", "refuse"]),
        (Some("amqp:link:message-size-exceeded"), ["refuse", "refuse"]),
    ] {
        peer.reject_with(condition);
        let options = json!({ "refuse_unroutable_after": 0.3 });
        let mut transport = Qpid::new(config(&peer.url(), options)).unwrap();
        let mut verdicts = Vec::new();
        for _ in 0..2 {
            peer.inject(PeerFault::Reject, 0, Some(1));
            let report = within(send_once(&mut transport, &message)).await;
            report.result.unwrap();
            verdicts.push(match &report.verdicts[0] {
                Some(Verdict::Retry(_)) => "retry",
                Some(Verdict::Refuse(_)) => "refuse",
                other => panic!("{condition:?}: {other:?}"),
            });
            tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        }
        assert_eq!(verdicts, expected, "{condition:?}");
    }
}

/// The time without a connection is no part of `qpid.refuse_unroutable_after`.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_rejected_after_an_outage_is_retried() {
    let peer = ProtonPeer::start();
    peer.reject_with(Some("amqp:not-found"));
    let options = json!({ "refuse_unroutable_after": 0.3 });
    let mut transport = Qpid::new(config(&peer.url(), options)).unwrap();
    for _ in 0..2 {
        peer.inject(PeerFault::Reject, 0, Some(1));
        let report = within(send_once(&mut transport, &samples::messages(0..1))).await;
        assert!(matches!(report.verdicts[0], Some(Verdict::Retry(_))), "{:?}", report.verdicts);
        transport.close().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    }
}

/// `released` is transient: the next attempt delivers the message once.
#[tokio::test(flavor = "multi_thread")]
async fn retries_a_released_message() {
    is_retried(PeerFault::Release, "released the message").await;
}

/// `modified` is transient: the next attempt delivers the message once.
#[tokio::test(flavor = "multi_thread")]
async fn retries_a_modified_message() {
    is_retried(PeerFault::Modify, "modified the message").await;
}

/// Checks that the message is retried after `fault`, with an error that contains `expected`.
async fn is_retried(fault: PeerFault, expected: &str) {
    let peer = ProtonPeer::start();
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    peer.inject(fault, 0, Some(1));
    let messages = samples::messages(0..1);
    let first = send_once(&mut transport, &messages).await;
    first.result.unwrap();
    let Some(Verdict::Retry(error)) = &first.verdicts[0] else { panic!("{:?}", first.verdicts) };
    assert!(error.is_transient() && error.to_string().contains(expected), "{error}");
    assert_eq!(peer.messages("notifications.info").len(), 0);
    assert_eq!(send_once(&mut transport, &messages).await.accepted().len(), 1);
    assert_eq!(peer.messages("notifications.info").len(), 1);
}

/// qpidd withholds outcomes while a queue is full. On a link that has settled nothing yet, one message
/// is in flight, so each attempt adds one copy at most, and the timeout doubles.
#[tokio::test(flavor = "multi_thread")]
async fn a_withheld_outcome_costs_one_copy_per_attempt() {
    let peer = ProtonPeer::start();
    let confirm_timeout = 0.5;
    let config = config(&peer.url(), json!({ "confirm_timeout": confirm_timeout }));
    let mut transport = Qpid::new(config).unwrap();
    peer.inject(PeerFault::Hold, 0, None);
    let messages: Vec<_> = (0..50).map(|n| samples::messages(n * 3..n * 3 + 1).remove(0)).collect();
    for waited in ["0.5", "1", "2"] {
        let attempt = within(send_once(&mut transport, &messages)).await;
        let error = attempt.result.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown));
        let expected = format!(
            "has not settled a message for `notifications.info` for {waited} s: check whether a \
             queue is full"
        );
        assert!(error.to_string().starts_with("backlogged: "), "{error}");
        assert!(error.to_string().contains(&expected), "{error}");
        assert!(attempt.verdicts.iter().all(Option::is_none));
    }
    // Each of the three attempts sent one message.
    assert_eq!(peer.state().deliveries, 3);
    peer.clear_faults();
    assert_eq!(send_once(&mut transport, &messages).await.accepted().len(), 50);
}

/// Cancel safety: messages in flight of a dropped send arrive once, and are settled when they come
/// again.
#[tokio::test(flavor = "multi_thread")]
async fn does_not_resend_messages_of_a_dropped_send() {
    let peer = ProtonPeer::start();
    let mut transport = Qpid::new(config(&peer.url(), json!({ "window": 5 }))).unwrap();
    assert_eq!(send_once(&mut transport, &samples::messages(0..1)).await.accepted().len(), 1);
    peer.inject(PeerFault::Hold, 0, None);
    let messages: Vec<_> = (1..11).map(|n| samples::messages(n * 3..n * 3 + 1).remove(0)).collect();
    {
        let mut sending = std::pin::pin!(send_once(&mut transport, &messages));
        within(async {
            while peer.state().withheld < 5 {
                let turn = std::time::Duration::from_millis(10);
                assert!(tokio::time::timeout(turn, &mut sending).await.is_err());
            }
        })
        .await;
    }
    peer.clear_faults();
    assert_eq!(peer.settle_withheld(PeerOutcome::Accept), 5);
    let attempt = within(send_once(&mut transport, &messages)).await;
    attempt.result.as_ref().unwrap();
    assert_eq!(attempt.accepted().len(), 10);
    let received = peer.messages("notifications.info");
    let ids: Vec<_> = received.iter().skip(1).map(|message| message.id.clone()).collect();
    let sent: Vec<_> = messages.iter().map(|message| message.id().to_string()).collect();
    assert_eq!(ids, sent);
}

/// The same if the send was dropped while it waited for credit. The messages that it has not sent follow over a new
/// link.
#[tokio::test(flavor = "multi_thread")]
async fn does_not_resend_messages_of_a_send_that_waited_for_credit() {
    let peer = ProtonPeer::builder().credit(2).start();
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    let counters = transport.counters().unwrap();
    let messages: Vec<_> = (0..9).map(|n| samples::messages(n * 3..n * 3 + 1).remove(0)).collect();
    assert_eq!(send_once(&mut transport, &messages[..1]).await.accepted().len(), 1);
    peer.inject(PeerFault::Hold, 0, Some(1));
    // The peer gives its credit again with each delivery, so it must stop reading.
    peer.inject(PeerFault::Silent, 0, Some(1));
    {
        let mut sending = std::pin::pin!(send_once(&mut transport, &messages[1..]));
        within(async {
            while counters.stats().blocked == std::time::Duration::ZERO {
                let turn = std::time::Duration::from_millis(10);
                assert!(tokio::time::timeout(turn, &mut sending).await.is_err());
            }
        })
        .await;
    }
    peer.end_silence();
    assert_eq!(peer.settle_withheld(PeerOutcome::Accept), 1);
    within(deliver(&mut transport, &messages[1..])).await;
    let received = peer.messages("notifications.info");
    let mut ids: Vec<_> = received.into_iter().map(|message| message.id).collect();
    let mut sent: Vec<_> = messages.iter().map(|message| message.id().to_string()).collect();
    ids.sort_unstable();
    sent.sort_unstable();
    assert_eq!(ids, sent);
}

/// Outcomes are matched by message id, and still each copy gets its own verdict.
#[tokio::test(flavor = "multi_thread")]
async fn settles_a_notification_that_is_twice_in_a_batch() {
    let peer = ProtonPeer::start();
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    let message = samples::messages(0..1).remove(0);
    let messages = vec![message; 3];
    assert_eq!(within(send_once(&mut transport, &messages)).await.accepted().len(), 3);
    assert_eq!(peer.messages("notifications.info").len(), 3);
}

/// `qpid.window` bounds the number of unsettled messages.
#[tokio::test(flavor = "multi_thread")]
async fn keeps_at_most_the_window_in_flight() {
    let peer = ProtonPeer::start();
    let config = config(&peer.url(), json!({ "window": 7, "confirm_timeout": 2 }));
    let mut transport = Qpid::new(config).unwrap();
    let messages: Vec<_> = (0..50).map(|n| samples::messages(n * 3..n * 3 + 1).remove(0)).collect();
    assert_eq!(send_once(&mut transport, &messages).await.accepted().len(), 50);
    peer.inject(PeerFault::Hold, 0, None);
    assert!(send_once(&mut transport, &messages).await.result.is_err());
    assert_eq!(peer.state().deliveries, 57);
}

/// With a credit of 1, messages go out one at a time, and all arrive.
#[tokio::test(flavor = "multi_thread")]
async fn delivers_to_a_peer_with_little_credit() {
    let peer = ProtonPeer::builder().credit(1).start();
    let mut transport = Qpid::new(config(&peer.url(), json!({}))).unwrap();
    let attempt = within(send_once(&mut transport, &samples::messages(0..60))).await;
    attempt.result.as_ref().unwrap();
    assert_eq!(attempt.accepted().len(), 60);
    transport.close().await.unwrap();
}
