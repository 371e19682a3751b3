//! A disk that fails for a few operations, starting at each operation in turn.
//!
//! The spool loses no accepted message, stores no other, and continues without a restart.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_core::{ErrorKind, Outcome, Transport as _};
use notify_spool::disk::{SlotStorage, SpoolDisk};
use notify_spool::{Config, CorruptSlotPolicy};

use crate::support::{bodies, open_spool, pending_in, send_once, start, until};

/// A disk that fails after a number of operations, for a number of operations.
#[derive(Clone, Debug)]
struct FailingDisk(Arc<FailurePlan>);

/// The failure that all clones of a disk share.
#[derive(Debug)]
struct FailurePlan {
    /// The operations until the first failure; negative after it.
    left: AtomicI64,
    /// The number of operations that fail.
    failing: i64,
    error: io::ErrorKind,
}

impl FailingDisk {
    fn new(left: i64, failing: i64, error: io::ErrorKind) -> Self {
        Self(Arc::new(FailurePlan { left: AtomicI64::new(left), failing, error }))
    }

    /// Counts one operation, and fails it if it is its turn.
    fn count(&self) -> io::Result<()> {
        let left = self.0.left.fetch_sub(1, Ordering::Relaxed);
        if left <= 0 && left > -self.0.failing { Err(self.0.error.into()) } else { Ok(()) }
    }

    /// Whether all failures have happened.
    fn is_over(&self) -> bool {
        self.0.left.load(Ordering::Relaxed) <= -self.0.failing
    }
}

impl SpoolDisk for FailingDisk {
    fn open(&self, _: u32, file: File) -> io::Result<Arc<dyn SlotStorage>> {
        Ok(Arc::new(FailingStorage { file, disk: self.clone() }))
    }
}

/// The file of one slot on a failing disk.
#[derive(Debug)]
struct FailingStorage {
    file: File,
    disk: FailingDisk,
}

impl SlotStorage for FailingStorage {
    fn size(&self) -> io::Result<u64> {
        self.disk.count()?;
        self.file.size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.count()?;
        self.file.read(offset, out)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.count()?;
        self.file.write(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.count()?;
        SlotStorage::set_len(&self.file, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.count()?;
        self.file.sync()
    }
}

/// At every operation of the disk: the spool stores each accepted message once, reports only transient
/// errors, and does not mistake the failure for a damaged file.
#[tokio::test]
async fn a_failing_disk_neither_loses_nor_duplicates_messages() {
    let messages = samples::messages(0..600);
    let (mut failures, mut at) = (0, 0);
    loop {
        let error = [io::ErrorKind::StorageFull, io::ErrorKind::Other][usize::from(at % 2 == 0)];
        let disk = FailingDisk::new(at, 1 + at % 4, error);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut config = Config::new(&path).on_disk(Arc::new(disk.clone()));
        // With this policy a mistaken diagnosis would be visible as another file.
        config.on_corrupt = CorruptSlotPolicy::Quarantine;
        let mut spool = open_spool(config);
        let mut stored = 0;
        while stored < messages.len() {
            let (accepted, error) = send_once(&mut spool, &messages[stored..][..60]).await;
            assert!(accepted == 60 || accepted == 0);
            stored += accepted;
            if let Some(error) = error {
                failures += 1;
                assert!(error.is_transient(), "{at}: {error:#}");
                assert_ne!(error.outcome(), Outcome::Rejected);
            }
        }
        spool.close().await.unwrap();
        assert!(bodies(&pending_in(&path)) == bodies(&messages), "after a failure at {at}");
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 2, "no quarantine: {at}");
        if !disk.is_over() {
            break;
        }
        at += 1;
    }
    println!("{at} operations, {failures} attempts failed");
    assert!(at > 50 && failures > 50);
}

/// A failure between the disk and the destination delays forwarding, but the forwarder delivers each
/// message once and the account balances.
#[tokio::test]
async fn a_failing_disk_only_delays_forwarding() {
    let messages = samples::messages(0..300);
    // Few steps only: after a failure the spool waits for a second before it records outcomes again.
    for at in (0..260).step_by(20) {
        let disk = FailingDisk::new(at, 2, io::ErrorKind::Other);
        let dir = tempfile::tempdir().unwrap();
        let script = Script::default();
        let config = Config::new(dir.path().join("s")).on_disk(Arc::new(disk));
        let running = start(config, &script);
        for batch in messages.chunks(60) {
            running.store(batch).await;
        }
        until("forwarding of all messages", || running.forwarded().pending.messages == 0).await;
        let stats = running.stop().await;
        assert_eq!((stats.emitted, stats.delivered), (300, 300), "{at}");
        assert!(bodies(&script.stored()) == bodies(&messages), "each message once, in order: {at}");
    }
}

/// A disk that never works makes the worker retry. It blocks neither the notifier nor the shutdown.
#[tokio::test]
async fn a_broken_disk_does_not_block_the_shutdown() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FailingDisk::new(0, i64::MAX, io::ErrorKind::Other);
    let script = Script::default();
    let config = Config::new(dir.path().join("s")).on_disk(Arc::new(disk));
    let running = start(config, &script);
    let receipt = running.notifier.relay(samples::messages(0..1).remove(0)).await;
    until("a retry of the worker", || {
        matches!(
            running.notifier.stats().state,
            notify_core::pipeline::WorkerState::Retrying { .. }
        )
    })
    .await;
    running.notifier.shutdown(std::time::Duration::ZERO).await;
    running.stop().await;
    assert_eq!(receipt.await.unwrap_err().kind(), ErrorKind::Closed);
}
