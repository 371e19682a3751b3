//! The builder of a notifier and its worker.
//!
//! It validates the options. It starts no task and touches no destination.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::destination_name::DestinationName;
use super::event_set::EventSet;
use super::notifier::{Notifier, NotifierCore};
use super::queue::Queue;
use super::queue_config::{BOOKKEEPING, QueueConfig};
use super::random::RandomSource;
use super::receipt::DestinationLabel;
use super::registry::{DelayedQueue, register};
use super::stage::{Stage, StageInfo};
use super::worker::Worker;
use crate::codec::encode::Encoding;
use crate::error::{Error, ErrorKind, Result};
use crate::event::event_glob::EventGlob;
use crate::event::event_type::EventType;
use crate::event::priority::Priority;
use crate::redact::quote::quoted;
use crate::transport::Transport;

/// The options of a notifier, from [`Notifier::builder`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// # use notify_conformance::script::Script;
/// use notify_core::Notifier;
///
/// # let transport = Script::default().transport();
/// let (notifier, worker) = Notifier::builder(transport)
///     .publisher_id("image.host1")
///     .disabled(["task", "image.prepare"])
///     .attempt_timeout(Duration::from_secs(30))
///     .drain_timeout(Duration::from_secs(5))
///     .build()?;
/// # drop((notifier, worker));
/// # Ok::<(), notify_core::Error>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct NotifierBuilder {
    transport: Box<dyn Transport>,
    publisher_id: Option<String>,
    encoding: Encoding,
    disabled: Vec<String>,
    queue: QueueConfig,
    attempt_timeout: Duration,
    send_timeout: Duration,
    drain_timeout: Duration,
    durable_source: bool,
    random: RandomSource,
    stage: Option<Box<dyn Stage>>,
    name: String,
    required: bool,
    events: Vec<EventGlob>,
    priorities: Vec<Priority>,
    others: Vec<Self>,
}

impl Notifier {
    /// Starts to build a notifier that delivers through `transport`.
    pub fn builder(transport: impl Transport + 'static) -> NotifierBuilder {
        NotifierBuilder::new(Box::new(transport))
    }
}

impl NotifierBuilder {
    /// Returns the default options for a transport.
    fn new(transport: Box<dyn Transport>) -> Self {
        Self {
            transport,
            publisher_id: None,
            encoding: Encoding::default(),
            disabled: Vec::new(),
            queue: QueueConfig::default(),
            attempt_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(120),
            drain_timeout: Duration::from_secs(10),
            durable_source: false,
            random: RandomSource::System,
            stage: None,
            name: String::new(),
            required: true,
            events: Vec::new(),
            priorities: Vec::new(),
            others: Vec::new(),
        }
    }

    /// Sets the sender's name in every notification, such as `image.host1`. Default the host name.
    pub fn publisher_id(mut self, publisher_id: impl Into<String>) -> Self {
        self.publisher_id = Some(publisher_id.into());
        self
    }

    /// Sets payload style, redaction and size limits. Default [`Encoding::default`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_conformance::script::Script;
    /// use notify_core::Notifier;
    /// use notify_core::codec::{Encoding, SizeLimits};
    ///
    /// # let transport = Script::default().transport();
    /// let limits = SizeLimits { bytes: 128 * 1024, ..SizeLimits::default() };
    /// let encoding = Encoding { limits, ..Encoding::default() };
    /// let (notifier, worker) = Notifier::builder(transport).encoding(encoding).build()?;
    /// # drop((notifier, worker));
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Disables event types (`task.run`) and groups (`image`), in place of those set before.
    ///
    /// It corresponds to Glance's option `disabled_notifications`. The notifier counts notifications of
    /// these types as [suppressed](super::Stats::suppressed). Default none.
    pub fn disabled<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.disabled = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the bounds of the queue and of batches. Default [`QueueConfig::default`].
    pub fn queue(mut self, queue: QueueConfig) -> Self {
        self.queue = queue;
        self
    }

