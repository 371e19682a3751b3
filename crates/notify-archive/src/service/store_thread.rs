//! The thread that owns the writer of a service, so that a slow disk blocks no runtime.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use notify_core::listener::CoverageChange;
use time::OffsetDateTime;
use tokio::sync::oneshot;

use crate::error::{ArchiveError, ArchiveErrorKind, Result};
use crate::store::{AppendOutcome, ArchiveBatch, ArchiveWriter, RetentionPolicy};

/// The end of the thread that the service holds. Dropping it ends the thread after its job.
#[derive(Debug)]
pub(super) struct StoreThread {
    /// Dropping the sender ends the thread.
    jobs: Sender<(WriterJob, Reply)>,
    /// Resolves, with an error, when the thread has closed the archive.
    ended: oneshot::Receiver<()>,
}

/// The changes of coverage and the batch that one call stores.
#[derive(Debug, Default)]
pub(super) struct WriterJob {
    pub(super) changes: Vec<CoverageChange>,
    pub(super) batch: ArchiveBatch,
    /// The files to remove first.
    pub(super) retention: Option<RetentionPolicy>,
    /// The sources that stop with the service, and the time since when.
    pub(super) stopped: Vec<(String, OffsetDateTime)>,
}

/// The channel that takes a job back with its result.
type Reply = oneshot::Sender<(WriterJob, Result<AppendOutcome>)>;

impl StoreThread {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system starts no thread.
    pub(super) fn start(writer: ArchiveWriter) -> Result<Self> {
        let (jobs, receiver) = channel();
        let (end, ended) = oneshot::channel();
        let thread = thread::Builder::new().name("archive-writer".to_owned());
        let work = move || {
            run(writer, &receiver);
            drop(end);
        };
        thread.spawn(work).map_err(|error| {
            ArchiveError::new(
                ArchiveErrorKind::Io,
                format!("cannot start the thread that writes the archive: {error}"),
            )
        })?;
        Ok(Self { jobs, ended })
    }

    /// Returns the end of a thread that is over.
    #[cfg(test)]
    pub(super) fn without_thread() -> Self {
        Self { jobs: channel().0, ended: oneshot::channel().1 }
    }

    /// Sends a job. The receiver resolves to the job and its result, and to an error if the thread ended.
    pub(super) fn send(
        &self,
        job: WriterJob,
    ) -> oneshot::Receiver<(WriterJob, Result<AppendOutcome>)> {
        let (reply, result) = oneshot::channel();
        // Without the thread, the reply is dropped, which resolves the receiver.
        drop(self.jobs.send((job, reply)));
        result
    }

    /// Carries out a last job, and waits until the thread has closed the archive.
    pub(super) async fn close(self, job: WriterJob) {
        drop(self.send(job));
        drop(self.jobs);
        // The thread drops its sender as its last act, so the error here means success.
        drop(self.ended.await);
    }
}

/// Carries out jobs until the service drops its end.
fn run(mut writer: ArchiveWriter, jobs: &Receiver<(WriterJob, Reply)>) {
    while let Ok((mut job, reply)) = jobs.recv() {
        let result = store(&mut writer, &mut job);
        drop(reply.send((job, result)));
    }
}

/// Removes old files, records the changes, and then stores the batch. Takes each change out of the job once it is
/// recorded.
fn store(writer: &mut ArchiveWriter, job: &mut WriterJob) -> Result<AppendOutcome> {
    if let Some(policy) = job.retention.take() {
        match writer.retain(policy, OffsetDateTime::now_utc()) {
            Ok(removed) => {
                for name in removed {
                    tracing::info!("removed {name}: it is older or larger than the archive may be");
                }
            }
            // An old file that cannot be removed must not keep new notifications from being stored.
            Err(error) => {
                tracing::error!("cannot remove old files, trying again later: {error}");
            }
        }
    }
    // In their order. The first change that fails stays, with those behind it.
    while let Some(change) = job.changes.first() {
        writer.record_coverage(std::slice::from_ref(change))?;
        job.changes.remove(0);
    }
    for (source, at) in &job.stopped {
        writer.detach(source, *at, "the archive stopped")?;
    }
    writer.append(&job.batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordReader;

    /// An old file that cannot be removed keeps no batch from being stored.
    #[test]
    fn a_retention_that_fails_keeps_no_batch_away() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("2011-01.sqlite")).unwrap();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h","event_type":"image.send","priority":"INFO","timestamp":"2025-11-24 12:00:00.000000","payload":{}}"#;
        let record = RecordReader::new("north").read(line).unwrap();
        let batch = ArchiveBatch { records: vec![record], ..ArchiveBatch::default() };
        let max_age = Some(time::Duration::days(400));
        let policy = RetentionPolicy { max_age, max_bytes: None };
        assert!(writer.retain(policy, OffsetDateTime::now_utc()).is_err());
        let mut job = WriterJob { batch, retention: Some(policy), ..WriterJob::default() };
        assert_eq!(store(&mut writer, &mut job).unwrap().stored, 1);
    }
}
