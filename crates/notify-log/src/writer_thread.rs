//! The thread that writes: each transport has its own, so that a slow disk blocks no runtime.
//!
//! The thread has no queue. The transport hands it one batch at a time and waits for the reply.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use notify_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::config::Config;
use crate::line_buffer::LineBuffer;
use crate::log_file::LogFile;
use crate::stdout::StdoutSink;
use crate::write_report::WriteReport;

/// The handle of a running writer thread.
///
/// When you drop the handle, the thread finishes the batch that it holds and ends. The drop does not
/// wait for it.
#[derive(Debug)]
pub(crate) struct WriterThread {
    /// The thread's inbox. Dropping the sender ends the thread.
    jobs: mpsc::Sender<WriteJob>,
    /// Resolves, with an error, when the thread has closed its output.
    ended: oneshot::Receiver<()>,
}

/// The thread's reply to one batch, with the buffer for the next one.
#[derive(Debug)]
pub(crate) struct WriteReply {
    /// The buffer of the batch.
    pub(crate) lines: LineBuffer,
    /// The report. After an error, the state of every line is as the error's outcome says.
    pub(crate) result: Result<WriteReport>,
}

/// One batch for the thread to write.
#[derive(Debug)]
pub(crate) struct WriteJob {
    /// The lines to write.
    lines: LineBuffer,
    /// The place for the reply.
    reply: oneshot::Sender<WriteReply>,
}

impl WriterThread {
    /// Starts the thread. The thread opens no file before its first batch.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the system starts no thread.
    pub(crate) fn start(config: &Config) -> Result<Self> {
        let mut sink = match config {
            Config::File(file) => LineSink::File(LogFile::new(file.clone())),
            Config::Stdout | Config::Tracing => LineSink::Stdout(StdoutSink::default()),
        };
        let (jobs, inbox) = mpsc::channel::<WriteJob>();
        let (end, ended) = oneshot::channel();
        spawn_thread(move || {
            for WriteJob { lines, reply } in inbox {
                let result = sink.write(&lines);
                // A dropped `send` no longer waits for the reply; the next one hands over a new job.
                drop(reply.send(WriteReply { lines, result }));
            }
            drop(sink);
            drop(end);
        })?;
        Ok(Self { jobs, ended })
    }

    /// Returns a handle without a thread, and the jobs that it receives.
    #[cfg(test)]
    pub(crate) fn without_thread() -> (Self, mpsc::Receiver<WriteJob>) {
        let (jobs, inbox) = mpsc::channel();
        (Self { jobs, ended: oneshot::channel().1 }, inbox)
    }

    /// Hands a batch to the thread. The receiver fails if the thread has ended.
    pub(crate) fn write(&self, lines: LineBuffer) -> oneshot::Receiver<WriteReply> {
        let (reply, receiver) = oneshot::channel();
        // If the thread has ended, this drops the job and the sender in it, so the receiver fails.
        drop(self.jobs.send(WriteJob { lines, reply }));
        receiver
    }

    /// Ends the thread and waits until it has closed its output.
    pub(crate) async fn stop(self) {
        drop(self.jobs);
        // The thread drops the sender as its last act, so the error here means success.
        drop(self.ended.await);
    }
}

/// Runs `work` on a new thread and returns its result, for rare work that may block.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`] if the system starts no thread, [`ErrorKind::Timeout`] after 30 s, and
/// [`ErrorKind::Bug`] if `work` panics.
pub(crate) async fn run_on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (reply, mut receiver) = oneshot::channel();
    spawn_thread(move || drop(reply.send(work())))?;
    let ended = || Error::new(ErrorKind::Bug, "the thread of the strategy `log` ended early");
    wait_for_answer(&mut receiver, ended).await
}

/// Waits for the answer of a thread that uses the disk. `ended` returns the error of a thread that ended
/// without an answer.
///
/// # Errors
///
/// [`ErrorKind::Timeout`] after 30 s: the disk hangs.
pub(crate) async fn wait_for_answer<T>(
    answer: &mut oneshot::Receiver<T>,
    ended: impl FnOnce() -> Error,
) -> Result<T> {
    let Ok(answer) = timeout(DISK_TIMEOUT, answer).await else {
        let message = "the disk of the log file did not answer in 30 s: check the disk";
        return Err(Error::new(ErrorKind::Timeout, message));
    };
    answer.map_err(|_| ended())
}

/// The output that the thread writes to.
#[derive(Debug)]
enum LineSink {
    /// `log.target = "file"`.
    File(LogFile),
    /// `log.target = "stdout"`.
    Stdout(StdoutSink),
}

impl LineSink {
    /// Writes one batch of lines, and syncs it where `log.sync` asks for it.
    fn write(&mut self, lines: &LineBuffer) -> Result<WriteReport> {
        match self {
            Self::File(file) => file.write(lines),
            Self::Stdout(stdout) => stdout.write(lines),
        }
    }
}

/// Starts a detached thread.
fn spawn_thread(run: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned: io::Result<_> = thread::Builder::new().name(THREAD_NAME.into()).spawn(run);
    spawned.map(drop).map_err(|error| {
        Error::new(ErrorKind::Unavailable, "cannot start a thread for the strategy `log`")
            .with_source(error)
    })
}

/// The name of the threads, as `ps -T` and debuggers show it.
const THREAD_NAME: &str = "glance-notify-log";

/// The longest wait for a disk.
pub(crate) const DISK_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that hangs ends the wait for work on a thread.
    #[tokio::test(start_paused = true)]
    async fn work_on_a_disk_that_hangs_is_given_up() {
        let (_disk, answer) = mpsc::channel::<()>();
        let work = run_on_thread(move || answer.recv());
        let result = timeout(2 * DISK_TIMEOUT, work).await.expect("the wait has a deadline");
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Timeout);
    }
}
