//! The contract of a transport, for a spool whose destination is its own directory.

#![expect(clippy::expect_used, reason = "a test may fail as it likes")]

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

notify_conformance::suite!(SpoolDir);

/// A spool in a directory of its own. What is behind it takes nothing and is never asked.
struct SpoolDir {
    dir: TempDir,
    switch: Switch,
}

impl SpoolDir {
    fn path(&self) -> PathBuf {
        self.dir.path().join("spool")
    }
}

#[async_trait]
impl Harness for SpoolDir {
    const UNSUPPORTED: &'static [(Capability, &'static str)] = &[
        (Capability::Metadata, "a record is the body and nothing beside it"),
        (Capability::Refuse, "a disk takes whatever fits"),
        (Capability::Retry, "no disk can be filled from within: `full.rs` fills the spool"),
    ];

    async fn start() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory"), switch: Switch::default() }
    }

    fn transport(&self) -> Box<dyn Transport> {
        let config = Config::new(self.path()).on_disk(Arc::new(self.switch.clone()));
        let inner = notify_conformance::script::Script::default().transport();
        Box::new(Spool::open(config, inner).expect("the defaults to be right").0)
    }

    /// Reads a copy of the file with the database's own reader: the file itself is in use.
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

    async fn open_handles(&mut self) -> usize {
        let ours = |fd: PathBuf| fs::read_link(fd).is_ok_and(|file| file.starts_with(self.path()));
        let open = fs::read_dir("/proc/self/fd").expect("the open files");
        open.flatten().filter(|fd| ours(fd.path())).count()
    }

    /// The disk fails from one moment to the next.
    async fn kill(&mut self) {
        self.switch.set(|state| state.fails = true);
    }

    async fn restart(&mut self) {
        self.switch.set(|state| state.fails = false);
    }

    async fn stall(&mut self) {
        self.switch.set(|state| state.hangs = true);
    }

    async fn resume(&mut self) {
        self.switch.set(|state| state.hangs = false);
    }
}

impl Drop for SpoolDir {
    fn drop(&mut self) {
        self.switch.set(|state| *state = State::default());
    }
}

/// A disk that can be mistreated.
#[derive(Clone, Debug, Default)]
struct Switch(Arc<(Mutex<State>, Condvar)>);

/// What it is made to do.
#[derive(Debug, Default)]
struct State {
    fails: bool,
    hangs: bool,
}

impl Switch {
    fn set(&self, set: impl FnOnce(&mut State)) {
        set(&mut self.lock());
        self.0.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().expect("nobody panics with it")
    }

    /// Waits while the disk hangs, and says what is wrong with it then.
    fn pass(&self) -> io::Result<()> {
        let state = self.0.1.wait_while(self.lock(), |state| state.hangs);
        let state = state.expect("nobody panics with it");
        if state.fails {
            return Err(io::Error::other("made to fail"));
        }
        Ok(())
    }
}

impl SpoolDisk for Switch {
    fn open(&self, _: u32, file: File) -> io::Result<Arc<dyn SlotStorage>> {
        self.pass()?;
        Ok(Arc::new(Switched { file, switch: self.clone() }))
    }
}

#[derive(Debug)]
struct Switched {
    file: File,
    switch: Switch,
}

impl SlotStorage for Switched {
    fn size(&self) -> io::Result<u64> {
        self.switch.pass()?;
        self.file.size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.switch.pass()?;
        self.file.read(offset, out)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.switch.pass()?;
        self.file.write(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.switch.pass()?;
        SlotStorage::set_len(&self.file, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.switch.pass()?;
        self.file.sync()
    }
}
