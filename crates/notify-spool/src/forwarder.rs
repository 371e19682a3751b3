//! The second stage: a pipeline from the disk to the destination.
//!
//! The pipeline of `notify-core` does the batching, retries, backoff and deadlines, as it does for a
//! notifier without a spool. This module only starts it and decides which slots feed it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use notify_core::pipeline::{CloseSignal, QueueConfig, Stage, StageAccount, Stats};
use notify_core::{Notifier, Result, Transport, Worker};
use tokio::sync::watch;

use crate::blocking::spawn_thread;
use crate::config::Config;
use crate::counters::StageCounters;
use crate::orphan_forwarder::{OrphanForwarder, adopt_orphans};
use crate::slot_forwarding::{ForwardingMode, forward_slot};
use crate::slot_handle::SlotHandle;
use crate::unknown_slots::report_unknown_slots;

/// The stage that delivers the messages of a [`Spool`](crate::Spool) to its destination.
///
/// It first forwards the messages that the last run left, then the new ones in their order. It removes
/// a message from the disk once the destination has accepted it, and turns it into a dead letter once
/// the destination has refused it for good. Every five seconds it also looks for orphans in the
/// directory and forwards them.
///
/// # Examples
///
/// Give the forwarder to the notifier's builder, and the worker runs it:
///
/// ```no_run
/// # use notify_core::{Notifier, Result, Transport, Worker};
/// # fn build(rabbit: Box<dyn Transport>) -> Result<(Notifier, Worker)> {
/// let config = notify_spool::Config::new("/var/spool/glance-notify");
/// let (spool, forwarder) = notify_spool::Spool::open(config, rabbit)?;
/// Notifier::builder(spool).behind(forwarder).build()
/// # }
/// ```
pub struct Forwarder {
    config: Config,
    handle: Arc<SlotHandle>,
    counters: Arc<StageCounters>,
    destination: Box<dyn Transport>,
    /// The strategy of the destination, for the account and for `Debug`.
    name: &'static str,
    pipeline: ForwardingPipeline,
}

/// The notifier of the stage's own pipeline, once the stage runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct ForwardingPipeline(Arc<Mutex<Option<Notifier>>>);

impl ForwardingPipeline {
    /// Returns the notifier, once the stage runs.
    pub(crate) fn notifier(&self) -> Option<Notifier> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, notifier: Notifier) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(notifier);
    }
}

impl Forwarder {
    /// Returns a forwarder from the slot of `handle` to `destination`. It starts nothing.
    pub(crate) fn new(
        config: Config,
        handle: Arc<SlotHandle>,
        counters: Arc<StageCounters>,
        destination: Box<dyn Transport>,
    ) -> Self {
        let name = destination.name();
        let pipeline = ForwardingPipeline::default();
        Self { config, handle, counters, destination, name, pipeline }
    }

    /// Returns the pipeline of the stage.
    pub(crate) fn pipeline(&self) -> ForwardingPipeline {
        self.pipeline.clone()
    }

    /// Forwards every slot that no process owns, until all of them are empty, and returns the account.
    ///
    /// The drain ends early when `closing` resolves, with the time that messages in flight still get.
    /// It then starts no further attempt. Messages that are still pending in the returned account stay
    /// on the disk. [`account`](Stage::account) returns the account while the drain runs.
    ///
    /// The drain needs a tokio runtime with its timer enabled, and with I/O if the destination needs
    /// I/O.
    ///
    /// # Errors
    ///
    /// The first error of the directory or of a slot that the drain cannot read. It forwards the other
    /// slots before it returns the error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the drain. Messages without a recorded outcome stay on the disk.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn drain(rabbit: Box<dyn notify_core::Transport>) -> notify_core::Result<()> {
    /// use std::time::Duration;
    ///
    /// use notify_spool::{Config, Spool};
    ///
    /// let (_, forwarder) = Spool::open(Config::new("/var/spool/glance-notify"), rabbit)?;
    /// // Stops after a minute, and gives messages in flight five more seconds.
    /// let closing = async {
    ///     tokio::time::sleep(Duration::from_secs(60)).await;
    ///     Duration::from_secs(5)
    /// };
    /// let account = forwarder.drain(Box::pin(closing)).await?;
    /// println!("{} delivered, {} left", account.delivered, account.pending.messages);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn drain(self, closing: CloseSignal) -> Result<Stats> {
        let account = self.account();
        let Self { config, counters, destination, pipeline, .. } = self;
        let (notifier, worker) = build_pipeline(&config, destination, &pipeline)?;
        let (stop, stopped) = watch::channel(false);
        let draining = async {
            let mut orphans = OrphanForwarder::new(&config, &counters, &notifier, stopped);
            let drained = orphans.forward_all().await;
            orphans.close().await;
            notifier.close();
            drained
        };
        let deadline = async {
            let time_left = closing.await;
            stop.send_replace(true);
            notifier.shutdown(time_left).await;
            // The shutdown ends the draining and the worker, and the other branch returns.
            std::future::pending::<()>().await;
        };
        let all = async { tokio::join!(draining, worker.run()).0 };
        let drained = tokio::select! {
            drained = all => drained,
            () = deadline => Ok(()),
        };
        drained.map(|()| account())
    }
}

