//! The handle of a slot's thread.
//!
//! Each slot has a thread of its own, so that no disk ever blocks a runtime. This module only sends
//! jobs to that thread and waits for its answers; it never touches the disk. Every wait has a deadline.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use notify_core::{Error, ErrorKind, Result};
use tokio::sync::{Notify, oneshot, watch};

use crate::blocking::thread_gone;
use crate::chunk_outcome::ChunkOutcome;
use crate::config::Config;
use crate::counters::StageCounters;
use crate::error::dir_message;
use crate::executor::{SlotExecutor, SlotWork};
use crate::records::{RecordBatch, RecordChunk};
use crate::slot_job::{SlotJob, StoreReply};
use crate::slot_thread::{SlotChoice, SlotThread, ThreadWork};

/// A handle of the thread that owns a slot.
///
/// The thread starts with the first job. After the last handle is gone, the thread finishes the jobs
/// that it has, closes the slot and ends.
#[derive(Debug)]
pub(crate) struct SlotHandle {
    /// The directory, for messages.
    dir: PathBuf,
    jobs: mpsc::Sender<SlotJob>,
    start: Mutex<WorkStart>,
    /// The signal that the thread stored new messages.
    stored: Arc<Notify>,
    /// `true` once the thread has closed the slot.
    ended: watch::Receiver<bool>,
}

/// The start of a slot's work.
#[derive(Debug)]
struct WorkStart {
    is_started: bool,
    /// The work. A start that fails leaves it here for the next.
    work: Arc<dyn SlotWork>,
    executor: Arc<dyn SlotExecutor>,
}

impl SlotHandle {
    /// Returns the handle of a thread that locks the slots of `choice`.
    pub(crate) fn new(
        config: Config,
        counters: Arc<StageCounters>,
        choice: SlotChoice,
    ) -> Arc<Self> {
        let dir = config.dir.clone();
        let (jobs, inbox) = mpsc::channel();
        let (end, ended) = watch::channel(false);
        let stored = Arc::new(Notify::new());
        let executor = Arc::clone(&config.executor);
        let thread = SlotThread::new(config, counters, choice, Arc::clone(&stored), end);
        let work = Arc::new(ThreadWork::new(thread, inbox));
        let start = Mutex::new(WorkStart { is_started: false, work, executor });
        Arc::new(Self { dir, jobs, start, stored, ended })
    }

    /// Locks a slot: the lowest free one, or the next orphan.
    ///
    /// Returns `None` if no orphan is left in this round.
    pub(crate) async fn lock(&self) -> Option<Result<()>> {
        if let Err(error) = self.start() {
            return Some(Err(error));
        }
        let (answer, receiver) = oneshot::channel();
        self.jobs.send(SlotJob::Lock { answer }).ok();
        self.answer(receiver).await.unwrap_or_else(|error| Some(Err(error)))
    }

    /// Sends a batch to the thread and returns the receiver of the answer.
    ///
    /// The receiver fails if the thread is gone.
    pub(crate) fn store(&self, records: RecordBatch) -> Result<oneshot::Receiver<StoreReply>> {
        self.start()?;
        let (answer, receiver) = oneshot::channel();
        // If the thread is gone, the channel drops the job, and with it the sender of the answer.
        self.jobs.send(SlotJob::Store { records, answer }).ok();
        Ok(receiver)
    }

    /// Reads the stored messages from number `from` on, about `bytes` bytes of them.
    pub(crate) async fn read(&self, from: u64, bytes: usize) -> Result<Vec<RecordChunk>> {
        self.start()?;
        let (answer, receiver) = oneshot::channel();
        self.jobs.send(SlotJob::Read { from, bytes, answer }).ok();
        self.answer(receiver).await?
    }

    /// Has the thread record outcomes of a chunk soon, without an answer.
    ///
    /// If the process ends before the thread records them, the next run delivers those messages again.
    pub(crate) fn record_outcome(&self, outcome: ChunkOutcome) {
        self.jobs.send(SlotJob::RecordOutcome(outcome)).ok();
    }

    /// Waits until the thread has stored messages since the last call.
    pub(crate) async fn wait_for_messages(&self) {
        self.stored.notified().await;
    }

    /// Records the outcomes of an orphan and releases its lock.
    ///
    /// With `again`, a later round looks at the orphan again although its file does not change.
    ///
    /// # Cancel safety
    ///
    /// The thread releases the orphan even if the caller drops the future.
    pub(crate) async fn release_orphan(&self, again: bool) {
        let (answer, receiver) = oneshot::channel();
        self.jobs.send(SlotJob::Release { again, answer }).ok();
        self.answer(receiver).await.ok();
    }

    /// Releases this handle. The last handle waits until the thread has closed the slot, for at most 5 s.
    pub(crate) async fn release(self: Arc<Self>) {
        let mut ended = self.ended.clone();
        if let Some(last) = Arc::into_inner(self) {
            drop(last);
            // An error means the same: the thread is gone, or it never started.
            let closed = ended.wait_for(|ended| *ended);
            if tokio::time::timeout(CLOSE_TIMEOUT, closed).await.is_err() {
                tracing::warn!("the spool did not close within {} s", CLOSE_TIMEOUT.as_secs());
            }
        }
    }

    /// Waits for an answer of the thread.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`] if the disk does not answer. The thread then drops the job.
    async fn answer<T>(&self, receiver: oneshot::Receiver<T>) -> Result<T> {
        match tokio::time::timeout(DISK_TIMEOUT, receiver).await {
            Ok(answer) => answer.map_err(|_| thread_gone()),
            Err(_) => Err(self.hung_disk()),
        }
    }

    /// Returns the error for a disk that has not answered within [`DISK_TIMEOUT`].
    pub(crate) fn hung_disk(&self) -> Error {
        let problem =
            format!("does not answer within {} s: check the disk", DISK_TIMEOUT.as_secs());
        Error::new(ErrorKind::Timeout, dir_message(&self.dir, &problem))
    }

    /// Returns whether the thread has started.
    pub(crate) fn has_started(&self) -> bool {
        self.lock_start().is_started
    }

    /// Starts the thread unless it runs already.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the system has no room for another thread. The next job tries
    /// again.
    fn start(&self) -> Result<()> {
        let mut start = self.lock_start();
        if !start.is_started {
            start.executor.start(Arc::clone(&start.work))?;
            start.is_started = true;
        }
        Ok(())
    }

    fn lock_start(&self) -> MutexGuard<'_, WorkStart> {
        self.start.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The longest wait for a disk before the caller reports that it hangs.
pub(crate) const DISK_TIMEOUT: Duration = Duration::from_secs(30);
/// The time that a disk may take to close a slot.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
