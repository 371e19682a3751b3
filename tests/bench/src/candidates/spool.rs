//! Batches to the spool, and the same batches appended to a file and synced.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use glance_notify::codec::{Encoding, Message};
use glance_notify::event::EventType;
use notify_core::pipeline::Stage;
use notify_core::transport::Settlements;
use notify_core::{Batch, Transport, Verdict};
use notify_spool::{Config, Forwarder, Spool};
use tokio::runtime::Builder;

use crate::samples::MessageGenerator;
use crate::task::{BenchTask, Clock, Measurement};

/// Appends each batch to a file and syncs it.
pub(crate) fn append(task: &BenchTask) -> Measurement {
    let messages = messages(task.messages);
    let mut file = File::create(&task.file).expect("the directory is writable");
    let mut lines = Vec::new();
    let clock = Clock::start();
    for batch in messages.chunks(task.window) {
        lines.clear();
        for message in batch {
            lines.extend_from_slice(message.body());
            lines.push(b'\n');
        }
        file.write_all(&lines).expect("the disk has room");
        file.sync_data().expect("the disk syncs");
    }
    let measurement = clock.stop(messages.len());
    fs::remove_file(&task.file).expect("the candidate wrote the file");
    measurement
}

/// Stores each batch in the spool, and forwards none.
pub(crate) fn accept(task: &BenchTask) -> Measurement {
    with_runtime(&task.file, async |path| {
        let (mut spool, forwarder) = open(path);
        drop(forwarder);
        let measurement = accept_all(&mut spool, &messages(task.messages), task.window).await;
        spool.close().await.expect("the spool closes");
        measurement
    })
}

/// Stores each batch in the spool, while the forwarder delivers to a transport that accepts
/// everything.
pub(crate) fn forward(task: &BenchTask) -> Measurement {
    with_runtime(&task.file, async |path| {
        let (mut spool, forwarder) = open(path);
        let account = forwarder.account();
        let (over, closing) = tokio::sync::oneshot::channel();
        let closing = Box::pin(async { closing.await.unwrap_or_default() });
        let forwarding = tokio::spawn(Box::new(forwarder).run(closing));
        let measurement = accept_all(&mut spool, &messages(task.messages), task.window).await;
        while account().delivered < task.messages as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        over.send(Duration::ZERO).expect("the forwarder runs");
        forwarding.await.expect("the forwarder does not panic");
        spool.close().await.expect("the spool closes");
        measurement
    })
}

/// Opens a spool with the messages of the task, and measures the time until it has stored one more.
pub(crate) fn reopen(task: &BenchTask) -> Measurement {
    with_runtime(&task.file, async |path| {
        let messages = messages(task.messages);
        let (mut spool, forwarder) = open(path);
        drop(forwarder);
        accept_all(&mut spool, &messages, task.window).await;
        spool.close().await.expect("the spool closes");
        let clock = Clock::start();
        let (mut spool, forwarder) = open(path);
        drop(forwarder);
        accept_all(&mut spool, &messages[..1], 1).await;
        let measurement = clock.stop(1);
        spool.close().await.expect("the spool closes");
        measurement
    })
}

async fn accept_all(spool: &mut Spool, messages: &[Message], batch: usize) -> Measurement {
    let clock = Clock::start();
    for batch in messages.chunks(batch) {
        let mut accepted = 0;
        let mut sink = |settlements: Settlements<'_>| {
            accepted +=
                settlements.filter(|(_, verdict)| matches!(verdict, Verdict::Accept)).count();
        };
        spool.send(&mut Batch::new(batch, &mut sink)).await.expect("the disk has room");
        assert_eq!(accepted, batch.len());
    }
    clock.stop(messages.len())
}

fn messages(count: usize) -> Vec<Message> {
    let mut messages = MessageGenerator::new(&Encoding::default());
    (0..count).map(|_| messages.next_message()).collect()
}

fn open(path: &Path) -> (Spool, Forwarder) {
    let mut config = Config::new(path);
    config.max_bytes = u64::MAX;
    config.max_messages = u64::MAX;
    Spool::open(config, Box::new(AcceptAllTransport)).expect("the configuration is valid")
}

/// Calls `run` with a new directory for a spool beside `file`.
fn with_runtime(file: &Path, run: impl AsyncFnOnce(&Path) -> Measurement) -> Measurement {
    let path = file.with_extension("spool");
    let runtime = Builder::new_multi_thread().enable_time().build().expect("the runtime starts");
    let measurement = runtime.block_on(run(&path));
    fs::remove_dir_all(path).expect("the spool created its directory");
    measurement
}

/// A transport that accepts every message at once.
#[derive(Debug)]
struct AcceptAllTransport;

#[async_trait]
impl Transport for AcceptAllTransport {
    fn name(&self) -> &'static str {
        "accept-all"
    }

    fn wants(&self, _: &EventType) -> bool {
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
