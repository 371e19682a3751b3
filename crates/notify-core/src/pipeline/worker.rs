//! The one task that owns the transport: takes batches, tries, waits, tries again, and drains.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::block::MessageBlock;
use super::queue::Queue;
use super::stage::Stage;
use super::stats::{Stats, WorkerState};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Batch, Transport};

/// Delivers what a [`Notifier`](super::Notifier) queues. Nothing is delivered until it runs.
///
/// It ends when the notifier is closed, or all its clones are dropped, and everything is delivered or
/// the time to drain is over. A worker that is dropped decides everything that is pending: its
/// receipts resolve to [`NotSent`](crate::Outcome::NotSent), or to
/// [`Unknown`](crate::Outcome::Unknown) where an attempt had been made.
#[derive(Debug)]
pub struct Worker {
    pub(super) transport: Box<dyn Transport>,
    pub(super) queue: Arc<Queue>,
    pub(super) flight: MessageBlock,
    pub(super) attempt_timeout: Duration,
    pub(super) behind: Option<Box<dyn Stage>>,
    backoff: Backoff,
    /// Whether the failure that lasts was told, and when one was last.
    telling: bool,
    told: Option<Instant>,
    /// Whether a send has been called and has not returned.
    attempting: bool,
    ended: bool,
}

impl Worker {
    pub(super) fn new(
        transport: Box<dyn Transport>,
        queue: Arc<Queue>,
        attempt_timeout: Duration,
    ) -> Self {
        Self {
            transport,
            queue,
            flight: MessageBlock::default(),
            attempt_timeout,
            behind: None,
            backoff: Backoff::default(),
            telling: false,
            told: None,
            attempting: false,
            ended: false,
        }
    }

    /// Runs until the notifier is closed and drained; returns the account at the end, whose
    /// `suppressed` is 0: only the notifier counts those.
    ///
    /// Needs a tokio runtime with its timer on, and with I/O on where the transport does I/O.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the worker.
    pub async fn run(mut self) -> Stats {
        let Some(behind) = self.behind.take() else { return self.deliver().await };
        let drain_until = self.queue.drain_until();
        let (over, closing) = oneshot::channel();
        let own = async {
            let stats = self.deliver().await;
            let until = *drain_until.borrow();
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            // The stage may have ended by itself.
            over.send(left.unwrap_or_default()).ok();
            stats
        };
        let closing = Box::pin(async { closing.await.unwrap_or_default() });
        let (stats, ()) = tokio::join!(own, behind.run(closing));
        stats
    }

