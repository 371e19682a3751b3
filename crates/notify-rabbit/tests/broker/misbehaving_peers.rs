//! Peers that confirm in an unusual order, never confirm, or violate the protocol.
//!
//! A real broker confirms mostly in order, so only a scripted peer can show that the transport matches
//! confirms and returns to their messages in every order.

use std::sync::Mutex;
use std::time::Duration;

use crate::scripted_peer::{
    PeerScript, PublishedMessage, frame, method_frame, nested_tables, start_frame,
};
use crate::support::{LONG, lapin_threads, rabbit, wait_until};
use notify_conformance::attempts::{SendReport, deliver, send_once};
use notify_conformance::samples;
use notify_core::event::{NotificationPayload, Payload};
use notify_core::{
    ErrorKind, Event, Message, Notifier, Outcome, Priority, Transport as _, Verdict,
};
use serde_json::json;

/// A function that builds a peer's answer to published messages.
type Answer = fn(&[PublishedMessage]) -> Vec<u8>;

/// Creates `count` messages, of which every `nth` asks the peer to nack or return it, by its payload.
fn messages(count: u64, nth: u64) -> Vec<Message> {
    (0..count)
        .map(|number| {
            let mut notification = samples::notification(number);
            let text = if number % nth == 0 { "say no" } else { "say yes" };
            notification.payload =
                NotificationPayload::from(Event::ImageUpload(Payload::Warn(text.into())));
            samples::encode(&notification)
        })
        .collect()
}

/// Returns whether a message asks the peer to nack or return it.
fn asks_for_no(body: &[u8]) -> bool {
    body.windows(6).any(|window| window == b"say no")
}

/// Sends `messages` once to a peer that answers with `answer`.
async fn send_to_peer(answer: Answer, messages: &[Message]) -> SendReport {
    let url = PeerScript { answer, ..PeerScript::default() }.serve().await;
    send_once(&mut rabbit(&url, json!({ "confirm_timeout": 2 })), messages).await
}

