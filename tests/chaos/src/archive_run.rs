//! The run of the archive: oslo.messaging publishes to a durable exchange with a durable tap, while the archive
//! is killed again and again, the broker now and then, and the archive's disk is full once.
//!
//! Afterwards the archive holds what oslo.messaging got confirmed, each once, and each with its content.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fastrand::Rng;
use glance_notify::codec::serde_json::{self, Value, json};
use notify_testbed::broker::oslo::{OsloBulkPublisher, OsloConfig};
use notify_testbed::broker::rabbitmq::Vhost;

use crate::archive_process::{FILL_ROLE, READ_ROLE, TAP};
use crate::environment::RunEnvironment;
use crate::producer_host::ProducerHost;

/// The extent of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArchiveRunPlan {
    pub(crate) seed: u64,
    /// The notifications that oslo.messaging publishes.
    pub(crate) events: u64,
    /// The kills of the archive.
    pub(crate) kills: u32,
    /// The kills of the broker.
    pub(crate) broker_kills: u32,
}

impl ArchiveRunPlan {
    /// The extent of a full run.
    pub(crate) fn full(seed: u64, events: u64) -> Self {
        Self { seed, events, kills: 50, broker_kills: 3 }
    }

    /// The extent of a short run.
    pub(crate) fn short(seed: u64) -> Self {
        Self { seed, events: 1_500, kills: 5, broker_kills: 1 }
    }
}

/// Runs the plan. All files go to `directory`. Returns the problems.
pub(crate) fn run(plan: ArchiveRunPlan, run: &RunEnvironment, directory: &Path) -> Vec<String> {
    let started = Instant::now();
    let (broker, host) = (&run.broker, &run.host);
    let vhost = broker.vhost();
    vhost.declare_exchange("glance", "topic", &json!({"durable": true}));
    let disk = directory.join("archive-disk");
    std::fs::create_dir(&disk).expect("the directory of the run is writable");
    let has_disk = host.missing_namespaces().is_none();
    if has_disk {
        host.mount_memory_disk(&disk);
    }
    let (name, port) = (host.broker_name(), run.proxy.port());
    let url = format!("amqp://guest:guest@{name}:{port}/{}", vhost.name());
    let place = ArchivePlace { host, directory: disk.join("archive"), disk, url };
    let log = directory.join("archive.log");

    let mut archive = place.start(&log);
    wait_for_tap(&vhost);
    let config = OsloConfig::new(&vhost.url()).durable();
    let mut publisher =
        OsloBulkPublisher::start(&config, "messagingv2", "image.chaos", plan.events);
    let mut rng = Rng::with_seed(plan.seed);
    let mut is_disk_full = !has_disk;
    for kill in 1..=plan.kills {
        // The faults are spread over the whole time of publishing.
        let at = plan.events * u64::from(kill) / u64::from(plan.kills + 1);
        publisher.wait_for(at);
        sleep(Duration::from_millis(rng.u64(0..300)));
        drop(archive);
        let share = plan.kills / (plan.broker_kills + 1);
        if kill % share.max(1) == 0 && kill / share.max(1) <= plan.broker_kills {
            broker.kill();
            sleep(Duration::from_millis(rng.u64(0..1_000)));
            broker.restart();
        }
        archive = place.start(&log);
        if !is_disk_full && kill * 2 >= plan.kills {
            is_disk_full = true;
            host.fill_disk(&place.disk);
            publisher.wait_for(at + plan.events / u64::from(plan.kills * 4));
            sleep(Duration::from_secs(3));
            host.clear_disk(&place.disk);
        }
    }
    let confirmed = publisher.finish();
    wait_until_empty(&vhost);
    archive.stop();
    let (stored, mut problems) = place.read();
    problems.extend(compare(plan.events, &confirmed, &stored));
    println!(
        "archive: {} published by oslo.messaging, {} confirmed, {} stored; {} kills of the archive, {} of \
         the broker, {} full disk; {:.0} s",
        plan.events,
        confirmed.len(),
        stored.len(),
        plan.kills,
        plan.broker_kills,
        u8::from(has_disk),
        started.elapsed().as_secs_f64()
    );
    problems
}

