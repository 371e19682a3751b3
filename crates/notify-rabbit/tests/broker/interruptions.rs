//! Brokers that stop, freeze or block publishers, and links that break at any byte.
//!
//! No accepted message is lost, no call hangs, and no thread or socket remains. A message may arrive
//! twice: the transport cannot know whether the broker has an unconfirmed message.

use std::collections::HashMap;
use std::time::Duration;

use crate::relay::Relay;
use crate::support::{LONG, lapin_threads, open_sockets, rabbit, wait_until};
use notify_conformance::attempts::{deliver, send_once};
use notify_conformance::samples;
use notify_core::{ErrorKind, Message, Outcome, Transport, Verdict};
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use notify_testbed::log_recorder::LogRecorder;
use serde_json::json;
use tracing::instrument::WithSubscriber;

const QUEUES: [&str; 3] = ["notifications.info", "notifications.warn", "notifications.error"];

/// Empties the queues and returns the number of copies of each message id.
fn copies(vhost: &Vhost<'_>) -> HashMap<String, usize> {
    let mut copies = HashMap::new();
    for queue in QUEUES {
        vhost.drain_each(queue, false, |message| {
            *copies.entry(message.message_id().to_owned()).or_default() += 1;
        });
    }
    copies
}

/// Asserts that the queues hold every message and no other. Returns the number of duplicates.
fn assert_no_loss(vhost: &Vhost<'_>, messages: &[Message]) -> usize {
    let copies = copies(vhost);
    for message in messages {
        assert!(copies.contains_key(&message.id().to_string()), "{:?} is lost", message.id());
    }
    assert_eq!(copies.len(), messages.len(), "the queues hold messages that were not sent");
    copies.values().sum::<usize>() - messages.len()
}

/// Missing heartbeats end the attempt as a lost connection, which isolates no lane. The transport delivers
/// again once the broker answers.
#[tokio::test(flavor = "multi_thread")]
async fn detects_a_frozen_broker_and_recovers() {
    let broker = RabbitMq::start();
    let vhost = broker.vhost();
    let mut transport = rabbit(&vhost.url(), json!({ "heartbeat": 1, "connect_timeout": 1 }));
    let messages = samples::messages(0..3000);
    deliver(&mut transport, &messages[..1000]).await;
    broker.freeze();
    let failed = send_once(&mut transport, &messages[1000..2000]).await;
    let error = failed.result.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Unavailable, Outcome::Unknown),
        "{error}"
    );
    assert!(error.to_string().contains("missed two heartbeats"), "{error}");
    // The kernel of a frozen broker still accepts connections.
    let error = send_once(&mut transport, &messages[1000..2000]).await.into_error();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Unavailable, Outcome::NotSent),
        "{error}"
    );
    assert!(error.to_string().contains("timed out"), "{error}");
    broker.unfreeze();
    deliver(&mut transport, &messages[1000..]).await;
    assert_no_loss(&vhost, &messages);
}

/// A peer that accepts connections and never answers costs one timeout, and no thread or socket.
#[tokio::test(flavor = "multi_thread")]
async fn connecting_to_a_silent_peer_leaks_nothing() {
    // The kernel accepts connections to this listener, and no program answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("amqp://guest:guest@{}/", silent.local_addr().unwrap());
    let mut transport = rabbit(&url, json!({ "connect_timeout": 0.02 }));
    for _ in 0..100 {
        let error = send_once(&mut transport, &samples::messages(0..1)).await.into_error();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    wait_until("threads and sockets are gone", || lapin_threads() < 20 && open_sockets() < 60)
        .await;
}

/// An orderly restart costs one transient error.
#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_restart_is_one_error() {
    let broker = RabbitMq::start();
    let vhost = broker.vhost();
    let mut transport = rabbit(&vhost.url(), json!({}));
    let messages = samples::messages(0..200);
    send_once(&mut transport, &messages[..100]).await.assert_all_accepted();
    broker.stop();
    let error = send_once(&mut transport, &messages[100..]).await.into_error();
    assert!(error.is_transient(), "{error}");
    broker.restart();
    deliver(&mut transport, &messages[100..]).await;
    assert_no_loss(&vhost, &messages);
}

/// A memory alarm is a full queue, not a timeout, and has one line in the log. A blocked transport can
/// be dropped and closed, and a broker that dies while it blocks loses no accepted message.
#[tokio::test(flavor = "multi_thread")]
async fn waits_for_a_blocked_broker_and_warns_once() {
    let broker = RabbitMq::start();
    let vhost = broker.vhost();
    let log = LogRecorder::default();
    let messages = samples::messages(0..2000);
    let sending = async {
        let mut transport = rabbit(&vhost.url(), json!({ "confirm_timeout": 3 }));
        send_once(&mut transport, &messages[..10]).await.assert_all_accepted();
        broker.raise_alarm();
        for _ in 0..3 {
            let error = send_once(&mut transport, &messages[10..]).await.into_error();
            assert_eq!(error.kind(), ErrorKind::Full, "{error}");
            assert!(error.to_string().contains("blocks publishers: low on memory"), "{error}");
        }
        assert_eq!(log.lines_with("blocks publishers").len(), 1, "{:?}", log.lines_with("WARN"));
        // Drop a send and close the transport while the broker blocks publishers.
        let blocked = send_once(&mut transport, &messages[10..]);
        assert!(tokio::time::timeout(Duration::from_millis(300), blocked).await.is_err());
        tokio::time::timeout(LONG, transport.close()).await.unwrap().unwrap();
        broker.clear_alarm();
        deliver(&mut transport, &messages[10..]).await;
        assert_eq!(
            log.lines_with("accepts messages again").len(),
            1,
            "{:?}",
            log.lines_with("INFO")
        );
    };
    sending.with_subscriber(log.clone()).await;
    // Each blocked attempt can leave one unconfirmed message at the broker. Only the first can leave a
    // whole window: it began before the alarm.
    let duplicates = assert_no_loss(&vhost, &messages);
    assert!(duplicates <= 1024 + 4, "{duplicates} duplicates");

    // The broker dies while it blocks publishers.
    let more = samples::messages(2000..2100);
    let mut transport = rabbit(&vhost.url(), json!({ "confirm_timeout": 1 }));
    deliver(&mut transport, &more[..50]).await;
    broker.raise_alarm();
    send_once(&mut transport, &more[50..]).await.into_error();
    broker.kill();
    broker.restart();
    deliver(&mut transport, &more[50..]).await;
    assert_no_loss(&vhost, &more);
}

