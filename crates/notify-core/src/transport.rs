//! The contract between the pipeline and the code that delivers: [`Transport`], [`Batch`],
//! [`Verdict`].
//!
//! This module names no backend and delivers nothing itself. The pipeline calls a transport; a
//! transport never calls the pipeline, except to settle the messages of the batch that it holds.
//!
//! To write a transport, implement [`Transport`] and run the test suite of the crate
//! `notify-conformance` against it. To deliver through it, give it to
//! [`Notifier::builder`](crate::Notifier::builder).

use std::fmt;

pub use async_trait::async_trait;

use crate::codec::message::Message;
use crate::error::{Error, Result};
use crate::event::event_type::EventType;

/// Delivers messages to one destination.
///
/// A transport is the only code that knows its destination. It connects, hands over each message,
/// waits for the destination's answer and reports that answer as a [`Verdict`]. Everything else
/// belongs to the [`Worker`](crate::Worker): the queue, batches, retries with backoff, deadlines,
/// overflow and counters.
///
/// # Contract
///
/// * **One caller.** The worker owns the transport and calls it from one task, one call at a time.
///   Every method that acts takes `&mut self`, so a transport needs no locks.
/// * **One attempt.** [`send`](Self::send) tries once and reports the result. A transport keeps no
///   queue, retries nothing and never sleeps between attempts.
/// * **Lazy.** Opening a transport touches nothing outside the process. The first `send` connects.
///   After `send` returns an error, the next call starts afresh. Connecting and reconnecting share
///   one code path.
/// * **Honest.** [`Verdict::Accept`] means that the destination took responsibility for the message.
///   A transport leaves a message unsettled when it cannot prove that. A duplicate is allowed; a
///   false accept never is.
/// * **Bounded.** A transport never waits for a peer without a deadline, and never blocks a thread
///   of the runtime.
/// * **Discreet.** A transport never panics, and never logs a payload or a credential.
///
/// The crate `notify-conformance` tests each of these clauses for every transport.
///
/// # Examples
///
/// A transport whose destination is the other end of a channel. It accepts a message once the channel
/// holds it, and returns an error once the receiver is gone.
///
/// ```
/// use std::sync::mpsc;
///
/// use notify_core::transport::async_trait;
/// use notify_core::{Batch, Error, ErrorKind, EventType, Result, Transport, Verdict};
///
/// #[derive(Debug)]
/// struct ChannelTransport(mpsc::Sender<Vec<u8>>);
///
/// #[async_trait]
/// impl Transport for ChannelTransport {
///     fn name(&self) -> &'static str {
///         "channel"
///     }
///
///     fn wants(&self, _: &EventType) -> bool {
///         true
///     }
///
///     async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
///         for (index, message) in batch.messages().iter().enumerate() {
///             self.0.send(message.body().to_vec()).map_err(|_| {
///                 Error::new(ErrorKind::Unavailable, "unreachable: the receiver is gone")
///             })?;
///             batch.settle(index, Verdict::Accept);
///         }
///         Ok(())
///     }
///
///     async fn close(&mut self) -> Result<()> {
///         Ok(())
///     }
/// }
///
/// # use notify_core::event::Payload;
/// # use notify_core::{Event, Notifier};
/// # fn main() -> Result<()> {
/// let (sender, receiver) = mpsc::channel();
/// let (notifier, worker) = Notifier::builder(ChannelTransport(sender)).build()?;
/// let worker = worker.spawn_thread()?;
/// notifier.emit(&Event::ImageUpload(Payload::Error("storage is full".into())));
/// assert!(receiver.recv().unwrap().ends_with(br#""payload":"storage is full"}"#));
/// # notifier.close();
/// # worker.join().unwrap();
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Transport: fmt::Debug + Send {
    /// Returns the name of the strategy, as it stands in the configuration: `log`, `rabbit`.
    ///
    /// Logs, errors and counters name the destination by it.
    fn name(&self) -> &'static str;

    /// Returns `true` if this transport delivers notifications of this type.
    ///
    /// The notifier asks while it is built: once per documented event type, and once for a name outside
    /// of those, whose answer stands for all other names. Events of a type that the transport does not
    /// want are never encoded; the notifier counts them as suppressed. `noop` wants none.
    fn wants(&self, event_type: &EventType) -> bool;

    /// Tries once to deliver every message of the batch, in order.
    ///
    /// Settle each message as soon as the destination's answer is known, with [`Batch::settle`] or
    /// [`Batch::settle_range`]. A verdict is final, even if this call fails later or the worker drops
    /// it. An empty batch touches nothing.
    ///
    /// A refused message does not end the attempt: settle it with [`Verdict::Refuse`] and go on with
    /// the rest of the batch.
    ///
    /// # Errors
    ///
    /// Return an error if the attempt as a whole failed: the connection broke, the login failed, the
    /// file vanished. The error says why the outcome of every unsettled message is unknown, and the
    /// worker sends those messages again.
    ///
    /// * If the error [is transient](Error::is_transient), the worker tries again after its backoff.
    /// * If it is permanent, the worker logs it at once and tries again every 30 s, or after the
    ///   backoff if the attempt settled at least one message.
    ///
    /// Returning `Ok` while a message is unsettled is a bug of the transport. The worker treats it as
    /// a transient failure with an error of the kind [`ErrorKind::Bug`](crate::ErrorKind::Bug).
    ///
    /// # Cancel safety
    ///
    /// The worker drops the future when its attempt timeout or the time to drain is over. The
    /// transport must stay usable: the next call of `send`, [`close`](Self::close) or
    /// [`check`](Self::check) must work. The outcome of the messages that were unsettled at that
    /// moment is unknown, so the worker sends them again.
    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()>;

    /// Closes connections and files, and ends threads that belong to the transport.
    ///
    /// The worker calls this once, as the last call, and waits at most 5 s. Dropping a transport
    /// without closing it must release the same resources, without waiting for the peer.
    ///
    /// # Errors
    ///
    /// Return an error if the destination did not confirm the end, for example because the
    /// connection broke first. The worker logs it. Delivered messages stay delivered.
    ///
    /// # Cancel safety
    ///
    /// The worker drops the future after 5 s and then drops the transport.
    async fn close(&mut self) -> Result<()>;

    /// Inspects the destination without sending anything, for `glance-notify check`.
    ///
    /// Report one [`Finding`] for each thing inspected: the file, the broker, each queue. The default
    /// implementation inspects nothing.
    ///
    /// # Errors
    ///
    /// Return the error that [`send`](Self::send) would return if the destination cannot be inspected
    /// at all. Report a single wrong queue as a [`Finding::bad`] instead.
    ///
    /// # Cancel safety
    ///
    /// The caller may drop the future at any time. The transport stays usable, as for
    /// [`send`](Self::send).
    async fn check(&mut self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}

/// Forwards every call to the boxed transport, so that `Box<dyn Transport>` is a transport too.
#[async_trait]
impl<T: Transport + ?Sized> Transport for Box<T> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn wants(&self, event_type: &EventType) -> bool {
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
/// The worker makes one batch for each call of [`Transport::send`]. A transport reads the messages
/// and gives each of them a [`Verdict`]. The caller of `send` learns of a verdict at the moment it is
/// given, not when `send` returns.
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
        Self { messages, settled: vec![false; messages.len()], sink }
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
    ///     let index = usize::try_from(delivery_tag).map_or(usize::MAX, |tag| tag - 1);
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

/// One thing that [`Transport::check`] inspected, and its condition.
///
/// # Examples
///
/// ```
/// use notify_core::transport::Finding;
/// use notify_core::{Error, ErrorKind};
///
/// let findings = [
///     Finding::good("broker", "RabbitMQ 4.1.0, TLS 1.3"),
///     Finding::warning("queue notifications.info", "not durable: a restart loses its messages"),
///     Finding::bad(
///         "queue notifications.error",
///         Error::new(ErrorKind::Access, "permission denied: grant `configure` on `notifications.*`"),
///     ),
/// ];
/// assert_eq!(findings[0].subject, "broker");
/// ```
#[derive(Clone, Debug)]
pub struct Finding {
    /// The thing inspected: `file`, `broker`, `queue notifications.info`.
    pub subject: String,
    /// The condition that it is in.
    pub state: FindingState,
}

/// The condition of the subject of a [`Finding`].
#[derive(Clone, Debug)]
pub enum FindingState {
    /// The subject is as it should be. The text describes it: a version, a path, a mode.
    Good(String),
    /// The subject works, at a cost that the text names.
    Warning(String),
    /// The subject does not work. The error says what to change.
    Bad(Error),
}

impl Finding {
    /// Creates a finding about a subject that is as it should be.
    ///
    /// `description` goes to the operator's terminal: escape what a peer sent with
    /// [`printable`](crate::redact::printable).
    pub fn good(subject: impl Into<String>, description: impl Into<String>) -> Self {
        Self { subject: subject.into(), state: FindingState::Good(description.into()) }
    }

    /// Creates a finding about a subject that works, at the cost that `cost` names.
    pub fn warning(subject: impl Into<String>, cost: impl Into<String>) -> Self {
        Self { subject: subject.into(), state: FindingState::Warning(cost.into()) }
    }

    /// Creates a finding about a subject that does not work because of `error`.
    pub fn bad(subject: impl Into<String>, error: Error) -> Self {
        Self { subject: subject.into(), state: FindingState::Bad(error) }
    }
}
