//! Helpers that the tests share: messages, attempts, and a recorder of log events.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use notify_core::codec::Encoding;
use notify_core::transport::Settlements;
use notify_core::{Batch, Error, Message, Notification, Result, Transport, Verdict};
use notify_log::{Config, FileConfig, Log};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// Returns a transport to one file, without syncing: most tests are not about the disk.
pub(crate) fn log(path: &Path) -> Log {
    Log::new(Config::File(FileConfig::new(path).sync(false)))
}

/// Returns notification `number` of series `series`, with a payload of at least `size` bytes.
pub(crate) fn notification(series: u32, number: u32, size: usize) -> Notification {
    let text = format!("{series} {number} {}", "x".repeat(size));
    let json = format!(
        r#"{{"message_id":"00000000-0000-4000-8000-{series:04x}{number:08x}","publisher_id":"host",
        "event_type":"image.upload","priority":"WARN","timestamp":"2026-11-22 12:00:00.000000",
        "payload":"{text}"}}"#,
    );
    Notification::decode(json.as_bytes()).unwrap()
}

/// Returns the same notification, encoded.
pub(crate) fn message(series: u32, number: u32, size: usize) -> Message {
    notification(series, number, size).encode(&Encoding::default()).unwrap()
}

/// Returns messages of series `series` with small bodies.
pub(crate) fn messages(series: u32, numbers: std::ops::Range<u32>) -> Vec<Message> {
    numbers.map(|number| message(series, number, 0)).collect()
}

/// Returns the series and the number of a line, if the line equals the body of a [`message`].
pub(crate) fn parse_line(line: &[u8]) -> Option<(u32, u32)> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    let mut words = value["payload"].as_str()?.split(' ');
    let (series, number) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let size = words.next()?.len();
    (message(series, number, size).body() == line).then_some((series, number))
}

/// Returns the series and the number of every line.
///
/// # Panics
///
/// Panics if a line is not the body of a [`message`], or if the last line is partial.
pub(crate) fn complete_lines(content: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    assert!(content.is_empty() || content.ends_with(b"\n"), "the last line is partial");
    let lines = content.split_inclusive(|&byte| byte == b'\n');
    lines.map(|line| {
        let parsed = parse_line(&line[..line.len() - 1]);
        parsed.unwrap_or_else(|| panic!("not a line: {:?}", String::from_utf8_lossy(line)))
    })
}

/// The verdicts and the result of one attempt.
pub(crate) struct SendReport {
    /// The verdict of each message; `None` for an unsettled message.
    pub(crate) verdicts: Vec<Option<Verdict>>,
    /// The result of `send`.
    pub(crate) result: Result<()>,
}

impl SendReport {
    /// Returns the number of accepted messages.
    ///
    /// # Panics
    ///
    /// Panics if an accepted message follows one that is not accepted.
    pub(crate) fn accepted(&self) -> usize {
        let accepted = |verdict: &&Option<Verdict>| matches!(verdict, Some(Verdict::Accept));
        let first = self.verdicts.iter().take_while(accepted).count();
        assert_eq!(self.verdicts.iter().filter(accepted).count(), first, "lines are in order");
        first
    }

    /// Returns the error of the attempt, which must have failed.
    pub(crate) fn error(&self) -> Error {
        self.result.clone().expect_err("the attempt to fail")
    }
}

/// Sends `messages` once.
pub(crate) async fn attempt(transport: &mut dyn Transport, messages: &[Message]) -> SendReport {
    let mut verdicts = vec![None; messages.len()];
    let mut sink = |settlements: Settlements<'_>| {
        for (index, verdict) in settlements {
            assert!(verdicts[index].replace(verdict).is_none(), "settled twice");
        }
    };
    let result = transport.send(&mut Batch::new(messages, &mut sink)).await;
    SendReport { verdicts, result }
}

/// Sends `messages` once. The transport must accept all of them.
pub(crate) async fn deliver(transport: &mut dyn Transport, messages: &[Message]) {
    let attempt = attempt(transport, messages).await;
    attempt.result.as_ref().expect("the attempt to succeed");
    assert_eq!(attempt.accepted(), messages.len());
}

/// Returns the bodies of messages as a file holds them.
pub(crate) fn text(messages: &[Message]) -> String {
    messages.iter().map(|message| String::from_utf8_lossy(message.body()) + "\n").collect()
}

/// Reads a log file as text.
pub(crate) fn content(path: &Path) -> String {
    fs::read_to_string(path).expect("the log to be readable")
}

/// A subscriber that records the levels and texts of one target's events.
#[derive(Clone)]
pub(crate) struct EventRecorder {
    /// The target to record; the recorder disables all others.
    target: &'static str,
    /// The events so far, shared between clones.
    events: Arc<Mutex<Vec<(Level, String)>>>,
}

impl EventRecorder {
    /// Creates a recorder for the events of `target`.
    pub(crate) fn new(target: &'static str) -> Self {
        Self { target, events: Arc::default() }
    }

    /// Returns the events so far.
    pub(crate) fn events(&self) -> Vec<(Level, String)> {
        self.events.lock().unwrap().clone()
    }
}

/// A visitor that keeps an event's text.
struct MessageVisitor(String);

impl Visit for MessageVisitor {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for EventRecorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == self.target
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = MessageVisitor(String::new());
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
