//! The thread of a slot: it locks slots and executes the jobs of its handles, one after the other.
//!
//! Everything here blocks, so it must run on the slot's own thread and never on a runtime's. The thread
//! has no handle of itself: it answers jobs and ends when no handle is left.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use notify_core::{Error, ErrorKind, Result};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::config::Config;
use crate::counters::StageCounters;
use crate::error::file_error;
use crate::executor::SlotWork;
use crate::orphan_search::OrphanSearch;
use crate::slot::Slot;
use crate::slot_job::{SlotJob, StoreReply};
use crate::slot_session::SlotSession;
use crate::spool_dir::SpoolDir;

/// The work of a slot's thread, which takes its jobs from a channel.
#[derive(Debug)]
pub(crate) struct ThreadWork(Mutex<Option<(SlotThread, mpsc::Receiver<SlotJob>)>>);

impl ThreadWork {
    /// Returns the work of `thread`, which takes its jobs from `inbox`.
    pub(crate) fn new(thread: SlotThread, inbox: mpsc::Receiver<SlotJob>) -> Self {
        Self(Mutex::new(Some((thread, inbox))))
    }
}

impl SlotWork for ThreadWork {
    fn run(&self) {
        // The work takes longer than the lock may last.
        let taken = lock(&self.0).take();
        if let Some((mut thread, inbox)) = taken {
            thread.run(&inbox);
        }
    }

    fn step(&self) -> bool {
        let mut state = lock(&self.0);
        let goes_on = state.as_mut().is_some_and(|(thread, inbox)| thread.step(inbox));
        if !goes_on {
            *state = None;
        }
        goes_on
    }
}

/// The state of a slot's thread.
#[derive(Debug)]
pub(crate) struct SlotThread {
    config: Config,
    counters: Arc<StageCounters>,
    choice: SlotChoice,
    /// The slot that the thread has locked.
    session: Option<SlotSession>,
    /// Tells the forwarder that new messages are on the disk.
    stored: Arc<Notify>,
    /// Tells the last handle that the slot is closed.
    ended: watch::Sender<bool>,
}

/// The slots that a thread may lock.
#[derive(Debug)]
pub(crate) enum SlotChoice {
    /// The lowest free slot. The thread keeps it until it ends.
    LowestFree,
    /// An orphan, which the search finds. All threads of one process share the search.
    Orphans(Arc<Mutex<OrphanSearch>>),
}

impl SlotThread {
    /// Returns a thread without a slot. It touches nothing before its first job.
    pub(crate) fn new(
        config: Config,
        counters: Arc<StageCounters>,
        choice: SlotChoice,
        stored: Arc<Notify>,
        ended: watch::Sender<bool>,
    ) -> Self {
        Self { config, counters, choice, session: None, stored, ended }
    }

