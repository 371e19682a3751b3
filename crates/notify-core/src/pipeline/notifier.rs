//! The handle that emits, and how it is built.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use time::OffsetDateTime;

use super::bounds::{BOOKKEEPING, QueueConfig};
use super::deadline::after;
use super::queue::Queue;
use super::receipt::{Receipt, undecided};
use super::stage::{Named, Stage};
use super::stats::Stats;
use super::worker::Worker;
use crate::encode::{Envelope, encode};
use crate::ids::message_id;
use crate::schema::PayloadView;
use crate::text::quoted;
use crate::{
    Body, Encoding, Error, ErrorKind, Event, EventType, Message, Notification, Result, Transport,
};

/// Emits notifications. Cheap to clone; all clones share one queue, one account and one worker.
///
/// # Examples
///
/// ```no_run
/// # use notify_core::*;
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
pub struct Notifier(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Arc<Queue>,
    wanted: EventSet,
    suppressed: AtomicU64,
    publisher_id: Arc<str>,
    encoding: Encoding,
    send_timeout: Duration,
    drain_timeout: Duration,
    /// The worker's transport, and what is behind it.
    name: &'static str,
    behind: Option<Named>,
    time_to_end: Duration,
}

impl Notifier {
    /// Begins to build a notifier that delivers by `transport`.
    pub fn builder(transport: Box<dyn Transport>) -> Builder {
        Builder {
            transport,
            publisher_id: None,
            encoding: Encoding::default(),
            disabled: Vec::new(),
            queue: QueueConfig::default(),
            attempt_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(120),
            drain_timeout: Duration::from_secs(10),
            source_keeps: false,
            behind: None,
        }
    }

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

