//! The spool: keeps notifications on the local disk until another transport has delivered them.
//!
//! It stands before whatever strategy is configured, and makes two stages of one. To the first,
//! delivered means on the disk: that is what a receipt waits for. The second, the [`Forwarder`], takes
//! the messages from there to the destination, for as long as that takes.
//!
//! # What is promised
//!
//! * From the moment a message is accepted it is delivered at least once, across kill -9, a reboot and
//!   any outage that fits the spool; or it becomes a dead letter, with the reason why the destination
//!   refused it. A message that is delivered twice has the same `message_id` and the same bytes.
//! * A batch is one transaction and one `fdatasync`. It is accepted as far as there is room, in its
//!   order, and nothing of it is half accepted.
//! * First attempts keep the order in which messages were accepted.
//! * A disk that fails, hangs or is full harms nothing else: the thread that it blocks is the spool's
//!   own, and the spool goes on by itself when the disk does.
//!
//! # The directory
//!
//! Processes may share one directory. It holds numbered slots; each process locks the lowest that is
//! free, and forwards also what it finds in slots that nobody holds. The directory has mode 0700 and
//! the files have 0600. What belongs to somebody else, what others can write to, and symbolic links
//! are refused. [`admin`] looks into a directory from outside.

pub mod admin;
mod check;
mod conclusion;
mod config;
mod dir;
#[doc(hidden)]
pub mod disk;
mod error;
mod feed;
mod forward;
mod keeper;
mod ledger;
mod owner;
mod record;
mod status;
mod store;
mod unsynced;

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use notify_core::transport::Finding;
use notify_core::{
    Batch, Error, ErrorKind, EventType, Message, Outcome, Result, Transport, Verdict,
};
use tokio::sync::oneshot;
use uuid::Uuid;

pub use config::{Config, CorruptSlotPolicy, DEFAULTS, FullSpoolPolicy};
pub use forward::Forwarder;
use keeper::{Accepted, Keeper, Stored};
use ledger::Ledger;
use record::Records;
#[doc(hidden)]
pub use record::fuzz_records;
pub use status::{MessageTotals, SlotContents};

/// Keeps messages on the local disk.
///
/// ```no_run
/// # use notify_core::{Notifier, Result, Transport, Worker};
/// # fn f(rabbit: Box<dyn Transport>) -> Result<(Notifier, Worker)> {
/// use notify_spool::{Config, Spool};
///
/// let (spool, forwarder) = Spool::open(Config::new("/var/spool/glance-notify"), rabbit)?;
/// Notifier::builder(spool).behind(forwarder).build()
/// # }
/// ```
#[derive(Debug)]
pub struct Spool {
    config: Config,
    wanted: Vec<EventType>,
    keeper: Option<Arc<Keeper>>,
    /// Kept between batches for its memory.
    records: Records,
    asked: Option<Asked>,
}

/// A batch that the slot's thread has. Still here when `send` begins only if the `send` that waited
/// for it was dropped.
#[derive(Debug)]
struct Asked {
    ids: Vec<Uuid>,
    answer: oneshot::Receiver<Accepted>,
}

impl Spool {
    /// A spool before `inner`, and what forwards from it to `inner`. Nothing is opened or started
    /// before the first batch, or before the forwarder runs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for bounds that no message fits in, and for an `inner` that wants nothing:
    /// what other processes left in the directory would be gone.
    pub fn open(config: Config, inner: Box<dyn Transport>) -> Result<(Self, Forwarder)> {
        config.validate()?;
        let ledger = Arc::new(Ledger::default());
        let keeper = Keeper::new(config.clone(), Arc::clone(&ledger), None);
        let wanted: Vec<_> =
            EventType::ALL.iter().copied().filter(|&event| inner.wants(event)).collect();
        if wanted.is_empty() {
            let what = format!("`{}` takes nothing: it needs no spool", inner.name());
            return Err(Error::new(ErrorKind::Config, what));
        }
        let forwarder = Forwarder::new(config.clone(), Arc::clone(&keeper), ledger, inner);
        let spool =
            Self { config, wanted, keeper: Some(keeper), records: Records::default(), asked: None };
        Ok((spool, forwarder))
    }

