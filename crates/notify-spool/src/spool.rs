//! The spool as a transport: it stores each batch on the local disk.
//!
//! This module must not touch the disk itself. It hands every batch to the slot's thread and waits for
//! the answer, so that a slow disk never blocks the runtime.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use notify_core::transport::{Finding, Lane, Lanes, run_on_thread};
use notify_core::{
    Batch, Error, ErrorKind, EventType, Message, Notifier, Outcome, Result, Transport, Verdict,
};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::RecvError;
use tokio::time::Instant;
use uuid::Uuid;

use crate::blocking::thread_gone;
use crate::check::check_directory;
use crate::config::{Config, FullSpoolPolicy};
use crate::counters::StageCounters;
use crate::forwarder::{Forwarder, ForwardingPipeline};
use crate::records::{ChunkGroup, RecordBatch};
use crate::slot_handle::{DISK_TIMEOUT, SlotHandle};
use crate::slot_job::{StoreReply, StoredPrefix};
use crate::slot_thread::SlotChoice;

/// A transport that stores messages on the local disk.
///
/// The spool accepts a message once the message is safely on the disk. Its [`Forwarder`] then delivers
/// the message to the destination.
///
/// # Examples
///
/// ```no_run
/// # use notify_core::{Notifier, Result, Transport, Worker};
/// # fn build(rabbit: Box<dyn Transport>) -> Result<(Notifier, Worker)> {
/// use notify_spool::{Config, Spool};
///
/// let (spool, forwarder) = Spool::open(Config::new("/var/spool/glance-notify"), rabbit)?;
/// Notifier::builder(spool).behind(forwarder).build()
/// # }
/// ```
#[derive(Debug)]
pub struct Spool {
    config: Config,
    /// The documented event types that the destination wants, and one other name if it wants the others.
    /// The spool asks for them once, when it opens.
    wanted: Vec<EventType>,
    /// The lanes of the destination.
    lanes: Lanes,
    /// The time at which each lane last failed.
    failed_at: Vec<Option<Instant>>,
    /// The handle of the slot's thread; `None` after `close`.
    handle: Option<Arc<SlotHandle>>,
    /// The pipeline of the forwarder, which knows the lanes that fail.
    pipeline: ForwardingPipeline,
    /// The records of the last batch. The next batch reuses their memory.
    records: RecordBatch,
    /// A batch that the slot's thread has not answered yet.
    ///
    /// At the start of `send` it is `Some` only if the disk did not answer the previous `send` in time.
    pending_store: Option<PendingStore>,
    /// The messages that batches without an answer in time stored after all, until they come again.
    stored_late: HashSet<Uuid>,
}

/// A batch that the slot's thread is storing.
#[derive(Debug)]
struct PendingStore {
    /// The ids of the batch's messages, in their order.
    ids: Vec<Uuid>,
    /// The receiver of the thread's answer.
    answer: oneshot::Receiver<StoreReply>,
}

