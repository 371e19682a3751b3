//! The notifier: the handle that emits notifications.
//!
//! It encodes in the caller's thread, so that only redacted bytes enter the queue. It never does I/O.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use time::OffsetDateTime;

use super::deadline::after;
use super::event_set::EventSet;
use super::queue::{Queue, Submission};
use super::receipt::{DestinationLabel, Receipt};
use super::registry::DelayedQueue;
use super::stage::StageInfo;
use super::stats::Stats;
use crate::codec::context::{Context, EMPTY};
use crate::codec::encode::{Encoding, encode};
use crate::codec::message::Message;
use crate::codec::notification::Notification;
use crate::error::{Error, Result};
use crate::event::event_type::EventType;
use crate::event::payload::{Event, NotificationPayload, PayloadView};
use crate::transport::lanes::{Lane, Lanes};

/// The handle that emits notifications.
///
/// It is cheap to clone. All clones share one queue, one account and one
/// [`Worker`](super::Worker), which you must run.
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
pub struct Notifier(pub(super) Arc<NotifierCore>);

/// The part of a notifier that its clones share.
#[derive(Debug)]
pub(super) struct NotifierCore {
    pub(super) queue: Arc<Queue>,
    pub(super) label: DestinationLabel,
    pub(super) strategy: &'static str,
    /// The notifiers of the other destinations.
    pub(super) others: Box<[Notifier]>,
    /// The labels of all destinations, for the receipts.
    pub(super) labels: Arc<[DestinationLabel]>,
    /// Whether `emit` must look at each event for each destination.
    pub(super) fans_out: bool,
    /// Whether other destinations get events that this one does not.
    ///
    /// Its messages then get bodies of their own. The bodies of successive events share memory, and while this
    /// destination is away, each of its few messages would keep those of the others.
    pub(super) is_narrower: bool,
    /// The events that are enabled and that the transport wants.
    pub(super) enabled: EventSet,
    /// The number of notifications that the destination does not get.
    pub(super) suppressed: AtomicU64,
    pub(super) publisher_id: Arc<str>,
    pub(super) encoding: Encoding,
    pub(super) send_timeout: Duration,
    pub(super) drain_timeout: Duration,
    pub(super) stage: Option<StageInfo>,
    /// The longest time from the drain deadline to the end of the worker.
    pub(super) close_allowance: Duration,
}

impl Notifier {
    /// Returns whether this notifier emits notifications of a type.
    ///
    /// It does when a transport wants the type and the configuration does not disable it, at least for one
    /// destination and one priority. Ask before you collect an expensive payload.
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_conformance::script::Script;
    /// use notify_core::{EventType, Notifier};
    ///
    /// # let transport = Script::default().transport();
    /// let (notifier, _worker) = Notifier::builder(transport).disabled(["task"]).build()?;
    /// assert!(notifier.enabled(&EventType::ImageUpload));
    /// assert!(!notifier.enabled(&EventType::TaskRun));
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    #[inline]
    pub fn enabled(&self, event_type: &EventType) -> bool {
        self.0.enabled.contains(event_type)
            || self.0.others.iter().any(|other| other.0.enabled.contains(event_type))
    }

    /// Emits a notification: encodes and queues it, without blocking or waiting.
    ///
    /// You may drop the receipt. When the queue is full, the notifier drops a message according to
    /// [`Overflow`](super::Overflow) and counts it; that message's receipt resolves to
    /// [`ErrorKind::Full`](crate::ErrorKind::Full).
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_conformance::script::Script;
    /// use notify_core::event::Payload;
    /// use notify_core::{Event, Notifier};
    ///
    /// # let transport = Script::default().transport();
    /// let (notifier, _worker) = Notifier::builder(transport).build()?;
    /// let receipt = notifier.emit(&Event::ImageUpload(Payload::Warn("the store is slow".into())));
    /// assert!(receipt.message_id().is_some());
    /// assert_eq!(notifier.stats().pending.messages, 1);
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    #[inline]
    pub fn emit(&self, event: &Event) -> Receipt {
        self.emit_with(event, &EMPTY)
    }

    /// Emits a notification in a context. Otherwise this method is like [`emit`](Self::emit).
    ///
    /// The context travels beside the body, to brokers and through a spool.
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_conformance::script::Script;
    /// use notify_core::event::Payload;
    /// use notify_core::{Context, Event, Notifier};
    ///
    /// # let transport = Script::default().transport();
    /// let (notifier, _worker) = Notifier::builder(transport).build()?;
    /// let context = Context::builder().request_id("req-1").user("bob").build()?;
    /// let event = Event::ImageUpload(Payload::Warn("the store is slow".into()));
    /// notifier.emit_with(&event, &context);
    /// # assert_eq!(notifier.stats().pending.messages, 1);
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    #[inline]
    pub fn emit_with(&self, event: &Event, context: &Context) -> Receipt {
        if !self.0.fans_out && !self.0.enabled.contains(event.event_type()) {
            return self.suppress();
        }
        self.emit_enabled(event, context)
    }