    /// Runs on a thread of its own with a runtime of its own, for programs without a runtime and for
    /// those that emit more than one core's worth.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`], when the system gives no thread or no runtime. Everything that is
    /// queued is then decided as if the worker had been dropped.
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
                // A lookup of a name that hangs must not hold up the end of the program.
                runtime.shutdown_background();
                stats
            })
            .map_err(unavailable)
    }

    /// How long after the time to drain a worker has ended at the latest.
    pub(super) fn time_to_end(has_stage_behind: bool) -> Duration {
        CLOSE_TIMEOUT * if has_stage_behind { 2 } else { 1 } + Duration::from_secs(1)
    }

    /// Delivers until nothing is left and nothing will come, or the time to drain is over.
    async fn deliver(&mut self) -> Stats {
        let mut drain_until = self.queue.drain_until();
        while self.queue.fill(&mut self.flight).await {
            if self.queue.source_keeps && drain_until.borrow().is_some() {
                break;
            }
            let Some(failure) = self.attempt(&mut drain_until).await else { continue };
            if !self.wait(failure, &mut drain_until).await {
                break;
            }
        }
        self.finish().await
    }

    /// Tries once to deliver the flight; says why something is left of it.
    async fn attempt(
        &mut self,
        drain_until: &mut watch::Receiver<Option<Instant>>,
    ) -> Option<Failure> {
        let Self { transport, queue, flight, attempt_timeout, .. } = self;
        let messages = &*flight.messages.make_contiguous();
        let tickets = flight.tickets.make_contiguous();
        if queue.failing().is_none() {
            queue.set_state(WorkerState::Delivering);
        }
        self.attempting = true;
        let mut sink =
            |settlements: crate::transport::Settlements<'_>| queue.settle(tickets, settlements);
        let mut batch = Batch::new(messages, &mut sink);
        let attempt = tokio::time::timeout(*attempt_timeout, transport.send(&mut batch));
        let result = tokio::select! {
            result = attempt => match result {
                Ok(result) => result,
                Err(_) => Err(Error::new(
                    ErrorKind::Timeout,
                    format!("no outcome within {} s", attempt_timeout.as_secs_f64()),
                )),
            },
            () = expired(drain_until) => Err(Error::new(ErrorKind::Timeout, "the time to drain is over")),
        };
        self.attempting = false;
        self.conclude(result)
    }

    /// Sorts what the attempt left over; says why something is.
    fn conclude(&mut self, result: Result<()>) -> Option<Failure> {
        let before = self.flight.len();
        self.queue.keep_unsettled(&mut self.flight);
        let progressed = self.flight.len() < before;
        if progressed {
            self.backoff.reset();
        }
        let mut failure = result.err().map(|error| {
            let permanent = !error.is_transient();
            Failure { error, permanent, progressed }
        });
        for ticket in &mut self.flight.tickets {
            let error = ticket.retry.take().unwrap_or_else(|| {
                ticket.unknown = true;
                unsettled(self.transport.name())
            });
            failure.get_or_insert(Failure { error, permanent: false, progressed });
        }
        match &failure {
            Some(failure) => self.tell_failure(failure),
            None => self.tell_success(),
        }
        failure
    }

    /// Waits after a failure; `false` says that there is no time left to try again.
    async fn wait(
        &mut self,
        failure: Failure,
        drain_until: &mut watch::Receiver<Option<Instant>>,
    ) -> bool {
        // What nobody mends must not hold up what gets through beside it.
        let delay = self.backoff.next(!failure.permanent || failure.progressed);
        let until = Instant::now() + delay;
        let closing = *drain_until.borrow_and_update();
        match closing {
            None => tokio::select! {
                () = tokio::time::sleep_until(until) => true,
                // Closed while waiting: what is pending gets one more try at once.
                _ = drain_until.changed() => {
                    self.backoff.reset();
                    true
                }
            },
            Some(_) if self.queue.source_keeps => false,
            // What nobody mends in time is not waited for.
            Some(end) if until >= end && failure.permanent => false,
            Some(end) => tokio::select! {
                () = tokio::time::sleep_until(until.min(end)) => Instant::now() < end,
                // Whoever shuts down may have less patience than whoever closed.
                _ = drain_until.changed() => true,
            },
        }
    }

    async fn finish(&mut self) -> Stats {
        self.end();
        match tokio::time::timeout(CLOSE_TIMEOUT, self.transport.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!("`{}` was not closed cleanly: {error:#}", self.transport.name());
            }
            Err(_) => tracing::warn!(
                "`{}` was not closed within {} s",
                self.transport.name(),
                CLOSE_TIMEOUT.as_secs()
            ),
        }
        self.queue.stats(0)
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.queue.end(&mut self.flight);
        }
    }

    fn tell_failure(&mut self, failure: &Failure) {
        let Failure { error, permanent, .. } = failure;
        let name = self.transport.name();
        let failing = self.queue.failing();
        let quiet = self.told.is_some_and(|told| told.elapsed() < QUIET);
        match failing {
            None | Some((_, false)) if *permanent => {
                tracing::error!("`{name}` cannot deliver until somebody mends it: {error:#}");
                self.telling = true;
            }
            // What fails and works by turns, as a disk that is almost full, must not fill a log.
            _ if !self.telling && !quiet => {
                tracing::warn!("`{name}` does not deliver, trying again: {error:#}");
                self.telling = true;
                self.told = Some(Instant::now());
            }
            _ => {}
        }
        self.queue.set_state(WorkerState::Retrying {
            since: failing.map_or_else(OffsetDateTime::now_utc, |(since, _)| since),
            error: format!("{error:#}"),
            permanent: *permanent,
        });
    }

    fn tell_success(&mut self) {
        if let Some((since, _)) = self.queue.failing()
            && std::mem::take(&mut self.telling)
        {
            let seconds = (OffsetDateTime::now_utc() - since).whole_seconds();
            tracing::info!("`{}` delivers again after {seconds} s", self.transport.name());
        }
        self.queue.set_state(WorkerState::Delivering);
    }
}

/// Why something is left of a flight.
struct Failure {
    error: Error,
    /// Whether nobody but an operator can mend it.
    permanent: bool,
    /// Whether something else was settled in the same attempt.
    progressed: bool,
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.attempting {
            for ticket in &mut self.flight.tickets {
                ticket.unknown = true;
            }
        }
        self.end();
        // After the farewell of `finish`: whoever shuts down waits for that too.
        self.queue.ended.send_replace(true);
    }
}

/// Resolves when the notifier is closed and its time to drain is over.
async fn expired(drain_until: &mut watch::Receiver<Option<Instant>>) {
    loop {
        let end = *drain_until.borrow_and_update();
        let changed = drain_until.changed();
        match end {
            // The sender lives as long as the queue, which the worker holds.
            None => drop(changed.await),
            Some(end) => tokio::select! {
                () = tokio::time::sleep_until(end) => return,
                _ = changed => {}
            },
        }
    }
}

fn unsettled(name: &str) -> Error {
    Error::new(ErrorKind::Bug, format!("`{name}` returned without settling every message"))
}

/// How long a transport may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long nothing is said of a failure that comes back.
const QUIET: Duration = Duration::from_secs(60);
