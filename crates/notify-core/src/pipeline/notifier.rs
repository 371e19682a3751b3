//! The handle that emits, and how it is built.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use time::OffsetDateTime;

use super::deadline::after;
use super::queue::Queue;
use super::random::message_id;
use super::receipt::{Receipt, undecided};
use super::stage::StageEntry;
use super::stats::Stats;
use crate::codec::encode::{Encoding, Envelope, encode};
use crate::codec::message::Message;
use crate::codec::notification::Notification;
use crate::error::Result;
use crate::event::event_type::EventType;
use crate::event::payload::{Body, Event, PayloadView};

/// Emits notifications. Cheap to clone; all clones share one queue, one account and one worker.
///
/// # Examples
///
/// ```no_run
/// # use notify_core::{Event, Notifier, Result, Transport};
/// # use notify_core::event::Image;
/// # async fn f(transport: Box<dyn Transport>, image: Image) -> Result<()> {
/// let (notifier, worker) = Notifier::builder(transport).publisher_id("image.host1").build()?;
/// let worker = worker.spawn_thread()?;
/// notifier.emit(&Event::ImageCreate(image.into()));
/// let stats = notifier.shutdown(std::time::Duration::from_secs(10)).await;
/// assert_eq!(stats.pending.messages, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Notifier(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) queue: Arc<Queue>,
    pub(super) wanted: EventSet,
    pub(super) suppressed: AtomicU64,
    pub(super) publisher_id: Arc<str>,
    pub(super) encoding: Encoding,
    pub(super) send_timeout: Duration,
    pub(super) drain_timeout: Duration,
    /// The worker's transport, and what is behind it.
    pub(super) name: &'static str,
    pub(super) behind: Option<StageEntry>,
    pub(super) time_to_end: Duration,
}

impl Notifier {
    /// Whether notifications of this type go anywhere: the transport wants them and they are not
    /// disabled. Lets a caller skip building what nobody reads.
    #[inline]
    pub fn enabled(&self, event_type: EventType) -> bool {
        self.0.wanted.contains(event_type)
    }

    /// Emits a notification: encodes it, queues it, and returns. Never blocks, never waits.
    ///
    /// The receipt may be dropped. When the queue is full, a notification is dropped by the queue's
    /// [`Overflow`](super::Overflow) policy, is counted, and its receipt says so.
    #[inline]
    pub fn emit(&self, event: &Event) -> Receipt {
        if !self.enabled(event.event_type()) {
            return self.suppress();
        }
        match self.encode(event) {
            Ok(message) => self.0.queue.push(message),
            Err(error) => self.0.queue.refuse_unencoded(error),
        }
    }

    /// Emits a notification as soon as the queue has room for it. Of those who wait for room, who waits
    /// longest gets it first.
    ///
    /// After the builder's `send_timeout` without room it is dropped as by overflow. Needs a tokio
    /// runtime with its timer on.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, nothing was queued and nothing is counted.
    pub async fn enqueue(&self, event: &Event) -> Receipt {
        if !self.enabled(event.event_type()) {
            return self.suppress();
        }
        // Apart from waiting: a message is not moved into a future that has nothing to wait for.
        match self.push_in_turn(self.encode(event)) {
            Ok(receipt) => receipt,
            Err(message) => self.0.queue.push_when_room(message, self.0.send_timeout).await,
        }
    }