impl Spool {
    /// Returns a spool in front of `destination`, and the forwarder from the spool to `destination`.
    ///
    /// This call opens no file and starts no thread. The spool locks its slot when the first batch
    /// arrives, or when the forwarder starts to run.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] in two cases:
    ///
    /// * The bounds of `config` are smaller than one message.
    /// * `destination` wants no event type at all, as `noop` does. The forwarder would otherwise discard
    ///   the messages that other processes left in the directory, and count them as delivered.
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_core::{Batch, EventType, Result, Transport, Verdict};
    /// use notify_spool::{Config, Spool};
    ///
    /// # #[derive(Debug)]
    /// # struct Discard;
    /// # #[async_trait::async_trait]
    /// # impl Transport for Discard {
    /// #     fn name(&self) -> &'static str { "discard" }
    /// #     fn wants(&self, _: &EventType) -> bool { true }
    /// #     async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
    /// #         batch.settle_rest(&Verdict::Accept);
    /// #         Ok(())
    /// #     }
    /// #     async fn close(&mut self) -> Result<()> { Ok(()) }
    /// # }
    /// let mut config = Config::new("/var/spool/glance-notify");
    /// config.max_messages = 50_000;
    /// let (spool, _forwarder) = Spool::open(config, Box::new(Discard))?;
    /// assert_eq!(spool.name(), "spool");
    ///
    /// let mut too_small = Config::new("/var/spool/glance-notify");
    /// too_small.max_bytes = 1_000;
    /// assert!(Spool::open(too_small, Box::new(Discard)).is_err());
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn open(config: Config, destination: Box<dyn Transport>) -> Result<(Self, Forwarder)> {
        config.validate("spool")?;
        let counters = Arc::new(StageCounters::default());
        let choice = SlotChoice::LowestFree;
        let handle = SlotHandle::new(config.clone(), Arc::clone(&counters), choice);
        let names = EventType::DOCUMENTED.iter().cloned().chain(EventType::new("other"));
        let wanted: Vec<_> = names.filter(|event| destination.wants(event)).collect();
        if wanted.is_empty() {
            let message = format!(
                "`{}` delivers no notifications: remove the table `[spool]`, or set \
                 another `strategy`",
                destination.name()
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        let lanes = destination.lanes();
        let forwarder = Forwarder::new(config.clone(), Arc::clone(&handle), counters, destination);
        let spool = Self {
            config,
            wanted,
            failed_at: vec![None; lanes.len()],
            lanes,
            handle: Some(handle),
            pipeline: forwarder.pipeline(),
            records: RecordBatch::default(),
            pending_store: None,
            stored_late: HashSet::new(),
        };
        Ok((spool, forwarder))
    }

    /// Accepts the messages that an earlier `send` stored after all.
    ///
    /// Without this step the spool would store them a second time. The worker may send some of them in a later
    /// batch only.
    async fn settle_pending_store(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        if self.pending_store.is_some() {
            let stored = match self.pending_answer().await? {
                Ok(StoreReply { result: Ok(StoredPrefix { messages, .. }), .. }) => messages,
                _ => 0,
            };
            let ids = self.pending_store.take().map(|pending| pending.ids).unwrap_or_default();
            self.stored_late.extend(ids.into_iter().take(stored));
        }
        if self.stored_late.is_empty() {
            return Ok(());
        }
        for (index, message) in batch.messages().iter().enumerate() {
            if self.stored_late.remove(&message.id()) {
                batch.settle(index, Verdict::Accept);
            }
        }
        Ok(())
    }

    /// Waits for the answer about the pending store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`] if the disk does not answer. The store stays pending, and its outcome is
    /// unknown.
    async fn pending_answer(&mut self) -> Result<Result<StoreReply, RecvError>> {
        let Some(pending) = &mut self.pending_store else { return Err(closed()) };
        if let Ok(answer) = tokio::time::timeout(DISK_TIMEOUT, &mut pending.answer).await {
            return Ok(answer);
        }
        let handle = self.handle.as_ref().ok_or_else(closed)?;
        Err(handle.hung_disk().with_outcome(Outcome::Unknown))
    }

    /// Refuses the messages that do not fit even into an empty spool.
    fn refuse_oversized(&self, batch: &mut Batch<'_>) {
        let limit = self.config.max_message_bytes();
        for (index, message) in batch.messages().iter().enumerate() {
            if message.size() > limit && !batch.is_settled(index) {
                let message = format!(
                    "the notification is larger than {limit} bytes: raise `spool.max_bytes` or \
                     `queue.batch_bytes`"
                );
                batch.settle(index, Verdict::Refuse(Error::new(ErrorKind::TooLarge, message)));
            }
        }
    }

    /// Returns the lanes that fail while others are delivered, or did so within the last minute. One lane alone
    /// never does: there is no other to keep room for.
    ///
    /// A full queue with a slow consumer takes a few messages now and then. It must not fill the spool each
    /// time.
    fn failing_lanes(&mut self) -> Vec<Lane> {
        let now = Instant::now();
        if self.lanes.len() > 1
            && let Some(pipeline) = self.pipeline.notifier().filter(Notifier::has_failing_lane)
        {
            for lane in self.lanes.iter().filter(|lane| pipeline.is_lane_limited(*lane)) {
                self.failed_at[lane.index()] = Some(now);
            }
        }
        let is_recent = |at: Option<Instant>| at.is_some_and(|at| now - at < RECOVERY_TIME);
        self.lanes.iter().filter(|lane| is_recent(self.failed_at[lane.index()])).collect()
    }

    /// Returns the indices of the unsettled messages in the order in which to store them, each with its
    /// group.
    ///
    /// The messages of each lane that fails follow all others, in their order.
    fn group(&self, batch: &Batch<'_>, failing: &[Lane]) -> Vec<(ChunkGroup, usize)> {
        let mut indices: Vec<_> = batch.unsettled().map(|index| (None, index)).collect();
        if !failing.is_empty() {
            for (group, index) in &mut indices {
                let lane = self.lanes.lane(&batch.messages()[*index]);
                *group = failing.contains(&lane).then_some(lane);
            }
            indices.sort_by_key(|(group, _)| *group);
        }
        indices
    }

    /// Has the slot's thread store the messages at `indices`, and waits for the answer.
    async fn store(
        &mut self,
        messages: &[Message],
        indices: &[(ChunkGroup, usize)],
    ) -> Result<StoredPrefix> {
        let handle = self.handle.as_ref().ok_or_else(closed)?;
        let mut records = std::mem::take(&mut self.records);
        let grouped = indices.iter().map(|&(group, index)| (group, &messages[index]));
        records.fill(grouped);
        let answer = handle.store(records)?;
        let ids = indices.iter().map(|&(_, index)| messages[index].id()).collect();
        self.pending_store = Some(PendingStore { ids, answer });
        let answer = self.pending_answer().await?;
        self.pending_store = None;
        let StoreReply { records, result } = answer.map_err(|_| thread_gone())?;
        self.records = records;
        result
    }
}

#[async_trait]
impl Transport for Spool {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Returns the destination's answer, which the spool asked for when it opened.
    fn wants(&self, event_type: &EventType) -> bool {
        match event_type {
            EventType::Other(_) => {
                self.wanted.iter().any(|wanted| matches!(wanted, EventType::Other(_)))
            }
            documented => self.wanted.contains(documented),
        }
    }

    /// Returns the destination's lanes, so that a lane that fails has a backoff and a share of the room of
    /// its own in front of the spool too.
    ///
    /// The spool makes no duplicate: all lanes share its disk.
    fn lanes(&self) -> Lanes {
        self.lanes.clone()
    }

    /// Stores the batch and accepts the messages that are on the disk.
    ///
    /// A lane that fails leaves room to those that work: the spool declines or refuses its messages beyond
    /// its share, and stores the others. Once the notifier is closed, it stores all of them. The worker
    /// would drop a message that it declined then.
    ///
    /// # Cancel safety
    ///
    /// If the worker drops the future, or the disk does not answer within 30 s, the slot's thread still
    /// stores the batch. The next call waits for that and accepts those messages, instead of storing them
    /// again.
    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        if batch.messages().is_empty() {
            return Ok(());
        }
        self.settle_pending_store(batch).await?;
        self.refuse_oversized(batch);
        // Ask once: a lane that recovers meanwhile must keep the order of its messages.
        let failing = if batch.is_closing() { Vec::new() } else { self.failing_lanes() };
        let indices = self.group(batch, &failing);
        if indices.is_empty() {
            return Ok(());
        }
        let StoredPrefix { messages, full } = self.store(batch.messages(), &indices).await?;
        if messages == batch.messages().len() {
            batch.settle_rest(&Verdict::Accept);
        } else {
            indices[..messages].iter().for_each(|&(_, at)| batch.settle(at, Verdict::Accept));
        }
        let Some(error) = full else { return Ok(()) };
        let is_full_for_all = indices[messages..].iter().any(|(group, _)| group.is_none());
        match self.config.when_full {
            // Not a verdict for each message: the spool is full for all of them, so they keep their order.
            FullSpoolPolicy::Retry if is_full_for_all => return Err(error),
            FullSpoolPolicy::Retry => batch.settle_rest(&Verdict::Retry(error)),
            FullSpoolPolicy::Refuse => batch.settle_rest(&Verdict::Refuse(error)),
        }
        Ok(())
    }

    /// Releases the slot. If no forwarder uses it any more, waits until its thread has closed it.
    async fn close(&mut self) -> Result<()> {
        self.pending_store = None;
        if let Some(handle) = self.handle.take() {
            handle.release().await;
        }
        Ok(())
    }

    /// Inspects the directory. The destination's own `check` inspects the destination.
    async fn check(&mut self) -> Result<Vec<Finding>> {
        let config = self.config.clone();
        run_on_thread("spool-check", move || check_directory(&config)).await
    }
}

/// The error of a `send` after `close`.
fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the spool is closed")
}

/// The time after which a lane that failed may use all the room again, longer than the longest backoff.
const RECOVERY_TIME: Duration = Duration::from_secs(60);

/// The name of the first stage in `Notifier::stages` and in summaries.
const NAME: &str = "spool";
