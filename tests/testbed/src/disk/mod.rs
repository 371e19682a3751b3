//! A disk in memory that holds one redb file and fails as it is told: full, erring, killed in the
//! middle of a write, or cut off from power with whatever was not synced lost or torn.
//!
//! All that is random follows from the seed and from the operations, so that a failure comes again.

mod file;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;
use rustix::io::Errno;

use file::File;

/// A disk. All clones are the same disk.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    file: File,
    /// Which process is the one that lives; what those before it held is dead.
    process: u64,
    faults: Vec<Fault>,
    random: Random,
}

/// What fails, and how.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// What counts as an operation for `after`, and fails.
    pub on: Operation,
    /// How many of them still work.
    pub after: u64,
    /// How the next one fails.
    pub failure: Failure,
    /// Whether all that follow fail too, until [`Disk::heal`].
    pub lasting: bool,
}

/// What a database does with its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Any of the others.
    Any,
    /// It reads, or asks for the length.
    Read,
    /// It writes. What fails may have been written in part.
    Write,
    /// It makes the file longer or shorter.
    SetLength,
    /// It syncs. What was to be synced is on disk or not, and no later sync brings it there: Linux
    /// takes pages that it failed to write for written.
    Sync,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// `EIO`.
    Io,
    /// `ENOSPC`.
    Full,
    /// The process is killed, [`Disk::kill`].
    Kill,
    /// [`Disk::cut_power`].
    PowerCut,
}

impl Disk {
    /// An empty disk without bounds.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            file: File::default(),
            process: 0,
            faults: Vec::new(),
            random: Random(seed),
        })))
    }

    /// The file, as the process that now lives opens it.
    pub fn backend(&self) -> impl StorageBackend + use<> {
        Backend { process: self.inner().process, disk: self.clone() }
    }

    /// Adds a fault.
    pub fn fail(&self, fault: Fault) {
        self.inner().faults.push(fault);
    }

    /// Lets the file take `bytes` and no more; what is allocated already stays.
    pub fn limit(&self, bytes: u64) {
        self.inner().file.limit(Some(bytes));
    }

    /// Takes back all faults and the limit.
    pub fn heal(&self) {
        let mut inner = self.inner();
        inner.faults.clear();
        inner.file.limit(None);
    }

    /// Ends the process, as `kill -9` does: nothing that it holds open works any more, and all that it
    /// wrote stays, synced or not.
    pub fn kill(&self) {
        self.inner().process += 1;
    }

    /// Ends the process, and loses or tears a random part of what was written since the last sync.
    pub fn cut_power(&self) {
        self.inner().cut_power();
    }

    /// How many processes have ended.
    pub fn processes(&self) -> u64 {
        self.inner().process
    }

    /// What a process would read.
    pub fn content(&self) -> Vec<u8> {
        self.inner().file.content().to_vec()
    }

    /// How many bytes the file takes: what was never written takes none.
    pub fn allocated(&self) -> u64 {
        self.inner().file.allocated()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// How the operation that comes now fails, if it does.
    fn due(&mut self, operation: Operation) -> Option<Failure> {
        let mut due = None;
        self.faults.retain_mut(|fault| {
            if due.is_some() || fault.on != Operation::Any && fault.on != operation {
                return true;
            }
            if fault.after > 0 {
                fault.after -= 1;
                return true;
            }
            due = Some(fault.failure);
            fault.lasting
        });
        due
    }

    fn strike(&mut self, failure: Failure) -> io::Error {
        match failure {
            Failure::Io => return Errno::IO.into(),
            Failure::Full => return Errno::NOSPC.into(),
            Failure::Kill => self.process += 1,
            Failure::PowerCut => self.cut_power(),
        }
        dead()
    }

    fn cut_power(&mut self) {
        self.process += 1;
        self.file.cut_power(&mut self.random);
    }
}

/// The file as one process has it open.
#[derive(Debug)]
struct Backend {
    disk: Disk,
    process: u64,
}

impl Backend {
    fn operate<T>(
        &self,
        operation: Operation,
        work: impl FnOnce(&mut File) -> io::Result<T>,
        fail: impl FnOnce(&mut Inner, Failure),
    ) -> io::Result<T> {
        let mut inner = self.disk.inner();
        if inner.process != self.process {
            return Err(dead());
        }
        match inner.due(operation) {
            None => work(&mut inner.file),
            Some(failure) => {
                fail(&mut inner, failure);
                Err(inner.strike(failure))
            }
        }
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.operate(Operation::Read, |file| Ok(file.len()), |_, _| {})
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.operate(Operation::Read, |file| file.read(offset, out), |_, _| {})
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.operate(Operation::SetLength, |file| file.set_len(len), |_, _| {})
    }

    fn sync_data(&self) -> io::Result<()> {
        let work = |file: &mut File| {
            file.sync();
            Ok(())
        };
        self.operate(Operation::Sync, work, |inner, failure| {
            if matches!(failure, Failure::Io | Failure::Full) {
                inner.file.fail_to_sync();
            }
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.operate(
            Operation::Write,
            |file| file.write(offset, data),
            |inner, _| inner.file.write_torn(offset, data, &mut inner.random),
        )
    }
}

/// Splitmix64: small, and the same everywhere.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn dead() -> io::Error {
    io::Error::other("this process is dead")
}
