//! Each row of the table of verdicts, by a scripted peer.
//!
//! `docs/reliability.md` has the table. The rows that a real RabbitMQ can show are also in `topology`,
//! `interruptions` and `contract`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use notify_conformance::attempts::send_once;
use notify_conformance::samples;
use notify_core::codec::Envelope;
use notify_core::transport::FindingState;
use notify_core::{ErrorKind, Message, Outcome, Priority, Transport as _, Verdict};
use notify_testbed::log_recorder::LogRecorder;
use serde_json::json;
use tracing::instrument::WithSubscriber as _;

use crate::scripted_peer::{PeerScript, PublishedMessage, close_frame};
use crate::support::rabbit;

/// Returns messages of the documented priorities in turn.
fn messages(count: u64) -> Vec<Message> {
    samples::messages(0..count)
}

/// Returns the first word of each verdict.
fn words(verdicts: &[Option<Verdict>]) -> Vec<&'static str> {
    let word = |verdict: &Option<Verdict>| match verdict {
        Some(Verdict::Accept) => "accept",
        Some(Verdict::Retry(_)) => "retry",
        Some(Verdict::Refuse(_)) => "refuse",
        None => "none",
    };
    verdicts.iter().map(word).collect()
}

/// The answer to a declaration of a queue whose home node is down.
pub(crate) fn home_node_down(channel: u16) -> Vec<u8> {
    close_frame(
        channel,
        404,
        "NOT_FOUND - home node 'rabbit@c1' of durable queue 'notifications.info' in vhost '/' is \
         down or inaccessible",
    )
}

/// Queue unavailable: the messages of that queue are retried with a transient error, those of the
/// others are accepted, and the next declaration delivers the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_whose_home_node_is_down_delays_no_other() {
    let answer_declare = |number, channel| (number == 1).then(|| home_node_down(channel));
    let url = PeerScript { answer_declare, ..PeerScript::default() }.serve().await;
    let mut transport = rabbit(&url, json!({}));
    let messages = messages(6);
    let report = send_once(&mut transport, &messages).await;
    assert!(report.result.is_ok(), "{:?}", report.result);
    for (message, verdict) in std::iter::zip(&messages, &report.verdicts) {
        let is_info = message.priority() == Priority::Info;
        assert_eq!(matches!(verdict, Some(Verdict::Retry(_))), is_info, "{verdict:?}");
    }
    let error = report.first_retry();
    assert!(error.is_transient() && error.outcome() == Outcome::NotSent, "{error:?}");
    assert!(error.to_string().contains("queue unavailable: home node"), "{error}");
    send_once(&mut transport, &messages).await.assert_all_accepted();
}

/// Queue unavailable: the broker closes the channel over a routing key that is not permitted. The messages
/// with that key are retried, and the others are accepted over a new channel, in every attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_routing_key_delays_no_other() {
    let answer = |publishes: &[PublishedMessage]| -> Vec<u8> {
        let mut out = Vec::new();
        for publish in publishes {
            if publish.routing_key == "notifications.error" {
                let text = "ACCESS_REFUSED - write access to topic 'notifications.error' in exchange \
                            'glance' in vhost '/' refused for user 'guest'";
                out.extend(close_frame(publish.channel, 403, text));
                break;
            }
            out.extend(publish.ack(false));
        }
        out
    };
    let url = PeerScript { answer, ..PeerScript::default() }.serve().await;
    let mut transport = rabbit(&url, json!({}));
    // The first is an error.
    let messages = samples::messages(1..10);
    for _ in 0..3 {
        let report = send_once(&mut transport, &messages).await;
        assert!(report.result.is_ok(), "{:?}", report.result);
        assert_eq!(words(&report.verdicts), ["retry", "accept", "accept"].repeat(3));
        let error = report.first_retry();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Access, Outcome::Unknown));
        transport.close().await.unwrap();
    }
}

/// The log has one warning for each outage of a queue, also when the second has the same reason as the first.
#[tokio::test(flavor = "multi_thread")]
async fn each_outage_of_a_queue_has_one_warning() {
    // Each connection declares info, warn and error in this order, and a later attempt declares info again.
    let answer_declare =
        |number, channel| matches!(number, 1 | 4 | 6).then(|| home_node_down(channel));
    let url = PeerScript { answer_declare, ..PeerScript::default() }.serve().await;
    let log = LogRecorder::default();
    let sending = async {
        // The search for backlogs declares queues too.
        let mut transport = rabbit(&url, json!({ "backlog_warning": 0 }));
        let messages = messages(3);
        let warnings = || log.lines_with("is out of service").len();
        assert_eq!(send_once(&mut transport, &messages).await.accepted().len(), 2);
        assert_eq!(send_once(&mut transport, &messages).await.accepted().len(), 2);
        assert_eq!(warnings(), 1, "both attempts belong to one outage");
        send_once(&mut transport, &messages).await.assert_all_accepted();
        transport.close().await.unwrap();
        assert_eq!(send_once(&mut transport, &messages).await.accepted().len(), 2);
        assert_eq!(warnings(), 2);
    };
    sending.with_subscriber(log.clone()).await;
}

