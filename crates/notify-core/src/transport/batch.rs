//! One attempt: the messages of a [`Batch`], and the [`Verdict`] that each of them gets.
//!
//! A batch passes each verdict on at once. It keeps none, and it decides nothing.

use std::fmt;

use crate::codec::message::Message;
use crate::error::Error;

/// The result of one attempt for one message.
///
/// # Examples
///
/// ```
/// use notify_core::{Error, ErrorKind, Verdict};
///
/// let accepted = Verdict::Accept;
/// let busy = Verdict::Retry(Error::new(ErrorKind::Full, "queue full: `notifications.info`"));
/// let invalid = Verdict::Refuse(Error::new(ErrorKind::Rejected, "the broker rejected it"));
/// # drop((accepted, busy, invalid));
/// ```
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The destination took responsibility: a broker confirmed *and* routed the message, or its bytes
    /// are written and synced.
    ///
    /// For AMQP 1.0 this is the disposition `accepted`; for AMQP 0-9-1 a publisher confirm without a
    /// `basic.return`.
    Accept,
    /// The destination did not take the message, but may take it later: a nack, `released`,
    /// `modified`, queue full.
    ///
    /// The worker sends the message again until it is accepted or older than `queue.max_age`.
    Retry(Error),
    /// The destination will never take the message: it is too large or rejected, or still unroutable
    /// after the transport declared the queue again.
    ///
    /// The worker counts the message as refused and gives up on it.
    Refuse(Error),
}

/// The messages of one attempt, which the transport settles one by one.
///
/// The worker makes one batch for each call of [`Transport::send`](super::Transport::send). A transport reads
/// the messages and gives each of them a [`Verdict`]. The caller of `send` learns of a verdict at the moment it
/// is given, not when `send` returns.
///
/// # Examples
///
/// ```
/// use notify_core::{Batch, Error, ErrorKind, Message, Result, Verdict};
///
/// # fn main() -> Result<()> {
/// # let body = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"host1","event_type":"image.upload","priority":"WARN","timestamp":"2026-11-22 12:00:00.000000","payload":"slow"}"#;
/// # let message = Message::from_body(body.to_vec())?;
/// let messages = vec![message; 3];
/// let mut verdicts = Vec::new();
/// let mut sink = |settlements: notify_core::transport::Settlements<'_>| verdicts.extend(settlements);
///
/// let mut batch = Batch::new(&messages, &mut sink);
/// batch.settle(1, Verdict::Refuse(Error::new(ErrorKind::Rejected, "rejected by the broker")));
/// assert_eq!(batch.unsettled().collect::<Vec<_>>(), [0, 2]);
/// batch.settle_rest(&Verdict::Accept);
/// assert_eq!(batch.unsettled().count(), 0);
///
/// let settled: Vec<_> = verdicts.iter().map(|(index, _)| *index).collect();
/// assert_eq!(settled, [1, 0, 2]);
/// # Ok(())
/// # }
/// ```
pub struct Batch<'a> {
    messages: &'a [Message],
    settled: Vec<bool>,
    closing: bool,
    sink: &'a mut (dyn FnMut(Settlements<'_>) + Send),
}

/// Verdicts as the maker of a [`Batch`] receives them, each with the index of its message.
///
/// One iterator holds all verdicts that a transport gives in one call. Over the life of a batch, an
/// index occurs at most once.
pub type Settlements<'a> = &'a mut dyn Iterator<Item = (usize, Verdict)>;

