//! How a notifier and its worker are built.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::notifier::{EventSet, Notifier, Shared};
use super::queue::Queue;
use super::queue_config::{BOOKKEEPING, QueueConfig};
use super::stage::{Stage, StageEntry};
use super::worker::Worker;
use crate::codec::encode::Encoding;
use crate::error::{Error, ErrorKind, Result};
use crate::event::event_type::EventType;
use crate::redact::quote::quoted;
use crate::transport::Transport;

/// Everything about a notifier that can be chosen. See [`Notifier::builder`].
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
    source_keeps: bool,
    behind: Option<Box<dyn Stage>>,
}

impl Notifier {
    /// Begins to build a notifier that delivers through `transport`.
    pub fn builder(transport: impl Transport + 'static) -> NotifierBuilder {
        NotifierBuilder::new(Box::new(transport))
    }
}

impl NotifierBuilder {
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
            source_keeps: false,
            behind: None,
        }
    }

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
    pub fn behind(mut self, stage: impl Stage + 'static) -> Self {
        self.behind = Some(Box::new(stage));
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
            .map(|stage| StageEntry { name: stage.name(), account: stage.account() });
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