/// `check` reports the queue as out of service, not as one that the first send declares.
#[tokio::test(flavor = "multi_thread")]
async fn check_reports_a_queue_whose_home_node_is_down() {
    let answer_declare = |_, channel| Some(home_node_down(channel));
    let url = PeerScript { answer_declare, ..PeerScript::default() }.serve().await;
    let findings = rabbit(&url, json!({})).check().await.unwrap();
    let queues: Vec<_> =
        findings.iter().filter(|finding| finding.subject.starts_with("queue ")).collect();
    assert_eq!(queues.len(), 3);
    for queue in queues {
        let FindingState::Bad(error) = &queue.state else { panic!("{queue:?}") };
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    }
}

/// The findings of `check` do not depend on the broker's answer to the close of the connection.
#[tokio::test(flavor = "multi_thread")]
async fn check_needs_no_answer_to_its_close() {
    let url = PeerScript { ignores_close: true, ..PeerScript::default() }.serve().await;
    let findings = rabbit(&url, json!({})).check().await.unwrap();
    assert!(findings.iter().any(|finding| finding.subject == "write permission"), "{findings:?}");
}

/// A queue over which the broker closes the connection costs the others one attempt at most.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_ends_the_connection_delays_the_others_once() {
    // The transport declares info, warn and error in this order. On the second connection it leaves info
    // for later: 2 and 3 are warn and error, and 4 is info again.
    let answer_declare =
        |number, _| matches!(number, 1 | 4).then(|| close_frame(0, 541, "INTERNAL_ERROR"));
    let url = PeerScript { answer_declare, ..PeerScript::default() }.serve().await;
    // The search for backlogs declares queues too.
    let mut transport = rabbit(&url, json!({ "backlog_warning": 0 }));
    let messages = messages(3);
    let error = send_once(&mut transport, &messages).await.into_error();
    assert!(error.is_transient(), "{error:?}");
    let report = send_once(&mut transport, &messages).await;
    assert!(report.result.is_ok(), "{:?}", report.result);
    assert_eq!(report.accepted().len(), 2, "{:?}", report.verdicts);
    let info: Vec<_> =
        messages.iter().filter(|m| m.priority() == Priority::Info).cloned().collect();
    send_once(&mut transport, &info).await.assert_all_accepted();
}

/// Queues that answer no declaration delay the others once, with the first connection. Their messages have no
/// verdict, so the worker attempts their lanes by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn queues_that_answer_no_declaration_delay_the_others_once() {
    // The transport declares info, warn and error in this order. A later connection leaves warn and error for
    // the attempts that need them.
    let answer_declare = |number, _| matches!(number, 2 | 3 | 5 | 6).then(Vec::new);
    let url = PeerScript { answer_declare, ..PeerScript::default() }.serve().await;
    // The search for backlogs declares queues too.
    let mut transport = rabbit(&url, json!({ "backlog_warning": 0, "connect_timeout": 3 }));
    let all = messages(3);
    let info = &all[..1];
    send_once(&mut transport, info).await.assert_all_accepted();
    // Neither their first messages nor the next connection wait for them again: the attempts that need them make the
    // fifth and the sixth declaration.
    let report = send_once(&mut transport, &all).await;
    assert_eq!(words(&report.verdicts), ["accept", "none", "none"]);
    let error = report.result.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::NotSent));
    let expected = "did not answer a declaration of queue `notifications.";
    assert!(error.to_string().contains(expected), "{error}");
    send_once(&mut transport, info).await.assert_all_accepted();
    let report = send_once(&mut transport, &all).await;
    assert_eq!(words(&report.verdicts), ["accept", "none", "none"]);
    send_once(&mut transport, &all).await.assert_all_accepted();
}

