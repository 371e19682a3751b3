//! The transport contract for a spool, whose destination is its own directory.
//!
//! The harness reads the messages from the database file, and it simulates a disk that fails or hangs.

#![expect(clippy::expect_used, reason = "a panic fails the test")]

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use async_trait::async_trait;
use notify_conformance::{Capability, Harness, ReceivedMessage};
use notify_core::Transport;
use notify_spool::disk::{SlotStorage, SpoolDisk};
use notify_spool::{Config, Spool};
use redb::{Builder, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use tempfile::TempDir;

notify_conformance::suite!(SpoolHarness);

/// A spool in a directory of its own, without a forwarder.
struct SpoolHarness {
    dir: TempDir,
    disk: SwitchableDisk,
}

impl SpoolHarness {
    /// Returns the path of the spool's directory.
    fn path(&self) -> PathBuf {
        self.dir.path().join("spool")
    }
}

#[async_trait]
impl Harness for SpoolHarness {
    const UNSUPPORTED: &'static [(Capability, &'static str)] = &[
        (Capability::Metadata, "a record holds the body only"),
        (Capability::Refuse, "a disk accepts every message that fits"),
        (Capability::Retry, "no disk can be filled from within: `full_spool.rs` fills the spool"),
        (Capability::FullLane, "no forwarder finds a full lane: `lanes.rs` fills the share of one"),
        (Capability::SilentLane, "all lanes share one disk"),
    ];

    async fn start() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory"), disk: SwitchableDisk::default() }
    }

    fn transport(&self) -> Box<dyn Transport> {
        let config = Config::new(self.path()).on_disk(Arc::new(self.disk.clone()));
        let destination = notify_conformance::script::Script::with_lanes().transport();
        Box::new(Spool::open(config, destination).expect("valid defaults").0)
    }

    /// Reads copies of the database files, because the spool uses the files themselves.
    async fn received(&mut self) -> Vec<ReceivedMessage> {
        let copy = self.dir.path().join("copy");
        let mut received = Vec::new();
        for slot in 0..2 {
            if fs::copy(self.path().join(format!("slot-{slot}.redb")), &copy).is_err() {
                continue;
            }
            let db = Builder::new().create(&copy).expect("a database");
            let read = db.begin_read().expect("a transaction");
            let Ok(messages) = read.open_table(TableDefinition::<u64, &[u8]>::new("messages"))
            else {
                continue;
            };
            for row in messages.iter().expect("rows") {
                let (_, chunk) = row.expect("a row");
                let mut rest = chunk.value();
                while let Some((length, tail)) = rest.split_first_chunk() {
                    let (body, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
                    received.push(ReceivedMessage { body: body.to_vec(), metadata: None });
                    rest = tail;
                }
            }
        }
        received
    }

    /// Counts the open files in the spool's directory.
    async fn open_handles(&mut self) -> usize {
        let is_ours =
            |fd: PathBuf| fs::read_link(fd).is_ok_and(|file| file.starts_with(self.path()));
        let open = fs::read_dir("/proc/self/fd").expect("the open files");
        open.flatten().filter(|fd| is_ours(fd.path())).count()
    }

    /// Makes every operation of the disk fail.
    async fn kill(&mut self) {
        self.disk.set(|state| state.fails = true);
    }

    async fn restart(&mut self) {
        self.disk.set(|state| state.fails = false);
    }

    /// Makes every operation of the disk hang.
    async fn stall(&mut self) {
        self.disk.set(|state| state.hangs = true);
    }

    async fn resume(&mut self) {
        self.disk.set(|state| state.hangs = false);
    }
}

impl Drop for SpoolHarness {
    fn drop(&mut self) {
        // The spool's thread must not hang beyond the test.
        self.disk.set(|state| *state = DiskSwitch::default());
    }
}

/// A disk that the harness can make fail and hang. Clones share one state.
#[derive(Clone, Debug, Default)]
struct SwitchableDisk(Arc<(Mutex<DiskSwitch>, Condvar)>);

/// The present behaviour of the disk.
#[derive(Debug, Default)]
struct DiskSwitch {
    fails: bool,
    hangs: bool,
}

impl SwitchableDisk {
    fn set(&self, set: impl FnOnce(&mut DiskSwitch)) {
        set(&mut self.lock());
        self.0.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, DiskSwitch> {
        self.0.0.lock().expect("an unpoisoned lock")
    }

    /// Waits while the disk hangs, then returns an error if it fails.
    fn pass(&self) -> io::Result<()> {
        let state = self.0.1.wait_while(self.lock(), |state| state.hangs);
        let state = state.expect("an unpoisoned lock");
        if state.fails {
            return Err(io::Error::other("simulated disk failure"));
        }
        Ok(())
    }
}

impl SpoolDisk for SwitchableDisk {
    fn open(&self, _: u32, file: File) -> io::Result<Arc<dyn SlotStorage>> {
        self.pass()?;
        Ok(Arc::new(SwitchableStorage { file, disk: self.clone() }))
    }
}

/// The file of one slot on a [`SwitchableDisk`].
#[derive(Debug)]
struct SwitchableStorage {
    file: File,
    disk: SwitchableDisk,
}

impl SlotStorage for SwitchableStorage {
    fn size(&self) -> io::Result<u64> {
        self.disk.pass()?;
        self.file.size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.pass()?;
        self.file.read(offset, out)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.pass()?;
        self.file.write(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.pass()?;
        SlotStorage::set_len(&self.file, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.pass()?;
        self.file.sync()
    }
}
