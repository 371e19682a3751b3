//! The keys that a table `[[destination]]` has beside those of every configuration.
//!
//! The other keys are those of a configuration with one destination, and `configuration` reads them.

use notify_core::config::{DriverOptions, Origins};
use notify_core::event::{EventGlob, Priority};
use notify_core::pipeline::DestinationName;
use notify_core::{Error, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::option_tree::config_error;

/// The name and the filter of one destination.
#[derive(Clone)]
pub(super) struct DestinationHeader {
    /// The key of the table, as errors show it: `destination[0]`.
    pub(super) key: String,
    pub(super) name: DestinationName,
    pub(super) required: bool,
    pub(super) events: Vec<EventGlob>,
    pub(super) priorities: Vec<Priority>,
}

impl DestinationHeader {
    /// Reads the keys of the table with an index, which come from `place`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for an unknown key of the table, a missing name or
    /// strategy, and an invalid filter.
    pub(super) fn read(index: usize, table: &Map<String, Value>, origins: Origins) -> Result<Self> {
        let key = format!("destination[{index}]");
        let options = DriverOptions::new(key.clone(), table.clone()).with_origins(origins);
        let keys: DestinationKeys = options.parse()?;
        let at = |name: &str, error: &Error| config_error(format!("`{key}.{name}`: {error}"));
        let parse_event = |text: &String| text.parse().map_err(|error| at("events", &error));
        let parse_priority = |text: &String| text.parse().map_err(|error| at("priorities", &error));
        let priorities = keys.priorities.as_ref().map(WordList::as_slice).unwrap_or_default();
        Ok(Self {
            name: DestinationName::new(&keys.name).map_err(|error| at("name", &error))?,
            required: keys.required,
            events: keys.events.iter().map(parse_event).collect::<Result<_>>()?,
            priorities: priorities.iter().map(parse_priority).collect::<Result<_>>()?,
            key,
        })
    }

    /// Returns a table without the keys that a configuration with one destination does not have.
    pub(super) fn without_own_keys(mut table: Map<String, Value>) -> Map<String, Value> {
        for key in ["name", "required", "events", "priorities"] {
            table.remove(key);
        }
        table
    }

    /// Returns the keys that a configuration with one destination does not have, with their values.
    pub(super) fn own_values(&self) -> [(&'static str, Value); 4] {
        let events: Vec<_> = self.events.iter().map(EventGlob::as_str).collect();
        let priorities: Vec<_> = self.priorities.iter().map(|priority| priority.lower()).collect();
        [
            ("name", self.name.as_str().into()),
            ("required", self.required.into()),
            ("events", events.into()),
            ("priorities", priorities.into()),
        ]
    }
}

/// The keys of a table. Only the first four are read here; the others are known.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DestinationKeys {
    name: String,
    #[serde(default = "required")]
    required: bool,
    #[serde(default)]
    events: Vec<String>,
    priorities: Option<WordList>,
    #[serde(rename = "strategy")]
    _strategy: IgnoredAny,
    #[serde(rename = "disabled_notifications", default)]
    _disabled_notifications: IgnoredAny,
    #[serde(rename = "payloads", default)]
    _payloads: IgnoredAny,
    #[serde(rename = "redact", default)]
    _redact: IgnoredAny,
    #[serde(rename = "compat", default)]
    _compat: IgnoredAny,
    #[serde(rename = "log_file", default)]
    _log_file: IgnoredAny,
    #[serde(rename = "queue", default)]
    _queue: IgnoredAny,
    #[serde(rename = "spool", default)]
    _spool: IgnoredAny,
    #[serde(rename = "log", default)]
    _log: IgnoredAny,
    #[serde(rename = "rabbit", default)]
    _rabbit: IgnoredAny,
    #[serde(rename = "qpid", default)]
    _qpid: IgnoredAny,
}

/// One word, or a list of words.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a word or a list of words")]
enum WordList {
    One(String),
    Many(Vec<String>),
}

impl WordList {
    /// Returns the words.
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(word) => std::slice::from_ref(word),
            Self::Many(words) => words,
        }
    }
}

/// Returns the default of `required`.
fn required() -> bool {
    true
}
