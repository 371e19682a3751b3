//! The broker stops, freezes, blocks us, and the link to it is cut at every byte: nothing that was
//! accepted is lost, nothing hangs, nothing is left behind.

use std::collections::HashMap;
use std::time::Duration;

use crate::relay::Relay;
use crate::support::{LONG, attempt, deliver, lapin_threads, rabbit, sockets, until};
use notify_conformance::samples;
use notify_core::{ErrorKind, Message, Outcome, Transport, Verdict};
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use notify_testbed::log_recorder::LogRecorder;
use serde_json::json;
use tracing::instrument::WithSubscriber;

const QUEUES: [&str; 3] = ["notifications.info", "notifications.warn", "notifications.error"];

/// How often each message is there.
fn copies(vhost: &Vhost<'_>) -> HashMap<String, usize> {
    let mut copies = HashMap::new();
    for queue in QUEUES {
        vhost.drain_each(queue, false, |message| {
            *copies.entry(message.message_id().to_owned()).or_default() += 1;
        });
    }
    copies
}

fn all_there(vhost: &Vhost<'_>, messages: &[Message]) -> usize {
    let copies = copies(vhost);
    for message in messages {
        assert!(copies.contains_key(&message.id().to_string()), "{:?} is lost", message.id());
    }
    assert_eq!(copies.len(), messages.len(), "something is there that was not sent");
    copies.values().sum::<usize>() - messages.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_is_noticed_and_used_again() {
    let broker = RabbitMq::start();
    let vhost = broker.vhost();
    let mut transport = rabbit(&vhost.url(), json!({ "heartbeat": 1, "connect_timeout": 1 }));
    let messages = samples::messages(0..3000);
    attempt(&mut transport, &messages[..1000]).await.all_accepted();
    broker.freeze();
    let failed = attempt(&mut transport, &messages[1000..2000]).await;
    let error = failed.end.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown), "{error}");
    assert!(error.to_string().contains("silent for two heartbeats"), "{error}");
    // It takes connections still: the kernel does.
    let error = attempt(&mut transport, &messages[1000..2000]).await.failure();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::NotSent), "{error}");
    assert!(error.to_string().contains("timed out"), "{error}");
    broker.thaw();
    deliver(&mut transport, &messages[1000..]).await;
    all_there(&vhost, &messages);
}

