//! The contract between the listener and the code that reads: [`Source`], [`Credit`], [`Reception`],
//! [`DeliverySettlements`].
//!
//! This module names no backend and reads nothing itself. The listener calls a source; a source never
//! calls the listener.
//!
//! To write a source, implement [`Source`] and run the source clauses of the crate
//! `notify-conformance` against it. To read from it, give it to
//! [`Listener::builder`](crate::listener::Listener::builder).

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

pub use async_trait::async_trait;
/// The library whose `Bytes` an [`IncomingBody`] holds.
pub use bytes;
use bytes::Bytes;

use crate::codec::context::Context;
use crate::codec::sequence::Sequence;
use crate::error::{Error, Result};
use crate::transport::Finding;

/// Reads messages from one place: a queue on a broker, a log file.
///
/// A source is the only code that knows its place. It connects, hands over each message once as an
/// [`IncomingDelivery`], and carries out the [`DeliverySettlements`] that it receives for them. Everything
/// else belongs to the [`Listener`](crate::listener::Listener): decoding, prefetch, reconnecting with
/// backoff, attempts, dead letters, deadlines and counters.
///
/// # Contract
///
/// * **One caller.** One task owns the source and calls it, one call at a time. Every method that
///   acts takes `&mut self`, so a source needs no locks.
/// * **Sessions.** A session starts with the first [`receive`](Self::receive), and with the first
///   after an error. It ends when `receive` or [`settle`](Self::settle) returns an error. Within a
///   session the source hands over each message once, in order, under a tag that only grows.
/// * **Nothing is lost.** A message that was not acknowledged when its session ended comes again in a
///   later session, of this process or of the next. A repetition is allowed; a loss never is, except
///   where the place itself discards messages (a bounded tap, `copytruncate`).
/// * **Credit.** A source hands over no more than the [`Credit`] allows, and keeps no queue beyond it.
/// * **Never silent.** A source reports every change of its coverage: [`Reception::Attached`] when
///   it begins to see all new messages, and [`Reception::Detached`] when it no longer does. It repairs
///   its session by itself where it can, and returns an error when only a new session helps.
/// * **Harmless.** A source declares, changes and takes nothing that belongs to other consumers,
///   unless its configuration says so.
/// * **Bounded and discreet.** Except for new messages, a source never waits without a deadline. It
///   never blocks a thread of the runtime, never panics, and never logs a body or a credential.
///
/// The crate `notify-conformance` tests these clauses for every source.
///
/// # Examples
///
/// A source that reads from a list in memory. It returns no error, so it has one session:
///
/// ```
/// use std::collections::VecDeque;
///
/// use notify_core::Result;
/// use notify_core::source::{
///     Credit, IncomingBody, IncomingDelivery, Position, Reception, SettlementMode, DeliverySettlements,
///     Source, async_trait,
/// };
///
/// #[derive(Debug, Default)]
/// struct ListSource {
///     is_attached: bool,
///     lines: VecDeque<&'static str>,
///     /// The tag of the first line.
///     first: u64,
///     /// The number of lines that the session has handed over and that are not acknowledged.
///     handed_over: usize,
/// }
///
/// #[async_trait]
/// impl Source for ListSource {
///     fn name(&self) -> &str {
///         "list"
///     }
///
///     fn settlement_mode(&self) -> SettlementMode {
///         SettlementMode::Cumulative
///     }
///
///     async fn receive(&mut self, credit: Credit) -> Result<Reception> {
///         if !std::mem::replace(&mut self.is_attached, true) {
///             return Ok(Reception::Attached);
///         }
///         if credit.room == 0 {
///             return std::future::pending().await; // until a settlement makes room
///         }
///         let next = self.lines.iter().enumerate().skip(self.handed_over).take(credit.room);
///         let deliveries: Vec<_> = next
///             .map(|(index, line)| {
///                 let tag = self.first + index as u64;
///                 let body = IncomingBody::Bytes((*line).into());
///                 IncomingDelivery::new(tag, body, Position::new("list", tag))
///             })
///             .collect();
///         self.handed_over += deliveries.len();
///         Ok(match deliveries.as_slice() {
///             [] => Reception::End,
///             _ => Reception::Deliveries(deliveries),
///         })
///     }
///
///     async fn settle(&mut self, settlements: &DeliverySettlements) -> Result<()> {
///         while settlements.through.is_some_and(|tag| self.first <= tag) {
///             self.lines.pop_front();
///             self.first += 1;
///             self.handed_over -= 1;
///         }
///         Ok(())
///     }
///
///     async fn close(&mut self) -> Result<()> {
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let mut source = ListSource { lines: ["{}", "not JSON"].into(), ..ListSource::default() };
/// let credit = Credit { window: 10, room: 10, max_bytes: 1024 };
/// assert!(matches!(source.receive(credit).await?, Reception::Attached));
/// let Reception::Deliveries(deliveries) = source.receive(credit).await? else { panic!() };
/// assert_eq!(deliveries.len(), 2);
/// # let source = ListSource { lines: vec!["{}"; 201].into(), ..ListSource::default() };
/// # let builder = notify_core::listener::Listener::builder(source, notify_core::listener::DeadLetters::Discard);
/// # let mut listener = builder.start()?;
/// # while listener.next_delivery().await?.is_some() {}
/// # assert_eq!(listener.stats().total.received, 201);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Source: fmt::Debug + Send {
    /// Returns the name of this source, as it stands in the configuration.
    ///
    /// Logs, errors, deliveries and counters name the source by it.
    fn name(&self) -> &str;

    /// Returns how this source settles deliveries. The answer never changes.
    fn settlement_mode(&self) -> SettlementMode;

    /// Waits for news: messages, a change of the coverage, or the end.
    ///
    /// The first call of a session connects. Hand over at most `credit.room` messages; without room,
    /// wait for everything but messages. Hand over a body larger than `credit.max_bytes` as
    /// [`IncomingBody::TooLarge`].
    ///
    /// # Errors
    ///
    /// Return an error if the session is over: the connection broke, the login failed, the queue
    /// vanished. The listener counts every unsettled delivery of the session as lost, waits for its
    /// backoff and calls again, which starts a new session. If the error
    /// [is permanent](crate::Error::is_transient), the listener waits 30 s.
    ///
    /// # Cancel safety
    ///
    /// The listener drops the future whenever it has settlements to carry out. No message may be lost
    /// with it: hand over in the next call what this one had already taken.
    async fn receive(&mut self, credit: Credit) -> Result<Reception>;

    /// Carries out settlements of this session: first the releases, then `through`, then the single
    /// acknowledgements.
    ///
    /// Return once the place has them, as far as its protocol tells: acknowledgements are written to
    /// the connection, a checkpoint is on the disk.
    ///
    /// # Errors
    ///
    /// Return an error if the settlements may not have arrived. The session is over then, as after an
    /// error of [`receive`](Self::receive).
    ///
    /// # Cancel safety
    ///
    /// The listener drops the future after 30 s and treats that as an error. The source must stay
    /// usable: the next `receive` starts a new session.
    async fn settle(&mut self, settlements: &DeliverySettlements) -> Result<()>;

    /// Ends the session, gives back unsettled messages, and closes connections and files.
    ///
    /// The listener calls this once, as the last call, and waits at most 5 s. Dropping a source
    /// without closing it must release the same resources, without waiting for the peer.
    ///
    /// # Errors
    ///
    /// Return an error if the place did not confirm the end. The listener logs it. Unacknowledged
    /// messages come again.
    ///
    /// # Cancel safety
    ///
    /// The listener drops the future after 5 s and then drops the source.
    async fn close(&mut self) -> Result<()>;

    /// Inspects the place without taking anything from it, for `glance-notify doctor`.
    ///
    /// The default implementation inspects nothing.
    ///
    /// # Errors
    ///
    /// Return the error that [`receive`](Self::receive) would return if the place cannot be inspected
    /// at all. Report a single problem as a [`Finding`] instead.
    ///
    /// # Cancel safety
    ///
    /// The caller may drop the future at any time. The source stays usable.
    async fn check(&mut self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}

