//! The second stage: from the disk to the destination, through a pipeline of its own.
//!
//! Batching, retry, backoff and deadlines are the pipeline's, as they are for whoever emits. What is
//! here is only what feeds it and what writes down what came of it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use notify_core::pipeline::{CloseSignal, QueueConfig, Stage, StageAccount, Stats};
use notify_core::{Error, Notifier, Result, Transport, Worker};
use tokio::sync::watch;

use crate::config::Config;
use crate::dir::{Dir, Slot, Stamp};
use crate::feed::{Until, feed};
use crate::keeper::Keeper;
use crate::ledger::Ledger;

/// Delivers what a [`Spool`](crate::Spool) keeps: what the last run left, then what comes.
///
/// A message is removed from the disk once the destination has taken it, and becomes a dead letter
/// once the destination has refused it for good. From time to time it also forwards what it finds in
/// slots of the directory that no process holds.
pub struct Forwarder {
    config: Config,
    keeper: Arc<Keeper>,
    ledger: Arc<Ledger>,
    inner: Box<dyn Transport>,
    name: &'static str,
    /// The pipeline's notifier, once there is one.
    pipeline: Arc<Mutex<Option<Notifier>>>,
}

impl Forwarder {
    pub(crate) fn new(
        config: Config,
        keeper: Arc<Keeper>,
        ledger: Arc<Ledger>,
        inner: Box<dyn Transport>,
    ) -> Self {
        let name = inner.name();
        Self { config, keeper, ledger, inner, name, pipeline: Arc::default() }
    }

