//! The keys of a configuration that are not one strategy's own, with their defaults.

use notify_core::codec::PayloadStyle;
use notify_core::config::Seconds;
use notify_core::pipeline::{Overflow, QueueConfig};
use notify_core::redact::Redact;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::compat::Compat;

/// The keys that are not one strategy's own, and the tables that are.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    pub(super) strategy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) publisher_id: Option<String>,
    pub(super) disabled_notifications: Vec<String>,
    pub(super) payloads: PayloadStyle,
    pub(super) redact: Redact,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) compat: Option<Compat>,
    /// Named for the message about unknown keys: by now it has become `log.file`.
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
}

impl Default for Settings {
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
        }
    }
}

/// The table `[queue]`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct QueueSettings {
    pub(super) max_messages: usize,
    pub(super) max_bytes: usize,
    pub(super) overflow: Overflow,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_age: Option<Seconds>,
    pub(super) batch_messages: usize,
    pub(super) batch_bytes: usize,
    pub(super) attempt_timeout: Seconds,
    pub(super) send_timeout: Seconds,
    pub(super) drain_timeout: Seconds,
}

impl QueueSettings {
    pub(super) fn bounds(&self) -> QueueConfig {
        let mut bounds = QueueConfig::default();
        bounds.max_messages = self.max_messages;
        bounds.max_bytes = self.max_bytes;
        bounds.overflow = self.overflow;
        bounds.max_age = self.max_age.map(Into::into);
        bounds.batch_messages = self.batch_messages;
        bounds.batch_bytes = self.batch_bytes;
        bounds
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
