//! Notifications through `Notifier` to the strategy `log`, against one thread that writes the same
//! JSON to a file.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify_conformance::samples;
use notify_core::{Body, Encoding, Event, EventType, Notification, Notifier, Priority};
use notify_log::{Config, FileConfig, Log};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::measure::{Contestant, Measured, compare, mebibytes};

pub(crate) struct Options {
    messages: usize,
    rounds: usize,
    dir: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { messages: 1_000_000, rounds: 7, dir: None };
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(format!("{name} needs a value"))?;
            let number = || value.parse().map_err(|_| format!("{name}: {value} is no number"));
            match name.as_str() {
                "--messages" => options.messages = number()?,
                "--rounds" => options.rounds = number()?.max(1),
                "--dir" => options.dir = Some(value.into()),
                _ => return Err(format!("{name}: log takes --messages, --rounds and --dir")),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(options: &Options) {
    let dir = match &options.dir {
        Some(dir) => tempfile::tempdir_in(dir),
        None => tempfile::tempdir(),
    };
    let dir = dir.expect("a directory to write to");
    let path = dir.path().join("n.log");
    let events = events();
    let messages = options.messages;
    println!("{messages} notifications of Glance's own, {} kinds, log.sync = false", events.len());

    println!("\nresident memory, in MiB:");
    notifier_to_log(&path, &events, messages, Some(10));
    println!("  at most {:7.1}", mebibytes("VmHWM"));

    let contestants: Vec<Contestant<'_>> = vec![
        ("notifier to log", Box::new(|| notifier_to_log(&path, &events, messages, None))),
        (
            "one thread, our encoding, BufWriter",
            Box::new(|| one_thread_our_encoding(&path, &events, messages)),
        ),
        (
            "one thread, serde_json, BufWriter",
            Box::new(|| one_thread_serde_json(&path, &events, messages)),
        ),
    ];
    let all = compare(options.rounds, contestants);
    println!("\nmedians of {} rounds", options.rounds);
    println!("{:37} thousand messages per second        ratio  CPU each", "");
    let ours = all[0].rate.median();
    for Measured { name, rate, cpu } in &all {
        let [median, lowest, highest] =
            [rate.median(), rate.lowest(), rate.highest()].map(|rate| rate / 1000.0);
        let (ratio, cpu) = (ours / rate.median(), cpu.median());
        println!(
            "  {name:36} {median:5.0} ({lowest:.0} to {highest:.0})\t\t{ratio:.2}  {cpu:.2} us"
        );
    }
}

/// The typed ones of Glance's notifications.
fn events() -> Vec<Event> {
    let typed = |body| match body {
        Body::Event(event) => Some(event),
        Body::AsRead { .. } => None,
    };
    samples::glance_2013().into_iter().filter_map(typed).collect()
}

/// Emits as a service does that waits for room and drops its receipts. With `marks`, prints the
/// resident memory so many times on the way.
fn notifier_to_log(path: &Path, events: &[Event], count: usize, marks: Option<usize>) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let log = Log::new(Config::File(FileConfig::new(path).sync(false)));
    let (notifier, worker) =
        Notifier::builder(Box::new(log)).build().expect("the defaults to be right");
    let worker = worker.spawn_thread().expect("a thread");
    let stats = runtime.expect("a runtime").block_on(async {
        for (number, event) in (0..count).zip(events.iter().cycle()) {
            drop(notifier.enqueue(event).await);
            if marks.is_some_and(|marks| (number + 1) % (count / marks).max(1) == 0) {
                println!("  {:9} {:7.1}", number + 1, mebibytes("VmRSS"));
            }
        }
        notifier.shutdown(Duration::from_secs(60)).await
    });
    worker.join().expect("the worker to end");
    assert_eq!(stats.delivered, count as u64, "{stats:?}");
    std::fs::remove_file(path).expect("the log");
    count
}

/// The limit: all that `emit` does to a notification, without a queue.
fn one_thread_our_encoding(path: &Path, events: &[Event], count: usize) -> usize {
    let (stamps, _) = Notifier::builder(Box::new(Log::new(Config::Stdout)))
        .build()
        .expect("the defaults to be right");
    let null = || Body::AsRead {
        event_type: EventType::ImageCreate,
        priority: Priority::Info,
        payload: Value::Null,
    };
    let mut notifications: Vec<_> = events.iter().map(notification).collect();
    one_thread(path, count, &mut notifications, |file, notification| {
        let Notification { message_id, timestamp, .. } = stamps.stamp(null());
        notification.message_id = message_id;
        notification.timestamp = timestamp;
        let message = notification.encode(&Encoding::default()).expect("a sample");
        file.write_all(message.body()).expect("room on the disk");
    })
}

/// What somebody would write who has `serde_json` and needs no redaction. Id and time are fixed:
/// this peer is as fast as it can be.
fn one_thread_serde_json(path: &Path, events: &[Event], count: usize) -> usize {
    let mut envelopes: Vec<_> = events.iter().map(envelope).collect();
    one_thread(path, count, &mut envelopes, |file, envelope| {
        serde_json::to_writer(file, envelope).expect("room on the disk");
    })
}

/// Writes what `write` makes of each of `items`, in turn, through a buffer of 64 KiB.
fn one_thread<T>(
    path: &Path,
    count: usize,
    items: &mut [T],
    write: impl Fn(&mut BufWriter<File>, &mut T),
) -> usize {
    let mut file = BufWriter::with_capacity(64 * 1024, File::create(path).expect("a file"));
    for number in 0..count {
        write(&mut file, &mut items[number % items.len()]);
        file.write_all(b"\n").expect("room on the disk");
    }
    file.flush().expect("room on the disk");
    std::fs::remove_file(path).expect("the file");
    count
}

#[derive(Serialize)]
struct Envelope {
    message_id: Uuid,
    publisher_id: &'static str,
    event_type: &'static str,
    priority: &'static str,
    payload: Value,
    timestamp: &'static str,
}

fn notification(event: &Event) -> Notification {
    Notification {
        message_id: Uuid::nil(),
        publisher_id: "image.host1".into(),
        timestamp: OffsetDateTime::UNIX_EPOCH,
        body: event.clone().into(),
    }
}

/// The same notification, as a program without our types would hold it.
fn envelope(event: &Event) -> Envelope {
    let message = notification(event).encode(&Encoding::default()).expect("a sample");
    let mut value: Value = serde_json::from_slice(message.body()).expect("JSON");
    Envelope {
        message_id: Uuid::nil(),
        publisher_id: "image.host1",
        event_type: message.event_type().as_str(),
        priority: message.priority().as_str(),
        payload: value["payload"].take(),
        timestamp: "2026-11-22 12:00:00.123456",
    }
}
