//! One event to three destinations: a log file, RabbitMQ, and a broker over AMQP 1.0 with a filter. One
//! broker is frozen by SIGSTOP.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use glance_notify::pipeline::Stats;
use glance_notify::{Config, Event, Notifier, Payload};
use notify_testbed::broker::rabbitmq::RabbitMq;
use notify_testbed::wait::wait_until;
use serde_json::{Value, json};
use tokio::time::timeout;

/// Promise 5, independent: while one broker is frozen and not required, the other two destinations get
/// everything that their filters take, and `send` returns.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_delays_no_other_destination() {
    let (amqp_0_9_1, amqp_1_0) = (start("rabbitmq_amqp1_0").await, start("rabbitmq_amqp1_0").await);
    for frozen in ["amqp", "amqp1"] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("n.log");
        let config = config(&file, &amqp_0_9_1, &amqp_1_0, frozen);
        let (notifier, worker) = glance_notify::start(&config).unwrap();
        let worker = tokio::spawn(worker.run());
        // Both brokers are connected before one of them stops.
        emit(&notifier, 0..10);
        notifier.flush(Duration::from_secs(60)).await.unwrap();
        let broker = if frozen == "amqp" { &amqp_0_9_1 } else { &amqp_1_0 };
        wait_until("the optional broker has its messages", || {
            account(&notifier, frozen).pending.messages == 0
        });
        broker.freeze();

        for number in 10..110 {
            let (image, task) = events(number);
            for event in [image, task] {
                let sent = timeout(Duration::from_secs(30), notifier.send(&event)).await;
                sent.expect("`send` returns").unwrap();
            }
        }
        emit(&notifier, 110..500);
        notifier.flush(Duration::from_secs(60)).await.unwrap();
        for name in ["log", "amqp", "amqp1"] {
            let taken = if name == "amqp1" { 500 } else { 1_000 };
            let before = if name == "amqp1" { 10 } else { 20 };
            let stats = account(&notifier, name);
            assert_eq!(stats.emitted, taken, "{name}");
            let delivered = if name == frozen { before } else { taken };
            assert_eq!(stats.delivered, delivered, "{name} while {frozen} is frozen: {stats:?}");
        }
        let in_file = texts(std::fs::read(&file).unwrap().split(|byte| *byte == b'\n'));
        assert_eq!(in_file.len(), 1_000, "{frozen}");

        broker.unfreeze();
        notifier.shutdown(Duration::from_secs(60)).await;
        worker.await.unwrap();
        let images: BTreeSet<_> =
            in_file.iter().filter(|text| text.contains("image")).cloned().collect();
        assert_eq!(drain(&amqp_0_9_1), in_file, "{frozen}");
        assert_eq!(drain(&amqp_1_0), images, "{frozen}");
    }
}

/// Starts a broker with a plugin, and declares its queue.
async fn start(plugin: &'static str) -> RabbitMq {
    let start = move || {
        let broker = RabbitMq::builder().plugin(plugin).start();
        broker.root().declare_queue(QUEUE, &json!({ "durable": true }));
        broker
    };
    tokio::task::spawn_blocking(start).await.unwrap()
}

/// Returns the configuration of three destinations, of which `optional` is not required.
fn config(file: &Path, amqp: &RabbitMq, amqp1: &RabbitMq, optional: &str) -> Config {
    let required = |name: &str| name != optional;
    let text = format!(
        "[[destination]]\nname = 'log'\nstrategy = 'log'\nlog.file = '{}'\n\
         [[destination]]\nname = 'amqp'\nstrategy = 'rabbit'\nrequired = {}\n\
         rabbit.url = 'amqp://guest:guest@127.0.0.1:{}'\n\
         [[destination]]\nname = 'amqp1'\nstrategy = 'qpid'\nrequired = {}\nevents = ['image.*']\n\
         qpid.url = 'amqp://guest:guest@127.0.0.1:{}'\n",
        file.display(),
        required("amqp"),
        amqp.port(),
        required("amqp1"),
        amqp1.port(),
    );
    text.parse().unwrap()
}

/// Returns two events, of which the filter takes the first.
fn events(number: usize) -> (Event, Event) {
    let image = Payload::Warn(format!("image {number}"));
    let task = Payload::Warn(format!("task {number}"));
    (Event::ImageUpload(image), Event::TaskFailure(task))
}

/// Emits two events for each number.
fn emit(notifier: &Notifier, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let (image, task) = events(number);
        notifier.emit(&image);
        notifier.emit(&task);
    }
}

/// Returns the account of a destination.
fn account(notifier: &Notifier, name: &str) -> Stats {
    let accounts = notifier.destinations();
    accounts.into_iter().find(|account| account.name == name).unwrap().stats
}

/// Returns the payloads of notifications.
fn texts<T: AsRef<[u8]>>(bodies: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    let bodies = bodies.into_iter().filter(|body| !body.as_ref().is_empty());
    let text = |body: T| {
        let value: Value = serde_json::from_slice(body.as_ref()).unwrap();
        value["payload"].as_str().unwrap().to_owned()
    };
    bodies.map(text).collect()
}

/// Takes all messages of a broker. Those that were in flight when it froze may be there twice.
fn drain(broker: &RabbitMq) -> BTreeSet<String> {
    texts(broker.root().drain(QUEUE).into_iter().map(|message| message.body))
}

/// The queue of all events here.
const QUEUE: &str = "notifications.warn";