/// Forwards every call to the boxed source, so that `Box<dyn Source>` is a source too.
#[async_trait]
impl<S: Source + ?Sized> Source for Box<S> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn settlement_mode(&self) -> SettlementMode {
        (**self).settlement_mode()
    }

    async fn receive(&mut self, credit: Credit) -> Result<Reception> {
        (**self).receive(credit).await
    }

    async fn settle(&mut self, settlements: &DeliverySettlements) -> Result<()> {
        (**self).settle(settlements).await
    }

    async fn close(&mut self) -> Result<()> {
        (**self).close().await
    }

    async fn check(&mut self) -> Result<Vec<Finding>> {
        (**self).check().await
    }
}

/// The way in which a source settles deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SettlementMode {
    /// One by one, as a queue on a broker does: acknowledged deliveries are gone, released ones go back
    /// to the queue.
    Individual,
    /// By a watermark, as files and streams do: everything up to a position is acknowledged. Messages that
    /// are acknowledged above it may come again. The listener never releases single deliveries to such a
    /// source; it hands them out again itself.
    Cumulative,
}

/// The room that the listener has for deliveries.
///
/// # Examples
///
/// ```
/// use notify_core::source::Credit;
///
/// // 3 of at most 10 deliveries are unsettled, and a body may have 1 MiB.
/// let credit = Credit { window: 10, room: 7, max_bytes: 1 << 20 };
/// assert!(credit.room <= credit.window);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// The largest number of unsettled deliveries: the prefetch of a broker's consumer. It stays the
    /// same for the whole life of the listener.
    pub window: usize,
    /// The number of deliveries that the listener takes now, at most `window`. It can be 0.
    pub room: usize,
    /// The largest body in bytes.
    pub max_bytes: usize,
}

