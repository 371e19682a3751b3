//! Kills and freezes RabbitMQ 3.10 while the strategy `qpid` sends over AMQP 1.0. No accepted message is
//! lost, and the account balances at every moment.

#![expect(clippy::unwrap_used, reason = "a test may panic and print")]

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use std::{io, thread};

use glance_notify::pipeline::Stats;
use glance_notify::{Config, Notifier};
use notify_conformance::samples;
use notify_testbed::broker::proton;
use notify_testbed::broker::rabbitmq::RabbitMq;
use notify_testbed::wait::wait_until;
use serde_json::json;

const MESSAGES: u64 = 100_000;

const QUEUES: [&str; 3] = ["notifications.info", "notifications.warn", "notifications.error"];

/// Holds promise 1, delivered is true: every message with a successful receipt is in a queue, and every
/// message in a queue was sent. Threads and descriptors return to their number before.
#[test]
fn killing_and_freezing_the_broker_loses_no_accepted_message() {
    let broker = RabbitMq::builder().plugin("rabbitmq_amqp1_0").start();
    for queue in QUEUES {
        broker.root().declare_queue(queue, &json!({ "durable": true }));
    }
    // The first runtime of a process opens a pair of sockets for signals and never closes it, if some
    // crate of the build enables that feature of tokio. The command does.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let before = open_resources();

    let url = format!("amqp://guest:guest@127.0.0.1:{}", broker.port());
    let config: Config = format!("strategy = 'qpid'\nqpid.url = '{url}'").parse().unwrap();
    let (notifier, worker) = glance_notify::start(&config).unwrap();
    let worker = worker.spawn_thread().unwrap();
    let (sent, stats) = thread::scope(|scope| {
        scope.spawn(|| inject_faults(&broker, &notifier));
        runtime.block_on(send(&notifier))
    });
    worker.join().unwrap();
    println!("{stats:?}");
    assert_balance(&stats);
    assert_eq!((stats.emitted, stats.delivered), (MESSAGES, MESSAGES));
    println!("threads and descriptors:\n{before:?} before\n{:?} after", open_resources());
    wait_until("threads and descriptors return to their number before", || {
        open_resources() == before
    });

    let mut found: HashMap<String, u64> = HashMap::new();
    for queue in QUEUES {
        let count = broker.root().queue(queue).unwrap().messages;
        let address = format!("/amq/queue/{queue}");
        proton::read_messages(broker.port(), "vhost:/", &address, count, false, |message| {
            *found.entry(message.id).or_default() += 1;
        });
    }
    let lost: Vec<_> = sent.iter().filter(|id| !found.contains_key(*id)).collect();
    assert!(lost.is_empty(), "{} accepted messages are lost: {:?}", lost.len(), lost.first());
    let copies: u64 = found.values().sum();
    println!("{} messages, {} of them sent twice", found.len(), copies - MESSAGES);
    assert_eq!(found.len() as u64, MESSAGES, "a queue holds a message that was not sent");
}

/// Sends every notification. Returns the ids of the accepted ones and the counters at the end.
async fn send(notifier: &Notifier) -> (Vec<String>, Stats) {
    let mut receipts = Vec::new();
    for number in 0..MESSAGES {
        receipts.push(notifier.resend(&samples::notification(number)).await);
        if number % 1_000 == 0 {
            assert_balance(&notifier.stats());
        }
    }
    let mut accepted = Vec::new();
    for receipt in receipts {
        let id = receipt.message_id().unwrap().to_string();
        receipt.await.unwrap();
        accepted.push(id);
    }
    (accepted, notifier.shutdown(Duration::from_secs(30)).await)
}

/// Kills the broker three times and freezes it once, each at a fixed share of the delivery.
fn inject_faults(broker: &RabbitMq, notifier: &Notifier) {
    let at = |share: u64| {
        wait_until("the delivery continues", || {
            assert_balance(&notifier.stats());
            notifier.stats().delivered >= MESSAGES * share / 100
        });
    };
    for share in [10, 30, 50] {
        at(share);
        broker.kill();
        broker.restart();
    }
    at(70);
    broker.freeze();
    // Longer than every timeout of the strategy.
    thread::sleep(Duration::from_secs(25));
    broker.unfreeze();
}

/// Panics unless the account balances.
fn assert_balance(stats: &Stats) {
    let decided = stats.delivered + stats.refused + stats.dropped.total();
    assert_eq!(stats.emitted, decided + stats.pending.messages, "{stats:?}");
}

/// Returns the names of all threads and the kinds of all descriptors. Two sockets count as equal, so a
/// closed socket and a new one cancel each other out.
fn open_resources() -> (Vec<String>, Vec<String>) {
    let list = |directory, name: fn(&Path) -> io::Result<String>| {
        let entries = std::fs::read_dir(directory).unwrap().flatten();
        // A thread or descriptor may end between the listing and the look at it.
        let mut names: Vec<_> = entries.filter_map(|entry| name(&entry.path()).ok()).collect();
        names.sort();
        names
    };
    let threads = list("/proc/self/task", |task| std::fs::read_to_string(task.join("comm")));
    let descriptors = list("/proc/self/fd", |file| {
        let target = std::fs::read_link(file)?.to_string_lossy().into_owned();
        Ok(target.split('[').next().unwrap_or_default().into())
    });
    (threads, descriptors)
}
