//! The loop of the service: [`ArchiveService`].

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use notify_core::listener::{Listener, ListenerStats};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::service_status::ServiceMonitor;
use super::store_thread::{StoreThread, WriterJob};
use crate::error::{ArchiveError, ArchiveErrorKind, Result};
use crate::store::{ArchiveBatch, ArchiveWriter, RetentionPolicy};

/// Fills an archive from a listener.
///
/// # Contract
///
/// * A delivery is acknowledged after every touched file is committed and synced, and not before.
/// * While the archive cannot be written, the service keeps one batch, tries again with a backoff up to 30 s,
///   and takes no further deliveries. It goes on by itself when the cause is gone.
/// * Memory is bounded by the prefetch of the listener and one batch.
/// * After `stop`, the service ends within [`ServiceOptions::grace`] and the listener's own deadlines, also
///   while a disk hangs. Unstored notifications come again then.
/// * When `run` has returned, you can open the archive for writing again, unless its disk hangs.
///
/// # Examples
///
/// ```
/// # use notify_conformance::source_script::SourceScript;
/// use notify_archive::service::{ArchiveService, ServiceOptions};
/// use notify_archive::{Archive, ArchiveWriter};
/// use notify_core::listener::{DeadLetters, Listener, ListenerConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let script = SourceScript::default();
/// # script.publish(notify_conformance::samples::messages(0..3));
/// # script.end();
/// # let source = script.source();
/// // The archive keeps unreadable messages itself.
/// let mut config = ListenerConfig::default();
/// config.deliver_unreadable = true;
/// let listener = Listener::builder(source, DeadLetters::Discard).config(config).start()?;
/// let writer = ArchiveWriter::open(dir.path())?;
///
/// let service = ArchiveService::new(listener, writer, ServiceOptions::default())?;
/// let stop = std::future::pending();
/// let stats = service.run(stop).await?;
/// assert_eq!(stats.total.acked, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ArchiveService {
    listener: Listener,
    writer: StoreThread,
    options: ServiceOptions,
    monitor: ServiceMonitor,
    /// Whether `stop` has resolved while a batch was stored.
    is_stopping: bool,
}

/// The settings of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceOptions {
    /// The most deliveries of one batch. Default 500. Give the listener a prefetch of at least twice that.
    pub batch: usize,
    /// The longest wait of a batch for more deliveries, at most 500 ms. Default 200 ms.
    pub linger: Duration,
    /// The regions of the sources, by their names.
    pub regions: BTreeMap<String, String>,
    /// The files to remove once an hour, and when the disk has no room for a batch. By default none.
    pub retention: RetentionPolicy,
    /// The time for the last batch after the service is asked to stop. Default 10 s.
    pub grace: Duration,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            batch: 500,
            linger: Duration::from_millis(200),
            regions: BTreeMap::new(),
            retention: RetentionPolicy::default(),
            grace: Duration::from_secs(10),
        }
    }
}

impl ArchiveService {
    /// Creates a service, and starts the thread that writes.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system starts no thread.
    pub fn new(listener: Listener, writer: ArchiveWriter, options: ServiceOptions) -> Result<Self> {
        let monitor = ServiceMonitor::default();
        monitor.beat(listener.stats());
        Ok(Self {
            listener,
            writer: StoreThread::start(writer)?,
            options,
            monitor,
            is_stopping: false,
        })
    }

    /// Returns a handle on the state of the service.
    pub fn monitor(&self) -> ServiceMonitor {
        self.monitor.clone()
    }

