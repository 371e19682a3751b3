//! The worker: the one task that owns the transport, takes batches, sends, retries and drains.
//!
//! The worker decides when to try again and when to stop. Only [`Transport::send`] decides about
//! messages.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::block::MessageBlock;
use super::failure::{AttemptFailure, FailureLog};
use super::queue::Queue;
use super::stage::Stage;
use super::stats::{Stats, WorkerState};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Batch, Transport};

/// The half of a pipeline that delivers the messages of a [`Notifier`](super::Notifier).
///
/// The notifier delivers nothing until you run the worker, either as a task with
/// [`run`](Self::run) or on its own thread with [`spawn_thread`](Self::spawn_thread).
///
/// The worker ends when the notifier is closed, or all its clones are dropped, and then either every
/// message is delivered or the drain timeout has passed. Dropping a worker settles all pending
/// messages: their receipts resolve to [`NotSent`](crate::Outcome::NotSent), or to
/// [`Unknown`](crate::Outcome::Unknown) if the transport tried to send them.
///
/// # Examples
///
/// In a program with a tokio runtime, the worker is a task, which returns the final account:
///
/// ```
/// # use notify_conformance::script::Script;
/// # use notify_core::event::Payload;
/// # use notify_core::{Event, Notifier};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> notify_core::Result<()> {
/// # let transport = Script::default().transport();
/// let (notifier, worker) = Notifier::builder(transport).build()?;
/// let worker = tokio::spawn(worker.run());
/// notifier.emit(&Event::ImageUpload(Payload::Warn("the store is slow".into())));
/// drop(notifier);
/// let stats = worker.await.expect("the worker does not panic");
/// assert_eq!(stats.delivered, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Worker {
    pub(super) transport: Box<dyn Transport>,
    pub(super) queue: Arc<Queue>,
    /// The messages in flight, those of a failed attempt first.
    pub(super) batch: MessageBlock,
    pub(super) attempt_timeout: Duration,
    pub(super) stage: Option<Box<dyn Stage>>,
    backoff: Backoff,
    failure_log: FailureLog,
    /// Whether a call of [`Transport::send`] has not returned yet.
    attempting: bool,
    ended: bool,
}

impl Worker {
    /// Returns a worker that has no stage and does not run yet.
    pub(super) fn new(
        transport: Box<dyn Transport>,
        queue: Arc<Queue>,
        attempt_timeout: Duration,
    ) -> Self {
        Self {
            transport,
            queue,
            batch: MessageBlock::default(),
            attempt_timeout,
            stage: None,
            backoff: Backoff::default(),
            failure_log: FailureLog::default(),
            attempting: false,
            ended: false,
        }
    }

    /// Runs until the notifier is closed and drained, and returns the final account.
    ///
    /// In that account `suppressed` is 0, because only the notifier counts suppressed notifications.
    ///
    /// Needs a tokio runtime with its timer enabled, and with I/O enabled for transports that do I/O.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the worker.
    pub async fn run(mut self) -> Stats {
        let Some(stage) = self.stage.take() else { return self.deliver().await };
        let drain_until = self.queue.drain_until();
        let (closed, closing) = oneshot::channel();
        let deliver = async {
            let stats = self.deliver().await;
            let until = *drain_until.borrow();
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            // Sending fails if the stage ended by itself.
            closed.send(left.unwrap_or_default()).ok();
            stats
        };
        let closing = Box::pin(async { closing.await.unwrap_or_default() });
        let (stats, ()) = tokio::join!(deliver, stage.run(closing));
        stats
    }

