//! The file that keeps how far a stream was read, and the thread that reads and writes it.
//!
//! A disk that hangs blocks nothing but this thread.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use notify_core::listener::checkpoint_lock::CheckpointLock;
use notify_core::listener::durable_file::replace;
use notify_core::redact::printable_path;
use notify_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The place in a stream from which a restart continues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum StreamCheckpoint {
    /// Behind the last acknowledged message.
    After(KnownMessage),
    /// At the first message that came: none is acknowledged yet.
    At { first: KnownMessage },
    /// At messages published since this time, in seconds since 1970: none came yet.
    Since { stream: String, time: u64 },
}

/// A message of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KnownMessage {
    /// The name of the stream.
    pub(super) stream: String,
    /// The offset of the message.
    pub(super) offset: u64,
    /// The CRC-32 of its body. It tells whether the stream is still the same: a stream that was deleted
    /// and declared again numbers its messages from 0.
    pub(super) crc: u32,
}

impl StreamCheckpoint {
    /// Returns the name of the stream.
    pub(super) fn stream(&self) -> &str {
        match self {
            Self::After(message) | Self::At { first: message } => &message.stream,
            Self::Since { stream, .. } => stream,
        }
    }
}

/// A checkpoint file, on a thread of its own.
#[derive(Debug)]
pub(super) struct CheckpointFile {
    waiting_job: Arc<WaitingJob>,
    /// Wakes the thread for the job.
    wake: mpsc::SyncSender<()>,
}

/// The job that waits for the thread. While the disk hangs, a later job replaces it: its caller has given up.
#[derive(Debug, Default)]
struct WaitingJob(Mutex<Option<CheckpointJob>>);

/// A request to the thread.
#[derive(Debug)]
enum CheckpointJob {
    /// Locks the checkpoint until the end of the thread, and reads it, if there is one.
    Load(oneshot::Sender<Result<Option<StreamCheckpoint>>>),
    /// Writes the checkpoint durably.
    Save(StreamCheckpoint, oneshot::Sender<Result<()>>),
}

impl CheckpointFile {
    /// Starts the thread. The file need not exist.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub(super) fn start(path: PathBuf) -> Result<Self> {
        let (wake, wakes) = mpsc::sync_channel(1);
        let waiting_job = Arc::new(WaitingJob::default());
        let jobs = Arc::clone(&waiting_job);
        let work = move || {
            let mut lock = CheckpointLock::default();
            // A caller that has given up needs no answer.
            for () in wakes {
                match jobs.take() {
                    Some(CheckpointJob::Load(reply)) => {
                        drop(reply.send(lock.acquire(&path).and_then(|()| load(&path))));
                    }
                    Some(CheckpointJob::Save(position, reply)) => {
                        drop(reply.send(save(&path, &position)));
                    }
                    None => {}
                }
            }
        };
        thread::Builder::new().name("checkpoint".into()).spawn(work).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "no thread for the checkpoint").with_source(error)
        })?;
        Ok(Self { waiting_job, wake })
    }

    /// Locks the checkpoint, and reads it; `None` if there is no file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if another process reads with it, [`ErrorKind::Config`] if the file is no
    /// checkpoint, [`ErrorKind::Timeout`] after 30 s, and the error of the file otherwise.
    pub(super) async fn load(&self) -> Result<Option<StreamCheckpoint>> {
        let (reply, answer) = oneshot::channel();
        self.ask(CheckpointJob::Load(reply), answer).await
    }

    /// Writes the checkpoint durably, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// The error of the file, and [`ErrorKind::Timeout`] after 30 s.
    pub(super) async fn save(&self, position: StreamCheckpoint) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.ask(CheckpointJob::Save(position, reply), answer).await
    }

    /// Waits for the answer to a job.
    async fn ask<T>(&self, job: CheckpointJob, answer: oneshot::Receiver<Result<T>>) -> Result<T> {
        let ended = || Error::new(ErrorKind::Bug, "the thread of the checkpoint ended early");
        self.waiting_job.replace(job);
        // With a wake that waits already, the thread takes this job.
        if let Err(TrySendError::Disconnected(())) = self.wake.try_send(()) {
            return Err(ended());
        }
        match timeout(DISK_TIMEOUT, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(ended()),
            Err(_) => {
                let message = "the disk of the checkpoint did not answer in 30 s";
                Err(Error::new(ErrorKind::Timeout, message))
            }
        }
    }
}