#[async_trait]
impl Stage for Forwarder {
    fn name(&self) -> &'static str {
        self.name
    }

    fn account(&self) -> StageAccount {
        let (counters, pipeline) = (Arc::clone(&self.counters), self.pipeline.clone());
        Arc::new(move || {
            counters.stats(pipeline.notifier().as_ref().map(Notifier::stats).unwrap_or_default())
        })
    }

    async fn run(self: Box<Self>, closing: CloseSignal) {
        let Self { config, handle, counters, destination, pipeline, .. } = *self;
        let (notifier, worker) = match build_pipeline(&config, destination, &pipeline) {
            Ok(built) => built,
            Err(error) => {
                tracing::error!("cannot start forwarding from the spool: {error:#}");
                return;
            }
        };
        if config.known.is_some() {
            let config = config.clone();
            // A thread that nothing waits for: the disk may hang.
            if let Err(error) = spawn_thread(move || report_unknown_slots(&config)) {
                tracing::warn!("cannot look for slots of unknown destinations: {error:#}");
            }
        }
        let (stop, stopped) = watch::channel(false);
        let mode = ForwardingMode::Continuous;
        let mut orphans = OrphanForwarder::new(&config, &counters, &notifier, stopped.clone());
        // All slots close at once, and while the worker closes the destination: the times of a disk and
        // a destination that do not answer must not add up.
        let forwarding = async {
            let own = forward_slot(&handle, &notifier, stopped.clone(), mode);
            // In continuous mode `forward_slot` retries an unreadable slot and returns no error.
            let _ = tokio::join!(own, adopt_orphans(&mut orphans, &handle, stopped.clone()));
            tokio::join!(orphans.close(), handle.release());
        };
        let closing = async {
            let time_left = closing.await;
            stop.send_replace(true);
            notifier.shutdown(time_left).await;
        };
        let (_, (), ()) = tokio::join!(worker.run(), forwarding, closing);
    }
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder")
            .field("to", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Builds the stage's pipeline and puts its notifier into `pipeline`.
///
/// Its queue holds two batches only, because every message in it is in memory and on the disk.
fn build_pipeline(
    config: &Config,
    destination: Box<dyn Transport>,
    pipeline: &ForwardingPipeline,
) -> Result<(Notifier, Worker)> {
    let mut queue = QueueConfig::default();
    queue.batch_messages = config.batch_messages;
    queue.batch_bytes = config.batch_bytes;
    queue.max_messages = config.batch_messages.saturating_mul(2);
    queue.max_bytes = config.window_bytes();
    let mut builder = Notifier::builder(destination)
        .named(config.destination.as_str())
        .publisher_id(PUBLISHER_ID)
        .queue(queue)
        .attempt_timeout(config.attempt_timeout)
        .durable_source();
    if let Some(seed) = config.seed {
        builder = builder.seed(seed);
    }
    let built = builder.build()?;
    pipeline.set(built.0.clone());
    Ok(built)
}

/// The publisher id of the pipeline. No message shows it: each has the id of its sender already.
const PUBLISHER_ID: &str = "spool";