/// The relay resets the connection after every possible number of bytes, in steps of 17.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_reset_at_any_byte_loses_nothing() {
    let vhost = RabbitMq::shared().vhost();
    let relay = Relay::start(vhost.broker().port()).await;
    let url = format!("amqp://guest:guest@127.0.0.1:{}/{}", relay.port, vhost.name());
    let messages = samples::messages(0..200);
    let mut pending = messages.clone();
    // Login and declarations take about 1 700 bytes to the broker and 900 bytes back.
    let ups = (1..=150).map(|n| (n * 17, usize::MAX));
    for (up, down) in ups.chain((1..=75).map(|n| (usize::MAX, n * 17))) {
        relay.cut_after(up, down);
        let mut transport = rabbit(&url, json!({}));
        let next = pending.len().min(3);
        let report = send_once(&mut transport, &pending[..next]).await;
        if let Err(error) = &report.result {
            assert!(error.is_transient(), "{up} {down}: {error:#}");
        }
        for index in report.accepted().into_iter().rev() {
            pending.remove(index);
        }
    }
    relay.cut_after(usize::MAX, usize::MAX);
    deliver(&mut rabbit(&url, json!({})), &pending).await;
    let copies = copies(&vhost);
    assert!(messages.iter().all(|message| copies.contains_key(&message.id().to_string())));
    wait_until("lapin's threads have ended", || lapin_threads() < 10).await;
}

/// A window may take longer than `rabbit.confirm_timeout`, as long as each timeout has a confirm.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_link_causes_no_timeout() {
    let vhost = RabbitMq::shared().vhost();
    let relay = Relay::start(vhost.broker().port()).await;
    let url = format!("amqp://guest:guest@127.0.0.1:{}/{}", relay.port, vhost.name());
    let mut transport = rabbit(&url, json!({ "confirm_timeout": 4 }));
    // One byte at a time.
    relay.slow_down(1, Duration::ZERO);
    let messages = samples::messages(0..100);
    send_once(&mut transport, &messages).await.assert_all_accepted();
    // A window takes longer than the timeout, but the broker confirms a message within each.
    relay.slow_down(512, Duration::from_millis(8));
    let more = samples::messages(100..600);
    send_once(&mut transport, &more).await.assert_all_accepted();
    assert_eq!(copies(&vhost).len(), 600);
}

/// The broker closes the channel over one large message. The transport refuses only that message, and
/// remembers the limit.
#[tokio::test(flavor = "multi_thread")]
async fn refuses_only_the_message_that_is_too_large() {
    let broker = RabbitMq::builder().config("max_message_size = 20000").start();
    let vhost = broker.vhost();
    let mut transport = rabbit(&vhost.url(), json!({}));
    let mut messages = samples::messages(0..20);
    let mut large = samples::notification(20);
    if let notify_core::event::NotificationPayload::Constructed(notify_core::Event::ImageUpload(
        text,
    )) = &mut large.payload
    {
        *text = notify_core::event::Payload::Warn("x".repeat(30_000));
    }
    messages.insert(10, samples::encode(&large));
    let first = send_once(&mut transport, &messages).await;
    assert!(
        matches!(&first.verdicts[10], Some(Verdict::Refuse(error)) if error.kind() == ErrorKind::TooLarge),
        "{:?}",
        first.verdicts
    );
    let pending: Vec<_> = (0..messages.len())
        .filter(|&index| first.verdicts[index].is_none())
        .map(|index| messages[index].clone())
        .collect();
    deliver(&mut transport, &pending).await;
    // The transport knows the limit now: it refuses the message without sending it, and delivers the
    // rest at once.
    let second = send_once(&mut transport, &messages[10..=11]).await;
    assert!(
        second.result.is_ok() && matches!(second.verdicts[0], Some(Verdict::Refuse(_))),
        "{second:?}"
    );
    messages.remove(10);
    let copies = copies(&vhost);
    assert!(messages.iter().all(|message| copies.contains_key(&message.id().to_string())));
    assert_eq!(copies.len(), messages.len());
}

/// Dropping the runtime before the transport closes the connection.
#[tokio::test(flavor = "multi_thread")]
async fn the_connection_ends_with_its_runtime() {
    let vhost = RabbitMq::shared().vhost();
    let url = vhost.url();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut transport = rabbit(&url, json!({}));
        runtime.block_on(async {
            send_once(&mut transport, &samples::messages(0..3)).await.assert_all_accepted();
        });
        drop(runtime);
        drop(transport);
    })
    .join()
    .unwrap();
    let closed = async {
        while vhost.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, closed).await.is_ok());
}
