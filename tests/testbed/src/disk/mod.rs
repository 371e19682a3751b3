//! A disk in memory that holds redb files and fails on demand: it runs full, returns errors,
//! hangs, dies in the middle of a write, or loses power, and with it the bytes that were not synced.
//!
//! Every random choice follows from the seed and from the operations, so a test can repeat a
//! failure.

mod cached_file;
mod fault;
mod mounted_disk;
mod random;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;
use rustix::io::Errno;

use cached_file::CachedFile;
pub use fault::{DiskFailure, DiskFault, DiskOperation};
pub use mounted_disk::{FrozenDisk, MountedDisk};
use random::SplitMix64;

/// A disk with numbered files. Clones refer to the same disk.
///
/// Processes open the files one after the other. When one ends, by [`kill`](Self::kill) or
/// [`cut_power`](Self::cut_power), its [backends](Self::backend) stop working. Most tests use file 0
/// only.
#[derive(Clone, Debug)]
pub struct FaultyDisk(Arc<SharedDisk>);

#[derive(Debug)]
struct SharedDisk {
    state: Mutex<DiskState>,
    /// Wakes the operations that hang.
    healed: Condvar,
}

#[derive(Debug)]
struct DiskState {
    files: BTreeMap<u32, CachedFile>,
    /// The most bytes that a file may occupy; `None` for no limit.
    limit: Option<u64>,
    /// The number of the living process. Backends of earlier processes return errors.
    process: u64,
    faults: Vec<DiskFault>,
    /// Whether every operation hangs.
    hangs: bool,
    /// The number of operations that hang now.
    hanging: usize,
    random: SplitMix64,
}

impl FaultyDisk {
    /// Creates an empty disk without a size limit.
    pub fn new(seed: u64) -> Self {
        let state = DiskState {
            files: BTreeMap::new(),
            limit: None,
            process: 0,
            faults: Vec::new(),
            hangs: false,
            hanging: 0,
            random: SplitMix64::new(seed),
        };
        Self(Arc::new(SharedDisk { state: Mutex::new(state), healed: Condvar::new() }))
    }

    /// Opens file 0 for the living process.
    pub fn backend(&self) -> impl StorageBackend + use<> {
        self.backend_of(0)
    }

    /// Opens a file for the living process. A file that no process has opened is empty.
    pub fn backend_of(&self, file: u32) -> impl StorageBackend + use<> {
        DiskBackend { process: self.state().process, file, disk: self.clone() }
    }

    /// Adds a fault.
    pub fn fail(&self, fault: DiskFault) {
        self.state().faults.push(fault);
    }

    /// Limits each file to `bytes`. Bytes that a file occupies already stay.
    pub fn limit(&self, bytes: u64) {
        self.state().set_limit(Some(bytes));
    }

    /// Removes all faults and the limit. Operations that hang go on.
    pub fn heal(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.hangs = false;
        state.set_limit(None);
        drop(state);
        self.0.healed.notify_all();
    }

    /// Returns whether an operation hangs now.
    pub fn hangs(&self) -> bool {
        self.state().hanging > 0
    }

    /// Ends the process as `kill -9` does: its backends stop working, and everything that it wrote
    /// stays, synced or not.
    pub fn kill(&self) {
        self.state().process += 1;
        self.0.healed.notify_all();
    }

    /// Ends the process, and loses or tears a random part of the bytes written since the last sync.
    pub fn cut_power(&self) {
        self.state().cut_power();
        self.0.healed.notify_all();
    }

    /// Returns the number of processes that have ended.
    pub fn ended_processes(&self) -> u64 {
        self.state().process
    }

    /// Returns the content of file 0 as a process reads it.
    pub fn content(&self) -> Vec<u8> {
        self.content_of(0)
    }

    /// Returns the content of a file as a process reads it.
    pub fn content_of(&self, file: u32) -> Vec<u8> {
        self.state().file(file).content().to_vec()
    }

    /// Changes one byte of a file, in the cache and on the disk, if the file is that long.
    pub fn damage(&self, file: u32, offset: u64) {
        self.state().file(file).damage(offset);
    }

    /// Moves the content of a file to another file, which must be new.
    pub fn rename(&self, from: u32, to: u32) {
        let mut state = self.state();
        let file = state.files.remove(&from).unwrap_or_default();
        state.files.insert(to, file);
    }