    /// Sets the longest time of one [`Transport::send`]. Default 60 s.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Sets the longest time that [`Notifier::send`] waits for an outcome and [`Notifier::enqueue`] for
    /// room. Default 120 s.
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.send_timeout = timeout;
        self
    }

    /// Sets the longest time that the worker delivers pending messages after the notifier is closed or
    /// dropped. Default 10 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Declares that the caller keeps each message until its receipt reports the delivery.
    ///
    /// The spool's forwarder is such a caller: it [relays](Notifier::relay) messages from the disk. With
    /// a durable source, undelivered messages are not lost when the notifier is closed, so:
    ///
    /// * the worker finishes the attempt in flight within the drain timeout and starts no other;
    /// * the account does not count messages that come after the close;
    /// * the worker logs no warning about undelivered messages.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # use notify_conformance::samples;
    /// # use notify_conformance::script::Script;
    /// use notify_core::Notifier;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> notify_core::Result<()> {
    /// # let transport = Script::default().transport();
    /// # let stored = samples::messages(0..3);
    /// let (notifier, worker) = Notifier::builder(transport).durable_source().build()?;
    /// tokio::spawn(worker.run());
    /// for message in stored {
    ///     let receipt = notifier.relay(message).await;
    ///     // Remove the message from the storage after this.
    ///     receipt.await?;
    /// }
    /// # assert_eq!(notifier.shutdown(Duration::ZERO).await.delivered, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn durable_source(mut self) -> Self {
        self.durable_source = true;
        self
    }

    /// Makes message ids, epochs and the jitter of waits follow from `seed`, so that a failed test can be
    /// repeated.
    ///
    /// Use it in tests only: notifiers with the same seed give different notifications the same ids.
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = RandomSource::seeded(seed);
        self
    }

    /// Adds a second stage that the worker runs beside the transport.
    ///
    /// Use it with a transport that only stores messages, such as the spool.
    pub fn behind(mut self, stage: impl Stage + 'static) -> Self {
        self.stage = Some(Box::new(stage));
        self
    }

    /// Names the destination: in the log, in [`Notifier::destinations`] and in
    /// [`Receipt::by_destination`](super::Receipt::by_destination).
    ///
    /// A name has the form of a [`DestinationName`]. Each of several destinations needs one.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Makes the destination an optional one: receipts, [`Notifier::enqueue`], [`Notifier::send`],
    /// [`Notifier::flush`] and permits do not wait for it.
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// Delivers only the event types that match one of these patterns. Default all.
    ///
    /// The notifier counts the others as [suppressed](super::Stats::suppressed).
    pub fn events(mut self, globs: impl IntoIterator<Item = EventGlob>) -> Self {
        self.events = globs.into_iter().collect();
        self
    }

    /// Delivers only notifications of these priorities. Default all.
    ///
    /// The notifier counts the others as [suppressed](super::Stats::suppressed).
    pub fn priorities(mut self, priorities: impl IntoIterator<Item = Priority>) -> Self {
        self.priorities = priorities.into_iter().collect();
        self
    }

    /// Adds another destination, with its own filter, encoding, queue, stage and account.
    ///
    /// The notifier stamps each notification once, so it has the same id, publisher and time at all
    /// destinations. The publisher id and the send timeout are those of this builder; `other` has none of
    /// its own. One worker drives all destinations, and none of them waits for another.
    ///
    /// # Examples
    ///
    /// An audit file that gets everything, and a broker for failures, which may be away:
    ///
    /// ```
    /// # use notify_conformance::script::Script;
    /// use notify_core::{Notifier, Priority};
    ///
    /// # let (file, broker) = (Script::default().transport(), Script::default().transport());
    /// let failures = Notifier::builder(broker)
    ///     .named("failures")
    ///     .optional()
    ///     .events(["image.*".parse()?, "task.*".parse()?])
    ///     .priorities([Priority::Error]);
    /// let (notifier, worker) =
    ///     Notifier::builder(file).named("audit").destination(failures).build()?;
    /// # assert_eq!(notifier.destinations().len(), 2);
    /// # drop((notifier, worker));
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn destination(mut self, mut other: Self) -> Self {
        let further = std::mem::take(&mut other.others);
        self.others.push(other);
        self.others.extend(further);
        self
    }

    /// Builds the notifier and its worker.
    ///
    /// It starts nothing: run the worker with [`Worker::run`] or [`Worker::spawn_thread`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a disabled name that is neither an event type nor a group, for an empty
    /// publisher id, for bounds that hold no message, and for several destinations without distinct
    /// [names](Self::named).
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_conformance::script::Script;
    /// use notify_core::{ErrorKind, Notifier};
    ///
    /// # let transport = Script::default().transport();
    /// let error = Notifier::builder(transport).disabled(["image member"]).build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// ```
    pub fn build(mut self) -> Result<(Notifier, Worker)> {
        let publisher_id = match self.publisher_id.take() {
            None => host_name()?,
            Some(name) if name.is_empty() => {
                return Err(Error::new(ErrorKind::Config, "`publisher_id` is empty"));
            }
            Some(name) => name,
        };
        let others = std::mem::take(&mut self.others);
        let names = std::iter::once(&self).chain(&others).map(|one| one.name.as_str());
        check_names(&names.collect::<Vec<_>>())?;
        let publisher_id = publisher_id.into();
        let built: Result<Vec<_>> =
            others.into_iter().map(|other| other.build_one(&publisher_id)).collect();
        let (mut other_cores, other_workers): (Vec<_>, Vec<_>) = built?.into_iter().unzip();
        let (mut core, mut worker) = self.build_one(&publisher_id)?;
        mark_narrower(std::iter::once(&mut core).chain(&mut other_cores).collect());
        core.others = other_cores.into_iter().map(|core| Notifier(Arc::new(core))).collect();
        let others = core.others.iter().map(|other| &*other.0);
        core.labels = std::iter::once(&core).chain(others).map(|one| one.label.clone()).collect();
        core.fans_out = !core.others.is_empty() || core.enabled.has_priorities();
        worker.others = other_workers;
        Ok((Notifier(Arc::new(core)), worker))
    }

    /// Builds one destination.
    fn build_one(self, publisher_id: &Arc<str>) -> Result<(NotifierCore, Worker)> {
        self.check()?;
        let wants = |event_type: &EventType| self.transport.wants(event_type);
        let enabled = EventSet::new(wants, self.disabled, self.events, self.priorities);
        let (strategy, lanes) = (self.transport.name(), self.transport.lanes());
        let mut queue =
            Queue::new(self.queue, &self.name, strategy, lanes, self.durable_source, self.random);
        queue.broker = self.transport.counters();
        let queue = Arc::new(queue);
        let delayed: Weak<dyn DelayedQueue> = Arc::downgrade(&queue) as _;
        register(queue.id, delayed);
        let stage = self
            .stage
            .as_ref()
            .map(|stage| StageInfo { name: stage.name(), account: stage.account() });
        let mut worker = Worker::new(self.transport, Arc::clone(&queue), self.attempt_timeout);
        worker.stage = self.stage;
        let core = NotifierCore {
            label: DestinationLabel {
                name: self.name.into(),
                required: self.required,
                queue: queue.id,
            },
            queue,
            strategy,
            others: Box::default(),
            labels: Arc::default(),
            fans_out: false,
            is_narrower: false,
            enabled,
            suppressed: AtomicU64::new(0),
            publisher_id: Arc::clone(publisher_id),
            encoding: self.encoding,
            send_timeout: self.send_timeout,
            drain_timeout: self.drain_timeout,
            close_allowance: Worker::close_allowance(stage.is_some()),
            stage,
        };
        Ok((core, worker))
    }

    /// Checks the bounds and the disabled names.
    fn check(&self) -> Result<()> {
        let config = |message: String| Err(Error::new(ErrorKind::Config, message));
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
        match self.disabled.iter().find(|name| EventType::new(name).is_err()) {
            None => Ok(()),
            Some(name) => config(format!(
                "`disabled_notifications`: {} is neither an event type nor a group (image, task)",
                quoted(name)
            )),
        }
    }
}

/// Marks the destinations that do not get all events that another one gets.
fn mark_narrower(mut cores: Vec<&mut NotifierCore>) {
    for at in 0..cores.len() {
        let own = &cores[at].enabled;
        cores[at].is_narrower = cores.iter().any(|other| own.is_narrower_than(&other.enabled));
    }
}

/// Checks the names of all destinations. A single one may have no name.
fn check_names(names: &[&str]) -> Result<()> {
    if let [""] = names {
        return Ok(());
    }
    for (index, name) in names.iter().enumerate() {
        DestinationName::new(name)?;
        if names[..index].contains(name) {
            let message = format!("two destinations have the name {}", quoted(name));
            return Err(Error::new(ErrorKind::Config, message));
        }
    }
    Ok(())
}

/// Returns the host name, the default publisher id.
fn host_name() -> Result<String> {
    match hostname::get() {
        Ok(name) if !name.is_empty() => Ok(name.to_string_lossy().into_owned()),
        _ => Err(Error::new(ErrorKind::Config, "this host has no name: set `publisher_id`")),
    }
}
