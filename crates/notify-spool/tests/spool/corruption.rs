//! Damaged and foreign files: the spool refuses or quarantines them.
//!
//! It must never deliver a message that it did not accept, and never panic.

use std::fs;
use std::path::{Path, PathBuf};

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_core::{ErrorKind, Message, Result, Transport as _};
use notify_spool::{Config, CorruptSlotPolicy, admin};
use redb::{Database, TableDefinition};

use crate::support::{bodies, open_spool, send_once, start, until};

/// The file of a spool with 400 messages, after a clean end and after a kill.
struct SpoolSample {
    dir: tempfile::TempDir,
    messages: Vec<Message>,
    clean: Vec<u8>,
    killed: Vec<u8>,
}

impl SpoolSample {
    async fn new() -> Self {
        // In memory if possible, because the tests open and sync the file a thousand times.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let messages = samples::messages(0..400);
        let sample = Self { dir, messages, clean: Vec::new(), killed: Vec::new() };
        let mut spool = open_spool(Config::new(sample.spool()));
        for batch in sample.messages.chunks(100) {
            assert_eq!(send_once(&mut spool, batch).await.0, 100);
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

    /// Returns the messages that the spool reads from a file with this content.
    ///
    /// `None` is a refusal. Its error must be permanent and name the option that helps, and the file must
    /// stay as it is.
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

/// Reads the pending messages of slot 0.
fn pending(spool: &Path) -> Result<Vec<Message>> {
    let slot = admin::OpenSlot::open(spool, 0)?;
    slot.pending().map(|stored| stored?.message).collect()
}

/// A single flipped bit anywhere in the file causes a refusal or changes no message. After a kill it may
/// also cost the last batch, which then looks unfinished.
#[tokio::test]
async fn no_flipped_bit_becomes_a_message() {
    let sample = SpoolSample::new().await;
    let all = bodies(&sample.messages);
    for (name, content) in [("closed", &sample.clean), ("killed", &sample.killed)] {
        let (mut refused, mut fewer, mut tried) = (0, 0, 0);
        // Many places in redb's header, and then one in every 499 bytes.
        let places = (0..512).step_by(3).chain((512..content.len()).step_by(499));
        for (place, bit) in places.zip((0..8).cycle()) {
            let mut flipped = content.clone();
            flipped[place] ^= 1 << bit;
            tried += 1;
            match sample.read(&flipped) {
                None => refused += 1,
                Some(read) if bodies(&read) == all => {}
                // The last commit looks like one that the kill interrupted.
                Some(read) => {
                    assert!(all.starts_with(&bodies(&read)), "{name} at {place}");
                    assert_eq!(name, "killed", "silent loss at {place}");
                    assert!(read.len() >= 300, "{name} at {place}: {}", read.len());
                    fewer += 1;
                }
            }
        }
        println!("{name}: {tried} bits flipped, {refused} refused, {fewer} without the last batch");
        assert!(refused > tried / 8);
    }
}

/// A file that ends too early is refused, unless the missing part holds no message.
#[tokio::test]
async fn refuses_a_truncated_file() {
    let sample = SpoolSample::new().await;
    let all = bodies(&sample.messages);
    for content in [&sample.clean, &sample.killed] {
        for length in (1..content.len()).step_by(4096).chain([9, 100, 4095]) {
            // The missing part may be free room.
            if let Some(read) = sample.read(&content[..length]) {
                assert!(bodies(&read) == all, "cut at {length}");
            }
        }
    }
    // An empty file is a new slot.
    assert_eq!(sample.read(&[]).unwrap().len(), 0);
}

/// Files without redb's format, databases with other tables and newer versions are refused.
#[tokio::test]
async fn refuses_a_file_of_another_format() {
    let sample = SpoolSample::new().await;
    for content in [&b"hello"[..], &[0xff; 10_000]] {
        assert!(sample.read(content).is_none());
    }
    let refuse_database = |table: TableDefinition<'_, &str, u64>, key, value| {
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
    let newer = refuse_database(TableDefinition::new("format"), "version", 3);
    assert!(newer.contains("its format is version 3"), "{newer}");
    refuse_database(TableDefinition::new("users"), "alice", 1);
    let mut newest = sample.clean.clone();
    // The version of redb's own format, 55 bytes behind its magic number. The spool reads or refuses
    // the file, but it must not panic.
    newest[9 + 55] = newest[9 + 55].wrapping_add(1);
    sample.read(&newest);
}

/// A row without a record is refused: reading would never get behind it.
#[tokio::test]
async fn refuses_a_row_without_a_record() {
    let sample = SpoolSample::new().await;
    write_row(&sample.file(), "messages", b"");
    let content = fs::read(sample.file()).unwrap();
    assert!(sample.read(&content).is_none());
    let error = format!("{:#}", pending(&sample.spool()).unwrap_err());
    assert!(error.contains("a row of its messages is empty"), "{error}");
}

/// A dead letter that cannot be decoded is not lost by a retry. Only its removal removes it.
#[tokio::test]
async fn a_retry_keeps_a_dead_letter_that_cannot_be_decoded() {
    let sample = SpoolSample::new().await;
    write_row(&sample.file(), "dead", b"damaged");
    let mut slot = admin::OpenSlot::open(&sample.spool(), 0).unwrap();
    assert_eq!(slot.retry([7]).unwrap(), 0);
    assert_eq!(slot.contents().dead.messages, 1);
    assert_eq!(slot.remove([7]).unwrap(), 1);
    assert!(slot.contents().is_empty());
}

/// Replaces the file by a database with one row, of number 7, in `table`.
fn write_row(file: &Path, table: &str, row: &[u8]) {
    fs::remove_file(file).unwrap();
    let db = Database::create(file).unwrap();
    let format: TableDefinition<'_, &str, u64> = TableDefinition::new("format");
    let write = db.begin_write().unwrap();
    write.open_table(format).unwrap().insert("version", 1_u64).unwrap();
    for name in ["messages", "dead"] {
        let rows: TableDefinition<'_, u64, &[u8]> = TableDefinition::new(name);
        let mut rows = write.open_table(rows).unwrap();
        if name == table {
            rows.insert(7_u64, row).unwrap();
        }
    }
    write.commit().unwrap();
    drop(db);
    set_mode(file);
}

/// With `spool.on_corrupt = "quarantine"`, the spool renames a damaged file and starts a new one. By
/// default it accepts nothing.
#[tokio::test]
async fn quarantines_a_damaged_file_if_configured() {
    let sample = SpoolSample::new().await;
    let mut damaged = sample.clean.clone();
    damaged[0] ^= 1;
    fs::write(sample.file(), &damaged).unwrap();

    let mut spool = open_spool(Config::new(sample.spool()));
    let (accepted, error) = send_once(&mut spool, &sample.messages[..5]).await;
    assert_eq!((accepted, error.unwrap().kind()), (0, ErrorKind::Config));
    spool.close().await.unwrap();

    let mut config = Config::new(sample.spool());
    config.on_corrupt = CorruptSlotPolicy::Quarantine;
    let script = Script::default();
    let running = start(config, &script);
    running.store(&sample.messages[..5]).await;
    until("forwarding of all messages", || running.forwarded().pending.messages == 0).await;
    let stats = running.stop().await;
    assert_eq!((stats.emitted, stats.delivered), (5, 5));
    let names = fs::read_dir(sample.spool()).unwrap().map(|entry| entry.unwrap().file_name());
    let quarantined: Vec<_> =
        names.filter(|name| name.to_str().unwrap().starts_with("slot-0.redb.corrupt-")).collect();
    assert_eq!(quarantined.len(), 1);
    assert!(
        fs::read(sample.spool().join(&quarantined[0])).unwrap() == damaged,
        "the spool must not change the damaged file"
    );
}

/// Gives the file the mode that the spool requires.
fn set_mode(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