    /// Accepts what an attempt that was dropped stored after all, so that it is not stored twice.
    async fn settle_what_is_stored(&mut self, batch: &mut Batch<'_>) {
        let Some(Asked { ids, answer }) = &mut self.asked else { return };
        let stored = match answer.await {
            Ok(Accepted { result: Ok(Stored { messages, .. }), .. }) => messages,
            _ => 0,
        };
        let stored: HashSet<Uuid> = ids.drain(..).take(stored).collect();
        self.asked = None;
        for (index, message) in batch.messages().iter().enumerate() {
            if stored.contains(&message.id()) {
                batch.settle(index, Verdict::Accept);
            }
        }
    }

    fn refuse_what_never_fits(&self, batch: &mut Batch<'_>) {
        let most = self.config.largest();
        for (index, message) in batch.messages().iter().enumerate() {
            if message.body().len() > most && !batch.is_settled(index) {
                let what = format!("the notification is larger than the spool takes: {most} bytes");
                batch.settle(index, Verdict::Refuse(Error::new(ErrorKind::TooLarge, what)));
            }
        }
    }

    /// Has the thread store the messages at `indices`; waits for what comes of it.
    async fn store(&mut self, messages: &[Message], indices: &[usize]) -> Result<Stored> {
        let keeper = self.keeper.as_ref().ok_or_else(closed)?;
        let mut records = std::mem::take(&mut self.records);
        records.fill(indices.iter().map(|&index| &messages[index]));
        let answer = keeper.accept(records)?;
        let ids = indices.iter().map(|&index| messages[index].id()).collect();
        let asked = self.asked.insert(Asked { ids, answer });
        let answer = (&mut asked.answer).await;
        self.asked = None;
        let Accepted { records, result } = answer.map_err(|_| keeper::gone())?;
        self.records = records;
        result
    }
}

#[async_trait]
impl Transport for Spool {
    fn name(&self) -> &'static str {
        NAME
    }

    /// What the transport behind it wants.
    fn wants(&self, event_type: EventType) -> bool {
        self.wanted.contains(&event_type)
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        if batch.messages().is_empty() {
            return Ok(());
        }
        self.settle_what_is_stored(batch).await;
        self.refuse_what_never_fits(batch);
        let indices: Vec<usize> = batch.unsettled().collect();
        if indices.is_empty() {
            return Ok(());
        }
        let Stored { messages, rest } = match self.store(batch.messages(), &indices).await {
            Ok(stored) => stored,
            Err(error) => {
                if error.outcome() == Outcome::NotSent {
                    batch.settle_rest(&Verdict::Retry(error.clone()));
                }
                return Err(error);
            }
        };
        if messages == batch.messages().len() {
            batch.settle_rest(&Verdict::Accept);
        } else {
            indices[..messages].iter().for_each(|&index| batch.settle(index, Verdict::Accept));
        }
        if let Some(error) = rest {
            batch.settle_rest(&match self.config.when_full {
                FullSpoolPolicy::Retry => Verdict::Retry(error),
                FullSpoolPolicy::Refuse => Verdict::Refuse(error),
            });
        }
        Ok(())
    }

    /// Waits, where no forwarder has the slot too, until its thread has closed it.
    async fn close(&mut self) -> Result<()> {
        self.asked = None;
        if let Some(keeper) = self.keeper.take() {
            keeper.stop().await;
        }
        Ok(())
    }

    /// Looks at the directory; the destination's own check is that of the transport behind.
    async fn check(&mut self) -> Result<Vec<Finding>> {
        let config = self.config.clone();
        keeper::on_a_thread(move || check::look(&config)).await
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the spool is closed")
}

const NAME: &str = "spool";
