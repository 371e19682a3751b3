//! A disk that hangs: every wait on it ends, and nothing that was accepted is lost.
//!
//! The clock of the runtime is paused while the disk hangs, so that the tests wait for no real time. The
//! file `frozen_disk.rs` has the same tests with a real file system.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_core::pipeline::WorkerState;
use notify_core::{Outcome, Transport as _};
use notify_spool::{Config, Spool};
use notify_testbed::disk::{DiskFailure, DiskFault, DiskOperation, FaultyDisk};
use tokio::time::Instant;

use crate::model::environment::ProcessDisk;
use crate::support::{bodies, open_spool, pending_in, send_once, start, until, within};

/// Whatever operation hangs, a shutdown of 10 s ends within 20 s, and the accepted messages are on the
/// disk afterwards.
#[tokio::test]
async fn every_wait_on_a_disk_ends() {
    let messages = samples::messages(0..30);
    let mut hangs = 0;
    for (on, after) in [
        (DiskOperation::Sync, 0),
        (DiskOperation::Sync, 1),
        (DiskOperation::Write, 0),
        (DiskOperation::Write, 7),
        (DiskOperation::Read, 0),
        (DiskOperation::Any, 20),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let disk = FaultyDisk::new(after);
        let script = Script::default();
        script.set_stalled(true);
        let running = start(on_disk(&path, &disk), &script);
        running.store(&messages[..20]).await;
        hang(&disk, on, after);
        for message in &messages[20..] {
            running.notifier.relay(message.clone()).await;
            tokio::task::yield_now().await;
        }
        let waiting = within("a hang", wait_for_hang(&disk));
        // An operation that never comes cannot hang.
        if tokio::time::timeout(Duration::from_secs(3), waiting).await.is_err() {
            running.stop().await;
            continue;
        }
        hangs += 1;
        tokio::time::pause();
        let begin = Instant::now();
        running.notifier.shutdown(Duration::from_secs(10)).await;
        running.worker.await.unwrap();
        assert!(
            begin.elapsed() <= Duration::from_secs(20),
            "{on:?} {after}: {:?}",
            begin.elapsed()
        );
        tokio::time::resume();
        disk.heal();
        assert_holds(&path, &disk, &bodies(&messages[..20])).await;
    }
    assert!(hangs >= 4, "{hangs}");
}

/// A drain ends too when the disk of an orphan hangs.
#[tokio::test]
async fn a_drain_ends_while_the_disk_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let disk = FaultyDisk::new(1);
    let mut spool = open_spool(on_disk(&path, &disk));
    let messages = samples::messages(0..20);
    assert_eq!(send_once(&mut spool, &messages).await.0, 20);
    spool.close().await.unwrap();
    hang(&disk, DiskOperation::Read, 0);
    let script = Script::default();
    let (_, forwarder) = Spool::open(on_disk(&path, &disk), script.transport()).unwrap();
    tokio::time::pause();
    let begin = Instant::now();
    let closing = async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        Duration::from_secs(5)
    };
    // The disk does not answer within 30 s. The error says so, or the drain ends at its deadline.
    let drained = forwarder.drain(Box::pin(closing)).await;
    assert!(begin.elapsed() <= Duration::from_secs(75), "{:?}", begin.elapsed());
    let error = drained.unwrap_err();
    assert!(error.to_string().contains("does not answer within 30 s"), "{error}");
    assert!(error.is_transient());
    tokio::time::resume();
    disk.heal();
    assert_holds(&path, &disk, &bodies(&messages)).await;
}

/// A batch whose sync hangs is not reported delivered. The account shows why, and once the disk answers
/// the batch is stored once.
#[tokio::test]
async fn a_hung_sync_is_visible_and_stores_each_message_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let disk = FaultyDisk::new(1);
    let script = Script::default();
    script.set_stalled(true);
    let running = start(on_disk(&path, &disk), &script);
    let messages = samples::messages(0..20);
    running.store(&messages[..10]).await;
    hang(&disk, DiskOperation::Sync, 0);
    let mut receipts = Vec::new();
    for message in &messages[10..] {
        receipts.push(running.notifier.relay(message.clone()).await);
    }
    within("a hang", wait_for_hang(&disk)).await;
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(100)).await;
    let state = running.notifier.stats().state;
    let WorkerState::Retrying { error, permanent: false, .. } = state else { panic!("{state:?}") };
    assert!(error.contains("`spool.dir`") && error.contains("does not answer"), "{error}");
    tokio::time::resume();
    disk.heal();
    for receipt in receipts {
        within("a receipt", receipt).await.unwrap();
    }
    running.stop().await;
    assert_holds(&path, &disk, &bodies(&messages)).await;
}

/// A transport that is used directly reports the outcome of a hung store as unknown, and accepts the
/// messages with the next attempt.
#[tokio::test]
async fn the_next_attempt_accepts_the_messages_of_a_hung_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let disk = FaultyDisk::new(1);
    let mut spool = open_spool(on_disk(&path, &disk));
    let messages = samples::messages(0..10);
    assert_eq!(send_once(&mut spool, &messages[..5]).await.0, 5);
    hang(&disk, DiskOperation::Sync, 0);
    tokio::time::pause();
    for _ in 0..2 {
        let (accepted, error) = send_once(&mut spool, &messages[5..]).await;
        let error = error.unwrap();
        assert_eq!((accepted, error.outcome()), (0, Outcome::Unknown), "{error:#}");
    }
    disk.heal();
    tokio::time::resume();
    assert_eq!(send_once(&mut spool, &messages[5..]).await.0, 5);
    spool.close().await.unwrap();
    assert_holds(&path, &disk, &bodies(&messages)).await;
}

/// Returns the configuration of a spool on `disk`.
fn on_disk(path: &Path, disk: &FaultyDisk) -> Config {
    Config::new(path).on_disk(ProcessDisk::of_current_process(disk) as Arc<_>)
}

/// Makes an operation of the disk hang.
fn hang(disk: &FaultyDisk, on: DiskOperation, after: u64) {
    disk.fail(DiskFault { on, after, failure: DiskFailure::Hang, lasting: true });
}

/// Waits until an operation hangs.
async fn wait_for_hang(disk: &FaultyDisk) {
    until("a hang", || disk.hangs()).await;
}

/// Checks that the messages with `expected` bodies are on the disk, each of them once.
async fn assert_holds(path: &Path, disk: &FaultyDisk, expected: &[String]) {
    // The thread that hung closes the slot some time later, and releases its lock.
    until("the end of the thread", || {
        notify_spool::admin::slots(path).unwrap().iter().all(|slot| slot.owner.is_none())
    })
    .await;
    std::fs::write(path.join("slot-0.redb"), disk.content()).unwrap();
    let found = bodies(&pending_in(path));
    assert!(found.starts_with(expected), "{} of {}", found.len(), expected.len());
}
