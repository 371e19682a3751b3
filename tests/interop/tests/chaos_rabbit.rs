//! Two hundred thousand notifications while the broker is killed three times, frozen, alarmed, and
//! loses its queue: the ledger of what was accepted against what is in the queues.

#![expect(clippy::unwrap_used, reason = "a test may fail, and say what it saw")]

use std::collections::HashMap;
use std::time::Duration;

use glance_notify::{Config, Notifier, Receipt};
use notify_conformance::samples;
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};

const TOTAL: u64 = 200_000;
const PHASES: u64 = 8;
const QUEUES: [&str; 3] = ["notifications.info", "notifications.warn", "notifications.error"];

/// What is there by id, and how often.
type Found = HashMap<String, u32>;

fn take(vhost: &Vhost<'_>, found: &mut Found) {
    for queue in QUEUES {
        vhost.drain_each(queue, false, |message| {
            *found.entry(message.message_id().to_owned()).or_default() += 1;
        });
    }
}

/// Emits one phase; every receipt must say that it was accepted.
async fn emit(notifier: Notifier, numbers: std::ops::Range<u64>) {
    let mut receipts: Vec<Receipt> = Vec::new();
    for number in numbers {
        receipts.push(notifier.resend(&samples::notification(number)).await);
    }
    for receipt in receipts {
        receipt.await.unwrap();
    }
}

/// What goes wrong in the middle of a phase.
fn disturb(broker: &RabbitMq, phase: u64) -> &'static str {
    match phase {
        1 | 3 | 6 => {
            broker.kill();
            broker.restart();
            "killed and restarted"
        }
        4 => {
            broker.freeze();
            std::thread::sleep(Duration::from_secs(25));
            broker.thaw();
            "frozen for 25 s"
        }
        5 => {
            broker.raise_alarm();
            std::thread::sleep(Duration::from_secs(10));
            broker.clear_alarm();
            "alarmed for 10 s"
        }
        _ => "left alone",
    }
}

fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("lapin")).count()
}

fn sockets() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = open.filter_map(|file| std::fs::read_link(file.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

/// Resident memory in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_befalls_the_broker_what_was_accepted_is_there() {
    let broker: &'static RabbitMq = Box::leak(Box::new(RabbitMq::start()));
    let vhost = broker.vhost();
    let before = sockets();
    let config: Config =
        format!("strategy = 'rabbit'\nrabbit.url = '{}?heartbeat=5'", vhost.url()).parse().unwrap();
    let (notifier, worker) = glance_notify::start(&config).unwrap();
    let worker = tokio::spawn(worker.run());
    let mut found = Found::new();

    for phase in 0..PHASES {
        let size = TOTAL / PHASES;
        let emitting = tokio::spawn(emit(notifier.clone(), phase * size..(phase + 1) * size));
        let middle = phase * size + size / 3;
        while notifier.stats().delivered < middle {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let what = tokio::task::spawn_blocking(move || disturb(broker, phase)).await.unwrap();
        emitting.await.unwrap();
        let stats = notifier.stats();
        let accounted = stats.delivered + stats.refused + stats.pending.messages;
        assert_eq!((stats.emitted, stats.dropped.overflow), (accounted, 0), "{stats:?}");
        println!("phase {phase}: {what}; {} delivered, {} KiB", stats.delivered, memory());
        if phase == 2 {
            // What is in a queue goes with it, so it is read first.
            take(&vhost, &mut found);
            vhost.delete_queue("notifications.info");
        }
    }

    let stats = notifier.shutdown(Duration::from_secs(60)).await;
    worker.await.unwrap();
    assert_eq!((stats.emitted, stats.delivered), (TOTAL, TOTAL), "{stats:?}");
    take(&vhost, &mut found);
    for number in 0..TOTAL {
        let id = samples::notification(number).message_id.to_string();
        assert!(found.contains_key(&id), "number {number} was accepted and is lost");
    }
    assert_eq!(found.len() as u64, TOTAL);
    let twice: u64 = found.values().map(|&copies| u64::from(copies) - 1).sum();
    println!("{twice} are there twice, {} were sent again", stats.retried);
    assert!(twice <= stats.retried);

    let released = async {
        while threads() > 0 || sockets() > before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let released = tokio::time::timeout(Duration::from_secs(30), released).await;
    assert!(released.is_ok(), "{} threads, {} sockets before {before}", threads(), sockets());
}
