//! Batches accepted by the spool, against plain appending and syncing of the same batches.
//!
//! The spool is measured with a destination that takes nothing, and with one that takes everything at
//! once, while its messages are forwarded and removed again.
//!
//! ```text
//! cargo run --release -p notify-bench --bin spool -- [--messages N] [--batch N] [--rounds N] [--dir DIR]
//! ```

#![expect(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for developers: it prints, and stops where it cannot measure"
)]

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use glance_notify::time::OffsetDateTime;
use glance_notify::uuid::Uuid;
use notify_conformance::samples;
use notify_core::{
    Batch, Body, Encoding, EventType, Message, Notification, Stage, Transport, Verdict,
};
use notify_spool::{Config, Spool};

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)) {
        Ok(options) => {
            run(&options);
            ExitCode::SUCCESS
        }
        Err(usage) => {
            eprintln!("spool: {usage}");
            ExitCode::from(2)
        }
    }
}

struct Options {
    messages: usize,
    batch: usize,
    rounds: usize,
    dir: Option<PathBuf>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { messages: 200_000, batch: 1024, rounds: 7, dir: None };
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(format!("{name} needs a value"))?;
            let number = || match value.parse() {
                Ok(0) | Err(_) => Err(format!("{name}: {value} is no number above 0")),
                Ok(number) => Ok(number),
            };
            match name.as_str() {
                "--messages" => options.messages = number()?,
                "--batch" => options.batch = number()?,
                "--rounds" => options.rounds = number()?,
                "--dir" => options.dir = Some(value.into()),
                _ => {
                    let takes = "spool takes --messages, --batch, --rounds and --dir";
                    return Err(format!("{name}: {takes}"));
                }
            }
        }
        Ok(options)
    }
}

fn run(options: &Options) {
    let dir = match &options.dir {
        Some(dir) => tempfile::tempdir_in(dir),
        None => tempfile::tempdir(),
    };
    let dir = dir.expect("a directory to write to");
    let messages = messages(options.messages);
    let bytes: usize = messages.iter().map(|message| message.body().len()).sum();
    println!(
        "{} notifications of Glance's own, {} bytes each, in batches of {}, each synced",
        messages.len(),
        bytes / messages.len(),
        options.batch
    );
    let contestants: [(&str, &dyn Fn() -> Duration); 3] = [
        ("plain append and fdatasync", &|| plain(dir.path(), &messages, options.batch)),
        ("spool, nothing forwarded", &|| spool(dir.path(), &messages, options.batch, false)),
        ("spool, everything forwarded", &|| spool(dir.path(), &messages, options.batch, true)),
    ];
    let mut rates = contestants.map(|_| Vec::new());
    for _ in 0..options.rounds {
        for (rates, (_, contestant)) in rates.iter_mut().zip(&contestants) {
            rates.push(messages.len() as f64 / contestant().as_secs_f64());
        }
    }
    println!(
        "\nmedians of {} rounds, thousand messages per second; ratio to plain",
        options.rounds
    );
    let medians = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    for ((name, _), median) in contestants.iter().zip(&medians) {
        println!("  {name:30} {:8.0}  {:.2}", median / 1000.0, median / medians[0]);
    }
    reopening(dir.path(), &messages[..messages.len().min(100_000)], options.batch);
}

/// As many messages as are wanted, of Glance's kinds, each with an id of its own.
fn messages(count: usize) -> Vec<Message> {
    let bodies: Vec<Body> = samples::glance_2013();
    let notification = |(number, body): (u128, &Body)| Notification {
        message_id: Uuid::from_u128(number),
        publisher_id: "image.host1".into(),
        timestamp: OffsetDateTime::UNIX_EPOCH,
        body: body.clone(),
    };
    let notifications = (0..).zip(bodies.iter().cycle()).take(count).map(notification);
    notifications.map(|it| it.encode(&Encoding::default()).expect("a sample")).collect()
}