#[tokio::test(flavor = "multi_thread")]
async fn connecting_to_what_never_answers_leaks_nothing() {
    // Bound and never accepted from.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("amqp://guest:guest@{}/", silent.local_addr().unwrap());
    let mut transport = rabbit(&url, json!({ "connect_timeout": 0.02 }));
    for _ in 0..100 {
        let error = attempt(&mut transport, &samples::messages(0..1)).await.failure();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    }
    until("threads and sockets are gone", || lapin_threads() < 20 && sockets() < 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_restart_is_one_error() {
    let broker = RabbitMq::start();
    let vhost = broker.vhost();
    let mut transport = rabbit(&vhost.url(), json!({}));
    let messages = samples::messages(0..200);
    attempt(&mut transport, &messages[..100]).await.all_accepted();
    broker.stop();
    let error = attempt(&mut transport, &messages[100..]).await.failure();
    assert!(error.is_transient(), "{error}");
    broker.restart();
    deliver(&mut transport, &messages[100..]).await;
    all_there(&vhost, &messages);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_blocks_us_is_waited_for_and_told_once() {
    let broker = RabbitMq::start();
    let vhost = broker.vhost();
    let log = LogRecorder::default();
    let messages = samples::messages(0..2000);
    let sending = async {
        let mut transport = rabbit(&vhost.url(), json!({ "confirm_timeout": 1 }));
        attempt(&mut transport, &messages[..10]).await.all_accepted();
        broker.raise_alarm();
        for _ in 0..3 {
            let error = attempt(&mut transport, &messages[10..]).await.failure();
            assert_eq!(error.kind(), ErrorKind::Full, "{error}");
            assert!(error.to_string().contains("takes nothing now: low on memory"), "{error}");
        }
        assert_eq!(log.lines_with("blocks publishers").len(), 1, "{:?}", log.lines_with("WARN"));
        // Dropped while it is blocked, and closed while it is blocked.
        let blocked = attempt(&mut transport, &messages[10..]);
        assert!(tokio::time::timeout(Duration::from_millis(300), blocked).await.is_err());
        tokio::time::timeout(Duration::from_secs(5), transport.close()).await.unwrap().unwrap();
        broker.clear_alarm();
        deliver(&mut transport, &messages[10..]).await;
        assert_eq!(log.lines_with("takes messages again").len(), 1, "{:?}", log.lines_with("INFO"));
    };
    sending.with_subscriber(log.clone()).await;
    // What a blocked attempt leaves behind is confirmed to nobody: one message each, but for the
    // first, which did not know.
    let twice = all_there(&vhost, &messages);
    assert!(twice <= 1024 + 4, "{twice} messages are there twice");

    // It dies while it blocks us.
    let more = samples::messages(2000..2100);
    let mut transport = rabbit(&vhost.url(), json!({ "confirm_timeout": 1 }));
    attempt(&mut transport, &more[..50]).await.all_accepted();
    broker.raise_alarm();
    attempt(&mut transport, &more[50..]).await.failure();
    broker.kill();
    broker.restart();
    deliver(&mut transport, &more[50..]).await;
    all_there(&vhost, &more);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_cut_anywhere_loses_nothing() {
    let vhost = RabbitMq::shared().vhost();
    let relay = Relay::start(vhost.broker().port()).await;
    let url = format!("amqp://guest:guest@127.0.0.1:{}/{}", relay.port, vhost.name());
    let messages = samples::messages(0..200);
    let mut left = messages.clone();
    // A connection with its declarations takes some 1 700 bytes up and 900 down.
    let ups = (1..=150).map(|n| (n * 17, usize::MAX));
    for (up, down) in ups.chain((1..=75).map(|n| (usize::MAX, n * 17))) {
        relay.cut_after(up, down);
        let mut transport = rabbit(&url, json!({}));
        let next = left.len().min(3);
        let attempt = attempt(&mut transport, &left[..next]).await;
        if let Err(error) = &attempt.end {
            assert!(error.is_transient(), "{up} {down}: {error:#}");
        }
        for index in attempt.accepted().into_iter().rev() {
            left.remove(index);
        }
    }
    relay.cut_after(usize::MAX, usize::MAX);
    deliver(&mut rabbit(&url, json!({})), &left).await;
    let copies = copies(&vhost);
    assert!(messages.iter().all(|message| copies.contains_key(&message.id().to_string())));
    until("threads are gone", || lapin_threads() < 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_link_delivers_without_a_false_alarm() {
    let vhost = RabbitMq::shared().vhost();
    let relay = Relay::start(vhost.broker().port()).await;
    let url = format!("amqp://guest:guest@127.0.0.1:{}/{}", relay.port, vhost.name());
    let mut transport = rabbit(&url, json!({ "confirm_timeout": 2 }));
    // Byte by byte.
    relay.slow(1, Duration::ZERO);
    let messages = samples::messages(0..100);
    attempt(&mut transport, &messages).await.all_accepted();
    // A window takes longer than the timeout, but something is confirmed within each.
    relay.slow(512, Duration::from_millis(8));
    let more = samples::messages(100..600);
    attempt(&mut transport, &more).await.all_accepted();
    assert_eq!(copies(&vhost).len(), 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_broker_finds_too_large_is_refused_alone() {
    let broker = RabbitMq::builder().config("max_message_size = 20000").start();
    let vhost = broker.vhost();
    let mut transport = rabbit(&vhost.url(), json!({}));
    let mut messages = samples::messages(0..20);
    let mut large = samples::notification(20);
    if let notify_core::event::Body::Event(notify_core::Event::ImageUpload(text)) = &mut large.body
    {
        *text = notify_core::event::Payload::Warn("x".repeat(30_000));
    }
    messages.insert(10, samples::encode(&large));
    let first = attempt(&mut transport, &messages).await;
    assert!(
        matches!(&first.verdicts[10], Some(Verdict::Refuse(error)) if error.kind() == ErrorKind::TooLarge),
        "{:?}",
        first.verdicts
    );
    let left: Vec<_> = (0..messages.len())
        .filter(|&index| first.verdicts[index].is_none())
        .map(|index| messages[index].clone())
        .collect();
    deliver(&mut transport, &left).await;
    // Known now: refused without asking, and the rest goes through at once.
    let second = attempt(&mut transport, &messages[10..=11]).await;
    assert!(
        second.end.is_ok() && matches!(second.verdicts[0], Some(Verdict::Refuse(_))),
        "{second:?}"
    );
    messages.remove(10);
    let copies = copies(&vhost);
    assert!(messages.iter().all(|message| copies.contains_key(&message.id().to_string())));
    assert_eq!(copies.len(), messages.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_ends_takes_the_connection_with_it() {
    let vhost = RabbitMq::shared().vhost();
    let url = vhost.url();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut transport = rabbit(&url, json!({}));
        runtime.block_on(async {
            attempt(&mut transport, &samples::messages(0..3)).await.all_accepted();
        });
        drop(runtime);
        drop(transport);
    })
    .join()
    .unwrap();
    let gone = async {
        while vhost.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, gone).await.is_ok());
}
