//! Batches that the spool takes, against appending and syncing the same batches.

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

use crate::samples::Stamped;
use crate::task::{Clock, Outcome, Task};

/// Appends each batch to a file, and syncs it.
pub(crate) fn append(task: &Task) -> Outcome {
    let messages = messages(task.messages);
    let mut file = File::create(&task.file).expect("a file to write to");
    let mut lines = Vec::new();
    let clock = Clock::start();
    for batch in messages.chunks(task.window) {
        lines.clear();
        for message in batch {
            lines.extend_from_slice(message.body());
            lines.push(b'\n');
        }
        file.write_all(&lines).expect("room on the disk");
        file.sync_data().expect("a disk that syncs");
    }
    let outcome = clock.stop(messages.len());
    fs::remove_file(&task.file).expect("the file that was written");
    outcome
}

/// The spool takes each batch, and forwards none.
pub(crate) fn accept(task: &Task) -> Outcome {
    with_runtime(&task.file, async |path| {
        let (mut spool, forwarder) = open(path);
        drop(forwarder);
        let outcome = accept_all(&mut spool, &messages(task.messages), task.window).await;
        spool.close().await.expect("the spool to close");
        outcome
    })
}

/// The spool takes each batch, while what it holds is forwarded to where everything is taken at once.
pub(crate) fn forward(task: &Task) -> Outcome {
    with_runtime(&task.file, async |path| {
        let (mut spool, forwarder) = open(path);
        let account = forwarder.account();
        let (over, closing) = tokio::sync::oneshot::channel();
        let closing = Box::pin(async { closing.await.unwrap_or_default() });
        let forwarding = tokio::spawn(Box::new(forwarder).run(closing));
        let outcome = accept_all(&mut spool, &messages(task.messages), task.window).await;
        while account().delivered < task.messages as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        over.send(Duration::ZERO).expect("a forwarder that waits to be closed");
        forwarding.await.expect("the forwarder to end");
        spool.close().await.expect("the spool to close");
        outcome
    })
}

/// Opens a spool that holds so many messages, until it has taken one more.
pub(crate) fn reopen(task: &Task) -> Outcome {
    with_runtime(&task.file, async |path| {
        let messages = messages(task.messages);
        let (mut spool, forwarder) = open(path);
        drop(forwarder);
        accept_all(&mut spool, &messages, task.window).await;
        spool.close().await.expect("the spool to close");
        let clock = Clock::start();
        let (mut spool, forwarder) = open(path);
        drop(forwarder);
        accept_all(&mut spool, &messages[..1], 1).await;
        let outcome = clock.stop(1);
        spool.close().await.expect("the spool to close");
        outcome
    })
}

async fn accept_all(spool: &mut Spool, messages: &[Message], batch: usize) -> Outcome {
    let clock = Clock::start();
    for batch in messages.chunks(batch) {
        let mut accepted = 0;
        let mut sink = |settlements: Settlements<'_>| {
            accepted += settlements.filter(|(_, it)| matches!(it, Verdict::Accept)).count();
        };
        spool.send(&mut Batch::new(batch, &mut sink)).await.expect("the disk to take it");
        assert_eq!(accepted, batch.len());
    }
    clock.stop(messages.len())
}

fn messages(count: usize) -> Vec<Message> {
    let mut messages = Stamped::new(&Encoding::default());
    (0..count).map(|_| messages.next_message()).collect()
}

fn open(path: &Path) -> (Spool, Forwarder) {
    let mut config = Config::new(path);
    config.max_bytes = u64::MAX;
    config.max_messages = u64::MAX;
    Spool::open(config, Box::new(Everything)).expect("the defaults to be right")
}

/// Runs `contend` on a spool in a directory of its own beside `file`.
fn with_runtime(file: &Path, contend: impl AsyncFnOnce(&Path) -> Outcome) -> Outcome {
    let path = file.with_extension("spool");
    let runtime = Builder::new_multi_thread().enable_time().build().expect("a runtime");
    let outcome = runtime.block_on(contend(&path));
    fs::remove_dir_all(path).expect("the spool");
    outcome
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
