//! The program's end of a listener: [`Listener`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::delivery::Delivery;
use super::delivery_batch::DeliveryBatch;
use super::listener_handle::ListenerHandle;
use super::listener_state::ClosePhase;
use super::stats::{CoverageChange, ListenerStats};
use crate::error::Result;
use crate::pipeline::deadline::after;

/// Reads notifications from one or more sources, and hands them to your program.
///
/// The listener owns everything that every source needs: prefetch, reconnecting with backoff,
/// attempts, dead letters, deadlines and counters. One task per source does the work; the listener only
/// takes ready deliveries. It reconnects for as long as it lives.
///
/// Delivery is at least once. Acknowledge a delivery after its work is on the disk, and drop duplicates
/// by the `message_id`.
///
/// Dropping a listener closes its sources in the background and makes all deliveries stale.
/// [`close`](Self::close) waits for both.
///
/// # Examples
///
/// ```
/// # use notify_conformance::source_script::SourceScript;
/// use std::time::Duration;
///
/// use notify_core::listener::{DeadLetters, Listener};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> notify_core::Result<()> {
/// # let script = SourceScript::default();
/// # script.publish(notify_conformance::samples::messages(0..3));
/// # script.end();
/// # let source = script.source();
/// let mut listener = Listener::builder(source, DeadLetters::Discard).start()?;
/// while let Some(batch) = listener.next_batch(500, Duration::from_millis(200)).await? {
///     for notification in batch.notifications() {
///         println!("{}", notification.event_type()); // commit here,
///     }
///     batch.ack().await?; // then, and only then, acknowledge
/// }
/// let stats = listener.close(Duration::from_secs(10)).await;
/// assert_eq!(stats.total.acked, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Listener {
    pub(super) shared: Arc<ListenerHandle>,
    drivers: Vec<JoinHandle<()>>,
}

impl Listener {
    /// Wraps a state whose sources have their tasks.
    pub(super) fn new(shared: Arc<ListenerHandle>, drivers: Vec<JoinHandle<()>>) -> Self {
        Self { shared, drivers }
    }

    /// Waits for deliveries and returns at most `max` of them, at least one.
    ///
    /// After the first delivery, waits at most `linger` for more. Returns early if no more can come
    /// before you settle some: if `max` is larger than the prefetch, for example.
    ///
    /// Returns `None` if no delivery will come any more: every source is at its end, and only
    /// deliveries are left that failed too often. [`close`](Self::close) gives those back.
    ///
    /// # Errors
    ///
    /// Returns the permanent error of the sources (authentication failed, permission denied) if all of
    /// them failed before they were ever attached, unless [`wait`](super::ListenerConfig::wait) is
    /// set. The listener keeps trying: you may call again, and then wait for the next attempt. It never
    /// returns a transient error.
    ///
    /// Returns an error of the kind [`Closed`](crate::ErrorKind::Closed) once for each source whose task
    /// ended: the source panicked, or the runtime that started the listener shut down or has no timer.
    /// Returns the error of a source whose input [failed](crate::source::Reception::Failed) once too,
    /// behind its deliveries. Either error is that of one source, and the others still run: call again to
    /// read from them.
    ///
    /// # Cancel safety
    ///
    /// You may drop the future at any time. It takes deliveries only at the moment it returns them.
    pub async fn next_batch(
        &mut self,
        max: usize,
        linger: Duration,
    ) -> Result<Option<DeliveryBatch>> {
        let max = max.max(1);
        loop {
            if !self.ready(1).await? {
                return Ok(None);
            }
            if max > 1
                && !linger.is_zero()
                && let Ok(more) = timeout_at(after(linger), self.ready(max)).await
            {
                // An error means that the first delivery is gone too.
                more?;
            }
            let batch = self.take(max);
            // Empty if everything failed meanwhile.
            if !batch.is_empty() {
                return Ok(Some(DeliveryBatch(batch)));
            }
        }
    }

    /// Waits for one delivery.
    ///
    /// # Errors
    ///
    /// As for [`next_batch`](Self::next_batch).
    ///
    /// # Cancel safety
    ///
    /// As for [`next_batch`](Self::next_batch).
    pub async fn next_delivery(&mut self) -> Result<Option<Delivery>> {
        std::future::poll_fn(|context| self.poll_delivery(context)).await
    }

