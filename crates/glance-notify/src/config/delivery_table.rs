//! `DeliveryTable`: the keys about the delivery to one destination, for a configuration in code.
//!
//! It checks nothing: the values take the same way as those of a file.

use notify_core::Result;
use notify_core::codec::PayloadStyle;
use notify_core::config::table_values;
use notify_core::redact::Redact;
#[cfg(feature = "log")]
use notify_log::LogTable;
#[cfg(feature = "qpid")]
use notify_qpid::QpidTable;
#[cfg(feature = "rabbit")]
use notify_rabbit::RabbitTable;
#[cfg(feature = "spool")]
use notify_spool::SpoolTable;
use serde::Serialize;
use serde_json::{Map, Value};

use super::compat::CompatPreset;
use super::queue_table::QueueTable;

/// The keys about the delivery to one destination: the strategy, its table, the style, the queue and the
/// spool. `None` leaves the default.
///
/// The table of a strategy, such as [`LogTable`](crate::transport::log::LogTable), becomes one with that
/// strategy by `into()`. `Serialize` omits the tables of brokers, which hold secrets.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "log")] {
/// use glance_notify::config::DeliveryTable;
/// use glance_notify::transport::log::LogTable;
///
/// let mut log = LogTable::default();
/// log.file = Some("/var/log/glance/notifications.log".into());
/// let mut delivery = DeliveryTable::from(log);
/// assert_eq!(delivery.strategy.as_deref(), Some("log"));
/// delivery.queue.max_messages = Some(500);
/// # }
/// ```
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct DeliveryTable {
    /// The name of the strategy.
    pub strategy: Option<String>,
    /// The event types and groups that the notifier suppresses.
    pub disabled_notifications: Option<Vec<String>>,
    /// The shape of typed payloads.
    pub payloads: Option<PayloadStyle>,
    /// The redaction.
    pub redact: Option<Redact>,
    /// The preset of options.
    pub compat: Option<CompatPreset>,
    /// The table `[queue]`.
    #[serde(skip_serializing_if = "is_default")]
    pub queue: QueueTable,
    /// The table `[spool]`. `None` is delivery without a spool.
    #[cfg(feature = "spool")]
    pub spool: Option<SpoolTable>,
    /// The table `[log]`.
    #[cfg(feature = "log")]
    pub log: Option<LogTable>,
    /// The table `[rabbit]`.
    #[cfg(feature = "rabbit")]
    #[serde(skip)]
    pub rabbit: Option<RabbitTable>,
    /// The table `[qpid]`.
    #[cfg(feature = "qpid")]
    #[serde(skip)]
    pub qpid: Option<QpidTable>,
}

impl DeliveryTable {
    /// Returns the values of all keys that are set, with the secrets.
    pub(super) fn into_values(self) -> Result<Map<String, Value>> {
        #[cfg_attr(
            not(any(feature = "rabbit", feature = "qpid")),
            expect(unused_mut, reason = "only the tables of brokers are added")
        )]
        let mut values = table_values(&self)?;
        #[cfg(feature = "rabbit")]
        if let Some(table) = self.rabbit {
            values.insert("rabbit".to_owned(), table.into_values()?.into());
        }
        #[cfg(feature = "qpid")]
        if let Some(table) = self.qpid {
            values.insert("qpid".to_owned(), table.into_values()?.into());
        }
        Ok(values)
    }
}

/// Selects the strategy `log` with its table.
#[cfg(feature = "log")]
impl From<LogTable> for DeliveryTable {
    fn from(table: LogTable) -> Self {
        Self { strategy: Some("log".to_owned()), log: Some(table), ..Self::default() }
    }
}

/// Selects the strategy `rabbit` with its table.
#[cfg(feature = "rabbit")]
impl From<RabbitTable> for DeliveryTable {
    fn from(table: RabbitTable) -> Self {
        Self { strategy: Some("rabbit".to_owned()), rabbit: Some(table), ..Self::default() }
    }
}

/// Selects the strategy `qpid` with its table.
#[cfg(feature = "qpid")]
impl From<QpidTable> for DeliveryTable {
    fn from(table: QpidTable) -> Self {
        Self { strategy: Some("qpid".to_owned()), qpid: Some(table), ..Self::default() }
    }
}

/// Returns whether a table sets nothing, so that it is left out.
pub(super) fn is_default<T: Default + PartialEq>(table: &T) -> bool {
    *table == T::default()
}