/// A queue that confirms nothing delays no later connection: an attempt without its messages does not declare
/// it.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_queue_delays_no_later_connection() {
    static DECLARATIONS: AtomicUsize = AtomicUsize::new(0);
    let answer = |publishes: &[PublishedMessage]| -> Vec<u8> {
        let confirmed = publishes.iter().filter(|p| p.routing_key != "notifications.error");
        confirmed.flat_map(|p| p.ack(false)).collect()
    };
    // The first connection declares all queues, and each later one declares info and warn.
    let answer_declare = |number, _| {
        DECLARATIONS.store(number, Ordering::Relaxed);
        (number == 6).then(Vec::new)
    };
    let url = PeerScript { answer, answer_declare, ..PeerScript::default() }.serve().await;
    let options = json!({ "backlog_warning": 0, "connect_timeout": 2, "confirm_timeout": 1 });
    let mut transport = rabbit(&url, options);
    let all = messages(3);
    let report = send_once(&mut transport, &all).await;
    assert_eq!(words(&report.verdicts)[1], "none");
    let report = send_once(&mut transport, &[all[0].clone(), all[2].clone()]).await;
    report.assert_all_accepted();
    assert_eq!(DECLARATIONS.load(Ordering::Relaxed), 5);
    // The messages of the others have their verdicts before the queue is declared, without an answer.
    let report = send_once(&mut transport, &all).await;
    assert_eq!(words(&report.verdicts), ["accept", "none", "accept"]);
    assert_eq!(report.result.unwrap_err().kind(), ErrorKind::Timeout);
}

/// A broker that does not answer the declaration of the exchange is unavailable. A timeout would tell the
/// worker that each lane is silent.
#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_declaration_of_the_exchange_isolates_no_lane() {
    let url = PeerScript { ignores_exchange: true, ..PeerScript::default() }.serve().await;
    let mut transport = rabbit(&url, json!({ "connect_timeout": 1 }));
    let error = send_once(&mut transport, &messages(3)).await.into_error();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unavailable, Outcome::NotSent));
    let expected = "did not answer a declaration of exchange `glance`";
    assert!(error.to_string().ends_with(expected), "{error}");
}

