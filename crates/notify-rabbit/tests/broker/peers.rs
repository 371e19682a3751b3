//! Peers that confirm strangely, not at all, or mean harm.

use crate::peer::{Publish, Script, method, nested, raw, start};
use crate::support::{Attempt, attempt, lapin_threads, rabbit, until};
use notify_conformance::samples;
use notify_core::event::{Body, Payload};
use notify_core::{ErrorKind, Event, Message, Notifier, Outcome, Verdict};
use serde_json::json;

/// What a peer says to what was published.
type Answer = fn(&[Publish]) -> Vec<u8>;

/// Messages of which each `nth` says no.
fn messages(count: u64, nth: u64) -> Vec<Message> {
    (0..count)
        .map(|number| {
            let mut notification = samples::notification(number);
            let text = if number % nth == 0 { "say no" } else { "say yes" };
            notification.body = Body::from(Event::ImageUpload(Payload::Warn(text.into())));
            samples::encode(&notification)
        })
        .collect()
}

fn says_no(body: &[u8]) -> bool {
    body.windows(6).any(|window| window == b"say no")
}

async fn sent(answer: Answer, messages: &[Message]) -> Attempt {
    let url = Script { answer, ..Script::default() }.play().await;
    attempt(&mut rabbit(&url, json!({ "confirm_timeout": 2 })), messages).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_confirm_finds_its_message_whatever_the_order() {
    let answers: [Answer; 3] = [
        // One by one, the last first.
        |publishes| {
            let answer = |p: &Publish| if says_no(&p.body) { p.nack(false) } else { p.ack(false) };
            publishes.iter().rev().flat_map(answer).collect()
        },
        // Runs of the same answer by one confirm each.
        |publishes| {
            let mut out = Vec::new();
            for run in publishes.chunk_by(|a, b| says_no(&a.body) == says_no(&b.body)) {
                let last = run.last().unwrap();
                out.extend(if says_no(&last.body) { last.nack(true) } else { last.ack(true) });
            }
            out
        },
        // Odd ones first.
        |publishes| {
            let answer = |p: &Publish| if says_no(&p.body) { p.nack(false) } else { p.ack(false) };
            let (odd, even): (Vec<&Publish>, Vec<_>) =
                publishes.iter().partition(|p| p.tag % 2 == 1);
            odd.into_iter().chain(even).flat_map(answer).collect()
        },
    ];
    for answer in answers {
        let messages = messages(3000, 7);
        let attempt = sent(answer, &messages).await;
        assert!(attempt.end.is_ok(), "{:?}", attempt.end);
        for (message, verdict) in std::iter::zip(&messages, &attempt.verdicts) {
            match verdict {
                Some(Verdict::Retry(error)) if says_no(message.body()) => {
                    assert_eq!(error.kind(), ErrorKind::Full);
                }
                Some(Verdict::Accept) if !says_no(message.body()) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Returned, then acknowledged, as a broker does with what is unroutable; confirms in any order.
fn return_what_says_no(publishes: &[Publish]) -> Vec<u8> {
    let mut out: Vec<u8> =
        publishes.iter().filter(|p| says_no(&p.body)).flat_map(Publish::returned).collect();
    out.extend(publishes.iter().rev().flat_map(|publish| publish.ack(false)));
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_is_its_own_messages_whatever_confirm_it_came_with() {
    let messages = messages(2000, 5);
    let attempt = sent(return_what_says_no, &messages).await;
    assert!(attempt.end.is_ok(), "{:?}", attempt.end);
    for (message, verdict) in std::iter::zip(&messages, &attempt.verdicts) {
        let returned = matches!(verdict, Some(Verdict::Retry(error)) if error.to_string().contains("NO_ROUTE"));
        assert_eq!(returned, says_no(message.body()), "{verdict:?}");
    }
}

/// As [`return_what_says_no`], and gone before the last confirms.
fn return_and_stop(publishes: &[Publish]) -> Vec<u8> {
    let mut out: Vec<u8> =
        publishes.iter().filter(|p| says_no(&p.body)).flat_map(Publish::returned).collect();
    let most = publishes.len() - publishes.len() / 4;
    out.extend(publishes.iter().rev().take(most.max(1)).flat_map(|publish| publish.ack(false)));
    if publishes.len() > 1 {
        // A frame that ends the connection.
        out.extend(raw(1, 0, &[0xff; 64]));
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_never_makes_a_returned_message_an_accepted_one() {
    for nth in [2, 3, 50, 5000] {
        let messages = messages(1000, nth);
        let attempt = sent(return_and_stop, &messages).await;
        assert!(attempt.end.is_err(), "{:?}", attempt.verdicts);
        for (message, verdict) in std::iter::zip(&messages, &attempt.verdicts) {
            let accepted = matches!(verdict, Some(Verdict::Accept));
            assert!(!(accepted && says_no(message.body())), "a false accept");
        }
        let accepted = attempt.accepted().len();
        // Without a return in it, what was confirmed before the cut is proved.
        assert!(nth < 5000 || accepted >= 700, "{accepted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirm_that_never_comes_is_unknown() {
    let attempt = sent(|_| Vec::new(), &samples::messages(0..10)).await;
    let error = attempt.failure();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown));
    assert!(error.to_string().ends_with("confirmed nothing within 2 s"), "{error}");

    // Some come: those are accepted.
    let half = |publishes: &[Publish]| {
        publishes.iter().step_by(2).flat_map(|publish| publish.ack(false)).collect()
    };
    let attempt = sent(half, &samples::messages(0..101)).await;
    assert!(attempt.end.is_err());
    assert_eq!(attempt.accepted(), [&[0][..], &(1..101).step_by(2).collect::<Vec<_>>()].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_emitters_never_get_each_others_outcome() {
    let url = Script { answer: return_what_says_no, ..Script::default() }.play().await;
    let transport = Box::new(rabbit(&url, json!({})));
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
                    Ok(()) => assert!(!no, "a message that came back counts as delivered"),
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
    let stats = notifier.shutdown(crate::support::LONG).await;
    assert_eq!((stats.delivered, stats.refused), (64 * 40, 64 * 10));
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_peer_harms_nobody() {
    let mut endless_table = nested(3);
    endless_table[2..6].fill(0xff);
    let huge_body = [
        method(1, 60, 50, &[&312_u16.to_be_bytes()[..], &[0, 0, 0]].concat()),
        raw(2, 1, &[&[0, 60, 0, 0][..], &u64::MAX.to_be_bytes(), &[0, 0]].concat()),
        raw(3, 1, &[0; 1000]),
    ]
    .concat();
    for (what, script) in [
        ("no limit on frames", Script { frame_max: 0, ..Script::default() }),
        ("tiny frames", Script { frame_max: 1, ..Script::default() }),
        ("a nested start", Script { start: start(&nested(120)), ..Script::default() }),
        ("a deeply nested start", Script { start: start(&nested(15_000)), ..Script::default() }),
        ("an endless table", Script { start: start(&endless_table), ..Script::default() }),
        ("garbage at first", Script { start: vec![0xff; 4096], ..Script::default() }),
        ("garbage in a frame", Script { start: raw(1, 0, &[0xff; 4096]), ..Script::default() }),
        ("garbage later", Script { after_open: raw(1, 0, &[0xff; 64]), ..Script::default() }),
        ("a nested header", Script { after_open: raw(2, 1, &nested(15_000)), ..Script::default() }),
        (
            "a confirm of nothing",
            Script { after_open: method(1, 60, 80, &[0xff; 9]), ..Script::default() },
        ),
        ("a huge body", Script { after_open: huge_body, ..Script::default() }),
        (
            "a huge frame",
            Script { after_open: [1, 0, 1, 0xff, 0xff, 0xff, 0xff].to_vec(), ..Script::default() },
        ),
        (
            "a heartbeat with a body",
            Script { after_open: raw(8, 0, &[0; 100]), ..Script::default() },
        ),
    ] {
        let url = script.play().await;
        let options = json!({ "connect_timeout": 1, "confirm_timeout": 1 });
        let mut transport = rabbit(&url, options);
        let attempt = attempt(&mut transport, &samples::messages(0..3)).await;
        println!("{what}: {:?}", attempt.end);
    }
    until("threads are gone", || lapin_threads() < 10).await;
    // 128 MiB of limits and buffers at most, where lapin alone asks for 128 GiB.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 1024 * 1024, "{peak} kB");
}