    /// Executes jobs until every handle is gone, then closes the slot.
    pub(crate) fn run(&mut self, inbox: &mpsc::Receiver<SlotJob>) {
        loop {
            match self.next_job(inbox) {
                Ok(job) => self.execute(job),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            if let Some(session) = &mut self.session {
                session.do_due_work(Instant::now());
            }
        }
        self.close();
    }

    /// Does what [`run`](Self::run) does between two waits. Returns `false` after the end.
    pub(crate) fn step(&mut self, inbox: &mpsc::Receiver<SlotJob>) -> bool {
        match inbox.try_recv() {
            Ok(job) => self.execute(job),
            Err(mpsc::TryRecvError::Empty) => {}
            Err(mpsc::TryRecvError::Disconnected) => {
                self.close();
                return false;
            }
        }
        if let Some(session) = &mut self.session {
            session.do_due_work(Instant::now());
        }
        true
    }

    /// Waits for the next job, at most until the session has work to do.
    fn next_job(&self, inbox: &mpsc::Receiver<SlotJob>) -> Result<SlotJob, mpsc::RecvTimeoutError> {
        match self.session.as_ref().and_then(SlotSession::next_work) {
            None => inbox.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            Some(at) => inbox.recv_timeout(at.saturating_duration_since(Instant::now())),
        }
    }

    fn execute(&mut self, job: SlotJob) {
        // An answer fails if the caller has gone away meanwhile. The work stays done.
        match job {
            // The caller gave up while the disk did not answer, and asks again.
            SlotJob::Read { answer, .. } if answer.is_closed() => {}
            SlotJob::Lock { answer } if answer.is_closed() => {}
            SlotJob::Lock { answer } => {
                let locked = self.lock();
                // The caller does not know about this slot, so it would never release it.
                if answer.send(locked).is_err() && matches!(self.choice, SlotChoice::Orphans(_)) {
                    self.release(true);
                }
            }
            SlotJob::Store { records, answer } => {
                let result = self.own_session().and_then(|session| session.store(&records));
                answer.send(StoreReply { records, result }).ok();
            }
            SlotJob::Read { from, bytes, answer } => {
                answer.send(self.own_session().and_then(|it| it.read(from, bytes))).ok();
            }
            SlotJob::RecordOutcome(outcome) => {
                if let Some(session) = &mut self.session {
                    session.keep_outcomes(outcome);
                }
            }
            SlotJob::Release { again, answer } => {
                self.release(again);
                answer.send(()).ok();
            }
        }
    }

    /// Locks a slot unless this thread has one. Returns `None` if no orphan is left in this round.
    fn lock(&mut self) -> Option<Result<()>> {
        if self.session.is_some() {
            return Some(Ok(()));
        }
        let slot = match &self.choice {
            SlotChoice::LowestFree => Some(lock_lowest(&self.config)),
            SlotChoice::Orphans(search) => lock(search).next_orphan(Instant::now()),
        };
        Some(slot?.map(|slot| {
            let (config, counters) = (self.config.clone(), Arc::clone(&self.counters));
            let session = SlotSession::new(slot, config, counters, Arc::clone(&self.stored));
            self.session = Some(session);
        }))
    }

    /// Returns the session of this thread's slot. A thread of one slot locks it first.
    fn own_session(&mut self) -> Result<&mut SlotSession> {
        if matches!(self.choice, SlotChoice::LowestFree)
            && let Some(locked) = self.lock()
        {
            locked?;
        }
        self.session.as_mut().ok_or_else(|| Error::new(ErrorKind::Bug, "no slot is locked"))
    }

    /// Closes an orphan and releases its lock. With `again`, or if the disk did not record an outcome,
    /// a later round looks at the orphan again although its file does not change.
    fn release(&mut self, again: bool) {
        self.close_database();
        let session = self.session.take();
        if let (Some(session), SlotChoice::Orphans(search)) = (session, &self.choice) {
            let again = again || session.has_unrecorded_outcomes();
            let mut search = lock(search);
            if again || session.had_messages() {
                search.note_released(session.slot(), again);
            } else {
                search.note_idle(session.slot(), Instant::now());
            }
            // While the search waits: it would take this process for another owner.
            drop(session);
        }
    }

    /// Closes the slot, releases its lock, and tells the last handle.
    fn close(&mut self) {
        self.close_database();
        self.session = None;
        self.ended.send_replace(true);
    }

    fn close_database(&mut self) {
        if let Some(session) = &mut self.session {
            session.close();
        }
    }
}

/// Locks `mutex`, also after a panic of another thread.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks the lowest free slot of the spool's directory, and creates the directory if it is missing.
fn lock_lowest(config: &Config) -> Result<Slot> {
    if let Some(root) = &config.root {
        // Its name must be as durable as what lies below it.
        SpoolDir::open(root, true)?
            .sync_own_name(&*config.disk)
            .map_err(|error| file_error(root, "cannot be synced in its parent directory", error))?;
    }
    Slot::lock_lowest(&SpoolDir::open(&config.dir, true)?)
}
