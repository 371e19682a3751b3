//! A log file in a temporary directory, and the deliveries of its listener.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use notify_conformance::samples;
use notify_core::Message;
use notify_core::listener::{DeadLetters, Listener};
use notify_log::{FileSource, FileSourceConfig};
use tempfile::TempDir;
use tokio::time::timeout;
use uuid::Uuid;

/// A log file in a temporary directory.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn named(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.named("n.log")
    }

    /// Appends samples to the live file, which it creates.
    pub(crate) fn append(&self, numbers: std::ops::Range<u64>) -> File {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path()).unwrap();
        write(&mut file, numbers);
        file
    }

    /// Returns the ids of samples.
    #[expect(clippy::unused_self, reason = "it reads well at the end of an assertion")]
    pub(crate) fn numbers(&self, numbers: impl IntoIterator<Item = u64>) -> Vec<Uuid> {
        numbers.into_iter().map(|number| samples::notification(number).message_id).collect()
    }

    /// Counts the notifications in the live file and in all rotated ones.
    pub(crate) fn count_all_lines(&self) -> BTreeMap<Uuid, usize> {
        let mut counts = BTreeMap::new();
        for entry in fs::read_dir(self.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("n.log") {
                let output = Command::new("zcat").arg("-f").arg(path).output().unwrap();
                count_lines(&output.stdout, &mut counts);
            }
        }
        counts
    }

    /// Starts a listener on the live file, with a checkpoint.
    pub(crate) fn listener(&self, change: impl FnOnce(&mut FileSourceConfig)) -> Listener {
        let mut config = FileSourceConfig::new(self.path());
        config.checkpoint = Some(self.named("position"));
        config.poll = Duration::from_millis(10);
        change(&mut config);
        let dead_letters = DeadLetters::file(self.named("dead.jsonl"));
        Listener::builder(FileSource::new(config), dead_letters).start().unwrap()
    }
}

/// Returns samples as lines.
pub(crate) fn lines(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let messages = samples::messages(numbers);
    messages.iter().flat_map(|message| [message.body(), b"\n"].concat()).collect()
}

pub(crate) fn write(file: &mut File, numbers: std::ops::Range<u64>) {
    file.write_all(&lines(numbers)).unwrap();
}

/// Returns the next delivery.
pub(crate) async fn next(listener: &mut Listener) -> notify_core::listener::Delivery {
    let next = timeout(LONG, listener.next_delivery()).await;
    next.unwrap_or_else(|_| panic!("a line is missing: {:?}", listener.stats())).unwrap().unwrap()
}

/// Acknowledges a number of deliveries and returns their ids in order.
pub(crate) async fn take(listener: &mut Listener, count: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let delivery = next(listener).await;
        ids.push(delivery.message().unwrap().id());
        delivery.ack().await.unwrap();
    }
    ids
}

/// Asserts that no delivery comes for a while.
pub(crate) async fn nothing_more(listener: &mut Listener) {
    let more = timeout(Duration::from_millis(200), listener.next_delivery()).await;
    assert!(more.is_err(), "{more:?}");
}

/// Counts the notifications of a text by their ids.
fn count_lines(text: &[u8], counts: &mut BTreeMap<Uuid, usize>) {
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        *counts.entry(Message::from_body(line.to_vec()).unwrap().id()).or_default() += 1;
    }
}

/// A time that is over only if something is stuck.
pub(crate) const LONG: Duration = Duration::from_secs(60);