/// Full or busy: a nack is retried, with the queue's name, for any time.
#[tokio::test(flavor = "multi_thread")]
async fn a_nack_is_retried() {
    let answer = |publishes: &[PublishedMessage]| -> Vec<u8> {
        publishes.iter().flat_map(|publish| publish.nack(false)).collect()
    };
    let url = PeerScript { answer, ..PeerScript::default() }.serve().await;
    let mut transport = rabbit(&url, json!({ "refuse_unroutable_after": 0.001 }));
    for _ in 0..3 {
        let report = send_once(&mut transport, &messages(3)).await;
        assert_eq!(words(&report.verdicts), ["retry"; 3]);
        let error = report.first_retry();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Full, Outcome::NotSent));
        assert!(error.to_string().contains("queue `notifications."), "{error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Unroutable: a returned message is retried, and refused once it has been unroutable for
/// `rabbit.refuse_unroutable_after`.
#[tokio::test(flavor = "multi_thread")]
async fn a_returned_message_is_retried_and_refused_in_time() {
    let answer = |publishes: &[PublishedMessage]| -> Vec<u8> {
        publishes.iter().flat_map(|p| [p.return_unroutable(), p.ack(false)].concat()).collect()
    };
    for declare in ["yes", "verify", "no"] {
        let url = PeerScript { answer, ..PeerScript::default() }.serve().await;
        let options = json!({ "declare": declare, "refuse_unroutable_after": 0.3 });
        let mut transport = rabbit(&url, options);
        let messages = messages(3);
        let report = send_once(&mut transport, &messages).await;
        assert_eq!(words(&report.verdicts), ["retry"; 3], "{declare}");
        tokio::time::sleep(Duration::from_millis(400)).await;
        let report = send_once(&mut transport, &messages).await;
        assert_eq!(words(&report.verdicts), ["refuse"; 3], "{declare}");
    }
}

/// The time without a connection is no part of `rabbit.refuse_unroutable_after`.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_returned_after_an_outage_is_retried() {
    let answer = |publishes: &[PublishedMessage]| -> Vec<u8> {
        publishes.iter().flat_map(|p| [p.return_unroutable(), p.ack(false)].concat()).collect()
    };
    let url = PeerScript { answer, ..PeerScript::default() }.serve().await;
    let mut transport = rabbit(&url, json!({ "refuse_unroutable_after": 0.3 }));
    for _ in 0..2 {
        let report = send_once(&mut transport, &messages(3)).await;
        assert_eq!(words(&report.verdicts), ["retry"; 3]);
        transport.close().await.unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

/// A return that names no message makes the acks of its window unsure: none is reported as delivered.
#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_return_never_counts_as_delivered() {
    let answer = |publishes: &[PublishedMessage]| -> Vec<u8> {
        publishes.iter().flat_map(|p| [p.return_anonymously(), p.ack(false)].concat()).collect()
    };
    let url = PeerScript { answer, ..PeerScript::default() }.serve().await;
    let mut transport = rabbit(&url, json!({}));
    for _ in 0..3 {
        let report = send_once(&mut transport, &messages(30)).await;
        assert_eq!(report.accepted(), [0; 0], "{:?}", report.verdicts);
    }
}

/// The broker returns one message of a window without its properties. No message of that window is
/// accepted, and then the transport publishes one by one, so that it knows which one is meant.
#[tokio::test(flavor = "multi_thread")]
async fn one_anonymous_return_makes_its_window_unsure() {
    let answer = |publishes: &[PublishedMessage]| -> Vec<u8> {
        let returned = |p: &PublishedMessage| p.routing_key == "notifications.warn";
        let anonymous = publishes.iter().filter(|p| returned(p));
        let anonymous = anonymous.flat_map(PublishedMessage::return_anonymously);
        anonymous.chain(publishes.iter().flat_map(|p| p.ack(false))).collect()
    };
    let url = PeerScript { answer, ..PeerScript::default() }.serve().await;
    let mut transport = rabbit(&url, json!({}));
    let messages = messages(9);
    let first = send_once(&mut transport, &messages).await;
    for (message, verdict) in std::iter::zip(&messages, &first.verdicts) {
        let accepted = matches!(verdict, Some(Verdict::Accept));
        assert!(!(accepted && message.priority() == Priority::Warn), "{verdict:?}");
    }
    let second = send_once(&mut transport, &messages).await;
    for (message, verdict) in std::iter::zip(&messages, &second.verdicts) {
        let expected = if message.priority() == Priority::Warn { "retry" } else { "accept" };
        assert_eq!(words(std::slice::from_ref(verdict)), [expected], "{verdict:?}");
    }
}

/// A message that stands twice in a batch has a window for each copy, so a return of both is known.
#[tokio::test(flavor = "multi_thread")]
async fn both_copies_of_a_message_are_returned() {
    let answer = |publishes: &[PublishedMessage]| -> Vec<u8> {
        publishes.iter().flat_map(|p| [p.return_unroutable(), p.ack(false)].concat()).collect()
    };
    let url = PeerScript { answer, ..PeerScript::default() }.serve().await;
    let message = messages(1).remove(0);
    let report = send_once(&mut rabbit(&url, json!({})), &vec![message; 4]).await;
    assert_eq!(words(&report.verdicts), ["retry"; 4]);
}

/// Invalid: a message above the broker's limit, measured with its envelope, is refused, and the others
/// arrive.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_with_its_envelope_is_refused() {
    let answer = |publishes: &[PublishedMessage]| -> Vec<u8> {
        let mut out = Vec::new();
        for publish in publishes {
            let size = publish.body.len();
            if size > 500 {
                let text = format!(
                    "PRECONDITION_FAILED - message size {size} is larger than configured max size 500"
                );
                out.extend(close_frame(publish.channel, 406, &text));
                break;
            }
            out.extend(publish.ack(false));
        }
        out
    };
    for (word, envelope) in [("oslo-2.0", Envelope::Oslo2), ("cloudevents", Envelope::CloudEvents)]
    {
        let url = PeerScript { answer, ..PeerScript::default() }.serve().await;
        let mut transport = rabbit(&url, json!({ "envelope": word }));
        let messages = messages(30);
        let is_large = |message: &Message| envelope.wrap(message).len() > 500;
        let large = messages.iter().filter(|message| is_large(message)).count();
        let sizes: Vec<_> = messages.iter().map(|message| envelope.wrap(message).len()).collect();
        assert!(large > 0 && large < 30, "{sizes:?}");
        let mut verdicts: Vec<Option<&'static str>> = vec![None; 30];
        for _ in 0..30 {
            let open: Vec<_> = (0..30).filter(|&index| verdicts[index].is_none()).collect();
            let batch: Vec<_> = open.iter().map(|&index| messages[index].clone()).collect();
            let report = send_once(&mut transport, &batch).await;
            for (index, word) in std::iter::zip(open, words(&report.verdicts)) {
                verdicts[index] = Some(word).filter(|word| *word != "none");
            }
        }
        for (message, verdict) in std::iter::zip(&messages, verdicts) {
            assert_eq!(verdict, Some(if is_large(message) { "refuse" } else { "accept" }));
        }
    }
}
