//! The handle of a slot's thread.
//!
//! Each slot has a thread of its own, so that no disk ever blocks a runtime. This module only sends
//! jobs to that thread and waits for its answers; it never touches the disk.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use notify_core::Result;
use tokio::sync::{Notify, oneshot, watch};

use crate::blocking::{spawn_thread, thread_gone};
use crate::chunk_outcome::ChunkOutcome;
use crate::config::Config;
use crate::counters::StageCounters;
use crate::records::{RecordBatch, RecordChunk};
use crate::slot::Slot;
use crate::slot_job::{SlotJob, StoreReply};
use crate::slot_thread::SlotThread;

/// A handle of the thread that owns a slot.
///
/// The thread starts with the first job. After the last handle is gone, the thread finishes the jobs
/// that it has, closes the slot and ends.
#[derive(Debug)]
pub(crate) struct SlotHandle {
    jobs: mpsc::Sender<SlotJob>,
    /// The thread's state, until the thread starts.
    unstarted: Mutex<Option<(SlotThread, mpsc::Receiver<SlotJob>)>>,
    /// The signal that the thread stored new messages.
    stored: Arc<Notify>,
    /// `true` once the thread has closed the slot.
    ended: watch::Receiver<bool>,
}

impl SlotHandle {
    /// Returns the handle of a thread for `slot`, or for the lowest free slot if `slot` is `None`.
    pub(crate) fn new(
        config: Config,
        counters: Arc<StageCounters>,
        slot: Option<Slot>,
    ) -> Arc<Self> {
        let (jobs, inbox) = mpsc::channel();
        let (end, ended) = watch::channel(false);
        let stored = Arc::new(Notify::new());
        let thread = SlotThread::new(config, counters, slot, Arc::clone(&stored), end);
        Arc::new(Self { jobs, unstarted: Mutex::new(Some((thread, inbox))), stored, ended })
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
        receiver.await.unwrap_or_else(|_| Err(thread_gone()))
    }

    /// Has the thread record the outcomes of a chunk soon, without an answer.
    ///
    /// If the process ends before the thread records them, the next run delivers those messages again.
    pub(crate) fn record_outcome(&self, outcome: ChunkOutcome) {
        self.jobs.send(SlotJob::RecordOutcome(outcome)).ok();
    }

    /// Waits until the thread has stored messages since the last call.
    pub(crate) async fn wait_for_messages(&self) {
        self.stored.notified().await;
    }

    /// Releases this handle. The last handle waits until the thread has closed the slot.
    pub(crate) async fn release(self: Arc<Self>) {
        let mut ended = self.ended.clone();
        if let Some(last) = Arc::into_inner(self) {
            drop(last);
            // An error means the same: the thread is gone, or it never started.
            ended.wait_for(|ended| *ended).await.ok();
        }
    }

    /// Starts the thread unless it runs already.
    fn start(&self) -> Result<()> {
        let mut unstarted = self.unstarted.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((mut thread, inbox)) = unstarted.take() else { return Ok(()) };
        spawn_thread(move || thread.run(&inbox))
    }
}
