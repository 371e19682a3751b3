//! RabbitMQ 3.10 over AMQP 1.0, killed and frozen while we send: nothing that was accepted is lost,
//! and the account is right at every moment.

#![expect(clippy::unwrap_used, reason = "a test may fail, and say what it saw")]

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

#[test]
fn nothing_accepted_is_lost_when_the_broker_is_killed_and_frozen() {
    let broker = RabbitMq::builder().plugin("rabbitmq_amqp1_0").start();
    for queue in QUEUES {
        broker.root().declare_queue(queue, &json!({ "durable": true }));
    }
    // The first runtime of a process makes a pair of sockets for signals that is never given back,
    // where some crate of the build asks tokio for them: the command does.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let before = held();

    let url = format!("amqp://guest:guest@127.0.0.1:{}", broker.port());
    let config: Config = format!("strategy = 'qpid'\nqpid.url = '{url}'").parse().unwrap();
    let (notifier, worker) = glance_notify::start(&config).unwrap();
    let worker = worker.spawn_thread().unwrap();
    let (sent, stats) = thread::scope(|scope| {
        scope.spawn(|| torment(&broker, &notifier));
        runtime.block_on(send(&notifier))
    });
    worker.join().unwrap();
    println!("{stats:?}");
    is_consistent(&stats);
    assert_eq!((stats.emitted, stats.delivered), (MESSAGES, MESSAGES));
    println!("threads and descriptors:\n{before:?} before\n{:?} after", held());
    wait_until("threads and descriptors are given back", || held() == before);

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
    println!("{} messages, {} of them sent again", found.len(), copies - MESSAGES);
    assert_eq!(found.len() as u64, MESSAGES, "there is something that nobody sent");
}

/// Sends everything; returns the ids of what was accepted, and the account at the end.
async fn send(notifier: &Notifier) -> (Vec<String>, Stats) {
    let mut receipts = Vec::new();
    for number in 0..MESSAGES {
        receipts.push(notifier.resend(&samples::notification(number)).await);
        if number % 1_000 == 0 {
            is_consistent(&notifier.stats());
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

/// Does its worst, at certain points of the delivery.
fn torment(broker: &RabbitMq, notifier: &Notifier) {
    let at = |share: u64| {
        wait_until("the delivery goes on", || {
            is_consistent(&notifier.stats());
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
    // As long as the promise says; every time-out of ours is shorter.
    thread::sleep(Duration::from_secs(25));
    broker.thaw();
}

fn is_consistent(stats: &Stats) {
    let decided = stats.delivered + stats.refused + stats.dropped.total();
    assert_eq!(stats.emitted, decided + stats.pending.messages, "{stats:?}");
}

/// All threads by name and all descriptors by what they are. What only a name tells apart is equal:
/// a socket that is closed and another that is opened are as many as before.
fn held() -> (Vec<String>, Vec<String>) {
    let list = |directory, name: fn(&Path) -> io::Result<String>| {
        let entries = std::fs::read_dir(directory).unwrap().flatten();
        // What ends while we look is not there.
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