    /// Emits a notification of an enabled type. Its code stays out of the callers of
    /// [`emit`](Self::emit), so that a suppressed notification costs them little.
    #[inline(never)]
    fn emit_enabled(&self, event: &Event, context: &Context) -> Receipt {
        if self.0.fans_out {
            return self.emit_to_each(event, context);
        }
        match self.encode(event, context) {
            Ok(message) => {
                let (receipt, submission) = self.0.queue.submission(message);
                self.0.queue.push(submission);
                receipt
            }
            Err(error) => self.refuse_unencoded(error, Some(event)),
        }
    }

    /// Emits a notification as soon as the queue has room for it.
    ///
    /// Callers get room in the order in which they called. If there is no room within the builder's
    /// [`send_timeout`](super::NotifierBuilder::send_timeout), the notifier drops the notification as
    /// for an overflow. Needs a tokio runtime with its timer enabled.
    ///
    /// With several destinations, it waits for room in all required ones, and holds no room while it waits.
    ///
    /// # Cancel safety
    ///
    /// If you drop the future before it resolves, the notifier queues and counts nothing.
    pub async fn enqueue(&self, event: &Event) -> Receipt {
        self.enqueue_with(event, &EMPTY).await
    }

    /// Emits a notification in a context as soon as the queue has room for it. Otherwise this method is
    /// like [`enqueue`](Self::enqueue), also in its cancel safety.
    ///
    /// Needs a tokio runtime with its timer enabled.
    pub async fn enqueue_with(&self, event: &Event, context: &Context) -> Receipt {
        if self.0.fans_out {
            return self.enqueue_to_each(event, context).await;
        }
        if !self.enabled(event.event_type()) {
            return self.suppress();
        }
        let (receipt, waiting) = match self.encode(event, context) {
            Ok(message) => self.push_in_turn(message),
            Err(error) => return self.refuse_unencoded(error, Some(event)),
        };
        if let Some(waiting) = waiting {
            self.0.queue.push_when_room(waiting, self.0.send_timeout).await;
        }
        receipt
    }