    /// Returns the number of bytes that file 0 occupies on the disk. Blocks that no process has
    /// written occupy none.
    pub fn allocated(&self) -> u64 {
        self.state().file(0).allocated()
    }

    fn state(&self) -> MutexGuard<'_, DiskState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the disk hangs and `process` lives.
    fn wait_while_hung<'a>(
        &self,
        mut state: MutexGuard<'a, DiskState>,
        process: u64,
    ) -> MutexGuard<'a, DiskState> {
        state.hanging += 1;
        let waited = self.0.healed.wait_while(state, |it| it.hangs && it.process == process);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.hanging -= 1;
        state
    }
}

impl DiskState {
    /// Returns a file, and creates it first if it is missing.
    fn file(&mut self, number: u32) -> &mut CachedFile {
        let limit = self.limit;
        self.files.entry(number).or_insert_with(|| {
            let mut file = CachedFile::default();
            file.limit(limit);
            file
        })
    }

    fn set_limit(&mut self, limit: Option<u64>) {
        self.limit = limit;
        self.files.values_mut().for_each(|file| file.limit(limit));
    }

    /// Counts `operation` for the faults, and returns the failure if one is due.
    fn due_failure(&mut self, operation: DiskOperation) -> Option<DiskFailure> {
        let mut due = None;
        self.faults.retain_mut(|fault| {
            if due.is_some() || fault.on != DiskOperation::Any && fault.on != operation {
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

    /// Applies `failure` to the process and the disk. Returns the error of the operation.
    fn apply_failure(&mut self, failure: DiskFailure) -> io::Error {
        match failure {
            DiskFailure::Io => return Errno::IO.into(),
            DiskFailure::Full => return Errno::NOSPC.into(),
            DiskFailure::Hang => unreachable!("an operation that hangs does not fail"),
            DiskFailure::Kill => self.process += 1,
            DiskFailure::PowerCut => self.cut_power(),
        }
        dead_process()
    }

    fn cut_power(&mut self) {
        self.process += 1;
        for file in self.files.values_mut() {
            file.cut_power(&mut self.random);
        }
    }
}

/// The file as one process has opened it.
#[derive(Debug)]
struct DiskBackend {
    disk: FaultyDisk,
    file: u32,
    process: u64,
}

impl DiskBackend {
    /// Runs `work` on the file. If a failure is due, runs `on_failure` instead and returns an
    /// error.
    fn operate<T>(
        &self,
        operation: DiskOperation,
        work: impl FnOnce(&mut CachedFile) -> io::Result<T>,
        on_failure: impl FnOnce(&mut DiskState, DiskFailure),
    ) -> io::Result<T> {
        let mut state = self.disk.state();
        if state.process != self.process {
            return Err(dead_process());
        }
        let due = state.due_failure(operation);
        if due == Some(DiskFailure::Hang) || state.hangs {
            state.hangs = true;
            state = self.disk.wait_while_hung(state, self.process);
            if state.process != self.process {
                return Err(dead_process());
            }
        }
        match due {
            None | Some(DiskFailure::Hang) => work(state.file(self.file)),
            Some(failure) => {
                on_failure(&mut state, failure);
                Err(state.apply_failure(failure))
            }
        }
    }
}

impl StorageBackend for DiskBackend {
    fn len(&self) -> io::Result<u64> {
        self.operate(DiskOperation::Read, |file| Ok(file.len()), |_, _| {})
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.operate(DiskOperation::Read, |file| file.read(offset, out), |_, _| {})
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.operate(DiskOperation::SetLength, |file| file.set_len(len), |_, _| {})
    }

    fn sync_data(&self) -> io::Result<()> {
        let work = |file: &mut CachedFile| {
            file.sync();
            Ok(())
        };
        self.operate(DiskOperation::Sync, work, |state, failure| {
            if matches!(failure, DiskFailure::Io | DiskFailure::Full) {
                state.file(self.file).fail_to_sync();
            }
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.operate(
            DiskOperation::Write,
            |file| file.write(offset, data),
            |state, _| {
                let mut random = state.random.clone();
                state.file(self.file).write_torn(offset, data, &mut random);
                state.random = random;
            },
        )
    }
}

/// The error of every operation of a process that has ended.
fn dead_process() -> io::Error {
    io::Error::other("the process has ended")
}
