//! The test of the reader: it kills a process that listens through a durable tap, and the broker, while
//! notifications are published. Every notification that the broker confirmed must be in the reader's
//! store in the end.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fastrand::Rng;
use glance_notify::Config;
use glance_notify::pipeline::Notifier;
use notify_conformance::samples;
use notify_testbed::broker::rabbitmq::Vhost;
use notify_testbed::wait::wait_until;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::environment::RunEnvironment;
use crate::reader::{PREFETCH, READER_ROLE, ReaderStore, TAP};
use crate::report::{ChaosReport, ReportRow};

/// The size of the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReaderKills {
    /// The notifications to publish.
    pub(crate) notifications: u64,
    /// The kills of the reader.
    pub(crate) of_reader: u64,
    /// The kills of the broker.
    pub(crate) of_broker: u64,
}

impl ReaderKills {
    /// The size of a long run.
    pub(crate) const LONG: Self = Self { notifications: 200_000, of_reader: 20, of_broker: 3 };
    /// The size of a short run.
    pub(crate) const SHORT: Self = Self { notifications: 6_000, of_reader: 5, of_broker: 1 };
}

/// An event during the publishing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KillTarget {
    Reader,
    Broker,
}

/// Publishes, kills, and compares.
pub(crate) fn run(
    environment: &RunEnvironment,
    directory: &Path,
    seed: u64,
    size: ReaderKills,
    report: &mut ChaosReport,
) {
    let mut rng = Rng::with_seed(seed);
    let broker = &environment.broker;
    let vhost = broker.vhost();
    let store = directory.join("reader.store");
    vhost.declare_exchange("glance", "topic", &json!({ "durable": true }));
    // The queue of the services has no reader here.
    let bound = json!({ "max-length": 1_000 });
    vhost.set_policy("bound", r"^notifications\.", &bound);
    let mut reader = ReaderProcess::start(&vhost, &store, directory);
    wait_until("the tap is there", || has_consumer(&vhost));
    // RabbitMQ 3.10 can forget a declaration that is younger than two seconds.
    vhost.sync_metadata();

    let mut kills = vec![KillTarget::Reader; usize::try_from(size.of_reader).unwrap_or(0)];
    kills.resize(usize::try_from(size.of_reader + size.of_broker).unwrap_or(0), KillTarget::Broker);
    rng.shuffle(&mut kills);
    let runtime = Runtime::new().expect("the system offers threads");
    let notifier = runtime.block_on(async { start_notifier(&vhost) });
    let start = Instant::now();
    let share = size.notifications / (kills.len() as u64 + 1);
    let mut confirmed = Vec::new();
    let mut next = 0;
    let mut publish = |until: u64| {
        let numbers = next..until;
        next = until;
        runtime.spawn(publish(notifier.clone(), numbers))
    };
    for (number, kill) in (1..).zip(kills) {
        let publishing = publish(share * number);
        sleep(Duration::from_millis(rng.u64(0..700)));
        match kill {
            KillTarget::Reader => {
                reader.kill();
                sleep(Duration::from_millis(rng.u64(0..300)));
                reader = ReaderProcess::start(&vhost, &store, directory);
            }
            KillTarget::Broker => {
                broker.kill();
                sleep(Duration::from_millis(rng.u64(0..1_000)));
                broker.restart();
            }
        }
        confirmed.extend(runtime.block_on(publishing).expect("publishing does not panic"));
    }
    let publishing = publish(size.notifications);
    confirmed.extend(runtime.block_on(publishing).expect("publishing does not panic"));
    let stats = runtime.block_on(notifier.shutdown(Duration::from_secs(60)));
    let mut problems = Vec::new();
    if confirmed.len() as u64 != size.notifications {
        problems.push(format!("the broker confirmed {} of {}", confirmed.len(), stats.emitted));
    }
    wait_until("the reader has a session", || has_consumer(&vhost));
    wait_until("the tap is empty", || queue_messages(&vhost) == 0);
    let counts = reader.end();
    println!("reader kills: {counts}");

    let read = ReaderStore::open(&store);
    let lost: Vec<_> = confirmed.iter().filter(|id| !read.holds(id)).collect();
    if let Some(first) = lost.first() {
        problems.push(format!("lost {} confirmed notifications, among them {first}", lost.len()));
    }
    // An acknowledgement on its way is lost with the process, so its batch comes again. A broker that is killed
    // also forgets those that it had in memory.
    let interruptions = size.of_reader + size.of_broker;
    let most_repeated = interruptions * PREFETCH + size.of_broker * UNWRITTEN_ACKS;
    if read.repeated_after_ack > most_repeated {
        problems.push(format!("{} acknowledged ones came again", read.repeated_after_ack));
    }
    if counts.is_empty() {
        problems.push("the last reader ended without its counts".to_owned());
    }
    println!(
        "reader kills: {} of the reader, {} of the broker, in {:.0} s; {} acknowledged ones came again",
        size.of_reader,
        size.of_broker,
        start.elapsed().as_secs_f64(),
        read.repeated_after_ack,
    );
    let row = ReportRow {
        tries: interruptions,
        issued: size.notifications,
        accepted: confirmed.len() as u64,
        delivered: read.ids(),
        duplicated: read.repetitions(),
        lost: lost.len() as u64,
        longest_pause: read.longest_pause,
    };
    report.add_row(&format!("{interruptions} kills while reading"), row);
    report.add_problems("reader kills", problems);
}