    /// Forwards what is in every slot that no process holds, until nothing is left or `closing`
    /// resolves, and returns the account: what is pending in it is left on the disk.
    ///
    /// `closing` resolves to how long what is under way may take to be concluded; nothing else is
    /// begun then. [`account`](Stage::account) has the account meanwhile.
    ///
    /// Needs a tokio runtime with its timer on, and with I/O on where the transport does I/O.
    ///
    /// # Errors
    ///
    /// Why the directory, or the first slot of several that cannot, cannot be read. The others are
    /// drained all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the draining; what it has not concluded stays on the disk.
    pub async fn drain(self, closing: CloseSignal) -> Result<Stats> {
        let account = self.account();
        let Self { config, ledger, inner, pipeline, .. } = self;
        let (notifier, worker) = build(&config, inner, &pipeline)?;
        let (stop, stopped) = watch::channel(false);
        let draining = async {
            let orphans = Orphans::new(&config, &ledger, &notifier, stopped);
            let drained = match orphans {
                Ok(mut orphans) => orphans.forward().await,
                Err(error) => Err(error),
            };
            notifier.close();
            drained
        };
        let deadline = async {
            let left = closing.await;
            stop.send_replace(true);
            notifier.shutdown(left).await;
            // Now the draining ends, and the worker with it.
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
        let (ledger, pipeline) = (Arc::clone(&self.ledger), Arc::clone(&self.pipeline));
        Arc::new(move || {
            let pipeline = pipeline.lock().unwrap_or_else(PoisonError::into_inner);
            ledger.stats(pipeline.as_ref().map(Notifier::stats).unwrap_or_default())
        })
    }

    async fn run(self: Box<Self>, closing: CloseSignal) {
        let Self { config, keeper, ledger, inner, pipeline, .. } = *self;
        let (notifier, worker) = match build(&config, inner, &pipeline) {
            Ok(built) => built,
            Err(error) => {
                tracing::error!("nothing is forwarded from the spool: {error:#}");
                return;
            }
        };
        let (stop, stopped) = watch::channel(false);
        let own = feed(&keeper, &notifier, stopped.clone(), Until::Stopped);
        let others = adopt(&config, &keeper, &ledger, &notifier, stopped);
        let closing = async {
            let left = closing.await;
            stop.send_replace(true);
            notifier.shutdown(left).await;
        };
        // Fed until it is stopped, a slot that cannot be read is tried again for ever.
        let (_, _, (), ()) = tokio::join!(worker.run(), own, others, closing);
        drop(tokio::time::timeout(CLOSE_TIMEOUT, keeper.stop()).await);
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

/// The pipeline to the destination: short, for what is in it is in memory a second time.
fn build(
    config: &Config,
    inner: Box<dyn Transport>,
    pipeline: &Mutex<Option<Notifier>>,
) -> Result<(Notifier, Worker)> {
    let mut queue = QueueConfig::default();
    queue.batch_messages = config.batch_messages;
    queue.batch_bytes = config.batch_bytes;
    queue.max_messages = config.batch_messages.saturating_mul(2);
    queue.max_bytes = config.window_bytes();
    let built = Notifier::builder(inner)
        // What it forwards has one already.
        .publisher_id(crate::NAME)
        .queue(queue)
        .attempt_timeout(config.attempt_timeout)
        .source_keeps()
        .build()?;
    pipeline.lock().unwrap_or_else(PoisonError::into_inner).replace(built.0.clone());
    Ok(built)
}

/// From time to time, forwards what is in slots that nobody holds: their processes are gone.
async fn adopt(
    config: &Config,
    keeper: &Keeper,
    ledger: &Arc<Ledger>,
    notifier: &Notifier,
    stopped: watch::Receiver<bool>,
) {
    let mut stop = stopped.clone();
    let mut orphans: Option<Orphans<'_>> = None;
    // Not before this process has its own slot: what was left in that is no orphan.
    let mut settled = false;
    let mut failing = false;
    while !*stop.borrow_and_update() {
        settled = settled || keeper.read(u64::MAX, 0).await.is_ok();
        if settled && orphans.is_none() {
            orphans = Orphans::new(config, ledger, notifier, stopped.clone()).ok();
        }
        if let Some(orphans) = &mut orphans {
            match orphans.forward().await {
                Ok(()) => failing = false,
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    tracing::warn!("what another process left in the spool stays there: {error:#}");
                }
                Err(_) => {}
            }
        }
        // An error as well: nobody is left who could want more.
        if tokio::time::timeout(ADOPT_EVERY, stop.wait_for(|stop| *stop)).await.is_ok() {
            break;
        }
    }
}

/// The slots that no process holds.
struct Orphans<'a> {
    config: &'a Config,
    ledger: &'a Arc<Ledger>,
    notifier: &'a Notifier,
    stopped: watch::Receiver<bool>,
    dir: Arc<Dir>,
    /// The state in which a slot was left with nothing to forward.
    seen: HashMap<u32, Stamp>,
}

impl<'a> Orphans<'a> {
    fn new(
        config: &'a Config,
        ledger: &'a Arc<Ledger>,
        notifier: &'a Notifier,
        stopped: watch::Receiver<bool>,
    ) -> Result<Self> {
        let dir = Dir::open(&config.dir, false)?;
        Ok(Self { config, ledger, notifier, stopped, dir, seen: HashMap::new() })
    }

    /// Forwards what is in them, one slot after the other, until nothing is left.
    ///
    /// # Errors
    ///
    /// The first that there was. The slots behind it are forwarded all the same.
    async fn forward(&mut self) -> Result<()> {
        let mut result = Ok(());
        for number in self.dir.numbers()? {
            let stamp = self.dir.stamp(number);
            if stamp.is_empty() || self.seen.get(&number) == Some(&stamp) {
                continue;
            }
            match self.dir.try_lock(number, false) {
                Ok(Some(slot)) => {
                    let forwarded = self.forward_one(slot).await;
                    // What passes is looked at again.
                    if !forwarded.as_ref().is_err_and(Error::is_transient) {
                        self.seen.insert(number, self.dir.stamp(number));
                    }
                    result = result.and(forwarded);
                }
                Ok(None) => {}
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }

    async fn forward_one(&self, slot: Slot) -> Result<()> {
        let keeper = Keeper::new(self.config.clone(), Arc::clone(self.ledger), Some(slot));
        let fed = feed(&keeper, self.notifier, self.stopped.clone(), Until::Empty).await;
        keeper.stop().await;
        fed
    }
}

/// How often to look for what others left. Looking takes a few system calls for each slot.
const ADOPT_EVERY: Duration = Duration::from_secs(5);
/// How long a disk may take to finish.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
