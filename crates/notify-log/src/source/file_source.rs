//! The source that follows one log file: [`FileSource`].

use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::time::Duration;

use async_trait::async_trait;
use notify_core::source::{
    Credit, DeliverySettlements, IncomingBody, IncomingDelivery, Position, Reception,
    SettlementMode, Source,
};
use notify_core::transport::Finding;
use notify_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::source_config::FileSourceConfig;
use super::tail::TailLines;
use super::tail_thread::{self, TailJob};
use super::tracked_file::TailLine;
use crate::writer_thread::{run_on_thread, wait_for_answer};

/// Reads the notifications of one log file, through every rotation.
///
/// Acknowledgements are a watermark: an acknowledged line behind an unsettled one may come again after
/// a restart. A thread of the source reads the files, so a disk that hangs blocks no runtime.
///
/// # Cancel safety
///
/// You may drop [`receive`](Source::receive) at any point: the thread keeps the lines, and the next
/// call hands them over.
///
/// # Examples
///
/// Count the notifications of a file, and remember how far it was read:
///
/// ```
/// # use notify_core::listener::{DeadLetters, Listener};
/// use std::time::Duration;
///
/// use notify_log::{FileSource, FileSourceConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("notifications.log");
/// # std::fs::write(&path, concat!(r#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h","event_type":"image.delete","priority":"WARN","payload":"gone","timestamp":"2026-11-22 12:00:00.000000"}"#, "\n"))?;
/// let mut config = FileSourceConfig::new(&path);
/// config.checkpoint = Some(dir.path().join("position"));
/// config.follow = false;
/// let source = FileSource::new(config);
/// let dead_letters = DeadLetters::file(dir.path().join("dead.jsonl"));
/// let mut listener = Listener::builder(source, dead_letters).start()?;
/// while let Some(batch) = listener.next_batch(500, Duration::ZERO).await? {
///     batch.ack().await?;
/// }
/// assert_eq!(listener.close(Duration::from_secs(10)).await.total.acked, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FileSource {
    config: FileSourceConfig,
    jobs: Option<Sender<TailJob>>,
    session: SessionState,
    /// The answer to a job that reads.
    reading: Option<oneshot::Receiver<Result<TailLines>>>,
    /// Lines that were read and not handed over.
    lines: VecDeque<TailLine>,
    /// News to report before lines.
    news: VecDeque<Reception>,
    next_tag: u64,
    /// The lines that are not acknowledged.
    unsettled: VecDeque<UnsettledLine>,
    /// The time of the next look at a file without new lines.
    next_poll: Instant,
}

/// The place of a line that was handed over.
#[derive(Debug)]
struct UnsettledLine {
    tag: u64,
    /// The number of the file.
    file: u64,
    start: u64,
    end: u64,
}

/// The state of a session.
#[derive(Debug)]
enum SessionState {
    /// There is none.
    Closed,
    /// The thread opens the files.
    Opening(oneshot::Receiver<Result<()>>),
    /// The files are open.
    Open,
}

impl FileSource {
    /// Creates a source. It opens nothing before the first `receive`.
    pub fn new(config: FileSourceConfig) -> Self {
        Self {
            config,
            jobs: None,
            session: SessionState::Closed,
            reading: None,
            lines: VecDeque::new(),
            news: VecDeque::new(),
            next_tag: 1,
            unsettled: VecDeque::new(),
            next_poll: Instant::now(),
        }
    }

    /// Sends a job to the thread, which it starts if necessary.
    fn send(&mut self, job: TailJob) -> Result<()> {
        let jobs = match &self.jobs {
            Some(jobs) => jobs,
            None => self.jobs.insert(tail_thread::start(self.config.clone())?),
        };
        jobs.send(job).map_err(|_| {
            self.jobs = None;
            thread_ended()
        })
    }

    /// Opens the files, if they are not open. Returns `true` if it did.
    async fn open(&mut self) -> Result<bool> {
        let result = match &mut self.session {
            SessionState::Open => return Ok(false),
            SessionState::Opening(result) => wait(result).await,
            SessionState::Closed => {
                self.reading = None;
                self.lines.clear();
                self.news.clear();
                self.unsettled.clear();
                let (reply, result) = oneshot::channel();
                self.send(TailJob::Open(reply))?;
                self.session = SessionState::Opening(result);
                let SessionState::Opening(result) = &mut self.session else {
                    return Err(thread_ended());
                };
                wait(result).await
            }
        };
        self.session = SessionState::Closed;
        result?;
        self.session = SessionState::Open;
        self.next_poll = Instant::now();
        Ok(true)
    }

    /// Hands over lines that were read, as far as there is room.
    fn hand_over(&mut self, credit: Credit) -> Option<Reception> {
        let count = self.lines.len().min(credit.room);
        if count == 0 {
            return None;
        }
        let mut deliveries = Vec::with_capacity(count);
        for line in self.lines.drain(..count) {
            let tag = self.next_tag;
            self.next_tag += 1;
            let TailLine { file, start, end, .. } = line;
            self.unsettled.push_back(UnsettledLine { tag, file, start, end });
            let body = match line.content {
                Ok(bytes) => IncomingBody::Bytes(bytes.into()),
                Err(size) => IncomingBody::TooLarge(size),
            };
            deliveries.push(IncomingDelivery::new(
                tag,
                body,
                Position::new(line.place, line.start),
            ));
        }
        Some(Reception::Deliveries(deliveries))
    }