impl WaitingJob {
    /// Replaces the job by a newer one.
    fn replace(&self, job: CheckpointJob) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(job);
    }

    /// Takes the job, if one waits.
    fn take(&self) -> Option<CheckpointJob> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Reads a checkpoint; `None` if there is no file.
fn load(path: &Path) -> Result<Option<StreamCheckpoint>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_error(path, "cannot be read", error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|_| {
        let message = format!(
            "`{}` is no checkpoint of a stream: name another file, or remove it to start over",
            display(path)
        );
        Error::new(ErrorKind::Config, message)
    })
}

/// Writes a checkpoint durably.
fn save(path: &Path, position: &StreamCheckpoint) -> Result<()> {
    let write = || replace(path, &serde_json::to_vec(position)?);
    write().map_err(|error| file_error(path, "cannot be written", error))
}

/// Returns an error about a checkpoint.
fn file_error(path: &Path, problem: &str, error: io::Error) -> Error {
    let message = format!("the checkpoint `{}` {problem}", display(path));
    Error::new(ErrorKind::of_file(&error), message).with_source(error)
}

/// Returns a path for a message.
fn display(path: &Path) -> String {
    printable_path(path, 512)
}

/// The longest wait for a disk.
const DISK_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the message of a stream at this offset.
    fn message(offset: u64) -> KnownMessage {
        KnownMessage { stream: "s".into(), offset, crc: 9 }
    }

    /// A checkpoint is read as it was written, and another file is not mistaken for one.
    #[tokio::test]
    async fn a_checkpoint_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("position");
        let file = CheckpointFile::start(path.clone()).unwrap();
        assert_eq!(file.load().await.unwrap(), None);
        for (position, text) in [
            (StreamCheckpoint::After(message(7)), r#"{"stream":"s","offset":7,"crc":9}"#),
            (
                StreamCheckpoint::At { first: message(7) },
                r#"{"first":{"stream":"s","offset":7,"crc":9}}"#,
            ),
            (StreamCheckpoint::Since { stream: "s".into(), time: 5 }, r#"{"stream":"s","time":5}"#),
        ] {
            file.save(position.clone()).await.unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(file.load().await.unwrap(), Some(position));
        }
        for text in ["{}", r#"{"stream":"s","time":5,"offset":7}"#] {
            fs::write(&path, text).unwrap();
            let error = file.load().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("is no checkpoint of a stream"), "{error}");
        }
    }

    /// The lock of a checkpoint lasts as long as its source, and the next source waits for it.
    #[tokio::test]
    async fn two_sources_cannot_read_with_one_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let start = || CheckpointFile::start(dir.path().join("position")).unwrap();
        let (first, second) = (start(), start());
        for _ in 0..2 {
            assert_eq!(first.load().await.unwrap(), None);
        }
        let error = second.load().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:#}");
        drop(first);
        assert_eq!(second.load().await.unwrap(), None);
    }

    /// While the thread hangs, each caller gives up, and only the newest position waits for it.
    #[tokio::test(start_paused = true)]
    async fn only_the_newest_position_waits_for_a_disk_that_hangs() {
        // Nothing takes a job, as if the disk hung.
        let (wake, _wakes) = mpsc::sync_channel(1);
        let file = CheckpointFile { waiting_job: Arc::default(), wake };
        for offset in 0..3 {
            let position = StreamCheckpoint::After(message(offset));
            let saved = timeout(2 * DISK_TIMEOUT, file.save(position)).await;
            let error = saved.expect("the wait has a deadline").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
        }
        match file.waiting_job.take() {
            Some(CheckpointJob::Save(position, _)) => {
                assert_eq!(position, StreamCheckpoint::After(message(2)));
            }
            other => panic!("{other:?}"),
        }
        assert!(file.waiting_job.take().is_none());
    }
}