impl<'a> Batch<'a> {
    /// Creates a batch of `messages` that passes each verdict on to `sink` at once.
    ///
    /// The worker calls this. Call it yourself to drive a transport from a test, or from a transport
    /// that wraps another one. `sink` must exhaust the iterator that it receives: a verdict that it
    /// leaves in there is lost.
    ///
    /// # Examples
    ///
    /// A test that drives a transport by hand:
    ///
    /// ```
    /// use notify_core::{Batch, Message, Result, Transport, Verdict};
    ///
    /// /// Returns how many of the messages the destination accepted in one attempt.
    /// async fn attempt(transport: &mut dyn Transport, messages: &[Message]) -> Result<usize> {
    ///     let mut accepted = 0;
    ///     let mut sink = |settlements: notify_core::transport::Settlements<'_>| {
    ///         accepted += settlements.filter(|(_, v)| matches!(v, Verdict::Accept)).count();
    ///     };
    ///     transport.send(&mut Batch::new(messages, &mut sink)).await?;
    ///     Ok(accepted)
    /// }
    /// ```
    pub fn new(messages: &'a [Message], sink: &'a mut (dyn FnMut(Settlements<'_>) + Send)) -> Self {
        Self { messages, settled: vec![false; messages.len()], closing: false, sink }
    }

    /// Says that the notifier was closed.
    pub(crate) fn closing(mut self, closing: bool) -> Self {
        self.closing = closing;
        self
    }

    /// Returns whether the notifier was closed.
    ///
    /// The worker drops the messages that no attempt settles before the drain deadline. A transport that declines messages
    /// to keep room for others, such as the spool, then takes them.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Returns all messages of the attempt, in the order in which the transport sends them.
    ///
    /// The slice outlives the borrow of the batch, so you can settle messages while you iterate.
    pub fn messages(&self) -> &'a [Message] {
        self.messages
    }

    /// Settles message `index` for good.
    ///
    /// A second verdict for the same message, or an index out of range, is a bug of the transport.
    /// The batch ignores it, and panics only if debug assertions are enabled.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::{Batch, Verdict};
    ///
    /// fn on_confirm(batch: &mut Batch<'_>, delivery_tag: u64) {
    ///     let index = usize::try_from(delivery_tag).ok().and_then(|tag| tag.checked_sub(1));
    ///     let index = index.unwrap_or(usize::MAX); // no message has it
    ///     if index < batch.messages().len() && !batch.is_settled(index) {
    ///         batch.settle(index, Verdict::Accept);
    ///     }
    /// }
    /// ```
    pub fn settle(&mut self, index: usize, verdict: Verdict) {
        match self.settled.get_mut(index) {
            Some(settled @ false) => {
                *settled = true;
                (self.sink)(&mut std::iter::once((index, verdict)));
            }
            _ => debug_assert!(false, "message {index} was settled twice or does not exist"),
        }
    }

    /// Gives `verdict` to every unsettled message in `range`, at the cost of one settlement.
    ///
    /// Use it for answers that cover several messages, such as a confirm with `multiple`. A range
    /// that ends beyond the batch is a bug of the transport. The batch ignores it, and panics only
    /// if debug assertions are enabled.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::{Batch, Verdict};
    ///
    /// /// The broker confirms the first `count` messages at once.
    /// fn on_multiple_confirm(batch: &mut Batch<'_>, count: usize) {
    ///     batch.settle_range(0..count.min(batch.messages().len()), &Verdict::Accept);
    /// }
    /// ```
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

    /// Gives `verdict` to every unsettled message of the batch.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::{Batch, Error, ErrorKind, Verdict};
    ///
    /// fn on_disk_full(batch: &mut Batch<'_>) {
    ///     let error = Error::new(ErrorKind::Full, "disk full: cannot append to `log.file`");
    ///     batch.settle_rest(&Verdict::Retry(error));
    /// }
    /// ```
    pub fn settle_rest(&mut self, verdict: &Verdict) {
        self.settle_range(0..self.messages.len(), verdict);
    }

    /// Returns `true` if message `index` has its verdict.
    ///
    /// An index out of range has none.
    pub fn is_settled(&self, index: usize) -> bool {
        self.settled.get(index).copied().unwrap_or(false)
    }

    /// Returns the indices of the messages that have no verdict yet, in ascending order.
    pub fn unsettled(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.settled.len()).filter(|&index| !self.settled[index])
    }
}

/// Shows the number of messages and of unsettled ones, and no body.
impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("messages", &self.messages.len())
            .field("unsettled", &self.unsettled().count())
            .finish_non_exhaustive()
    }
}
