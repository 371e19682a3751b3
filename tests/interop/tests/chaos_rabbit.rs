//! Sends 200 000 notifications while RabbitMQ is killed three times, frozen, alarmed, and loses a queue;
//! then compares the accepted notifications with the content of the queues.

#![expect(clippy::unwrap_used, reason = "a test may panic and print")]

use std::collections::HashMap;
use std::time::Duration;

use glance_notify::{Config, Notifier, Receipt};
use notify_conformance::samples;
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};

const TOTAL: u64 = 200_000;
const PHASES: u64 = 8;
const QUEUES: [&str; 3] = ["notifications.info", "notifications.warn", "notifications.error"];

/// The number of copies of each message by its id.
type CopyCounts = HashMap<String, u32>;

/// Reads all queues empty and counts the copies.
fn take(vhost: &Vhost<'_>, found: &mut CopyCounts) {
    for queue in QUEUES {
        vhost.drain_each(queue, false, |message| {
            *found.entry(message.message_id().to_owned()).or_default() += 1;
        });
    }
}

/// Emits the notifications of one phase, and requires that each is accepted.
async fn emit(notifier: Notifier, numbers: std::ops::Range<u64>) {
    let mut receipts: Vec<Receipt> = Vec::new();
    for number in numbers {
        receipts.push(notifier.resend(&samples::notification(number)).await);
    }
    for receipt in receipts {
        receipt.await.unwrap();
    }
}

/// Injects the fault of a phase. Returns its description.
fn inject_fault(broker: &RabbitMq, phase: u64) -> &'static str {
    match phase {
        1 | 3 | 6 => {
            broker.kill();
            broker.restart();
            "killed and restarted"
        }
        4 => {
            broker.freeze();
            std::thread::sleep(Duration::from_secs(25));
            broker.unfreeze();
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

/// Returns the number of lapin's threads.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("lapin")).count()
}

/// Returns the number of open sockets.
fn sockets() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = open.filter_map(|file| std::fs::read_link(file.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

/// Returns the resident memory in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Holds promise 1, delivered is true: the queues hold every accepted notification, and duplicates are
/// only those that were sent again.
#[tokio::test(flavor = "multi_thread")]
async fn the_queues_hold_every_accepted_notification_after_every_fault() {
    let broker: &'static RabbitMq = Box::leak(Box::new(RabbitMq::start()));
    let vhost = broker.vhost();
    let before = sockets();
    let config: Config =
        format!("strategy = 'rabbit'\nrabbit.url = '{}?heartbeat=5'", vhost.url()).parse().unwrap();
    let (notifier, worker) = glance_notify::start(&config).unwrap();
    let worker = tokio::spawn(worker.run());
    let mut found = CopyCounts::new();

    for phase in 0..PHASES {
        let size = TOTAL / PHASES;
        let emitting = tokio::spawn(emit(notifier.clone(), phase * size..(phase + 1) * size));
        let middle = phase * size + size / 3;
        while notifier.stats().delivered < middle {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let what = tokio::task::spawn_blocking(move || inject_fault(broker, phase)).await.unwrap();
        emitting.await.unwrap();
        let stats = notifier.stats();
        let accounted = stats.delivered + stats.refused + stats.pending.messages;
        assert_eq!((stats.emitted, stats.dropped.overflow), (accounted, 0), "{stats:?}");
        println!("phase {phase}: {what}; {} delivered, {} KiB", stats.delivered, memory());
        if phase == 2 {
            // Deleting a queue deletes its messages, so the test reads them first.
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
        assert!(found.contains_key(&id), "notification {number} was accepted and is lost");
    }
    assert_eq!(found.len() as u64, TOTAL);
    let twice: u64 = found.values().map(|&copies| u64::from(copies) - 1).sum();
    println!("{twice} arrived twice, {} were sent again", stats.retried);
    assert!(twice <= stats.retried);

    let released = async {
        while threads() > 0 || sockets() > before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let released = tokio::time::timeout(Duration::from_secs(30), released).await;
    assert!(released.is_ok(), "{} threads, {} sockets before {before}", threads(), sockets());
}