/// Confirms in reverse order, for many messages at once, or out of order: each message gets its own
/// verdict.
#[tokio::test(flavor = "multi_thread")]
async fn each_confirm_settles_its_own_message() {
    let answers: [Answer; 3] = [
        // One confirm for each message, in reverse order.
        |publishes| {
            let answer = |p: &PublishedMessage| {
                if asks_for_no(&p.body) { p.nack(false) } else { p.ack(false) }
            };
            publishes.iter().rev().flat_map(answer).collect()
        },
        // One confirm for each run of the same answer.
        |publishes| {
            let mut out = Vec::new();
            for run in publishes.chunk_by(|a, b| asks_for_no(&a.body) == asks_for_no(&b.body)) {
                let last = run.last().unwrap();
                out.extend(if asks_for_no(&last.body) { last.nack(true) } else { last.ack(true) });
            }
            out
        },
        // The odd delivery tags first.
        |publishes| {
            let answer = |p: &PublishedMessage| {
                if asks_for_no(&p.body) { p.nack(false) } else { p.ack(false) }
            };
            let (odd, even): (Vec<&PublishedMessage>, Vec<_>) =
                publishes.iter().partition(|p| p.tag % 2 == 1);
            odd.into_iter().chain(even).flat_map(answer).collect()
        },
    ];
    for answer in answers {
        let messages = messages(3000, 7);
        let report = send_to_peer(answer, &messages).await;
        assert!(report.result.is_ok(), "{:?}", report.result);
        for (message, verdict) in std::iter::zip(&messages, &report.verdicts) {
            match verdict {
                Some(Verdict::Retry(error)) if asks_for_no(message.body()) => {
                    assert_eq!(error.kind(), ErrorKind::Full);
                }
                Some(Verdict::Accept) if !asks_for_no(message.body()) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Returns the requested messages as unroutable and then acknowledges all of them in reverse order. A
/// broker, too, acknowledges an unroutable message.
fn return_requested(publishes: &[PublishedMessage]) -> Vec<u8> {
    let mut out: Vec<u8> = publishes
        .iter()
        .filter(|p| asks_for_no(&p.body))
        .flat_map(PublishedMessage::return_unroutable)
        .collect();
    out.extend(publishes.iter().rev().flat_map(|publish| publish.ack(false)));
    out
}

/// A return settles the message with its id, whatever the order of the confirms.
#[tokio::test(flavor = "multi_thread")]
async fn each_return_settles_its_own_message() {
    let messages = messages(2000, 5);
    let report = send_to_peer(return_requested, &messages).await;
    assert!(report.result.is_ok(), "{:?}", report.result);
    for (message, verdict) in std::iter::zip(&messages, &report.verdicts) {
        let returned = matches!(verdict, Some(Verdict::Retry(error)) if error.to_string().contains("NO_ROUTE"));
        assert_eq!(returned, asks_for_no(message.body()), "{verdict:?}");
    }
}

/// Like [`return_requested`], but ends the connection before the last quarter of the confirms.
fn return_and_disconnect(publishes: &[PublishedMessage]) -> Vec<u8> {
    let mut out: Vec<u8> = publishes
        .iter()
        .filter(|p| asks_for_no(&p.body))
        .flat_map(PublishedMessage::return_unroutable)
        .collect();
    let confirmed = publishes.len() - publishes.len() / 4;
    out.extend(
        publishes.iter().rev().take(confirmed.max(1)).flat_map(|publish| publish.ack(false)),
    );
    if publishes.len() > 1 {
        // The client cannot parse this frame and ends the connection.
        out.extend(frame(1, 0, &[0xff; 64]));
    }
    out
}

/// A connection that ends between a return and its confirm must not prove a delivery.
#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_never_accepts_a_returned_message() {
    for nth in [2, 3, 50, 5000] {
        let messages = messages(1000, nth);
        let report = send_to_peer(return_and_disconnect, &messages).await;
        assert!(report.result.is_err(), "{:?}", report.verdicts);
        for (message, verdict) in std::iter::zip(&messages, &report.verdicts) {
            let accepted = matches!(verdict, Some(Verdict::Accept));
            assert!(
                !(accepted && asks_for_no(message.body())),
                "the transport accepted a returned message"
            );
        }
        let accepted = report.accepted().len();
        // Each confirm before the disconnect is a proof, unless the message was returned.
        assert!(accepted as u64 >= 700 - 700 / nth, "{accepted} of every {nth}");
    }
}

/// A violation that only lapin notices ends the attempt with lapin's words.
#[tokio::test(flavor = "multi_thread")]
async fn a_violation_that_lapin_notices_is_named() {
    let error = send_to_peer(|_| frame(8, 1, &[]), &samples::messages(0..3)).await.into_error();
    assert!(error.to_string().contains("heartbeat frame received on channel 1"), "{error:#}");
}

/// A missing confirm leaves the outcome unknown, and does not affect the confirmed messages.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_confirm_leaves_the_outcome_unknown() {
    let report = send_to_peer(|_| Vec::new(), &samples::messages(0..10)).await;
    let error = report.into_error();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown));
    let expected = "confirmed no message for `notifications.info` within 2 s";
    assert!(error.to_string().ends_with(expected), "{error}");

    // The peer confirms the first message, and then every other one.
    let half = |publishes: &[PublishedMessage]| {
        let confirmed = publishes.iter().filter(|p| p.tag == 1 || p.tag % 2 == 0);
        confirmed.flat_map(|publish| publish.ack(false)).collect()
    };
    let report = send_to_peer(half, &samples::messages(0..101)).await;
    assert!(report.result.is_err());
    assert_eq!(report.accepted(), [&[0][..], &(1..101).step_by(2).collect::<Vec<_>>()].concat());
}

