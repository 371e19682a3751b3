//! The table `[queue]`: the bounds of the queue and of batches, and the deadlines.

use std::time::Duration;

use notify_core::config::Seconds;
use notify_core::pipeline::{Overflow, QueueConfig};
use serde::{Deserialize, Serialize};

/// The table `[queue]`: one field for each key. `None` leaves the default.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use glance_notify::config::QueueTable;
///
/// let mut queue = QueueTable::default();
/// queue.max_messages = Some(500);
/// queue.max_age = Some(Duration::from_secs(3600).into());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct QueueTable {
    /// The most messages in the queue.
    pub max_messages: Option<usize>,
    /// The most memory for queued messages, in bytes.
    pub max_bytes: Option<usize>,
    /// The message that a full queue drops.
    pub overflow: Option<Overflow>,
    /// The age at which the worker drops a message. By default it drops none.
    pub max_age: Option<Seconds>,
    /// The most messages in one batch.
    pub batch_messages: Option<usize>,
    /// The most bytes in one batch, unless a single message is larger.
    pub batch_bytes: Option<usize>,
    /// The longest attempt to deliver a batch.
    pub attempt_timeout: Option<Seconds>,
    /// The longest that `send` and `enqueue` wait.
    pub send_timeout: Option<Seconds>,
    /// The longest that the worker delivers pending messages after the notifier closes.
    pub drain_timeout: Option<Seconds>,
}

impl QueueTable {
    /// Returns the defaults that `check` shows.
    pub(super) fn defaults() -> Self {
        let QueueConfig { max_messages, max_bytes, overflow, batch_messages, batch_bytes, .. } =
            QueueConfig::default();
        Self {
            max_messages: Some(max_messages),
            max_bytes: Some(max_bytes),
            overflow: Some(overflow),
            max_age: None,
            batch_messages: Some(batch_messages),
            batch_bytes: Some(batch_bytes),
            attempt_timeout: Some(ATTEMPT_TIMEOUT),
            send_timeout: Some(SEND_TIMEOUT),
            drain_timeout: Some(DRAIN_TIMEOUT),
        }
    }

    /// Returns the bounds of the queue and of batches, for the notifier's builder.
    pub(super) fn queue_config(&self) -> QueueConfig {
        let mut config = QueueConfig::default();
        config.max_messages = self.max_messages.unwrap_or(config.max_messages);
        config.max_bytes = self.max_bytes.unwrap_or(config.max_bytes);
        config.overflow = self.overflow.unwrap_or(config.overflow);
        config.max_age = self.max_age.map(Into::into);
        config.batch_messages = self.batch_messages.unwrap_or(config.batch_messages);
        config.batch_bytes = self.batch_bytes.unwrap_or(config.batch_bytes);
        config
    }

    /// Returns the longest attempt to deliver a batch.
    pub(super) fn attempt_timeout(&self) -> Duration {
        self.attempt_timeout.unwrap_or(ATTEMPT_TIMEOUT).into()
    }

    /// Returns the longest wait of `send` and `enqueue`.
    pub(super) fn send_timeout(&self) -> Duration {
        self.send_timeout.unwrap_or(SEND_TIMEOUT).into()
    }

    /// Returns the longest time to deliver pending messages after the notifier closes.
    pub(super) fn drain_timeout(&self) -> Duration {
        self.drain_timeout.unwrap_or(DRAIN_TIMEOUT).into()
    }
}

/// The default of `queue.attempt_timeout`.
const ATTEMPT_TIMEOUT: Seconds = Seconds::new(60);
/// The default of `queue.send_timeout`.
const SEND_TIMEOUT: Seconds = Seconds::new(120);
/// The default of `queue.drain_timeout`.
const DRAIN_TIMEOUT: Seconds = Seconds::new(10);
