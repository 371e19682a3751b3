//! What the tests share: messages, batches, and what a program logs.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use notify_core::codec::Encoding;
use notify_core::transport::Settlements;
use notify_core::{Batch, Error, Message, Notification, Result, Transport, Verdict};
use notify_log::{Config, FileConfig, Log};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// The strategy `log` on one file, unsynced: what is tested is not the disk.
pub(crate) fn log(path: &Path) -> Log {
    Log::new(Config::File(FileConfig::new(path).sync(false)))
}

/// Notification `number` of series `series`, with a payload of at least `size` bytes.
pub(crate) fn notification(series: u32, number: u32, size: usize) -> Notification {
    let text = format!("{series} {number} {}", "x".repeat(size));
    let json = format!(
        r#"{{"message_id":"00000000-0000-4000-8000-{series:04x}{number:08x}","publisher_id":"host",
        "event_type":"image.upload","priority":"WARN","timestamp":"2026-11-22 12:00:00.000000",
        "payload":"{text}"}}"#,
    );
    Notification::from_json(json.as_bytes()).unwrap()
}

/// The same, encoded.
pub(crate) fn message(series: u32, number: u32, size: usize) -> Message {
    notification(series, number, size).encode(&Encoding::default()).unwrap()
}

/// Messages of series `series` with small bodies.
pub(crate) fn messages(series: u32, numbers: std::ops::Range<u32>) -> Vec<Message> {
    numbers.map(|number| message(series, number, 0)).collect()
}

/// Series and number of a line, if it is one of [`message`], whole and byte for byte.
pub(crate) fn read(line: &[u8]) -> Option<(u32, u32)> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    let mut words = value["payload"].as_str()?.split(' ');
    let (series, number) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let size = words.next()?.len();
    (message(series, number, size).body() == line).then_some((series, number))
}

/// The lines of a file, each of which must be one of [`message`].
pub(crate) fn whole_lines(content: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    assert!(content.is_empty() || content.ends_with(b"\n"), "the last line is cut");
    let lines = content.split_inclusive(|&byte| byte == b'\n');
    lines.map(|line| {
        let read = read(&line[..line.len() - 1]);
        read.unwrap_or_else(|| panic!("not a line: {:?}", String::from_utf8_lossy(line)))
    })
}

/// What one attempt said of each message.
pub(crate) struct Attempt {
    pub(crate) verdicts: Vec<Option<Verdict>>,
    pub(crate) result: Result<()>,
}

impl Attempt {
    /// How many were accepted, none of them after one that was not.
    pub(crate) fn accepted(&self) -> usize {
        let accepted = |verdict: &&Option<Verdict>| matches!(verdict, Some(Verdict::Accept));
        let first = self.verdicts.iter().take_while(accepted).count();
        assert_eq!(self.verdicts.iter().filter(accepted).count(), first, "lines are in order");
        first
    }

    pub(crate) fn error(&self) -> Error {
        self.result.clone().expect_err("the attempt to fail")
    }
}

/// One attempt.
pub(crate) async fn attempt(transport: &mut dyn Transport, messages: &[Message]) -> Attempt {
    let mut verdicts = vec![None; messages.len()];
    let mut sink = |settlements: Settlements<'_>| {
        for (index, verdict) in settlements {
            assert!(verdicts[index].replace(verdict).is_none(), "settled twice");
        }
    };
    let result = transport.send(&mut Batch::new(messages, &mut sink)).await;
    Attempt { verdicts, result }
}

/// One attempt at which everything has to be accepted.
pub(crate) async fn deliver(transport: &mut dyn Transport, messages: &[Message]) {
    let attempt = attempt(transport, messages).await;
    attempt.result.as_ref().expect("the batch to be taken");
    assert_eq!(attempt.accepted(), messages.len());
}

/// The bodies of messages as a file holds them.
pub(crate) fn text(messages: &[Message]) -> String {
    messages.iter().map(|message| String::from_utf8_lossy(message.body()) + "\n").collect()
}

pub(crate) fn content(path: &Path) -> String {
    fs::read_to_string(path).expect("the log to be readable")
}

/// Levels and texts of the events of one target, as a program's subscriber sees them.
#[derive(Clone)]
pub(crate) struct Seen {
    target: &'static str,
    events: Arc<Mutex<Vec<(Level, String)>>>,
}

impl Seen {
    pub(crate) fn of(target: &'static str) -> Self {
        Self { target, events: Arc::default() }
    }

    pub(crate) fn events(&self) -> Vec<(Level, String)> {
        self.events.lock().unwrap().clone()
    }
}

impl Subscriber for Seen {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == self.target
    }

    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.events.lock().unwrap().push((*event.metadata().level(), text.0));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