/// A reader in a process of its own. Dropping it kills the process.
struct ReaderProcess(Child);

impl ReaderProcess {
    /// Starts a reader of the virtual host. Its log goes to `directory`.
    fn start(vhost: &Vhost<'_>, store: &Path, directory: &Path) -> Self {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(directory.join("reader.log"))
            .expect("the directory of the run is writable");
        let program = std::env::current_exe().expect("the program has a path");
        let child = Command::new(program)
            .arg(READER_ROLE)
            .arg(vhost.url())
            .arg(store)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the program starts again");
        Self(child)
    }

    /// Kills the process with SIGKILL.
    fn kill(&mut self) {
        self.0.kill().expect("the reader runs");
        self.0.wait().expect("the reader is a child");
    }

    /// Ends the reader in order, and returns the counts that it prints.
    fn end(mut self) -> String {
        drop(self.0.stdin.take());
        let mut counts = String::new();
        if let Some(output) = self.0.stdout.as_mut() {
            std::io::Read::read_to_string(output, &mut counts).expect("the reader prints text");
        }
        let status = self.0.wait().expect("the reader is a child");
        if status.success() { counts.trim().to_owned() } else { String::new() }
    }
}

impl Drop for ReaderProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a notifier that publishes to durable queues.
fn start_notifier(vhost: &Vhost<'_>) -> Notifier {
    let config = format!("strategy = 'rabbit'\nrabbit.url = '{}'", vhost.url());
    let config: Config = config.parse().expect("the configuration is valid");
    let (notifier, worker) = glance_notify::start(&config).expect("the notifier starts");
    tokio::spawn(worker.run());
    notifier
}

/// Publishes notifications and returns the ids of those that the broker confirmed.
async fn publish(notifier: Notifier, numbers: std::ops::Range<u64>) -> Vec<String> {
    let mut receipts = Vec::new();
    for number in numbers {
        let notification = notifier.stamp(samples::notification(number).payload);
        let id = notification.message_id;
        receipts.push((id, notifier.resend(&notification).await));
    }
    let mut confirmed = Vec::new();
    for (id, receipt) in receipts {
        if receipt.await.is_ok() {
            confirmed.push(id.to_string());
        }
    }
    confirmed
}

/// Returns whether the tap has a consumer.
fn has_consumer(vhost: &Vhost<'_>) -> bool {
    vhost.queue(&format!("glance-notify.{TAP}")).is_some_and(|queue| queue.consumers > 0)
}

/// Returns the number of messages in the tap, those at the reader included.
fn queue_messages(vhost: &Vhost<'_>) -> u64 {
    vhost.queue(&format!("glance-notify.{TAP}")).map_or(u64::MAX, |queue| queue.messages)
}

/// The acknowledgements of a classic queue that RabbitMQ 3 may hold in memory before it writes them to the disk
/// (`queue_index_max_journal_entries`).
const UNWRITTEN_ACKS: u64 = 32_768;