    /// Reads until there is news.
    async fn read(&mut self, credit: Credit) -> Result<Reception> {
        loop {
            if let Some(news) = self.news.pop_front() {
                return Ok(news);
            }
            if let Some(deliveries) = self.hand_over(credit) {
                return Ok(deliveries);
            }
            if credit.room == 0 {
                // Nothing but lines can come.
                return std::future::pending().await;
            }
            if self.reading.is_none() {
                sleep_until(self.next_poll).await;
                let (reply, result) = oneshot::channel();
                self.send(TailJob::Read(credit.room, credit.max_bytes, reply))?;
                self.reading = Some(result);
            }
            let Some(reading) = &mut self.reading else { continue };
            let read = wait(reading).await;
            self.reading = None;
            let TailLines { lines, is_at_end, skipped, notices } = read?;
            if skipped > 0 {
                self.news.push_back(Reception::Skipped(skipped));
            }
            if !notices.is_empty() {
                let detached = |reason| Reception::Detached { reason, since: None };
                self.news.extend(notices.into_iter().map(detached));
                self.news.push_back(Reception::Attached);
            }
            if is_at_end && lines.is_empty() {
                if !self.config.follow {
                    self.news.push_back(Reception::End);
                }
                self.next_poll = Instant::now() + self.config.poll.min(LONGEST_POLL);
            }
            self.lines.extend(lines);
        }
    }
}

#[async_trait]
impl Source for FileSource {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn settlement_mode(&self) -> SettlementMode {
        SettlementMode::Cumulative
    }

    async fn receive(&mut self, credit: Credit) -> Result<Reception> {
        if self.open().await? {
            return Ok(Reception::Attached);
        }
        let result = self.read(credit).await;
        if result.is_err() {
            self.session = SessionState::Closed;
        }
        result
    }

    async fn settle(&mut self, settlements: &DeliverySettlements) -> Result<()> {
        let Some(through) = settlements.through else { return Ok(()) };
        let mut positions: Vec<(u64, u64)> = Vec::new();
        let settled = self.unsettled.partition_point(|line| line.tag <= through);
        for line in self.unsettled.drain(..settled) {
            match positions.iter_mut().find(|(known, _)| *known == line.file) {
                Some((_, offset)) => *offset = line.end,
                None => positions.push((line.file, line.end)),
            }
        }
        // The lines before the next one were passed over.
        let handed_over = self.unsettled.front().map(|line| (line.file, line.start));
        let next = handed_over.or_else(|| self.lines.front().map(|line| (line.file, line.start)));
        if let Some((file, start)) = next
            && let Some((_, offset)) = positions.iter_mut().find(|(known, _)| *known == file)
        {
            *offset = start;
        }
        let (reply, mut result) = oneshot::channel();
        // If this future is dropped, or the checkpoint fails, the next session reads again.
        let session = std::mem::replace(&mut self.session, SessionState::Closed);
        self.send(TailJob::Settle(positions, reply))?;
        wait(&mut result).await?;
        self.session = session;
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.session = SessionState::Closed;
        self.reading = None;
        if let Some(jobs) = self.jobs.take() {
            let (reply, closed) = oneshot::channel();
            drop(jobs.send(TailJob::Close(reply)));
            // Without an answer, the thread has ended, and closed the files, already.
            return closed.await.unwrap_or(Ok(()));
        }
        Ok(())
    }

    async fn check(&mut self) -> Result<Vec<Finding>> {
        let path = self.config.path.clone();
        let subject = self.config.name.clone();
        let checked = run_on_thread(move || super::siblings::open(&path)).await?;
        Ok(vec![match checked {
            Ok((_, metadata)) => Finding::good(subject, format!("{} bytes", metadata.len())),
            Err(error) => {
                let message = "the log file cannot be read";
                Finding::bad(subject, Error::of_file(message, error))
            }
        }])
    }
}

/// Waits for an answer of the thread.
///
/// # Errors
///
/// [`ErrorKind::Timeout`] after 30 s: the disk hangs.
async fn wait<T>(result: &mut oneshot::Receiver<Result<T>>) -> Result<T> {
    wait_for_answer(result, thread_ended).await?
}

/// Returns the error of a thread that ended.
fn thread_ended() -> Error {
    Error::new(ErrorKind::Bug, "the thread that reads the log file ended early")
}

/// The longest time between two looks at a file.
const LONGEST_POLL: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use tokio::time::timeout;

    use super::*;
    use crate::writer_thread::DISK_TIMEOUT;

    /// Every wait for a disk that hangs ends, and the session with it.
    #[tokio::test(start_paused = true)]
    async fn every_wait_for_a_disk_that_hangs_ends() {
        let mut source = FileSource::new(FileSourceConfig::new("n.log"));
        // Nothing takes a job, as if the disk hung.
        let (jobs, _inbox) = channel();
        source.jobs = Some(jobs);
        let credit = Credit { window: 1, room: 1, max_bytes: 1 };
        for job in ["open", "read", "settle"] {
            if job != "open" {
                source.session = SessionState::Open;
            }
            let settlements = DeliverySettlements { through: Some(1), ..Default::default() };
            let work = async {
                match job {
                    "settle" => source.settle(&settlements).await,
                    _ => source.receive(credit).await.map(drop),
                }
            };
            let result = timeout(2 * DISK_TIMEOUT, work).await.expect("the wait has a deadline");
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Timeout, "{job}");
            assert!(matches!(source.session, SessionState::Closed), "{job}");
        }
    }
}
