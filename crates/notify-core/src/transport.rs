//! The contract between the pipeline and whatever delivers: [`Transport`], [`Batch`], [`Verdict`].

use std::fmt;

pub use async_trait::async_trait;

use crate::codec::message::Message;
use crate::error::{Error, Result};
use crate::event::event_type::EventType;

/// Delivers messages to one destination.
///
/// # Contract
///
/// * **One caller.** The worker owns the transport and calls it from one task, one call at a time.
///   A transport needs no locks.
/// * **No queue, no retry, no sleep.** Batching, retry with backoff, deadlines, overflow and counting
///   live once, in the [`Worker`](crate::Worker). A transport tries once and says what came of it.
/// * **Lazy.** Opening a transport touches nothing. The first [`send`](Self::send) connects; after an
///   `Err` the next one starts afresh. Connecting and reconnecting are one path.
/// * **Honest.** [`Verdict::Accept`] means that the destination took responsibility. What cannot be
///   proved accepted is left unsettled: a duplicate is allowed, a false accept never.
/// * **Harmless.** Never panic, never log a payload or a credential, never block the threads of the
///   runtime, never wait without a deadline.
///
/// The crate `notify-conformance` holds each of these as a named test for every transport.
#[async_trait]
pub trait Transport: fmt::Debug + Send {
    /// The strategy's name, as it is configured: `log`, `rabbit`.
    fn name(&self) -> &'static str;

    /// Whether notifications of this type are worth encoding for this transport.
    ///
    /// Read once, when the notifier is built. `noop` wants nothing.
    fn wants(&self, event_type: EventType) -> bool;

    /// Tries once to deliver every message of the batch, in order, and settles each as soon as its
    /// fate is known.
    ///
    /// An empty batch touches nothing. A settled message is final, also when this call then fails or
    /// is dropped.
    ///
    /// # Errors
    ///
    /// `Err` says that the fate of everything unsettled is unknown and why; the worker sends those
    /// messages again. An error that [is not transient](Error::is_transient) is reported at once and
    /// retried every 30 s, or soon where something else was settled. `Ok` with a message unsettled is a
    /// bug, and counted as `Err`.
    ///
    /// # Cancel safety
    ///
    /// The worker drops the future after its attempt timeout. The transport stays usable; what was
    /// not settled by then may or may not arrive.
    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()>;

    /// Releases the destination: connections, files, threads. Nothing is sent after it.
    ///
    /// A transport that is dropped without it releases the same, without waiting for the peer.
    ///
    /// # Errors
    ///
    /// When the destination could not be told. There is nothing left to do about it.
    async fn close(&mut self) -> Result<()>;

    /// Looks at the destination as far as that is possible without sending anything, for
    /// `glance-notify check`.
    ///
    /// # Errors
    ///
    /// When the destination cannot be looked at, as [`send`](Self::send) would say it.
    async fn check(&mut self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Box<T> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn wants(&self, event_type: EventType) -> bool {
        (**self).wants(event_type)
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        (**self).send(batch).await
    }

    async fn close(&mut self) -> Result<()> {
        (**self).close().await
    }

    async fn check(&mut self) -> Result<Vec<Finding>> {
        (**self).check().await
    }
}

/// What became of one message in one attempt.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The destination took responsibility: confirmed *and* routed, disposition `accepted`, bytes
    /// written and synced.
    Accept,
    /// Not taken, may be taken later: nack, `released`, `modified`, full.
    Retry(Error),
    /// Will never be taken: rejected, unroutable again after declaring anew, too large.
    Refuse(Error),
}

/// The messages of one attempt, to be settled one by one.
pub struct Batch<'a> {
    messages: &'a [Message],
    settled: Vec<bool>,
    sink: &'a mut (dyn FnMut(Settlements<'_>) + Send),
}

/// Settlements as the owner of a [`Batch`] receives them: several at once when they are known at
/// once, each index at most once over the life of a batch.
pub type Settlements<'a> = &'a mut dyn Iterator<Item = (usize, Verdict)>;

impl<'a> Batch<'a> {
    /// A batch of `messages` whose verdicts go to `sink` in the moment they are given.
    ///
    /// For whoever drives a transport: the worker, a test, a transport that wraps another.
    /// `sink` must exhaust the iterator it is handed.
    pub fn new(messages: &'a [Message], sink: &'a mut (dyn FnMut(Settlements<'_>) + Send)) -> Self {
        Self { messages, settled: vec![false; messages.len()], sink }
    }

    /// All messages of the attempt, in the order in which they are to be sent.
    pub fn messages(&self) -> &'a [Message] {
        self.messages
    }

    /// Decides message `index` for good. A second verdict on the same message, or one on an index out
    /// of range, is a bug in the transport and is ignored.
    pub fn settle(&mut self, index: usize, verdict: Verdict) {
        match self.settled.get_mut(index) {
            Some(settled @ false) => {
                *settled = true;
                (self.sink)(&mut std::iter::once((index, verdict)));
            }
            _ => debug_assert!(false, "message {index} was settled twice or does not exist"),
        }
    }

    /// Gives `verdict` to every message of `range` that is not settled yet, at the cost of one
    /// settlement.
    pub fn settle_range(&mut self, range: std::ops::Range<usize>, verdict: &Verdict) {
        let first = range.start;
        let Some(settled) = self.settled.get_mut(range) else {
            debug_assert!(false, "the range ends beyond the batch");
            return;
        };
        (self.sink)(&mut settled.iter_mut().enumerate().filter_map(|(offset, settled)| {
            let fresh = !std::mem::replace(settled, true);
            fresh.then(|| (first + offset, verdict.clone()))
        }));
    }

    /// Gives `verdict` to every message that is not settled yet.
    pub fn settle_rest(&mut self, verdict: &Verdict) {
        self.settle_range(0..self.messages.len(), verdict);
    }

    /// Whether message `index` has its verdict.
    pub fn is_settled(&self, index: usize) -> bool {
        self.settled.get(index).copied().unwrap_or(false)
    }

    /// The indices that have no verdict yet, in order.
    pub fn unsettled(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.settled.len()).filter(|&index| !self.settled[index])
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("messages", &self.messages.len())
            .field("unsettled", &self.unsettled().count())
            .finish_non_exhaustive()
    }
}

/// One thing that [`Transport::check`] looked at.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was looked at: `file`, `broker`, `queue notifications.info`.
    pub subject: String,
    /// What was found.
    pub state: FindingState,
}

/// How a [`Finding`] turned out.
#[derive(Clone, Debug)]
pub enum FindingState {
    /// As it should be, with what was seen.
    Good(String),
    /// It will work, at a cost that the text names.
    Warning(String),
    /// It will not work.
    Bad(Error),
}

impl Finding {
    /// A finding that is as it should be.
    pub fn good(subject: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { subject: subject.into(), state: FindingState::Good(seen.into()) }
    }

    /// A finding that works at a cost.
    pub fn warning(subject: impl Into<String>, cost: impl Into<String>) -> Self {
        Self { subject: subject.into(), state: FindingState::Warning(cost.into()) }
    }

    /// A finding that will not work.
    pub fn bad(subject: impl Into<String>, error: Error) -> Self {
        Self { subject: subject.into(), state: FindingState::Bad(error) }
    }
}