fn plain(dir: &Path, messages: &[Message], batch: usize) -> Duration {
    let path = dir.join("plain");
    let mut file = File::create(&path).expect("a file");
    let start = Instant::now();
    let mut lines = Vec::new();
    for batch in messages.chunks(batch) {
        lines.clear();
        for message in batch {
            lines.extend_from_slice(message.body());
            lines.push(b'\n');
        }
        file.write_all(&lines).expect("room on the disk");
        file.sync_data().expect("a disk that syncs");
    }
    let took = start.elapsed();
    std::fs::remove_file(path).expect("the file");
    took
}

/// How long the spool takes to accept all messages.
fn spool(dir: &Path, messages: &[Message], batch: usize, forwarding: bool) -> Duration {
    let path = dir.join("spool");
    let took = with_runtime(async {
        let (mut spool, forwarder) = open(&path);
        let (over, closing) = tokio::sync::oneshot::channel();
        let account = forwarder.account();
        let forwarding = forwarding.then(|| {
            let closing = Box::pin(async { closing.await.unwrap_or_default() });
            tokio::spawn(Box::new(forwarder).run(closing))
        });
        let start = Instant::now();
        accept(&mut spool, messages, batch).await;
        let took = start.elapsed();
        if let Some(forwarding) = forwarding {
            while account().pending.messages > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let behind = start.elapsed().saturating_sub(took);
            over.send(Duration::ZERO).ok();
            forwarding.await.expect("the forwarder to end");
            assert_eq!(account().delivered, messages.len() as u64);
            println!(
                "  forwarded {:.0} ms after the last was accepted",
                behind.as_secs_f64() * 1e3
            );
        }
        spool.close().await.expect("the spool to close");
        took
    });
    std::fs::remove_dir_all(path).expect("the spool");
    took
}

/// Prints how long it takes until a spool that holds messages can be used again.
fn reopening(dir: &Path, messages: &[Message], batch: usize) {
    let path = dir.join("reopened");
    with_runtime(async {
        let (mut spool, forwarder) = open(&path);
        drop(forwarder);
        accept(&mut spool, messages, batch).await;
        spool.close().await.expect("the spool to close");
        let (mut spool, forwarder) = open(&path);
        drop(forwarder);
        let start = Instant::now();
        accept(&mut spool, &messages[..1], 1).await;
        let took = start.elapsed().as_secs_f64() * 1000.0;
        println!("\nreopening a spool of {} messages: {took:.0} ms", messages.len());
        spool.close().await.expect("the spool to close");
    });
    std::fs::remove_dir_all(path).expect("the spool");
}

fn open(path: &Path) -> (Spool, notify_spool::Forwarder) {
    let mut config = Config::new(path);
    config.max_bytes = u64::MAX;
    config.max_messages = u64::MAX;
    Spool::open(config, Box::new(Everything)).expect("the defaults to be right")
}

async fn accept(spool: &mut Spool, messages: &[Message], batch: usize) {
    for batch in messages.chunks(batch) {
        let mut accepted = 0;
        let mut sink = |settlements: notify_core::Settlements<'_>| {
            accepted += settlements.filter(|(_, it)| matches!(it, Verdict::Accept)).count();
        };
        spool.send(&mut Batch::new(batch, &mut sink)).await.expect("the disk to take it");
        assert_eq!(accepted, batch.len());
    }
}

fn with_runtime<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build();
    runtime.expect("a runtime").block_on(run)
}

/// Takes everything at once.
#[derive(Debug)]
struct Everything;

#[async_trait]
impl Transport for Everything {
    fn name(&self) -> &'static str {
        "everything"
    }

    fn wants(&self, _: EventType) -> bool {
        true
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> notify_core::Result<()> {
        batch.settle_rest(&Verdict::Accept);
        Ok(())
    }

    async fn close(&mut self) -> notify_core::Result<()> {
        Ok(())
    }
}
