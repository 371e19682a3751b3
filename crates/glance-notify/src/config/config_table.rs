//! `ConfigTable`: a whole configuration that a program builds, without text.
//!
//! Its types are those that read a file, so there is one description of the options. It becomes the same
//! values as a file and takes the same way: the checks, the errors and the defaults are those of
//! `config_reading`.

use notify_core::Result;
use notify_core::config::table_values;
use notify_core::event::{EventGlob, Priority};
use serde::Serialize;
use serde_json::{Map, Value};

use super::configuration::Config;
use super::delivery_table::{DeliveryTable, is_default};
use super::layers::Layers;
use super::reading_tables::{ArchiveTable, ListenerTable};

/// A configuration that your program builds: one field for each key and table that a file can have.
///
/// [`build`](Self::build) checks it in the way of a file. To let an operator override it, put it below other
/// layers: `Layers::new().table("defaults", table.into_values()?)`. Sources of notifications are not part
/// of it: build each as a `listen::SourceConfig`.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "log")]
/// # fn main() -> glance_notify::Result<()> {
/// use std::time::Duration;
///
/// use glance_notify::config::{ConfigTable, DestinationTable};
/// use glance_notify::event::Priority;
/// use glance_notify::transport::log::{LogTable, LogTarget};
///
/// let mut file = LogTable::default();
/// file.file = Some("/var/log/glance/notifications.log".into());
/// let mut output = LogTable::default();
/// output.target = Some(LogTarget::Stdout);
///
/// let mut failures = DestinationTable::new("failures", output);
/// failures.required = Some(false);
/// failures.priorities = vec![Priority::Error];
///
/// let mut table = ConfigTable::default();
/// table.publisher_id = Some("image.host1".into());
/// table.delivery.queue.max_age = Some(Duration::from_secs(3600).into());
/// table.destinations = vec![DestinationTable::new("audit", file), failures];
/// let config = table.build()?;
/// assert_eq!(config.destinations()[1].name(), "failures");
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "log"))]
/// # fn main() {}
/// ```
///
/// An error is that of a file, with the place `the program`:
///
/// ```
/// use glance_notify::config::ConfigTable;
///
/// let mut table = ConfigTable::default();
/// table.delivery.strategy = Some("kafka".into());
/// assert_eq!(
///     table.build().unwrap_err().to_string(),
///     "`strategy` (the program): unknown value, expected \"noop\", \"log\", \"rabbit\" or \"qpid\""
/// );
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConfigTable {
    /// The name of the sender. `None` means the host name.
    pub publisher_id: Option<String>,
    /// The only destination, or the defaults of all `destinations`.
    pub delivery: DeliveryTable,
    /// The tables `[[destination]]`. With any of them, `delivery` names no strategy.
    pub destinations: Vec<DestinationTable>,
    /// The table `[listener]`.
    pub listener: ListenerTable,
    /// The table `[archive]`.
    pub archive: ArchiveTable,
}

/// One table `[[destination]]` of a [`ConfigTable`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DestinationTable {
    /// The name in logs, accounts and receipts, and the directory below `spool.dir`.
    pub name: String,
    /// Whether receipts wait for this destination; by default true.
    pub required: Option<bool>,
    /// Patterns of event types, of which one must match. Empty means all.
    pub events: Vec<EventGlob>,
    /// The priorities that this destination gets. Empty means all.
    pub priorities: Vec<Priority>,
    /// Whether this destination has no spool although the others have one: `spool = false`.
    pub without_spool: bool,
    /// The keys that a configuration with one destination has as well.
    pub delivery: DeliveryTable,
}

impl ConfigTable {
    /// Checks the configuration and builds it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for the mistakes that are mistakes in a file: an
    /// invalid value, an unknown strategy, contradicting options. As in a file, `start` checks the options
    /// of the strategy.
    pub fn build(self) -> Result<Config> {
        Layers::new().table("the program", self.into_values()?)?.build()
    }

    /// Returns the values of all keys that are set, in the form of [`Layers::table`]. They contain the
    /// passwords.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a path that is not UTF-8.
    pub fn into_values(self) -> Result<Map<String, Value>> {
        /// The keys that belong to no destination.
        #[derive(Serialize)]
        struct SharedTable {
            publisher_id: Option<String>,
            #[serde(skip_serializing_if = "is_default")]
            listener: ListenerTable,
            #[serde(skip_serializing_if = "is_default")]
            archive: ArchiveTable,
        }
        let Self { publisher_id, delivery, destinations, listener, archive } = self;
        let mut values = table_values(&SharedTable { publisher_id, listener, archive })?;
        values.extend(delivery.into_values()?);
        if !destinations.is_empty() {
            let tables = destinations.into_iter().map(|table| Ok(table.into_values()?.into()));
            values.insert("destination".to_owned(), tables.collect::<Result<Vec<Value>>>()?.into());
        }
        Ok(values)
    }
}

/// Creates a configuration with one destination.
impl<T: Into<DeliveryTable>> From<T> for ConfigTable {
    fn from(delivery: T) -> Self {
        Self { delivery: delivery.into(), ..Self::default() }
    }
}

impl DestinationTable {
    /// Creates a required destination that gets all events.
    pub fn new(name: impl Into<String>, delivery: impl Into<DeliveryTable>) -> Self {
        Self {
            name: name.into(),
            required: None,
            events: Vec::new(),
            priorities: Vec::new(),
            without_spool: false,
            delivery: delivery.into(),
        }
    }

    /// Returns the values of all keys that are set, with the secrets.
    fn into_values(self) -> Result<Map<String, Value>> {
        let mut values = self.delivery.into_values()?;
        values.insert("name".to_owned(), self.name.into());
        if let Some(required) = self.required {
            values.insert("required".to_owned(), required.into());
        }
        if !self.events.is_empty() {
            let events = self.events.iter().map(EventGlob::as_str);
            values.insert("events".to_owned(), events.collect());
        }
        if !self.priorities.is_empty() {
            let priorities = self.priorities.iter().map(|priority| priority.lower());
            values.insert("priorities".to_owned(), priorities.collect());
        }
        if self.without_spool {
            values.insert("spool".to_owned(), false.into());
        }
        Ok(values)
    }
}
