//! Files that were changed behind the spool's back: refused or set aside, and never believed.

use std::fs;
use std::path::{Path, PathBuf};

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_core::{ErrorKind, Message, Result, Transport as _};
use notify_spool::{Config, CorruptSlotPolicy, admin};
use redb::{Database, TableDefinition};

use crate::support::{attempt, bodies, keep, start, until};

/// A spool with messages in it, as a clean end leaves it, and as a kill does.
struct Sample {
    dir: tempfile::TempDir,
    messages: Vec<Message>,
    clean: Vec<u8>,
    killed: Vec<u8>,
}

impl Sample {
    async fn new() -> Self {
        // In memory, where there is such a place: it is opened, and synced, a thousand times.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let messages = samples::messages(0..400);
        let sample = Self { dir, messages, clean: Vec::new(), killed: Vec::new() };
        let mut spool = keep(Config::new(sample.spool()));
        for batch in sample.messages.chunks(100) {
            assert_eq!(attempt(&mut spool, batch).await.0, 100);
        }
        let killed = fs::read(sample.file()).unwrap();
        spool.close().await.unwrap();
        let clean = fs::read(sample.file()).unwrap();
        Self { clean, killed, ..sample }
    }

    fn spool(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    fn file(&self) -> PathBuf {
        self.spool().join("slot-0.redb")
    }

    /// What is read of a file with such a content; a refusal has to be one.
    fn read(&self, content: &[u8]) -> Option<Vec<Message>> {
        fs::write(self.file(), content).unwrap();
        let read = pending(&self.spool());
        if let Err(error) = &read {
            assert_eq!(error.kind(), ErrorKind::Config, "{error:#}");
            assert!(!error.is_transient(), "{error:#}");
            assert!(error.to_string().contains("`spool.on_corrupt = \"quarantine\"`"), "{error}");
            assert_eq!(fs::metadata(self.file()).unwrap().len(), content.len() as u64);
        }
        read.ok()
    }
}

fn pending(spool: &Path) -> Result<Vec<Message>> {
    let slot = admin::OpenSlot::open(spool, 0)?;
    slot.pending().map(|entry| entry?.message).collect()
}

/// One bit after the other, at places all over the file.
#[tokio::test]
async fn a_bit_that_flipped_is_noticed_or_changes_nothing() {
    let sample = Sample::new().await;
    let all = bodies(&sample.messages);
    for (name, content) in [("closed", &sample.clean), ("killed", &sample.killed)] {
        let (mut refused, mut fewer, mut tried) = (0, 0, 0);
        // More of what redb says of the file itself, and then every so often.
        let places = (0..512).step_by(3).chain((512..content.len()).step_by(499));
        for (place, bit) in places.zip((0..8).cycle()) {
            let mut flipped = content.clone();
            flipped[place] ^= 1 << bit;
            tried += 1;
            match sample.read(&flipped) {
                None => refused += 1,
                Some(read) if bodies(&read) == all => {}
                // What was stored last may pass for what was being stored.
                Some(read) => {
                    assert!(all.starts_with(&bodies(&read)), "{name} at {place}");
                    assert_eq!(name, "killed", "lost without a word at {place}");
                    assert!(read.len() >= 300, "{name} at {place}: {}", read.len());
                    fewer += 1;
                }
            }
        }
        println!("{name}: {tried} bits flipped, {refused} refused, {fewer} without the last batch");
        assert!(refused > tried / 8);
    }
}

#[tokio::test]
async fn a_file_that_is_cut_is_refused() {
    let sample = Sample::new().await;
    let all = bodies(&sample.messages);
    for content in [&sample.clean, &sample.killed] {
        for length in (1..content.len()).step_by(4096).chain([9, 100, 4095]) {
            // What is cut off may hold nothing.
            if let Some(read) = sample.read(&content[..length]) {
                assert!(bodies(&read) == all, "cut at {length}");
            }
        }
    }
    // Whoever sees nothing takes it for a new one.
    assert_eq!(sample.read(&[]).unwrap().len(), 0);
}

#[tokio::test]
async fn what_is_no_spool_is_refused() {
    let sample = Sample::new().await;
    for content in [&b"hello"[..], &[0xff; 10_000]] {
        assert!(sample.read(content).is_none());
    }
    let other = |table: TableDefinition<'_, &str, u64>, key, value| {
        fs::remove_file(sample.file()).unwrap();
        let db = Database::create(sample.file()).unwrap();
        let write = db.begin_write().unwrap();
        write.open_table(table).unwrap().insert(key, value).unwrap();
        write.commit().unwrap();
        drop(db);
        set_mode(&sample.file());
        let content = fs::read(sample.file()).unwrap();
        assert!(sample.read(&content).is_none(), "{key}");
        format!("{:#}", pending(&sample.spool()).unwrap_err())
    };
    let newer = other(TableDefinition::new("format"), "version", 2);
    assert!(newer.contains("its format is version 2"), "{newer}");
    other(TableDefinition::new("users"), "alice", 1);
    let mut newest = sample.clean.clone();
    // Where redb keeps the version of its own format, behind its magic number and some bytes.
    newest[9 + 55] = newest[9 + 55].wrapping_add(1);
    sample.read(&newest);
}

#[tokio::test]
async fn what_cannot_be_read_is_set_aside_where_that_is_wanted() {
    let sample = Sample::new().await;
    let mut damaged = sample.clean.clone();
    damaged[0] ^= 1;
    fs::write(sample.file(), &damaged).unwrap();

    let mut spool = keep(Config::new(sample.spool()));
    let (accepted, error) = attempt(&mut spool, &sample.messages[..5]).await;
    assert_eq!((accepted, error.unwrap().kind()), (0, ErrorKind::Config));
    spool.close().await.unwrap();

    let mut config = Config::new(sample.spool());
    config.on_corrupt = CorruptSlotPolicy::Quarantine;
    let script = Script::default();
    let running = start(config, &script);
    running.store(&sample.messages[..5]).await;
    until("them to be forwarded", || running.forwarded().pending.messages == 0).await;
    let stats = running.stop().await;
    assert_eq!((stats.emitted, stats.delivered), (5, 5));
    let names = fs::read_dir(sample.spool()).unwrap().map(|entry| entry.unwrap().file_name());
    let aside: Vec<_> =
        names.filter(|name| name.to_str().unwrap().starts_with("slot-0.redb.corrupt-")).collect();
    assert_eq!(aside.len(), 1);
    assert!(fs::read(sample.spool().join(&aside[0])).unwrap() == damaged, "kept as it was");
}

fn set_mode(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