    /// Hands every delivery to `handler`, in at most `concurrency` tasks at a time, until `stop`
    /// resolves or no delivery will come any more.
    ///
    /// The handler settles the delivery. A handler that panics or forgets it has failed. After `stop`, or
    /// once no delivery will come any more, gives the handlers the time `grace`; then aborts them and gives
    /// their deliveries back. Returns the final account.
    ///
    /// # Errors
    ///
    /// As for [`next_batch`](Self::next_batch), after the same end. The error of one source stops no
    /// other: the listener logs it, goes on until no delivery will come any more, and returns the first.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future aborts the handlers, whose deliveries are stale, and drops the listener.
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_conformance::source_script::SourceScript;
    /// # use notify_core::listener::{DeadLetters, Listener};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> notify_core::Result<()> {
    /// # let script = SourceScript::default();
    /// # script.publish(notify_conformance::samples::messages(0..3));
    /// # script.end();
    /// # let listener = Listener::builder(script.source(), DeadLetters::Discard).start()?;
    /// # let stop_signal = std::future::pending();
    /// # async fn work(_: &notify_core::listener::Delivery) -> Result<(), String> { Ok(()) }
    /// let stats = listener
    ///     .run(16, Duration::from_secs(10), stop_signal, |delivery| async move {
    ///         match work(&delivery).await {
    ///             Ok(()) => drop(delivery.ack()),
    ///             Err(reason) => drop(delivery.fail(reason)),
    ///         }
    ///     })
    ///     .await?;
    /// assert_eq!(stats.total.acked, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run<H, F>(
        mut self,
        concurrency: usize,
        grace: Duration,
        stop: impl Future<Output = ()>,
        mut handler: H,
    ) -> Result<ListenerStats>
    where
        H: FnMut(Delivery) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut stop = std::pin::pin!(stop);
        let mut handlers = JoinSet::new();
        let mut first_error = None;
        loop {
            while handlers.try_join_next().is_some() {}
            let is_busy = handlers.len() >= concurrency.max(1);
            tokio::select! {
                biased;
                () = &mut stop => break,
                _ = handlers.join_next(), if is_busy => {}
                delivery = self.next_delivery(), if !is_busy => match delivery {
                    Ok(Some(delivery)) => {
                        // A panic before the future exists drops the delivery, which has then failed.
                        if let Ok(work) = catch_unwind(AssertUnwindSafe(|| handler(delivery))) {
                            drop(handlers.spawn(work));
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::error!("a source failed: {error:#}");
                        first_error.get_or_insert(error);
                        if !self.shared.lock().has_ended_source() {
                            break;
                        }
                    }
                },
            }
        }
        let deadline = after(grace);
        let stats = self.close(grace).await;
        // A handler that has settled its delivery may have more to do.
        let finishing = async { while handlers.join_next().await.is_some() {} };
        drop(timeout_at(deadline, finishing).await);
        handlers.abort_all();
        first_error.map_or(Ok(stats), Err)
    }

    /// Returns the account at this moment.
    pub fn stats(&self) -> ListenerStats {
        self.shared.lock().stats()
    }

    /// Takes the changes of the sources' coverage since the last call.
    ///
    /// The listener keeps the last 1 024 changes.
    pub fn take_coverage_changes(&mut self) -> Vec<CoverageChange> {
        self.shared.lock().take_changes()
    }

    /// Closes the listener: stops receiving, gives back what you do not have, and waits until
    /// `deadline` from now for you to settle what you have.
    ///
    /// Then gives back the rest, whose deliveries become stale, and closes the sources. Waits for them
    /// at most 20 s more. Returns the final account, in which nothing is held.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the listener: it gives back everything at once.
    pub async fn close(mut self, deadline: Duration) -> ListenerStats {
        self.shared.lock().close(ClosePhase::Draining);
        if !self.join(after(deadline)).await {
            self.shared.lock().close(ClosePhase::Over);
            if !self.join(after(CLOSE_TIMEOUT)).await {
                tracing::warn!("a source does not close: what was unsettled comes again");
                self.drivers.iter().for_each(JoinHandle::abort);
                // An aborted task ends at once, unless its source blocks the thread.
                self.join(after(CLOSE_TIMEOUT)).await;
            }
        }
        self.stats()
    }

    /// Waits until `deadline` for the tasks of the sources. Returns whether all have ended.
    async fn join(&mut self, deadline: Instant) -> bool {
        while let Some(driver) = self.drivers.last_mut() {
            tokio::select! {
                biased;
                _ = driver => drop(self.drivers.pop()),
                () = sleep_until(deadline) => return false,
            }
        }
        true
    }

    /// Waits until `wanted` deliveries are ready, or as many as can be. Returns `false` if none will be.
    async fn ready(&self, wanted: usize) -> Result<bool> {
        std::future::poll_fn(|context| self.shared.lock().poll_ready(wanted, context)).await
    }

    /// Takes at most `max` ready deliveries.
    fn take(&self, max: usize) -> Vec<Delivery> {
        let handed_out = self.shared.lock().hand_out(max);
        let deliver = |out| Delivery::new(Arc::clone(&self.shared), out);
        handed_out.into_iter().map(deliver).collect()
    }

    /// Takes one delivery, or registers the task for the next one.
    fn poll_delivery(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Delivery>>> {
        let mut state = self.shared.lock();
        if !ready!(state.poll_ready(1, context))? {
            return Poll::Ready(Ok(None));
        }
        let out = state.hand_out(1).pop();
        drop(state);
        Poll::Ready(Ok(out.map(|out| Delivery::new(Arc::clone(&self.shared), out))))
    }
}

/// Yields one delivery at a time, and ends as [`Listener::next_batch`] does.
impl Stream for Listener {
    type Item = Result<Delivery>;

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Delivery>>> {
        self.get_mut().poll_delivery(context).map(Result::transpose)
    }
}

/// Gives back everything, in the background.
impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.lock().close(ClosePhase::Over);
    }
}

/// The longest wait for sources after the deadline of `close`.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