    /// Runs the worker on a thread and runtime of its own.
    ///
    /// Use it in a program without a runtime, and in one that emits more notifications than a single
    /// thread can both emit and deliver. Join the thread to get the final account.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`], when the system gives no thread or no runtime. All queued messages
    /// are then settled, as if the worker had been dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_conformance::script::Script;
    /// # use notify_core::event::Payload;
    /// # use notify_core::{Event, Notifier};
    /// # let transport = Script::default().transport();
    /// let (notifier, worker) = Notifier::builder(transport).build()?;
    /// let worker = worker.spawn_thread()?;
    /// notifier.emit(&Event::ImageUpload(Payload::Warn("the store is slow".into())));
    /// notifier.close();
    /// let stats = worker.join().expect("the worker does not panic");
    /// assert_eq!(stats.delivered, 1);
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn spawn_thread(self) -> Result<JoinHandle<Stats>> {
        let unavailable = |error: std::io::Error| {
            Error::new(ErrorKind::Unavailable, "cannot start the worker's thread")
                .with_source(error)
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(unavailable)?;
        std::thread::Builder::new()
            .name("glance-notify".into())
            .spawn(move || {
                let stats = runtime.block_on(self.run());
                // Do not wait for a DNS lookup that hangs on one of the runtime's threads.
                runtime.shutdown_background();
                stats
            })
            .map_err(unavailable)
    }

    /// Returns the longest time from the drain deadline to the end of a worker.
    pub(super) fn close_allowance(has_stage: bool) -> Duration {
        CLOSE_TIMEOUT * if has_stage { 2 } else { 1 } + Duration::from_secs(1)
    }

    /// Delivers until the queue is closed and empty, or the drain deadline passes.
    async fn deliver(&mut self) -> Stats {
        let mut drain_until = self.queue.drain_until();
        while self.queue.fill(&mut self.batch).await {
            if self.queue.durable_source && drain_until.borrow().is_some() {
                break;
            }
            let Some(failure) = self.attempt(&mut drain_until).await else { continue };
            if !self.wait_to_retry(failure, &mut drain_until).await {
                break;
            }
        }
        self.finish().await
    }

    /// Sends the batch once; returns the failure if messages are left.
    async fn attempt(
        &mut self,
        drain_until: &mut watch::Receiver<Option<Instant>>,
    ) -> Option<AttemptFailure> {
        let Self { transport, queue, batch, attempt_timeout, .. } = self;
        let messages = &*batch.messages.make_contiguous();
        let records = batch.records.make_contiguous();
        if queue.failing().is_none() {
            queue.set_state(WorkerState::Delivering);
        }
        self.attempting = true;
        let mut sink =
            |settlements: crate::transport::Settlements<'_>| queue.settle(records, settlements);
        let mut batch = Batch::new(messages, &mut sink);
        let attempt = tokio::time::timeout(*attempt_timeout, transport.send(&mut batch));
        let result = tokio::select! {
            result = attempt => match result {
                Ok(result) => result,
                Err(_) => Err(Error::new(
                    ErrorKind::Timeout,
                    format!(
                        "attempt timed out after {} s (`queue.attempt_timeout`): the destination is slow \
                         or does not answer",
                        attempt_timeout.as_secs_f64()
                    ),
                )),
            },
            () = drain_deadline(drain_until) => {
                Err(Error::new(ErrorKind::Timeout, "the drain timeout passed during an attempt"))
            }
        };
        self.attempting = false;
        self.conclude_attempt(result)
    }

    /// Removes the settled messages from the batch; returns the failure if others are left.
    fn conclude_attempt(&mut self, result: Result<()>) -> Option<AttemptFailure> {
        let before = self.batch.len();
        self.queue.keep_unsettled(&mut self.batch);
        let progressed = self.batch.len() < before;
        if progressed {
            self.backoff.reset();
        }
        let mut failure = result.err().map(|error| {
            let permanent = !error.is_transient();
            AttemptFailure { error, permanent, progressed }
        });
        for record in &mut self.batch.records {
            let error = record.retry.take().unwrap_or_else(|| {
                record.unknown = true;
                unsettled(self.transport.name())
            });
            failure.get_or_insert(AttemptFailure { error, permanent: false, progressed });
        }
        match &failure {
            Some(failure) => self.note_failure(failure),
            None => self.note_success(),
        }
        failure
    }

    /// Waits after a failure; returns `false` if the drain deadline leaves no time to retry.
    async fn wait_to_retry(
        &mut self,
        failure: AttemptFailure,
        drain_until: &mut watch::Receiver<Option<Instant>>,
    ) -> bool {
        // After a partial success, retry soon even if the error is permanent: the messages that can
        // be delivered must not wait 30 s for those that cannot.
        let delay = self.backoff.next(!failure.permanent || failure.progressed);
        let until = Instant::now() + delay;
        let closing = *drain_until.borrow_and_update();
        match closing {
            None => tokio::select! {
                () = tokio::time::sleep_until(until) => true,
                // The notifier was closed during the wait: try all pending messages once more now.
                _ = drain_until.changed() => {
                    self.backoff.reset();
                    true
                }
            },
            Some(_) if self.queue.durable_source => false,
            // The next attempt would come after the deadline, and no earlier one can succeed.
            Some(end) if until >= end && failure.permanent => false,
            Some(end) => tokio::select! {
                () = tokio::time::sleep_until(until.min(end)) => Instant::now() < end,
                // `shutdown` after `close` may set an earlier deadline.
                _ = drain_until.changed() => true,
            },
        }
    }

    /// Ends the queue, closes the transport and returns the final account.
    async fn finish(&mut self) -> Stats {
        self.end();
        match tokio::time::timeout(CLOSE_TIMEOUT, self.transport.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!("`{}`: closing failed: {error:#}", self.transport.name());
            }
            Err(_) => tracing::warn!(
                "`{}`: closing timed out after {} s",
                self.transport.name(),
                CLOSE_TIMEOUT.as_secs()
            ),
        }
        self.queue.stats(0)
    }

    /// Ends the queue once, however often it is called.
    fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.queue.end(&mut self.batch);
        }
    }

    /// Sets the state to `Retrying`, and logs the failure unless the log has it.
    fn note_failure(&mut self, failure: &AttemptFailure) {
        let failing = self.queue.failing();
        let was_permanent = failing.is_some_and(|(_, permanent)| permanent);
        self.failure_log.log_failure(self.transport.name(), failure, was_permanent);
        self.queue.set_state(WorkerState::Retrying {
            since: failing.map_or_else(OffsetDateTime::now_utc, |(since, _)| since),
            error: format!("{:#}", failure.error),
            permanent: failure.permanent,
        });
    }

    /// Sets the state to `Delivering`, and logs the recovery if the log has the failure.
    fn note_success(&mut self) {
        if let Some((since, _)) = self.queue.failing() {
            self.failure_log.log_recovery(self.transport.name(), since);
        }
        self.queue.set_state(WorkerState::Delivering);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.attempting {
            for record in &mut self.batch.records {
                record.unknown = true;
            }
        }
        self.end();
        // Not in `end`: `shutdown` waits for this, and must wait until the transport is closed.
        self.queue.ended.send_replace(true);
    }
}

/// Waits until the notifier is closed and its drain deadline has passed.
async fn drain_deadline(drain_until: &mut watch::Receiver<Option<Instant>>) {
    loop {
        let end = *drain_until.borrow_and_update();
        let changed = drain_until.changed();
        match end {
            // The wait cannot fail, because the worker holds the queue, and the queue the sender.
            None => drop(changed.await),
            Some(end) => tokio::select! {
                () = tokio::time::sleep_until(end) => return,
                _ = changed => {}
            },
        }
    }
}

/// Returns the error of a transport that broke its contract.
fn unsettled(name: &str) -> Error {
    Error::new(ErrorKind::Bug, format!("`{name}` returned without settling every message"))
}

/// The longest time that a transport may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