    /// Emits a notification and waits for its outcome.
    ///
    /// # Errors
    ///
    /// Its outcome; or, after the builder's `send_timeout`,
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) with
    /// [`Outcome::Unknown`](crate::Outcome::Unknown): it stays queued and may still be delivered.
    ///
    /// # Cancel safety
    ///
    /// Dropping this does not recall what is queued.
    pub async fn send(&self, event: &Event) -> Result<()> {
        let deadline = after(self.0.send_timeout);
        let receipt = self.enqueue(event).await;
        match tokio::time::timeout_at(deadline, receipt).await {
            Ok(result) => result,
            Err(_) => Err(undecided(self.0.send_timeout)),
        }
    }

    /// Queues a notification that exists already, from a log file or an outbox table, as soon as
    /// there is room: its id, publisher and timestamp are kept. Otherwise as [`enqueue`](Self::enqueue).
    pub async fn resend(&self, notification: &Notification) -> Receipt {
        if !self.enabled(notification.body.event_type()) {
            return self.suppress();
        }
        match self.push_in_turn(notification.encode(&self.0.encoding)) {
            Ok(receipt) => receipt,
            Err(message) => self.0.queue.push_when_room(message, self.0.send_timeout).await,
        }
    }

    /// Queues a message that is encoded already, as it is, as soon as there is room, however long that
    /// takes: for whoever keeps messages and passes them on in their order. See
    /// [`NotifierBuilder::source_keeps`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, nothing was queued and nothing is counted.
    pub async fn relay(&self, message: Message) -> Receipt {
        if !self.enabled(message.event_type()) {
            return self.suppress();
        }
        match self.0.queue.push_in_turn(message) {
            Ok(receipt) => receipt,
            Err(message) => self.0.queue.push_when_room(message, Duration::MAX).await,
        }
    }

    /// Gives `body` an id, this notifier's publisher id and the time, and queues nothing: to be kept
    /// in an outbox until it is sent by [`resend`](Self::resend).
    pub fn stamp(&self, body: impl Into<Body>) -> Notification {
        Notification {
            message_id: message_id(),
            publisher_id: Arc::clone(&self.0.publisher_id),
            timestamp: OffsetDateTime::now_utc(),
            body: body.into(),
        }
    }

    /// How this notifier writes notifications.
    pub fn encoding(&self) -> &Encoding {
        &self.0.encoding
    }

    /// The account so far.
    pub fn stats(&self) -> Stats {
        self.0.queue.stats(self.0.suppressed.load(Ordering::Relaxed))
    }

    /// The accounts of all stages in the order in which a notification passes them, each with the name
    /// of what it delivers to: this notifier's own first, as [`stats`](Self::stats), and then that of
    /// what is [behind](NotifierBuilder::behind) its transport.
    ///
    /// Each is read in one moment, and holds by itself; the stages are read one after the other.
    pub fn stages(&self) -> Vec<(&'static str, Stats)> {
        let own = (self.0.name, self.stats());
        let behind = self.0.behind.iter().map(|stage| (stage.name, (stage.account)()));
        [own].into_iter().chain(behind).collect()
    }

    /// Waits until everything that was queued before this call is decided.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout), when something is undecided after `timeout`;
    /// it stays queued.
    pub async fn flush(&self, timeout: Duration) -> Result<()> {
        match tokio::time::timeout(timeout, self.0.queue.flushed()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(undecided(timeout)),
        }
    }

    /// Takes nothing more, of any clone. The worker delivers what is pending within the builder's
    /// `drain_timeout` of the first such call and ends.
    pub fn close(&self) {
        self.0.queue.close(self.0.drain_timeout);
    }

    /// Takes nothing more, gives the worker `drain` to deliver what is pending, waits until it has
    /// ended and closed its transport, and returns the account.
    ///
    /// Takes `drain` and six seconds at most, eleven with a stage [behind](NotifierBuilder::behind). Where
    /// nobody runs the worker, the account shows what is
    /// still pending.
    pub async fn shutdown(&self, drain: Duration) -> Stats {
        self.0.queue.close_within(drain);
        let ended = tokio::time::timeout_at(
            after(drain.saturating_add(self.0.time_to_end)),
            self.0.queue.ended(),
        );
        drop(ended.await);
        self.stats()
    }

    /// Queues what was encoded at once if it need not wait; otherwise gives it back.
    fn push_in_turn(&self, encoded: Result<Message>) -> Result<Receipt, Message> {
        match encoded {
            Ok(message) => self.0.queue.push_in_turn(message),
            Err(error) => Ok(self.0.queue.refuse_unencoded(error)),
        }
    }

    fn encode(&self, event: &Event) -> Result<Message> {
        let envelope = Envelope {
            id: message_id(),
            publisher_id: &self.0.publisher_id,
            event_type: event.event_type(),
            priority: event.priority(),
            timestamp: OffsetDateTime::now_utc(),
        };
        encode(&envelope, &PayloadView::Event(event), &self.0.encoding)
    }

    fn suppress(&self) -> Receipt {
        self.0.suppressed.fetch_add(1, Ordering::Relaxed);
        Receipt::decided(None, Ok(()))
    }
}

impl Drop for Shared {
    /// The last clone is gone: nothing more can come.
    fn drop(&mut self) {
        self.queue.close(self.drain_timeout);
    }
}

/// A set of event types.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EventSet(u16);

impl EventSet {
    #[inline]
    fn contains(self, event_type: EventType) -> bool {
        self.0 & (1 << event_type as u16) != 0
    }

    pub(super) fn insert(&mut self, event_type: EventType) {
        self.0 |= 1 << event_type as u16;
    }
}
