//! The keys that all strategies share, with their defaults.
//!
//! The tables of strategies pass through as they are; their drivers check them.

use notify_core::codec::PayloadStyle;
use notify_core::redact::Redact;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::compat::CompatPreset;
use super::queue_table::QueueTable;
use super::reading_tables::{ArchiveTable, ListenerTable};

/// The root table of a configuration. Serializing it gives the defaults that `check` shows.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CommonSettings {
    /// A strategy's name or alias.
    pub(super) strategy: String,
    /// The sender's name. Absent means the host name.
    pub(super) publisher_id: Option<String>,
    /// Names of event types (`image.send`) and of their groups (`task`).
    pub(super) disabled_notifications: Vec<String>,
    pub(super) payloads: PayloadStyle,
    pub(super) redact: Redact,
    /// The preset, which has already been added to the other keys.
    pub(super) compat: Option<CompatPreset>,
    /// Always `None`: the option tree renames this key to `log.file`. The field makes the error about
    /// an unknown key list it.
    #[serde(skip_serializing)]
    pub(super) log_file: Option<String>,
    pub(super) queue: QueueTable,
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
    pub(super) archive: ArchiveTable,
    /// The table `[listener]`. Only programs that read use it.
    #[serde(skip_serializing)]
    pub(super) listener: ListenerTable,
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
            queue: QueueTable::defaults(),
            spool: Map::new(),
            log: Map::new(),
            rabbit: Map::new(),
            qpid: Map::new(),
            archive: ArchiveTable::default(),
            listener: ListenerTable::default(),
            destination: Vec::new(),
            source: Vec::new(),
        }
    }
}
