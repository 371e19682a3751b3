//! The keys that all strategies share, with their defaults.
//!
//! The tables of strategies pass through as they are; their drivers check them.

use std::path::PathBuf;

use notify_core::codec::PayloadStyle;
use notify_core::config::Seconds;
use notify_core::pipeline::{Overflow, QueueConfig};
use notify_core::redact::Redact;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::compat::CompatPreset;
use super::listener_settings::ListenerSettings;

/// The root table of a configuration. Serializing it gives the defaults that `check` shows.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CommonSettings {
    /// A strategy's name or alias.
    pub(super) strategy: String,
    /// The sender's name. Absent means the host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) publisher_id: Option<String>,
    /// Names of event types (`image.send`) and of their groups (`task`).
    pub(super) disabled_notifications: Vec<String>,
    pub(super) payloads: PayloadStyle,
    pub(super) redact: Redact,
    /// The preset, which has already been added to the other keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) compat: Option<CompatPreset>,
    /// Always `None`: the option tree renames this key to `log.file`. The field makes the error about
    /// an unknown key list it.
    #[serde(skip_serializing)]
    pub(super) log_file: Option<String>,
    pub(super) queue: QueueSettings,
    #[serde(skip_serializing)]
    pub(super) spool: Map<String, Value>,
    #[serde(skip_serializing)]
    pub(super) log: Map<String, Value>,
    #[serde(skip_serializing)]
    pub(super) rabbit: Map<String, Value>,
    #[serde(skip_serializing)]
    pub(super) qpid: Map<String, Value>,
    /// The table `[archive]`. Only the command `archive` uses it.
    #[serde(skip_serializing)]
    pub(super) archive: ArchiveSettings,
    /// The table `[listener]`. Only programs that read use it.
    #[serde(skip_serializing)]
    pub(super) listener: ListenerSettings,
    /// The tables `[[destination]]`. Each becomes a configuration of its own.
    #[serde(skip_serializing)]
    pub(super) destination: Vec<Map<String, Value>>,
    /// The tables `[[source]]`. The sources check them.
    #[serde(skip_serializing)]
    pub(super) source: Vec<Map<String, Value>>,
}

impl Default for CommonSettings {
    fn default() -> Self {
        Self {
            strategy: "noop".to_owned(),
            publisher_id: None,
            disabled_notifications: Vec::new(),
            payloads: PayloadStyle::default(),
            redact: Redact::default(),
            compat: None,
            log_file: None,
            queue: QueueSettings::default(),
            spool: Map::new(),
            log: Map::new(),
            rabbit: Map::new(),
            qpid: Map::new(),
            archive: ArchiveSettings::default(),
            listener: ListenerSettings::default(),
            destination: Vec::new(),
            source: Vec::new(),
        }
    }
}

/// The table `[archive]`.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ArchiveSettings {
    /// The directory of the archive.
    pub(super) dir: Option<PathBuf>,
}

/// The table `[queue]`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct QueueSettings {
    /// The most messages in the queue.
    pub(super) max_messages: usize,
    /// The most memory for queued messages, in bytes.
    pub(super) max_bytes: usize,
    pub(super) overflow: Overflow,
    /// The age at which the worker drops a message. Absent means never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_age: Option<Seconds>,
    /// The most messages in one batch.
    pub(super) batch_messages: usize,
    /// The most bytes in one batch, unless a single message is larger.
    pub(super) batch_bytes: usize,
    /// The longest attempt to deliver a batch.
    pub(super) attempt_timeout: Seconds,
    /// The longest that `send` and `enqueue` wait.
    pub(super) send_timeout: Seconds,
    /// The longest that the worker delivers pending messages after the notifier closes.
    pub(super) drain_timeout: Seconds,
}

impl QueueSettings {
    /// Returns the bounds of the queue and of batches, for the notifier's builder.
    pub(super) fn queue_config(&self) -> QueueConfig {
        let mut config = QueueConfig::default();
        config.max_messages = self.max_messages;
        config.max_bytes = self.max_bytes;
        config.overflow = self.overflow;
        config.max_age = self.max_age.map(Into::into);
        config.batch_messages = self.batch_messages;
        config.batch_bytes = self.batch_bytes;
        config
    }
}

impl Default for QueueSettings {
    fn default() -> Self {
        let QueueConfig { max_messages, max_bytes, overflow, batch_messages, batch_bytes, .. } =
            QueueConfig::default();
        Self {
            max_messages,
            max_bytes,
            overflow,
            max_age: None,
            batch_messages,
            batch_bytes,
            attempt_timeout: Seconds::new(60),
            send_timeout: Seconds::new(120),
            drain_timeout: Seconds::new(10),
        }
    }
}
