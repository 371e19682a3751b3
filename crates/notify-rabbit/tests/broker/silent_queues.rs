//! A queue that confirms nothing or answers no declaration, on a real RabbitMQ: the lane is attempted by itself,
//! and you learn its name.

use std::time::{Duration, Instant};

use notify_conformance::attempts::send_once;
use notify_conformance::samples;
use notify_core::pipeline::{Receipt, WorkerState};
use notify_core::{Message, Notifier, Priority};
use notify_testbed::broker::rabbitmq::RabbitMq;
use serde_json::json;

use crate::support::{LONG, rabbit, wait_until};

/// While the queue of the errors confirms nothing, the others get their messages, each time in less than the
/// broker's silence would take. The state names the silent queue. Once it answers, its messages arrive.
async fn a_silent_queue_delays_no_other(queue_type: &str) {
    let broker = tokio::task::block_in_place(RabbitMq::start);
    let vhost = broker.root();
    let options = json!({ "queue_type": queue_type, "confirm_timeout": 3 });
    let transport = rabbit(&vhost.url(), options);
    let (notifier, worker) = Notifier::builder(transport).publisher_id("host1").build().unwrap();
    let worker = tokio::spawn(worker.run());
    for message in samples::messages(0..6) {
        within("the first messages", notifier.relay(message).await).await;
    }
    tokio::task::block_in_place(|| vhost.suspend_queue("notifications.error"));
    let mut silent = Vec::new();
    for round in 1..6 {
        deliver_others(&notifier, round, &mut silent).await;
    }
    let named = || match notifier.stats().state {
        WorkerState::Retrying { error, .. } => error.contains("`notifications.error`"),
        _ => false,
    };
    wait_until("the state names the silent queue", named).await;
    assert_eq!(notifier.stats().pending.messages, silent.len() as u64);
    tokio::task::block_in_place(|| vhost.resume_queue("notifications.error"));
    for receipt in silent {
        within("the messages of the silent queue", receipt).await;
    }
    notifier.shutdown(Duration::from_secs(20)).await;
    worker.await.unwrap();
}

/// A classic queue whose process hangs.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_classic_queue_delays_no_other() {
    a_silent_queue_delays_no_other("classic").await;
}

/// A quorum queue whose leader hangs.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_quorum_queue_delays_no_other() {
    a_silent_queue_delays_no_other("quorum").await;
}

/// A queue hangs before the transport connects, so it does not answer its declaration. The others wait for it
/// once at most, and its messages arrive once it answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_answers_no_declaration_delays_the_others_once() {
    let broker = tokio::task::block_in_place(RabbitMq::start);
    let vhost = broker.root();
    let mut declaring = rabbit(&vhost.url(), json!({}));
    send_once(&mut declaring, &samples::messages(0..3)).await.assert_all_accepted();
    tokio::task::block_in_place(|| vhost.suspend_queue("notifications.error"));
    let transport = rabbit(&vhost.url(), json!({ "connect_timeout": 20 }));
    let (notifier, worker) = Notifier::builder(transport).publisher_id("host1").build().unwrap();
    let worker = tokio::spawn(worker.run());
    let (mut silent, mut waits) = (Vec::new(), Vec::new());
    for round in 1..9 {
        let started = Instant::now();
        deliver_others(&notifier, round, &mut silent).await;
        waits.push(started.elapsed());
        // The next round meets a probe of the silent queue.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let long = waits.iter().filter(|wait| **wait > Duration::from_secs(15)).count();
    assert!(long <= 1, "{waits:?}");
    let named = || match notifier.stats().state {
        WorkerState::Retrying { error, .. } => error.contains("`notifications.error`"),
        _ => false,
    };
    wait_until("the state names the silent queue", named).await;
    tokio::task::block_in_place(|| vhost.resume_queue("notifications.error"));
    for receipt in silent {
        within("the messages of the silent queue", receipt).await;
    }
    notifier.shutdown(Duration::from_secs(20)).await;
    worker.await.unwrap();
}

/// RabbitMQ 4.0 can leave a quorum queue that confirms nothing for good, if it is killed seconds after the
/// declaration. The others get their messages, and the state names the queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_queue_that_a_kill_silenced_is_named() {
    let broker = tokio::task::block_in_place(RabbitMq::start);
    let options = json!({ "queue_type": "quorum", "confirm_timeout": 5 });
    let transport = rabbit(&broker.url(), options);
    let (notifier, worker) = Notifier::builder(transport).publisher_id("host1").build().unwrap();
    let worker = tokio::spawn(worker.run());
    for message in samples::messages(0..6) {
        within("the first messages", notifier.relay(message).await).await;
    }
    tokio::task::block_in_place(|| {
        broker.kill();
        broker.restart();
    });
    let mut receipts = Vec::new();
    for message in samples::messages(6..306) {
        let priority = Message::priority(&message);
        receipts.push((priority, notifier.relay(message).await));
    }
    let deadline = tokio::time::Instant::now() + LONG;
    let mut silent = Vec::new();
    for (priority, receipt) in receipts {
        match tokio::time::timeout_at(deadline, receipt).await {
            Ok(outcome) => outcome.unwrap(),
            Err(_) if silent.contains(&priority) => {}
            Err(_) => silent.push(priority),
        }
    }
    println!("silent after the kill: {silent:?}");
    assert!(silent.len() <= 1, "a silent queue delays the others: {silent:?}");
    for priority in silent {
        let queue = format!("`notifications.{}`", priority.lower());
        let WorkerState::Retrying { error, .. } = notifier.stats().state else {
            panic!("{:?}", notifier.stats())
        };
        assert!(error.contains(&queue), "{error}");
    }
    notifier.shutdown(Duration::from_secs(5)).await;
    worker.await.unwrap();
}

/// Sends twelve messages, and waits for those of the queues that answer. Adds the receipts of the others to
/// `silent`.
async fn deliver_others(notifier: &Notifier, round: u64, silent: &mut Vec<Receipt>) {
    let mut others = Vec::new();
    for message in samples::messages(round * 12..round * 12 + 12) {
        let is_silent = Message::priority(&message) == Priority::Error;
        let receipt = notifier.relay(message).await;
        if is_silent { &mut *silent } else { &mut others }.push(receipt);
    }
    for receipt in others {
        within("the messages of the other queues", receipt).await;
    }
}

/// Waits for the delivery of one message.
async fn within(goal: &str, receipt: Receipt) {
    let delivered = tokio::time::timeout(LONG, receipt).await;
    delivered.unwrap_or_else(|_| panic!("timed out waiting for {goal}")).unwrap();
}