/// A queue that confirms nothing ends the attempt within `rabbit.confirm_timeout`, also with the last message of a
/// window. So the attempt does not time out, and the worker sends no message of the other queues again.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_confirm_repeats_no_message_of_other_queues() {
    static CONFIRMED: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let answer = |publishes: &[PublishedMessage]| -> Vec<u8> {
        let mut out = Vec::new();
        for publish in publishes.iter().filter(|p| p.routing_key != "notifications.error") {
            let body = String::from_utf8_lossy(&publish.body).into_owned();
            CONFIRMED.lock().unwrap().push(body);
            out.extend(publish.ack(false));
        }
        out
    };
    let url = PeerScript { answer, ..PeerScript::default() }.serve().await;
    // An attempt has less time than two timeouts of a confirm.
    let transport = rabbit(&url, json!({ "confirm_timeout": 10 }));
    let builder = Notifier::builder(transport).attempt_timeout(Duration::from_secs(19));
    let (notifier, worker) = builder.build().unwrap();
    // All are one batch, because the worker does not run yet.
    let messages = samples::messages(0..11);
    assert_eq!(messages.last().map(Message::priority), Some(Priority::Error));
    let (mut bodies, mut receipts) = (Vec::new(), Vec::new());
    for message in messages {
        let is_silent = message.priority() == Priority::Error;
        let body = String::from_utf8_lossy(message.body()).into_owned();
        let receipt = notifier.relay(message).await;
        if !is_silent {
            bodies.push(body);
            receipts.push(receipt);
        }
    }
    let worker = tokio::spawn(worker.run());
    for receipt in receipts {
        tokio::time::timeout(LONG, receipt).await.unwrap().unwrap();
    }
    assert_eq!(*CONFIRMED.lock().unwrap(), bodies);
    let expected = "confirmed no message for `notifications.error` within 10 s";
    let error = || notifier.stats().last_error.unwrap_or_default();
    wait_until("the error names the silent queue alone", || error().contains(expected)).await;
    let stats = notifier.shutdown(Duration::from_secs(1)).await;
    assert_eq!(stats.delivered, 7);
    worker.await.unwrap();
    assert_eq!(*CONFIRMED.lock().unwrap(), bodies);
}

/// A busy broker sends no heartbeats: its confirms show that it is alive.
#[tokio::test(flavor = "multi_thread")]
async fn confirms_keep_the_connection_alive() {
    let answer = |publishes: &[PublishedMessage]| {
        publishes.iter().flat_map(|publish| publish.ack(false)).collect()
    };
    let url = PeerScript { answer, ..PeerScript::default() }.serve().await;
    let mut transport = rabbit(&url, json!({ "heartbeat": 1 }));
    // lapin ends a connection that is silent for two heartbeats.
    for message in samples::messages(0..16) {
        deliver(&mut transport, &[message]).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(transport.counters().unwrap().stats().reconnects, 0);
}

/// Every receipt resolves to the outcome of its own message, however many tasks emit.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_emitters_get_their_own_outcomes() {
    let url = PeerScript { answer: return_requested, ..PeerScript::default() }.serve().await;
    let transport = Box::new(rabbit(&url, json!({ "refuse_unroutable_after": 0.01 })));
    let (notifier, worker) = Notifier::builder(transport).build().unwrap();
    let worker = tokio::spawn(worker.run());
    let emitters = (0..64).map(|emitter| {
        let notifier = notifier.clone();
        tokio::spawn(async move {
            for number in 0..50 {
                let no = (number + emitter) % 5 == 0;
                let text = if no { "say no" } else { "say yes" };
                let event = Event::ImageUpload(Payload::Warn(text.into()));
                let outcome = notifier.enqueue(&event).await.await;
                match outcome {
                    Ok(()) => assert!(!no, "a returned message counts as delivered"),
                    Err(error) => {
                        assert!(no, "{error:#}");
                        assert_eq!(error.outcome(), Outcome::Rejected);
                    }
                }
            }
        })
    });
    for emitter in emitters.collect::<Vec<_>>() {
        emitter.await.unwrap();
    }
    let stats = notifier.shutdown(LONG).await;
    assert_eq!((stats.delivered, stats.refused), (64 * 40, 64 * 10));
    worker.await.unwrap();
}