    /// Stores what the listener delivers, until `stop` resolves or all sources are at their end. Returns the
    /// final account of the listener.
    ///
    /// # Errors
    ///
    /// Returns the permanent error of the sources if all of them failed before they were ever attached, and an
    /// error of the kind [`Bug`](ArchiveErrorKind::Bug) if the thread that writes panicked. Unacknowledged
    /// notifications come again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the service at once. Unacknowledged notifications come again.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<ListenerStats> {
        let mut stop = std::pin::pin!(stop);
        let mut tick = interval(TURN);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut result = Ok(());
        let (mut retained_at, mut stored_at) = (None::<Instant>, None::<Instant>);
        while !self.is_stopping {
            let (batch, linger) = (self.options.batch, self.options.linger.min(MAX_LINGER));
            let deliveries = tokio::select! {
                biased;
                () = &mut stop => break,
                _ = tick.tick() => {
                    self.monitor.beat(self.listener.stats());
                    if stored_at.is_some_and(|at| at.elapsed() < HEARTBEAT) {
                        continue;
                    }
                    None
                }
                next = self.listener.next_batch(batch, linger) => match next {
                    Ok(Some(deliveries)) => Some(deliveries),
                    Ok(None) => break,
                    Err(error) => {
                        result = Err(error.into());
                        break;
                    }
                },
            };
            let mut batch = ArchiveBatch::default();
            for delivery in deliveries.iter().flatten() {
                let region = self.options.regions.get(delivery.source()).map(String::as_str);
                batch.add_delivery(delivery, region);
            }
            // Without deliveries, the empty batch records that the sources are still attached.
            let is_due = retained_at.is_none_or(|at| at.elapsed() >= RETENTION_INTERVAL);
            let retention = self.bounds().filter(|_| is_due);
            if is_due {
                retained_at = Some(Instant::now());
            }
            let stored = self.store(batch, retention, &mut stop).await;
            let is_stored = matches!(stored, Ok(true));
            stored_at = Some(Instant::now());
            match deliveries {
                // The receipt resolves later. The listener counts acknowledgements that do not arrive.
                Some(deliveries) if is_stored => drop(deliveries.ack()),
                Some(deliveries) => drop(deliveries.release()),
                None => {}
            }
            if !is_stored {
                result = stored.map(drop);
                break;
            }
        }
        self.close(result).await
    }

    /// Closes the listener, records that its sources are detached, and closes the archive.
    async fn close(mut self, result: Result<()>) -> Result<ListenerStats> {
        let changes = self.listener.take_coverage_changes();
        let now = time::OffsetDateTime::now_utc();
        let stats = self.listener.close(self.options.grace).await;
        self.monitor.beat(stats.clone());
        let mut job = WriterJob { changes, ..WriterJob::default() };
        job.stopped = stats.sources.iter().map(|source| (source.name.clone(), now)).collect();
        // A disk that hangs must not keep the process from ending: the next start closes the intervals.
        drop(timeout(self.options.grace, self.writer.close(job)).await);
        result.map(|()| stats)
    }

    /// Stores a batch. Returns `false` if the service has to stop before that is possible.
    ///
    /// # Errors
    ///
    /// Returns an error if the thread that writes is gone.
    async fn store(
        &mut self,
        batch: ArchiveBatch,
        retention: Option<RetentionPolicy>,
        stop: &mut Pin<&mut impl Future<Output = ()>>,
    ) -> Result<bool> {
        let mut job = WriterJob { batch, retention, ..WriterJob::default() };
        let mut backoff = FIRST_BACKOFF;
        let mut retained_at = None::<Instant>;
        loop {
            job.changes.extend(self.listener.take_coverage_changes());
            let mut reply = self.writer.send(job);
            let mut waited = Duration::ZERO;
            let answer = loop {
                self.monitor.beat(self.listener.stats());
                match timeout(TURN, &mut reply).await {
                    Ok(answer) => break answer,
                    Err(_) => waited += TURN,
                }
                if waited >= SLOW_DISK {
                    self.report("the disk of the archive does not answer");
                }
                self.is_stopping = self.is_stopping || is_ready(stop).await;
                if self.is_stopping && waited >= self.options.grace {
                    return Ok(false);
                }
            };
            let Ok((returned, stored)) = answer else {
                let error = ArchiveError::new(
                    ArchiveErrorKind::Bug,
                    "the thread that writes the archive panicked: please report this bug",
                );
                self.monitor.failed(&error.to_string());
                return Err(error);
            };
            job = returned;
            match stored {
                Ok(outcome) => {
                    if self.monitor.status().error.is_some() {
                        tracing::info!("the archive can be written again");
                    }
                    self.monitor.stored(&job.batch, outcome);
                    return Ok(true);
                }
                Err(error) => {
                    self.report(&error.to_string());
                    // The hourly retention waits behind this batch, and may be what makes room for it.
                    let is_due = retained_at.is_none_or(|at| at.elapsed() >= FULL_INTERVAL);
                    if is_due && error.may_need_room() {
                        job.retention = self.bounds();
                        retained_at = Some(Instant::now());
                    }
                }
            }
            if self.is_stopping {
                return Ok(false);
            }
            tokio::select! {
                biased;
                () = stop.as_mut() => return Ok(false),
                () = self.wait(backoff) => {}
            }
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        }
    }

    /// Waits, and shows meanwhile that the service lives.
    async fn wait(&self, duration: Duration) {
        let mut rest = duration;
        while !rest.is_zero() {
            self.monitor.beat(self.listener.stats());
            let turn = rest.min(TURN);
            sleep(turn).await;
            rest -= turn;
        }
    }

    /// Returns the bounds of the archive, if it has any.
    fn bounds(&self) -> Option<RetentionPolicy> {
        Some(self.options.retention).filter(|policy| *policy != RetentionPolicy::default())
    }

    /// Counts an error, and logs it if it is news.
    fn report(&self, error: &str) {
        if self.monitor.failed(error) {
            tracing::error!("the archive cannot be written, retrying: {error}");
        }
    }
}

/// Returns `true` if a future is ready now.
async fn is_ready(future: &mut Pin<&mut impl Future<Output = ()>>) -> bool {
    timeout(Duration::ZERO, future.as_mut()).await.is_ok()
}

/// The time between two records that the sources are still attached.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// The time between two removals of old files.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// The time between two removals of old files while a batch finds no room. A removal may read all rows of a file.
const FULL_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// The time between two signs of life while the service waits.
const TURN: Duration = Duration::from_secs(1);
/// The longest wait of a batch. A turn ends the wait, and a batch must not wait turn after turn.
const MAX_LINGER: Duration = Duration::from_millis(500);
/// The time after which a disk counts as hung.
const SLOW_DISK: Duration = Duration::from_secs(30);
/// The first wait after an attempt that failed.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest wait between two attempts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use notify_conformance::source_script::SourceScript;
    use notify_core::listener::DeadLetters;

    use super::*;

    /// Without the thread that writes, the service ends with an error, so that systemd starts it again.
    #[tokio::test]
    async fn a_thread_that_ended_is_an_error() {
        let script = SourceScript::default();
        script.publish(notify_conformance::samples::messages(0..3));
        let service = ArchiveService {
            listener: Listener::builder(script.source(), DeadLetters::Discard).start().unwrap(),
            writer: StoreThread::without_thread(),
            options: ServiceOptions::default(),
            monitor: ServiceMonitor::default(),
            is_stopping: false,
        };
        let monitor = service.monitor();
        let error = service.run(std::future::pending()).await.unwrap_err();
        assert_eq!(error.kind(), ArchiveErrorKind::Bug, "{error}");
        assert_eq!(monitor.status().error, Some(error.to_string()));
        assert_eq!(script.unacked(), 3);
    }
}