    /// Emits a notification as soon as the queue has room for it, in the order of the calls.
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
        let encoded = self.encode(event);
        self.queue_when_room(encoded).await
    }

    /// Emits a notification and waits for its outcome.
    ///
    /// # Errors
    ///
    /// Its outcome; or, after the builder's `send_timeout`, [`ErrorKind::Timeout`] with
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
        let encoded = notification.encode(&self.0.encoding);
        self.queue_when_room(encoded).await
    }

    /// Queues a message that is encoded already, as it is, as soon as there is room, however long that
    /// takes: for whoever keeps messages and passes them on in their order. See
    /// [`Builder::source_keeps`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, nothing was queued and nothing is counted.
    pub async fn relay(&self, message: Message) -> Receipt {
        if !self.enabled(message.event_type()) {
            return self.suppress();
        }
        self.0.queue.push_when_room(message, Duration::MAX).await
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
    /// what is [behind](Builder::behind) its transport.
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
    /// [`ErrorKind::Timeout`], when something is undecided after `timeout`; it stays queued.
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
    /// Takes `drain` and six seconds at most, eleven with a stage [behind](Builder::behind). Where
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

    async fn queue_when_room(&self, encoded: Result<Message>) -> Receipt {
        match encoded {
            Ok(message) => self.0.queue.push_when_room(message, self.0.send_timeout).await,
            Err(error) => self.0.queue.refuse_unencoded(error),
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

/// Everything about a notifier that can be chosen. See [`Notifier::builder`].
#[derive(Debug)]
#[must_use]
pub struct Builder {
    transport: Box<dyn Transport>,
    publisher_id: Option<String>,
    encoding: Encoding,
    disabled: Vec<String>,
    queue: QueueConfig,
    attempt_timeout: Duration,
    send_timeout: Duration,
    drain_timeout: Duration,
    source_keeps: bool,
    behind: Option<Box<dyn Stage>>,
}

impl Builder {
    /// Who the notifications are from. Default the host name.
    pub fn publisher_id(mut self, publisher_id: impl Into<String>) -> Self {
        self.publisher_id = Some(publisher_id.into());
        self
    }

    /// How notifications are written.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Which notifications are not emitted: event types (`task.run`) and groups (`image`), as Glance's
    /// `disabled_notifications`.
    pub fn disabled<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.disabled = names.into_iter().map(Into::into).collect();
        self
    }

    /// The bounds of the queue and of batches.
    pub fn queue(mut self, queue: QueueConfig) -> Self {
        self.queue = queue;
        self
    }

    /// How long one attempt to send a batch may take. Default 60 s.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// How long [`Notifier::send`] waits for an outcome, and [`Notifier::enqueue`] for room. Default
    /// 120 s.
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.send_timeout = timeout;
        self
    }

    /// How long the worker tries to deliver what is pending once the notifier is closed or dropped.
    /// Default 10 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Says that whoever gives the messages keeps each until its receipt says that it is delivered.
    ///
    /// Once the notifier is closed, the attempt under way is then concluded within the time to drain
    /// and no other is begun; what is given after that is not counted; and nobody is warned of what is
    /// left: it is not lost.
    pub fn source_keeps(mut self) -> Self {
        self.source_keeps = true;
        self
    }

    /// Has the worker run `stage` too, for a transport that only keeps what it takes.
    pub fn behind(mut self, stage: Box<dyn Stage>) -> Self {
        self.behind = Some(stage);
        self
    }

    /// Builds the notifier and its worker. Starts nothing: run the worker.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a name that is neither an event type nor a group, an empty publisher
    /// id, and bounds that nothing fits in.
    pub fn build(self) -> Result<(Notifier, Worker)> {
        let config = |message: String| Err(Error::new(ErrorKind::Config, message));
        let publisher_id = match self.publisher_id {
            None => host_name()?,
            Some(name) if name.is_empty() => return config("`publisher_id` is empty".into()),
            Some(name) => name,
        };
        let QueueConfig { max_messages, max_bytes, batch_messages, .. } = self.queue;
        if max_messages == 0 || batch_messages == 0 {
            return config(
                "`queue.max_messages` and `queue.batch_messages` must be at least 1".into(),
            );
        }
        let largest = self.encoding.limits.bytes.saturating_add(BOOKKEEPING);
        if max_bytes < largest {
            return config(format!(
                "`queue.max_bytes` must be at least {largest}, to hold one notification of the \
                 largest size"
            ));
        }
        let mut wanted = EventSet::default();
        for &event_type in EventType::ALL {
            let name = |name: &String| name == event_type.as_str() || name == event_type.group();
            if self.transport.wants(event_type) && !self.disabled.iter().any(name) {
                wanted.insert(event_type);
            }
        }
        if let Some(name) = self.disabled.iter().find(|name| !is_event_or_group(name)) {
            return config(format!(
                "`disabled_notifications`: {} is neither an event type nor a group (image, task)",
                quoted(name)
            ));
        }
        let queue = Arc::new(Queue::new(self.queue, self.source_keeps));
        let name = self.transport.name();
        let behind = self
            .behind
            .as_ref()
            .map(|stage| Named { name: stage.name(), account: stage.account() });
        let mut worker = Worker::new(self.transport, Arc::clone(&queue), self.attempt_timeout);
        worker.behind = self.behind;
        let notifier = Notifier(Arc::new(Shared {
            queue,
            wanted,
            suppressed: AtomicU64::new(0),
            publisher_id: publisher_id.into(),
            encoding: self.encoding,
            send_timeout: self.send_timeout,
            drain_timeout: self.drain_timeout,
            name,
            time_to_end: Worker::time_to_end(behind.is_some()),
            behind,
        }));
        Ok((notifier, worker))
    }
}

fn host_name() -> Result<String> {
    match hostname::get() {
        Ok(name) if !name.is_empty() => Ok(name.to_string_lossy().into_owned()),
        _ => Err(Error::new(ErrorKind::Config, "this host has no name: set `publisher_id`")),
    }
}

fn is_event_or_group(name: &str) -> bool {
    EventType::ALL
        .iter()
        .any(|event_type| event_type.as_str() == name || event_type.group() == name)
}

/// A set of event types.
#[derive(Clone, Copy, Debug, Default)]
struct EventSet(u16);

impl EventSet {
    #[inline]
    fn contains(self, event_type: EventType) -> bool {
        self.0 & (1 << event_type as u16) != 0
    }

    fn insert(&mut self, event_type: EventType) {
        self.0 |= 1 << event_type as u16;
    }
}