/// The place of the archive: its host, its disk and its broker.
struct ArchivePlace<'h> {
    host: &'h ProducerHost,
    disk: PathBuf,
    directory: PathBuf,
    url: String,
}

/// A running archive. Dropping it kills the process with SIGKILL.
struct ArchiveProcess(Child);

impl ArchivePlace<'_> {
    fn start(&self, log: &Path) -> ArchiveProcess {
        let log = File::options().create(true).append(true).open(log);
        let child = self
            .host
            .command(std::env::current_exe().expect("the current program has a path"))
            .arg(FILL_ROLE)
            .arg(&self.url)
            .arg(&self.directory)
            .stdin(Stdio::piped())
            .stderr(log.expect("the directory of the run is writable"))
            .spawn();
        ArchiveProcess(child.expect("the program starts"))
    }

    /// Returns the stored notifications by their numbers, and the problems that the archive itself finds.
    fn read(&self) -> (BTreeMap<u64, Value>, Vec<String>) {
        let mut child = self
            .host
            .command(std::env::current_exe().expect("the current program has a path"))
            .arg(READ_ROLE)
            .arg(&self.directory)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let output = BufReader::new(child.stdout.take().expect("the output is a pipe"));
        let (mut stored, mut problems) = (BTreeMap::new(), Vec::new());
        for line in output.lines() {
            let line: Value = serde_json::from_str(&line.expect("readable")).expect("JSON");
            if let Some(problem) = line["problem"].as_str() {
                problems.push(format!("archive verify: {problem}"));
                continue;
            }
            let number = line["payload"]["size"].as_u64().unwrap_or_default() / 1024;
            if stored.insert(number, line).is_some() {
                problems.push(format!("notification {number} is stored twice"));
            }
        }
        if !child.wait().expect("the child exists").success() {
            problems.push("the archive cannot be read".to_owned());
        }
        (stored, problems)
    }
}

impl ArchiveProcess {
    /// Ends the process in order.
    fn stop(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("the child exists");
    }
}

impl Drop for ArchiveProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the differences between the confirmed and the stored notifications.
fn compare(events: u64, confirmed: &[u64], stored: &BTreeMap<u64, Value>) -> Vec<String> {
    let mut problems = Vec::new();
    let lost: Vec<_> = confirmed.iter().filter(|number| !stored.contains_key(number)).collect();
    if let Some(first) = lost.first() {
        problems.push(format!("{} confirmed notifications are lost, first {first}", lost.len()));
    }
    for (number, line) in stored {
        if *number == 0 || *number > events {
            problems.push(format!("a notification that was never published: {number}"));
        }
        let payload = &line["payload"];
        let is_whole = payload["name"] == json!(format!("image-{number}"))
            && payload["tags"] == json!(["é", "\u{7}", "x".repeat((number % 300) as usize)])
            && payload["owner"] == json!("c0ffee00c0ffee00c0ffee00c0ffee00");
        if !is_whole {
            problems.push(format!("notification {number} has another content"));
        }
        if line.to_string().contains("hunter2") {
            problems.push(format!("notification {number} has its password"));
        }
    }
    problems.truncate(MOST_PROBLEMS);
    problems
}

/// Waits until the tap is declared and bound on the broker's disk.
fn wait_for_tap(vhost: &Vhost<'_>) {
    let queue = format!("glance-notify.{TAP}");
    notify_testbed::wait::wait_until("the archive consumes its tap", || {
        vhost.queue(&queue).is_some_and(|queue| queue.consumers == 1)
    });
    // Declaring anything writes the broker's metadata to its disk.
    vhost.declare_queue("written", &json!({"durable": true}));
}

/// Waits until the tap has no message, also none that is not acknowledged.
fn wait_until_empty(vhost: &Vhost<'_>) {
    let queue = format!("glance-notify.{TAP}");
    notify_testbed::wait::wait_until("the tap is empty", || {
        vhost.queue(&queue).is_some_and(|queue| queue.messages == 0)
    });
}

/// The most problems that a report names.
const MOST_PROBLEMS: usize = 20;
