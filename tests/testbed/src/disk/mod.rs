//! A disk in memory that holds one redb file and fails on demand: it runs full, returns errors,
//! dies in the middle of a write, or loses power, and with it the bytes that were not synced.
//!
//! Every random choice follows from the seed and from the operations, so a test can repeat a
//! failure.

mod cached_file;
mod fault;
mod random;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;
use rustix::io::Errno;

use cached_file::CachedFile;
pub use fault::{DiskFailure, DiskFault, DiskOperation};
use random::SplitMix64;

/// A disk with one file. Clones refer to the same disk.
///
/// Processes open the file one after the other. When one ends, by [`kill`](Self::kill) or
/// [`cut_power`](Self::cut_power), its [backend](Self::backend) stops working.
#[derive(Clone, Debug)]
pub struct FaultyDisk(Arc<Mutex<DiskState>>);

#[derive(Debug)]
struct DiskState {
    file: CachedFile,
    /// The number of the living process. Backends of earlier processes return errors.
    process: u64,
    faults: Vec<DiskFault>,
    random: SplitMix64,
}

impl FaultyDisk {
    /// Creates an empty disk without a size limit.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(DiskState {
            file: CachedFile::default(),
            process: 0,
            faults: Vec::new(),
            random: SplitMix64::new(seed),
        })))
    }

    /// Opens the file for the living process.
    pub fn backend(&self) -> impl StorageBackend + use<> {
        DiskBackend { process: self.state().process, disk: self.clone() }
    }

    /// Adds a fault.
    pub fn fail(&self, fault: DiskFault) {
        self.state().faults.push(fault);
    }

    /// Limits the file to `bytes`. Bytes that the file occupies already stay.
    pub fn limit(&self, bytes: u64) {
        self.state().file.limit(Some(bytes));
    }

    /// Removes all faults and the limit.
    pub fn heal(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.file.limit(None);
    }

    /// Ends the process as `kill -9` does: its backends stop working, and everything that it wrote
    /// stays, synced or not.
    pub fn kill(&self) {
        self.state().process += 1;
    }

    /// Ends the process, and loses or tears a random part of the bytes written since the last sync.
    pub fn cut_power(&self) {
        self.state().cut_power();
    }

    /// Returns the number of processes that have ended.
    pub fn ended_processes(&self) -> u64 {
        self.state().process
    }

    /// Returns the content of the file as a process reads it.
    pub fn content(&self) -> Vec<u8> {
        self.state().file.content().to_vec()
    }

    /// Returns the number of bytes that the file occupies on the disk. Blocks that no process has
    /// written occupy none.
    pub fn allocated(&self) -> u64 {
        self.state().file.allocated()
    }

    fn state(&self) -> MutexGuard<'_, DiskState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DiskState {
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
            DiskFailure::Kill => self.process += 1,
            DiskFailure::PowerCut => self.cut_power(),
        }
        dead_process()
    }

    fn cut_power(&mut self) {
        self.process += 1;
        self.file.cut_power(&mut self.random);
    }
}

/// The file as one process has opened it.
#[derive(Debug)]
struct DiskBackend {
    disk: FaultyDisk,
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
        match state.due_failure(operation) {
            None => work(&mut state.file),
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
                state.file.fail_to_sync();
            }
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.operate(
            DiskOperation::Write,
            |file| file.write(offset, data),
            |state, _| state.file.write_torn(offset, data, &mut state.random),
        )
    }
}

/// The error of every operation of a process that has ended.
fn dead_process() -> io::Error {
    io::Error::other("the process has ended")
}
