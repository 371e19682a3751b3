//! A disk that fails at one operation after the other: nothing accepted is lost, nothing is stored
//! that was not accepted, and it goes on by itself.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_core::{ErrorKind, Outcome, Transport as _};
use notify_spool::disk::{SlotStorage, SpoolDisk};
use notify_spool::{Config, CorruptSlotPolicy};

use crate::support::{attempt, bodies, keep, left_in, start, until};

/// Fails the operation that it has counted down to, and the next few.
#[derive(Clone, Debug)]
struct Countdown(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    left: AtomicI64,
    failing: i64,
    error: io::ErrorKind,
}

impl Countdown {
    fn new(left: i64, failing: i64, error: io::ErrorKind) -> Self {
        Self(Arc::new(Shared { left: AtomicI64::new(left), failing, error }))
    }

    fn count(&self) -> io::Result<()> {
        let left = self.0.left.fetch_sub(1, Ordering::Relaxed);
        if left <= 0 && left > -self.0.failing { Err(self.0.error.into()) } else { Ok(()) }
    }

    /// Whether it has come to the end.
    fn is_over(&self) -> bool {
        self.0.left.load(Ordering::Relaxed) <= -self.0.failing
    }
}

impl SpoolDisk for Countdown {
    fn open(&self, _: u32, file: File) -> io::Result<Arc<dyn SlotStorage>> {
        Ok(Arc::new(Counted { file, countdown: self.clone() }))
    }
}

#[derive(Debug)]
struct Counted {
    file: File,
    countdown: Countdown,
}

impl SlotStorage for Counted {
    fn size(&self) -> io::Result<u64> {
        self.countdown.count()?;
        self.file.size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.countdown.count()?;
        self.file.read(offset, out)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.countdown.count()?;
        self.file.write(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.countdown.count()?;
        SlotStorage::set_len(&self.file, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.countdown.count()?;
        self.file.sync()
    }
}

#[tokio::test]
async fn whatever_operation_fails_what_was_accepted_is_there_once_and_nothing_else() {
    let messages = samples::messages(0..600);
    let (mut failures, mut at) = (0, 0);
    loop {
        let error = [io::ErrorKind::StorageFull, io::ErrorKind::Other][usize::from(at % 2 == 0)];
        let countdown = Countdown::new(at, 1 + at % 4, error);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut config = Config::new(&path).on_disk(Arc::new(countdown.clone()));
        // A disk that fails is no file that is damaged.
        config.on_corrupt = CorruptSlotPolicy::Quarantine;
        let mut spool = keep(config);
        let mut stored = 0;
        while stored < messages.len() {
            let (accepted, error) = attempt(&mut spool, &messages[stored..][..60]).await;
            assert!(accepted == 60 || accepted == 0);
            stored += accepted;
            if let Some(error) = error {
                failures += 1;
                assert!(error.is_transient(), "{at}: {error:#}");
                assert_ne!(error.outcome(), Outcome::Rejected);
            }
        }
        spool.close().await.unwrap();
        assert!(bodies(&left_in(&path)) == bodies(&messages), "after a failure at {at}");
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 2, "nothing is set aside: {at}");
        if !countdown.is_over() {
            break;
        }
        at += 1;
    }
    println!("{at} operations, {failures} attempts failed");
    assert!(at > 50 && failures > 50);
}

#[tokio::test]
async fn whatever_operation_fails_everything_is_forwarded_and_the_account_holds() {
    let messages = samples::messages(0..300);
    // What is written down late is written down again a second after it failed.
    for at in (0..260).step_by(20) {
        let countdown = Countdown::new(at, 2, io::ErrorKind::Other);
        let dir = tempfile::tempdir().unwrap();
        let script = Script::default();
        let config = Config::new(dir.path().join("s")).on_disk(Arc::new(countdown));
        let running = start(config, &script);
        for batch in messages.chunks(60) {
            running.store(batch).await;
        }
        until("everything to be forwarded", || running.forwarded().pending.messages == 0).await;
        let stats = running.stop().await;
        assert_eq!((stats.emitted, stats.delivered), (300, 300), "{at}");
        assert!(bodies(&script.stored()) == bodies(&messages), "each once, in order: {at}");
    }
}

#[tokio::test]
async fn a_disk_that_is_broken_from_the_start_harms_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let countdown = Countdown::new(0, i64::MAX, io::ErrorKind::Other);
    let script = Script::default();
    let config = Config::new(dir.path().join("s")).on_disk(Arc::new(countdown));
    let running = start(config, &script);
    let receipt = running.notifier.relay(samples::messages(0..1).remove(0)).await;
    until("a failure to be told", || {
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