/// Invalid, huge and deeply nested frames cause neither a panic nor a hang, neither an abort nor
/// unbounded memory, and count as no confirm.
#[tokio::test(flavor = "multi_thread")]
async fn survives_a_hostile_peer() {
    let mut endless_table = nested_tables(3);
    endless_table[2..6].fill(0xff);
    let huge_body = [
        method_frame(1, 60, 50, &[&312_u16.to_be_bytes()[..], &[0, 0, 0]].concat()),
        frame(2, 1, &[&[0, 60, 0, 0][..], &u64::MAX.to_be_bytes(), &[0, 0]].concat()),
        frame(3, 1, &[0; 1000]),
    ]
    .concat();
    for (description, mut script) in [
        ("no frame limit", PeerScript { frame_max: 0, ..PeerScript::default() }),
        ("tiny frames", PeerScript { frame_max: 1, ..PeerScript::default() }),
        (
            "a nested start",
            PeerScript { start: start_frame(&nested_tables(120)), ..PeerScript::default() },
        ),
        (
            "a deeply nested start",
            PeerScript { start: start_frame(&nested_tables(15_000)), ..PeerScript::default() },
        ),
        (
            "an endless table",
            PeerScript { start: start_frame(&endless_table), ..PeerScript::default() },
        ),
        (
            "garbage instead of a start",
            PeerScript { start: vec![0xff; 4096], ..PeerScript::default() },
        ),
        (
            "garbage in a frame",
            PeerScript { start: frame(1, 0, &[0xff; 4096]), ..PeerScript::default() },
        ),
        (
            "garbage after the login",
            PeerScript { after_open: frame(1, 0, &[0xff; 64]), ..PeerScript::default() },
        ),
        (
            "a nested header",
            PeerScript { after_open: frame(2, 1, &nested_tables(15_000)), ..PeerScript::default() },
        ),
        (
            "a confirm of an unknown message",
            PeerScript { after_open: method_frame(1, 60, 80, &[0xff; 9]), ..PeerScript::default() },
        ),
        ("a huge body", PeerScript { after_open: huge_body, ..PeerScript::default() }),
        (
            "a huge frame",
            PeerScript {
                after_open: [1, 0, 1, 0xff, 0xff, 0xff, 0xff].to_vec(),
                ..PeerScript::default()
            },
        ),
        (
            "a heartbeat with a body",
            PeerScript { after_open: frame(8, 0, &[0; 100]), ..PeerScript::default() },
        ),
    ] {
        // A peer that confirms nothing, also if the client gets so far as to publish.
        script.answer = |_| Vec::new();
        let url = script.serve().await;
        let options = json!({ "connect_timeout": 1, "confirm_timeout": 1 });
        let mut transport = rabbit(&url, options);
        let report = send_once(&mut transport, &samples::messages(0..3)).await;
        assert_eq!(report.accepted(), [0; 0], "{description}");
        assert!(report.result.is_err(), "{description}: {:?}", report.verdicts);
    }
    wait_until("lapin's threads have ended", || lapin_threads() < 10).await;
    // lapin alone would ask for 128 GiB in the first case.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 1024 * 1024, "peak memory: {peak} kB");
}

/// No nesting from a peer overflows a stack: tables in the greeting and in a content header end in an
/// error that names them.
#[tokio::test(flavor = "multi_thread")]
async fn no_nesting_from_a_peer_overflows_a_stack() {
    let nested_header = |depth| {
        let table = nested_tables(depth);
        let length = u32::try_from(table.len()).unwrap().to_be_bytes();
        let header = [&[0, 60, 0, 0][..], &[0; 8], &[0x20, 0], &length, &table].concat();
        let returned = method_frame(1, 60, 50, &[&312_u16.to_be_bytes()[..], &[0, 0, 0]].concat());
        [returned, frame(2, 1, &header)].concat()
    };
    let start =
        |depth| PeerScript { start: start_frame(&nested_tables(depth)), ..Default::default() };
    let header = |depth| PeerScript { after_open: nested_header(depth), ..Default::default() };
    for (script, expected) in [
        (start(120), "nested too deeply"),
        (start(15_000), "nested too deeply"),
        (start(100_000), "larger than the negotiated limit"),
        (header(120), "nested too deeply"),
        (header(15_000), "nested too deeply"),
        (header(100_000), "larger than the negotiated limit"),
    ] {
        let url = script.serve().await;
        let mut transport = rabbit(&url, json!({ "connect_timeout": 30 }));
        let error = send_once(&mut transport, &samples::messages(0..3)).await.into_error();
        assert!(error.is_transient() && error.to_string().contains(expected), "{error:?}");
    }
}
