//! The thread that owns a slot: one for each, so that no disk ever blocks a runtime.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use notify_core::{Error, ErrorKind, Result};
use tokio::sync::{Notify, oneshot, watch};

use crate::conclusion::Conclusion;
use crate::config::Config;
use crate::dir::Slot;
use crate::ledger::Ledger;
use crate::owner::Owner;
use crate::record::Records;
use crate::store::Chunk;

/// A slot's thread. It starts with the first thing it is asked; when the last who knows it is gone, it
/// finishes what it has in hand and ends.
#[derive(Debug)]
pub(crate) struct Keeper {
    jobs: mpsc::Sender<Job>,
    /// What the thread is to start with.
    idle: Mutex<Option<(Owner, mpsc::Receiver<Job>)>>,
    committed: Arc<Notify>,
    ended: watch::Receiver<bool>,
}

/// What is asked of the thread.
#[derive(Debug)]
pub(crate) enum Job {
    Accept { records: Records, answer: oneshot::Sender<Accepted> },
    Read { from: u64, bytes: usize, answer: oneshot::Sender<Result<Vec<Chunk>>> },
    Conclude(Conclusion),
}

/// What became of one batch, and its memory back.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) records: Records,
    /// An error of [`Outcome::NotSent`](notify_core::Outcome) says that none is stored; with any other
    /// outcome nobody knows before the database is open again.
    pub(crate) result: Result<Stored>,
}

/// Which messages of a batch are on the disk.
#[derive(Debug)]
pub(crate) struct Stored {
    /// So many from the first.
    pub(crate) messages: usize,
    /// Why the others, if any, are not: there is no room.
    pub(crate) rest: Option<Error>,
}

impl Keeper {
    /// A thread for the lowest slot that is free when it starts; or for `slot`.
    pub(crate) fn new(config: Config, ledger: Arc<Ledger>, slot: Option<Slot>) -> Arc<Self> {
        let (jobs, inbox) = mpsc::channel();
        let (end, ended) = watch::channel(false);
        let committed = Arc::new(Notify::new());
        let owner = Owner::new(config, ledger, slot, Arc::clone(&committed), end);
        Arc::new(Self { jobs, idle: Mutex::new(Some((owner, inbox))), committed, ended })
    }

    /// Stores a batch. The answer fails if the thread is gone.
    pub(crate) fn accept(&self, records: Records) -> Result<oneshot::Receiver<Accepted>> {
        self.start()?;
        let (answer, receiver) = oneshot::channel();
        // A thread that is gone drops the job, and with it the sender of the answer.
        self.jobs.send(Job::Accept { records, answer }).ok();
        Ok(receiver)
    }

    /// Reads what is stored from number `from` on.
    pub(crate) async fn read(&self, from: u64, bytes: usize) -> Result<Vec<Chunk>> {
        self.start()?;
        let (answer, receiver) = oneshot::channel();
        self.jobs.send(Job::Read { from, bytes, answer }).ok();
        receiver.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Writes down what became of some messages, soon and without a word.
    pub(crate) fn conclude(&self, conclusion: Conclusion) {
        self.jobs.send(Job::Conclude(conclusion)).ok();
    }

    /// Resolves when something was stored since the last time.
    pub(crate) async fn committed(&self) {
        self.committed.notified().await;
    }

    /// Lets go of the thread; if nobody else knows it, waits until it has closed the slot.
    pub(crate) async fn stop(self: Arc<Self>) {
        let mut ended = self.ended.clone();
        if let Some(last) = Arc::into_inner(self) {
            drop(last);
            // An error is as good: the thread is gone, or never was.
            ended.wait_for(|ended| *ended).await.ok();
        }
    }

    fn start(&self) -> Result<()> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((mut owner, inbox)) = idle.take() else { return Ok(()) };
        spawn(move || owner.run(&inbox))
    }
}

/// Runs `look` on a thread of its own, for what is done rarely and may block.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (answer, receiver) = oneshot::channel();
    spawn(move || drop(answer.send(look())))?;
    receiver.await.map_err(|_| gone())
}

fn spawn(run: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned = thread::Builder::new().name(THREAD.into()).spawn(run);
    spawned.map(drop).map_err(|error| {
        Error::new(ErrorKind::Unavailable, "no thread can be started to keep the spool")
            .with_source(error)
    })
}

pub(crate) fn gone() -> Error {
    Error::new(ErrorKind::Bug, "the spool's thread ended by itself")
}

const THREAD: &str = "glance-notify-spool";
