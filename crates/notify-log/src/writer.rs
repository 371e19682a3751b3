//! The thread that writes: one for each transport, so that no disk ever blocks a runtime.

use std::io;
use std::sync::mpsc;
use std::thread;

use notify_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use crate::config::Config;
use crate::lines::Lines;
use crate::reopen::LogFile;
use crate::stdout::Stdout;

/// A running thread. Dropped, it ends by itself after what it has in hand, and nobody waits for it.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    ended: oneshot::Receiver<()>,
}

/// What became of one batch, and its buffer back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) lines: Lines,
    /// An error leaves the fate of every line open, unless its outcome says otherwise.
    pub(crate) result: Result<Written>,
}

/// Which lines of a batch are where they belong.
#[derive(Debug)]
pub(crate) struct Written {
    /// So many from the first, synced if that was asked for.
    pub(crate) lines: usize,
    /// Why the others, if any, are not.
    pub(crate) rest: Option<Error>,
}

/// One batch to write.
#[derive(Debug)]
pub(crate) struct Job {
    lines: Lines,
    answer: oneshot::Sender<Answer>,
}

impl Writer {
    /// Starts the thread. It opens nothing before its first batch.
    pub(crate) fn start(config: &Config) -> Result<Self> {
        let mut destination = match config {
            Config::File(file) => Destination::File(LogFile::new(file.clone())),
            Config::Stdout | Config::Tracing => Destination::Stdout(Stdout::default()),
        };
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (end, ended) = oneshot::channel();
        spawn(move || {
            for Job { lines, answer } in inbox {
                let result = destination.write(&lines);
                // The one who asked may be gone; the next batch asks anew.
                drop(answer.send(Answer { lines, result }));
            }
            drop(destination);
            drop(end);
        })?;
        Ok(Self { jobs, ended })
    }

    /// One that never gets to anything, and what it was given.
    #[cfg(test)]
    pub(crate) fn idle() -> (Self, mpsc::Receiver<Job>) {
        let (jobs, inbox) = mpsc::channel();
        (Self { jobs, ended: oneshot::channel().1 }, inbox)
    }

    /// Hands a batch over. The answer fails if the thread is gone.
    pub(crate) fn write(&self, lines: Lines) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        // A thread that is gone drops the job, and with it the sender of the answer.
        drop(self.jobs.send(Job { lines, answer }));
        receiver
    }

    /// Ends the thread and waits until it has closed what it wrote to.
    pub(crate) async fn stop(self) {
        drop(self.jobs);
        // An error is what says that the thread is gone.
        drop(self.ended.await);
    }
}

/// Runs `look` on a thread of its own, for what is done rarely and may block.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (answer, receiver) = oneshot::channel();
    spawn(move || drop(answer.send(look())))?;
    receiver.await.map_err(|_| Error::new(ErrorKind::Bug, "the log's thread ended by itself"))
}

#[derive(Debug)]
enum Destination {
    File(LogFile),
    Stdout(Stdout),
}

impl Destination {
    fn write(&mut self, lines: &Lines) -> Result<Written> {
        match self {
            Self::File(file) => file.write(lines),
            Self::Stdout(stdout) => stdout.write(lines),
        }
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned: io::Result<_> = thread::Builder::new().name(THREAD.into()).spawn(run);
    spawned.map(drop).map_err(|error| {
        Error::new(ErrorKind::Unavailable, "no thread can be started to write the log")
            .with_source(error)
    })
}

const THREAD: &str = "glance-notify-log";
