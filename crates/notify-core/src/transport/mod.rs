//! The contract between the pipeline and the code that delivers: [`Transport`], [`Batch`],
//! [`Verdict`], [`Lanes`].
//!
//! This module names no backend and delivers nothing itself. The pipeline calls a transport; a
//! transport never calls the pipeline, except to settle the messages of the batch that it holds.
//!
//! To write a transport, implement [`Transport`] and run the test suite of the crate
//! `notify-conformance` against it. To deliver through it, give it to
//! [`Notifier::builder`](crate::Notifier::builder).

mod batch;
mod blocking;
pub(crate) mod broker_counters;
mod finding;
pub(crate) mod lanes;

use std::fmt;
use std::sync::Arc;

pub use async_trait::async_trait;
pub use batch::{Batch, Settlements, Verdict};
pub use blocking::run_on_thread;
pub use broker_counters::{BlockedGuard, BrokerCounters, BrokerStats, LatencyStats};
pub use finding::{Finding, FindingState};
pub use lanes::{Lane, Lanes};

use crate::error::Result;
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
///   of the runtime: see [`run_on_thread`].
/// * **Lane by lane.** A transport whose destination has several queues names them in
///   [`lanes`](Self::lanes). A queue that is full, missing or silent affects the verdicts of its own
///   messages only: those get [`Verdict::Retry`], and `send` goes on with the others.
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
    /// want are never encoded; the notifier counts them as suppressed. `noop` wants none. The default wants
    /// all.
    fn wants(&self, event_type: &EventType) -> bool {
        let _ = event_type;
        true
    }

    /// Returns the lanes of the destination: the queues behind it that can fail one by one.
    ///
    /// The default is one lane, for a destination that accepts or declines messages as a whole. A
    /// transport to a broker names the queue or the routing key of each message. See [`Lanes`].
    ///
    /// The notifier asks while it is built. It names the lane of a message in the thread that emits
    /// the message, so the answer must not depend on a connection.
    fn lanes(&self) -> Lanes {
        Lanes::one()
    }

    /// Creates a second transport to the same destination, which shares no connection with this one.
    ///
    /// A broker may withhold its answers for one lane. The worker then attempts that lane by itself, on
    /// a second transport, and the other lanes go on. The new transport is as lazy as this one: it
    /// connects with its first [`send`](Self::send).
    ///
    /// Return `Some` if one of several lanes can make `send` fail. The default is `None`, for a transport
    /// with one lane, and for one that settles each message of a lane that fails: an error of its `send`,
    /// of whatever kind, concerns all lanes. The spool is such a transport, because all lanes share its
    /// disk.
    fn duplicate(&self) -> Option<Box<dyn Transport>> {
        None
    }

    /// Returns the counters of the connection to a broker, which this transport shares with its duplicates.
    ///
    /// The notifier asks while it is built, and shows them as
    /// [`Stats::broker`](crate::pipeline::Stats::broker). The default is `None`, for a transport to another
    /// kind of destination.
    fn counters(&self) -> Option<Arc<BrokerCounters>> {
        None
    }

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
    /// file vanished. The worker sends the unsettled messages again.
    ///
    /// * The error's [outcome](crate::Error::outcome) holds your knowledge about the unsettled messages. Set it to
    ///   [`Outcome::Unknown`](crate::Outcome::Unknown) if the destination may have one of them; with
    ///   [`Outcome::NotSent`](crate::Outcome::NotSent), the default of most kinds, the error claims that
    ///   it has none.
    /// * If the error [is transient](crate::Error::is_transient), the worker tries again after its backoff.
    /// * If it is permanent, the worker logs it at once and tries again every 30 s, or after the
    ///   backoff if the attempt settled at least one message.
    /// * If it is of the kind [`ErrorKind::Timeout`](crate::ErrorKind::Timeout), the worker treats the
    ///   lanes of the batch without any verdict as silent, and attempts each by itself on a
    ///   [duplicate](Self::duplicate). A transport with a duplicate returns it only while the connection
    ///   stands: a connection that does not open, or that misses its heartbeats, is
    ///   [`Unavailable`](crate::ErrorKind::Unavailable).
    ///
    /// An error makes all lanes wait. Settle the messages with [`Verdict::Retry`] instead if only some
    /// lanes of the destination fail.
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

    fn lanes(&self) -> Lanes {
        (**self).lanes()
    }

    fn duplicate(&self) -> Option<Box<dyn Transport>> {
        (**self).duplicate()
    }

    fn counters(&self) -> Option<Arc<BrokerCounters>> {
        (**self).counters()
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
