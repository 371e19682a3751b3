//! A runner: one transport with its batch, and the loop that attempts, waits and ends.
//!
//! It decides when to try again and when to stop. Only [`Transport::send`] decides about messages, and
//! only the queue about lanes. Every `select!` is biased, so that a test replays.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::block::MessageBlock;
use super::conclude::{AttemptEnd, AttemptFailure, Conclusion};
use super::lane_queues::LaneScope;
use super::queue::Queue;
use crate::error::{Error, ErrorKind, Outcome};
use crate::transport::{Batch, Settlements, Transport};

/// One transport, and the lanes that it attempts.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) transport: Box<dyn Transport>,
    pub(super) queue: Arc<Queue>,
    pub(super) scope: LaneScope,
    pub(super) attempt_timeout: Duration,
    /// The messages in flight.
    batch: MessageBlock,
    backoff: Backoff,
    /// Whether an attempt failed since the notifier was closed.
    has_failed_closing: bool,
    /// Whether a call of [`Transport::send`] has not returned yet.
    attempting: bool,
}

impl Runner {
    /// Returns a runner that does not run yet.
    pub(super) fn new(
        transport: Box<dyn Transport>,
        queue: Arc<Queue>,
        scope: LaneScope,
        attempt_timeout: Duration,
    ) -> Self {
        Self {
            transport,
            queue,
            scope,
            attempt_timeout,
            batch: MessageBlock::default(),
            backoff: Backoff::default(),
            has_failed_closing: false,
            attempting: false,
        }
    }

    /// Attempts the messages of its lanes until the queue is closed and drained, and then closes the
    /// transport.
    ///
    /// Sends each lane that is silent to `isolate`, with a transport for it. A runner of one lane also
    /// ends when that lane is isolated no longer.
    pub(super) async fn run(&mut self, isolate: &UnboundedSender<Self>) {
        let mut drain_until = self.queue.drain_until();
        loop {
            let filled = tokio::select! {
                // Start no attempt after the deadline.
                biased;
                () = drain_deadline(&mut drain_until) => false,
                filled = self.queue.fill(&mut self.batch, self.scope) => filled,
            };
            if !filled {
                break;
            }
            let conclusion = self.attempt(&mut drain_until).await;
            for (lane, transport) in conclusion.silent {
                let scope = LaneScope::Isolated(lane);
                let queue = Arc::clone(&self.queue);
                let runner = Self::new(transport, queue, scope, self.attempt_timeout);
                // Receiving ends only with the worker.
                isolate.send(runner).ok();
            }
            let goes_on = match (self.scope, conclusion.failure) {
                (LaneScope::Isolated(lane), _) => self.queue.is_isolated(lane),
                (LaneScope::Shared, None) => true,
                (LaneScope::Shared, Some(failure)) => {
                    self.wait_to_retry(failure, &mut drain_until).await
                }
            };
            if !goes_on {
                break;
            }
        }
        if self.scope == LaneScope::Shared {
            self.queue.end();
        }
        // The shared runner takes the lane over, or waits for it to end.
        self.queue.work.notify_one();
        self.close().await;
    }

    /// Sends the batch once, and returns the messages that are left to the queue.
    async fn attempt(&mut self, drain_until: &mut watch::Receiver<Option<Instant>>) -> Conclusion {
        let Self { transport, queue, batch, attempt_timeout, .. } = self;
        let messages = &*batch.messages.make_contiguous();
        let records = batch.records.make_contiguous();
        self.attempting = true;
        let mut sink = |settlements: Settlements<'_>| queue.settle(records, settlements);
        let closing = drain_until.borrow().is_some();
        let mut batch = Batch::new(messages, &mut sink).closing(closing);
        let attempt = tokio::time::timeout(*attempt_timeout, transport.send(&mut batch));
        let (result, in_time) = tokio::select! {
            biased;
            result = attempt => match result {
                Ok(result) => (result, true),
                Err(_) => (Err(attempt_timed_out(*attempt_timeout)), true),
            },
            () = drain_deadline(drain_until) => {
                let passed = "the drain timeout passed during an attempt";
                (Err(Error::new(ErrorKind::Timeout, passed).with_outcome(Outcome::Unknown)), false)
            }
        };
        self.attempting = false;
        let timed_out = result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Timeout);
        let end = AttemptEnd {
            scope: self.scope,
            result,
            closing,
            timed_out: in_time && timed_out,
            transport: &*self.transport,
        };
        let conclusion = self.queue.conclude(&mut self.batch, end);
        if conclusion.failure.as_ref().is_none_or(|failure| failure.progressed) {
            self.backoff.reset();
        }
        conclusion
    }

    /// Waits after a failure of the connection; returns `false` if the drain deadline leaves no time to
    /// retry.
    async fn wait_to_retry(
        &mut self,
        failure: AttemptFailure,
        drain_until: &mut watch::Receiver<Option<Instant>>,
    ) -> bool {
        let closing = *drain_until.borrow_and_update();
        if closing.is_some() && !std::mem::replace(&mut self.has_failed_closing, true) {
            // The failures before the close must not take the drain time.
            self.backoff.reset();
        }
        // After a partial success, retry soon even if the error is permanent: the messages that can
        // be delivered must not wait 30 s for those that cannot.
        let jitter = self.queue.random.fraction();
        let delay = self.backoff.next(!failure.permanent || failure.progressed, jitter);
        let until = Instant::now() + delay;
        match closing {
            None => tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => true,
                // The notifier was closed during the wait: try all pending messages once more now.
                _ = drain_until.changed() => true,
            },
            Some(_) if self.queue.durable_source => false,
            // The next attempt would come after the deadline, and no earlier one can succeed.
            Some(end) if until >= end && failure.permanent => false,
            Some(end) => tokio::select! {
                biased;
                () = tokio::time::sleep_until(until.min(end)) => Instant::now() < end,
                // `shutdown` after `close` may set an earlier deadline.
                _ = drain_until.changed() => true,
            },
        }
    }

    /// Closes the transport, within [`CLOSE_TIMEOUT`].
    async fn close(&mut self) {
        match tokio::time::timeout(CLOSE_TIMEOUT, self.transport.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!("`{}`: closing failed: {error:#}", self.queue.name);
            }
            Err(_) => tracing::warn!(
                "`{}`: closing timed out after {} s",
                self.queue.name,
                CLOSE_TIMEOUT.as_secs()
            ),
        }
    }
}

impl Drop for Runner {
    /// Settles the messages of an attempt that was dropped.
    fn drop(&mut self) {
        if self.attempting {
            for record in &mut self.batch.records {
                record.unknown = true;
            }
        }
        self.queue.abandon(&mut self.batch);
    }
}

/// Waits until the notifier is closed and its drain deadline has passed.
async fn drain_deadline(drain_until: &mut watch::Receiver<Option<Instant>>) {
    loop {
        let end = *drain_until.borrow_and_update();
        let changed = drain_until.changed();
        match end {
            // The wait cannot fail, because the runner holds the queue, and the queue the sender.
            None => drop(changed.await),
            Some(end) => tokio::select! {
                biased;
                () = tokio::time::sleep_until(end) => return,
                _ = changed => {}
            },
        }
    }
}

/// Returns the error of an attempt that took longer than its timeout.
fn attempt_timed_out(timeout: Duration) -> Error {
    let message = format!(
        "attempt timed out after {} s (`queue.attempt_timeout`): the destination is slow or does not \
         answer",
        timeout.as_secs_f64()
    );
    Error::new(ErrorKind::Timeout, message).with_outcome(Outcome::Unknown)
}

/// The longest time that a transport may take to close.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