/// The news that [`Source::receive`] returns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reception {
    /// Messages, at least one, in the order of their tags.
    Deliveries(Vec<IncomingDelivery>),
    /// From now on the source sees every new message.
    ///
    /// A tap is attached when its queue is bound; a file is, when it is open.
    Attached,
    /// The source may have missed messages, and may miss more until it is attached again. The session
    /// goes on.
    Detached {
        /// The reason: a lower-case fragment, such as `the binding was lost`. It never holds a credential.
        reason: String,
        /// The time at which a source that looks at its place only now and then last found everything in
        /// order. Without it, the source noticed the loss at once.
        since: Option<SystemTime>,
    },
    /// The source has passed over this many messages, because its configuration leaves them out. They need
    /// no settlement.
    Skipped(u64),
    /// No message will come any more. The listener calls [`Source::settle`] and [`Source::close`]
    /// only.
    End,
    /// No message will come any more, because of this error, and no new session helps: an input that
    /// cannot be read twice broke. The listener settles as after [`End`](Self::End), and returns the
    /// error to the program in place of the end.
    Failed(Error),
}

/// One message as a source hands it over.
///
/// # Examples
///
/// ```
/// use notify_core::source::bytes::Bytes;
/// use notify_core::source::{IncomingBody, IncomingDelivery, Position};
///
/// let body = IncomingBody::Bytes(Bytes::from_static(b"{}"));
/// let mut delivery = IncomingDelivery::new(7, body, Position::new("notifications.info", 7));
/// delivery.redelivered = true;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IncomingDelivery {
    /// The tag that [`DeliverySettlements`] name the delivery by. Tags grow within a session.
    pub tag: u64,
    /// The bytes of the message, or the size of a message that is too large.
    pub body: IncomingBody,
    /// The place of the message.
    pub position: Position,
    /// Whether a consumer may have seen the message before, as far as the place knows.
    pub redelivered: bool,
    /// The context that came beside the body. See [`read_headers`](Self::read_headers).
    pub context: Context,
    /// The number that the publisher gave the message, if it numbers them.
    pub sequence: Option<Sequence>,
}

impl IncomingDelivery {
    /// Creates a delivery that no consumer has seen before.
    pub fn new(tag: u64, body: IncomingBody, position: Position) -> Self {
        Self { tag, body, position, redelivered: false, context: Context::new(), sequence: None }
    }
}

/// The body of an [`IncomingDelivery`]. `Debug` shows the size, and nothing of the body.
#[derive(Clone)]
#[non_exhaustive]
pub enum IncomingBody {
    /// The whole message, in any form that
    /// [`NotificationInput::decode`](crate::codec::NotificationInput::decode) understands.
    Bytes(Bytes),
    /// The size in bytes of a message that is larger than [`Credit::max_bytes`], at least. The source
    /// has discarded the bytes.
    TooLarge(u64),
    /// The bytes of a message that the source cannot unpack, with the reason as a lower-case fragment:
    /// an unknown compression, a broken header.
    Unusable(Bytes, String),
}

impl fmt::Debug for IncomingBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::TooLarge(size) => write!(f, "TooLarge({size})"),
            Self::Unusable(bytes, reason) => write!(f, "Unusable({}, {reason:?})", bytes.len()),
        }
    }
}

/// The place of a message: a queue or a file, and a number within it.
///
/// The number is the byte offset of a line, the offset in a stream, or the delivery tag of a queue. The
/// last of these means nothing after the session. `Display` prints both: `notifications.info:7`.
///
/// # Examples
///
/// ```
/// use notify_core::source::Position;
///
/// let position = Position::new("/var/log/glance/notifications.log", 4096);
/// assert_eq!(position.to_string(), "/var/log/glance/notifications.log:4096");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    place: Arc<str>,
    offset: u64,
}

impl Position {
    /// Creates the position `offset` in `place`.
    pub fn new(place: impl Into<Arc<str>>, offset: u64) -> Self {
        Self { place: place.into(), offset }
    }

    /// Returns the name of the queue or the path of the file.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns the number within the place.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", crate::redact::printable::printable(&self.place, 256), self.offset)
    }
}

/// Settlements for one call of [`Source::settle`], by the tags of their deliveries.
///
/// A tag occurs once, in one session at most. The listener sends [`acks`](Self::acks) and
/// [`releases`](Self::releases) to sources of the mode [`SettlementMode::Individual`] only.
///
/// # Examples
///
/// The deliveries 1 to 4 are settled, 5 is not, and 6 is:
///
/// ```
/// use notify_core::source::DeliverySettlements;
///
/// let settlements = DeliverySettlements { through: Some(4), acks: vec![6], releases: vec![2] };
/// assert!(!settlements.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliverySettlements {
    /// Acknowledges every delivery of the session up to this tag that is not settled yet, this one
    /// included. RabbitMQ calls this `multiple`; for a file or a stream, it is the new watermark.
    pub through: Option<u64>,
    /// Acknowledges single deliveries beyond `through`, in growing order.
    pub acks: Vec<u64>,
    /// Gives back single deliveries, so that any consumer receives them again.
    pub releases: Vec<u64>,
}

impl DeliverySettlements {
    /// Returns `true` if there is nothing to carry out.
    pub fn is_empty(&self) -> bool {
        self.through.is_none() && self.acks.is_empty() && self.releases.is_empty()
    }
}