    /// Emits a notification and waits for its outcome.
    ///
    /// Needs a tokio runtime with its timer enabled.
    ///
    /// # Errors
    ///
    /// The notification's own error. After the builder's
    /// [`send_timeout`](super::NotifierBuilder::send_timeout),
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) with
    /// [`Outcome::Unknown`](crate::Outcome::Unknown): the notification stays queued and may still be
    /// delivered.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not remove a message from the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_conformance::script::Script;
    /// use notify_core::event::Payload;
    /// use notify_core::{Event, Notifier};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> notify_core::Result<()> {
    /// # let transport = Script::default().transport();
    /// let (notifier, worker) = Notifier::builder(transport).build()?;
    /// tokio::spawn(worker.run());
    /// notifier.send(&Event::ImageUpload(Payload::Warn("the store is slow".into()))).await?;
    /// assert_eq!(notifier.stats().delivered, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send(&self, event: &Event) -> Result<()> {
        self.send_with(event, &EMPTY).await
    }

    /// Emits a notification in a context and waits for its outcome. Otherwise this method is like
    /// [`send`](Self::send), also in its cancel safety.
    ///
    /// Needs a tokio runtime with its timer enabled.
    ///
    /// # Errors
    ///
    /// As from [`send`](Self::send).
    pub async fn send_with(&self, event: &Event, context: &Context) -> Result<()> {
        let deadline = after(self.0.send_timeout);
        let mut receipt = self.enqueue_with(event, context).await;
        match tokio::time::timeout_at(deadline, &mut receipt).await {
            Ok(result) => result,
            Err(_) => Err(receipt.undecided(self.0.send_timeout)),
        }
    }

    /// Queues an existing notification, such as one from a log file or an outbox table.
    ///
    /// The notification keeps its id, publisher and timestamp. It has no context and no
    /// [sequence](Message::sequence). Otherwise this method is like
    /// [`enqueue`](Self::enqueue), also in its cancel safety.
    ///
    /// Needs a tokio runtime with its timer enabled.
    ///
    /// Use [`resend_with`](Self::resend_with) for a notification that you stored with its context.
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_conformance::script::Script;
    /// use notify_core::event::Payload;
    /// use notify_core::{Event, Notifier};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> notify_core::Result<()> {
    /// # let transport = Script::default().transport();
    /// let (notifier, worker) = Notifier::builder(transport).build()?;
    /// tokio::spawn(worker.run());
    ///
    /// let notification = notifier.stamp(Event::ImageUpload(Payload::Warn("slow".into())));
    /// // Commit it to an outbox table here. After a crash, read it from there.
    /// let receipt = notifier.resend(&notification).await;
    /// assert_eq!(receipt.message_id(), Some(notification.message_id));
    /// receipt.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn resend(&self, notification: &Notification) -> Receipt {
        self.resend_with(notification, &EMPTY).await
    }

    /// Queues an existing notification in the context in which a program emitted it, such as that of a
    /// [`Delivery`](crate::listener::Delivery). Otherwise this method is like [`resend`](Self::resend): the
    /// notification has no sequence.
    ///
    /// Needs a tokio runtime with its timer enabled.
    pub async fn resend_with(&self, notification: &Notification, context: &Context) -> Receipt {
        if self.0.fans_out {
            return self.resend_to_each(notification, context).await;
        }
        if !self.enabled(notification.event_type()) {
            return self.suppress();
        }
        let (receipt, waiting) = match notification.encode_in(context, &self.0.encoding) {
            Ok(message) => self.push_in_turn(message),
            Err(error) => return self.refuse_unencoded(error, None),
        };
        if let Some(waiting) = waiting {
            self.0.queue.push_when_room(waiting, self.0.send_timeout).await;
        }
        receipt
    }

    /// Queues an encoded message unchanged, and waits for room without a timeout.
    ///
    /// It is for a caller that stores messages and passes them on in order, such as the spool. See
    /// [`NotifierBuilder::durable_source`](super::NotifierBuilder::durable_source). The message was
    /// accepted before, so the notifier sends it whatever types are disabled now. It keeps its context and
    /// its [sequence](Message::sequence), and gets none. With several destinations, it goes to the first.
    ///
    /// Needs a tokio runtime with its timer enabled.
    ///
    /// # Cancel safety
    ///
    /// If you drop the future before it resolves, the notifier queues and counts nothing.
    pub async fn relay(&self, message: Message) -> Receipt {
        let (receipt, waiting) = self.push_in_turn(message);
        if let Some(waiting) = waiting {
            self.0.queue.push_when_room(waiting, Duration::MAX).await;
        }
        receipt
    }

    /// Returns a notification of `payload` with a new id, this notifier's publisher id and the current
    /// time.
    ///
    /// It queues nothing. Keep the notification in an outbox and send it with [`resend`](Self::resend).
    pub fn stamp(&self, payload: impl Into<NotificationPayload>) -> Notification {
        Notification {
            message_id: self.0.queue.random.message_id(),
            publisher_id: Arc::clone(&self.0.publisher_id),
            timestamp: OffsetDateTime::now_utc(),
            payload: payload.into(),
        }
    }

    /// Returns the encoding of this notifier's notifications, at the first destination if there are
    /// several.
    pub fn encoding(&self) -> &Encoding {
        &self.0.encoding
    }

    /// Returns the lanes of the destination, as its transport named them when the notifier was built.
    pub fn lanes(&self) -> &Lanes {
        &self.0.queue.lanes
    }

    /// Returns whether a message of `bytes` bytes in `lane` finds room.
    ///
    /// A lane that works may use all room of the queue. A lane that fails has a share of it, or one message
    /// in room that is free. While this returns `false`, [`relay`](Self::relay) waits for that lane to work
    /// again. A caller that stores messages then goes on with those of other lanes.
    pub fn has_lane_room(&self, lane: Lane, bytes: usize) -> bool {
        self.0.queue.has_lane_room(lane, bytes)
    }

    /// Returns whether a lane fails at the moment.
    pub fn is_lane_failing(&self, lane: Lane) -> bool {
        self.0.queue.failing_lanes.contains(lane)
    }

    /// Returns whether a lane fails while others are delivered, so that it has a share of the room only.
    ///
    /// While the destination fails as a whole, no lane does.
    pub fn is_lane_limited(&self, lane: Lane) -> bool {
        self.is_lane_failing(lane) && self.0.queue.is_limited(lane)
    }

    /// Returns whether any lane fails at the moment.
    pub fn has_failing_lane(&self) -> bool {
        !self.0.queue.failing_lanes.is_empty()
    }

    /// Returns the account at this moment.
    ///
    /// Each destination has an account of its own, and no sum of them means anything. With several
    /// destinations, this is the account of the first one, and [`destinations`](Self::destinations)
    /// returns all of them.
    pub fn stats(&self) -> Stats {
        self.0.queue.stats(self.0.suppressed.load(Ordering::Relaxed))
    }

    /// Returns the accounts of all stages, each with the name of the strategy that it delivers to.
    ///
    /// The first is this notifier's own, as [`stats`](Self::stats) returns it. The second is that of
    /// the stage [behind](super::NotifierBuilder::behind) its transport, if there is one.
    ///
    /// Each account is of one moment and balances; the method reads one after the other.
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_conformance::script::Script;
    /// # use notify_core::Notifier;
    /// # let transport = Script::default().transport();
    /// let (notifier, _worker) = Notifier::builder(transport).build()?;
    /// for (name, stats) in notifier.stages() {
    ///     println!("{name}: {} delivered, {} pending", stats.delivered, stats.pending.messages);
    /// }
    /// # assert_eq!(notifier.stages().len(), 1);
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn stages(&self) -> Vec<(&'static str, Stats)> {
        let own = (self.0.strategy, self.stats());
        let behind = self.0.stage.iter().map(|stage| (stage.name, (stage.account)()));
        [own].into_iter().chain(behind).collect()
    }

    /// Waits until every message that was queued before this call has its outcome at the required
    /// destinations.
    ///
    /// Needs a tokio runtime with its timer enabled.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout), when messages have no outcome after
    /// `timeout`. They stay queued.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn flush(&self, timeout: Duration) -> Result<()> {
        let deadline = after(timeout);
        // One after the other: each wait ends as soon as its destination is done.
        for core in self.cores().filter(|core| core.label.required) {
            if tokio::time::timeout_at(deadline, core.queue.flushed()).await.is_err() {
                return Err(core.queue.undecided(timeout));
            }
        }
        Ok(())
    }

    /// Closes this notifier and all its clones for new notifications.
    ///
    /// The worker delivers the pending messages within the builder's
    /// [`drain_timeout`](super::NotifierBuilder::drain_timeout), counted from the first call, and ends.
    pub fn close(&self) {
        self.cores().for_each(|core| core.queue.close(core.drain_timeout));
    }

    /// Closes the notifier, waits until the worker ended, and returns the account.
    ///
    /// The worker gets `drain` to deliver the pending messages, in place of an earlier deadline, and
    /// then closes its transport. The call takes at most `drain` plus 6 s, or 11 s with a stage
    /// [behind](super::NotifierBuilder::behind) the transport. If you do not run the worker, the
    /// account shows the messages that are still pending.
    ///
    /// All destinations drain side by side, within the same time. With several, the account is that of the
    /// first: see [`stats`](Self::stats).
    ///
    /// Needs a tokio runtime with its timer enabled. In a program without a runtime, call
    /// [`close`](Self::close) and then `join` on the thread of
    /// [`Worker::spawn_thread`](super::Worker::spawn_thread).
    pub async fn shutdown(&self, drain: Duration) -> Stats {
        self.cores().for_each(|core| core.queue.close_within(drain));
        let allowance = self.cores().map(|core| core.close_allowance).max().unwrap_or_default();
        let deadline = after(drain.saturating_add(allowance));
        for core in self.cores() {
            drop(tokio::time::timeout_at(deadline, core.queue.ended()).await);
        }
        self.stats()
    }

    /// Queues a message if it need not wait; returns it with its receipt otherwise.
    ///
    /// A step of its own, so that a message that need not wait is not moved into the future that waits.
    fn push_in_turn(&self, message: Message) -> (Receipt, Option<Submission>) {
        let (receipt, submission) = self.0.queue.submission(message);
        (receipt, self.0.queue.push_in_turn(submission).err())
    }

    /// Counts a notification that could not be encoded. `event` is `None` for a notification of the past.
    fn refuse_unencoded(&self, error: Error, event: Option<&Event>) -> Receipt {
        self.0.queue.refuse_unencoded(&error, event);
        Receipt::decided(None, Err(error))
    }

    /// Returns the cores of all destinations.
    pub(super) fn cores(&self) -> impl Iterator<Item = &NotifierCore> {
        std::iter::once(&*self.0).chain(self.0.others.iter().map(|other| &*other.0))
    }

    /// Encodes an event with a new id and the current time.
    fn encode(&self, event: &Event, context: &Context) -> Result<Message> {
        let now = OffsetDateTime::now_utc();
        let payload = PayloadView::Constructed(event, Some(self.0.encoding.payloads));
        let id = self.0.queue.random.message_id();
        let mut message = encode(id, &self.0.publisher_id, now, payload, &self.0.encoding)?;
        message.set_emitted(context, &self.0.encoding.limits)?;
        Ok(message)
    }

    /// Counts a notification of a type that is not enabled.
    fn suppress(&self) -> Receipt {
        self.0.count_suppressed();
        Receipt::decided(None, Ok(()))
    }
}

impl NotifierCore {
    /// Counts a notification that the destination does not get.
    pub(super) fn count_suppressed(&self) {
        self.suppressed.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for NotifierCore {
    /// Closes the queue once the last clone is gone, since no notification can follow.
    fn drop(&mut self) {
        let suppressed = self.suppressed.load(Ordering::Relaxed);
        self.queue.suppressed_at_end.store(suppressed, Ordering::Relaxed);
        self.queue.close(self.drain_timeout);
    }
}
