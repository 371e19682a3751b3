//! `Config`: the checked configuration of one notifier.
//!
//! `config_reading` turns the options of all layers into one. Neither reads files or the environment;
//! `layers` does.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use notify_core::codec::{Encoding, SizeLimits};
use notify_core::config::DriverOptions;
#[cfg(feature = "listen")]
use notify_core::config::Origin;
#[cfg(feature = "spool")]
use notify_core::pipeline::DestinationName;
use notify_core::pipeline::NotifierBuilder;
use notify_core::{Error, Result};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::common_settings::CommonSettings;
use super::destination_header::DestinationHeader;
use super::option_tree::{OptionTree, config_error};
#[cfg(feature = "listen")]
use super::reading_tables::ListenerTable;

/// The configuration of a notifier: its strategy, the options of the strategy, and the common keys.
///
/// Read one with [`Config::load`], from a TOML text with [`str::parse`], from several sources with
/// [`Layers`](super::Layers), or as a table of your program's own configuration: `Config` implements
/// `Deserialize`. Build one in code with [`ConfigTable`](super::ConfigTable). The default is the strategy `noop`.
///
/// Reading checks all common keys. An error names the key, the place that set it, and the expected
/// value. It does not repeat the value, which may be a secret, except for an unknown word where the key
/// expects one of a few words. The options of a strategy stay unchecked
/// until [`start`](crate::start) opens it, so a file may contain tables of strategies that this
/// program has not compiled in.
///
/// # Examples
///
/// ```
/// # fn main() -> glance_notify::Result<()> {
/// let config: glance_notify::Config = r#"
///     strategy = "log"
///     disabled_notifications = ["task"]
///     [log]
///     file = "/var/log/glance/notifications.log"
/// "#
/// .parse()?;
/// assert_eq!(config.strategy(), "log");
/// # Ok(())
/// # }
/// ```
///
/// As a table of a larger configuration:
///
/// ```
/// # fn main() -> Result<(), serde_json::Error> {
/// #[derive(serde::Deserialize)]
/// struct ServiceConfig {
///     port: u16,
///     notifications: glance_notify::Config,
/// }
///
/// let json = r#"{ "port": 9292, "notifications": { "strategy": "noop" } }"#;
/// let config: ServiceConfig = serde_json::from_str(json)?;
/// assert_eq!((config.port, config.notifications.strategy()), (9292, "noop"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Config {
    /// The canonical name.
    pub(super) strategy: &'static str,
    /// The checked common keys.
    pub(super) settings: CommonSettings,
    /// All keys as configured, among them the unchecked tables of strategies.
    pub(super) options: OptionTree,
    /// The table of this destination, if this is the configuration of one of several.
    pub(super) place: Option<DestinationHeader>,
    /// The destinations that share the directory of the spool, if the spool reports slots of others.
    #[cfg(feature = "spool")]
    pub(super) spool_names: Option<Vec<DestinationName>>,
    /// The configurations of several destinations, each with its table. Empty in the flat form.
    pub(super) several: Vec<Self>,
}

impl Config {
    /// Returns the name of the strategy, with aliases resolved: `log` for `logging`.
    ///
    /// With several destinations, it is that of the first one: see [`destinations`](Self::destinations).
    ///
    /// ```
    /// # fn main() -> glance_notify::Result<()> {
    /// let config: glance_notify::Config = "strategy = \"logging\"".parse()?;
    /// assert_eq!(config.strategy(), "log");
    /// # Ok(())
    /// # }
    /// ```
    pub fn strategy(&self) -> &'static str {
        self.strategy
    }

    /// Returns the configured publisher id, if any. The default is the host name.
    pub fn publisher_id(&self) -> Option<&str> {
        self.settings.publisher_id.as_deref()
    }

    /// Returns the encoding of notifications: the keys `payloads` and `redact`, outside of the tables
    /// `[[destination]]`.
    ///
    /// Pass it to [`Notification::encode`](crate::Notification::encode) to get the bytes that the
    /// notifier would send.
    ///
    /// ```
    /// # fn main() -> glance_notify::Result<()> {
    /// use glance_notify::codec::PayloadStyle;
    ///
    /// let config: glance_notify::Config = "payloads = \"glance\"".parse()?;
    /// assert_eq!(config.encoding().payloads, PayloadStyle::Glance);
    /// # Ok(())
    /// # }
    /// ```
    pub fn encoding(&self) -> Encoding {
        let CommonSettings { payloads, redact, .. } = self.settings;
        Encoding { payloads, redact, limits: SizeLimits::default() }
    }

    /// Returns how long the worker may take to deliver pending messages after the notifier closes.
    ///
    /// This is the key `queue.drain_timeout`, 10 seconds by default, and the longest of several
    /// destinations. A program that calls
    /// [`Notifier::shutdown`](crate::Notifier::shutdown) passes it there.
    ///
    /// ```
    /// # fn main() -> glance_notify::Result<()> {
    /// use std::time::Duration;
    ///
    /// let config: glance_notify::Config = "queue.drain_timeout = 2.5".parse()?;
    /// assert_eq!(config.drain_timeout(), Duration::from_millis(2500));
    /// # Ok(())
    /// # }
    /// ```
    pub fn drain_timeout(&self) -> Duration {
        let longest = self.several.iter().map(Self::drain_timeout).max();
        longest.unwrap_or_else(|| self.settings.queue.drain_timeout())
    }

    /// Returns warnings about settings that are valid but probably not intended.
    ///
    /// [`start`](crate::start) logs them. They contain no secrets.
    ///
    /// ```
    /// # fn main() -> glance_notify::Result<()> {
    /// let conf = "[DEFAULT]\nnotification_driver = messaging\nrabbit_max_retries = 5\n";
    /// let config = glance_notify::config::glance_conf::from_str(conf)?;
    /// assert!(config.warnings()[0].starts_with("`rabbit_max_retries` (glance-api.conf, line 3)"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn warnings(&self) -> &[String] {
        &self.options.warnings
    }

    /// Returns the table of one strategy, unchecked, for its [`Driver`](super::Driver).
    ///
    /// The table is empty if the configuration has none. The options know the place that set each key,
    /// and the publisher id. [`start`](crate::start) passes them to the driver; call this yourself to
    /// read a strategy's options as its own type.
    ///
    /// ```
    /// # #[cfg(feature = "rabbit")]
    /// # fn main() -> glance_notify::Result<()> {
    /// use glance_notify::transport::rabbit;
    ///
    /// let config: glance_notify::Config = "[rabbit]\ntopic = \"audit\"".parse()?;
    /// let rabbit = rabbit::Config::from_options(config.options("rabbit"))?;
    /// assert_eq!(rabbit.topic, "audit");
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "rabbit"))]
    /// # fn main() {}
    /// ```
    pub fn options(&self, strategy: &'static str) -> DriverOptions {
        let table = self.options.values.get(strategy).and_then(Value::as_object).cloned();
        let origins = self.options.origins.iter().filter_map(|(key, origin)| {
            let key = key.strip_prefix(strategy)?.strip_prefix('.')?;
            Some((key.to_owned(), origin.clone()))
        });
        let prefix: Cow<'static, str> = match &self.place {
            None => strategy.into(),
            Some(place) => format!("{}.{strategy}", place.key).into(),
        };
        let options =
            DriverOptions::new(prefix, table.unwrap_or_default()).with_origins(origins.collect());
        match self.publisher_id() {
            Some(publisher_id) => options.with_publisher_id(publisher_id),
            None => options,
        }
    }

    /// Returns the configuration of the spool, or `None` without a table `[spool]`.
    ///
    /// The forwarder takes its batch size and attempt timeout from `[queue]`. The configuration of one of
    /// several [destinations](Self::destinations) has a directory of its own, below `spool.dir`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if a key of the table is unknown, missing or
    /// invalid.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> glance_notify::Result<()> {
    /// let config: glance_notify::Config = "spool.dir = \"/var/spool/glance-notify\"".parse()?;
    /// let spool = config.spool()?.unwrap();
    /// assert_eq!(spool.dir, std::path::Path::new("/var/spool/glance-notify"));
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "spool")]
    pub fn spool(&self) -> Result<Option<notify_spool::Config>> {
        if !self.has_spool_table() {
            return Ok(None);
        }
        let mut spool = notify_spool::Config::from_options(self.options("spool"))?;
        let queue = &self.settings.queue;
        let bounds = queue.queue_config();
        spool.batch_messages = bounds.batch_messages;
        spool.batch_bytes = bounds.batch_bytes;
        spool.attempt_timeout = queue.attempt_timeout();
        if let Some(place) = &self.place {
            spool = spool.for_destination(&place.name);
        }
        Ok(Some(match &self.spool_names {
            Some(names) => spool.reporting_unknown_slots(names.clone()),
            None => spool,
        }))
    }

    /// Checks that a layer sets `log.file`, if files of Glance's format choose the strategy `log`: they have no
    /// such key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) with the option to set in those files.
    pub(crate) fn check_log_file(&self) -> Result<()> {
        let Some(message) = &self.options.without_log_file else { return Ok(()) };
        let is = |key, text: &str| self.options.get(key).is_none_or(|value| value == text);
        if self.strategy == "log" && is("log.target", "file") && is("log.file", "") {
            return Err(config_error(message.as_str()));
        }
        Ok(())
    }

    /// Returns `true` if the configuration has a table `[spool]`.
    pub(crate) fn has_spool_table(&self) -> bool {
        self.options.values.contains_key("spool")
    }

    /// Returns `archive.dir`: the directory of the archive that `glance-notify archive` fills.
    pub fn archive_dir(&self) -> Option<&std::path::Path> {
        self.settings.archive.dir.as_deref()
    }

    /// Returns the table `[listener]`.
    #[cfg(feature = "listen")]
    pub(crate) fn listener(&self) -> &ListenerTable {
        &self.settings.listener
    }

    /// Returns the file of the key `listener.dead_letters`, if it is set.
    pub fn dead_letters(&self) -> Option<&std::path::Path> {
        self.settings.listener.dead_letters.as_deref()
    }

    /// Returns the configuration with `path` as the key `listener.dead_letters`.
    #[cfg(feature = "listen")]
    #[must_use]
    pub fn with_dead_letters(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.settings.listener.dead_letters = Some(path.into());
        self
    }

    /// Returns the tables `[[source]]`, unchecked, and the place that set them.
    #[cfg(feature = "listen")]
    pub(crate) fn source_tables(&self) -> (&[Map<String, Value>], Option<&Origin>) {
        (&self.settings.source, self.options.origins.get("source"))
    }

    /// Sets the common keys on a notifier's builder: all but the options of strategies.
    pub(crate) fn apply_to(&self, builder: NotifierBuilder) -> NotifierBuilder {
        let CommonSettings { disabled_notifications, queue, .. } = &self.settings;
        let builder = builder
            .encoding(self.encoding())
            .disabled(disabled_notifications)
            .queue(queue.queue_config())
            .attempt_timeout(queue.attempt_timeout())
            .send_timeout(queue.send_timeout())
            .drain_timeout(queue.drain_timeout());
        let builder = match &self.place {
            None => builder,
            Some(DestinationHeader { name, required, events, priorities, .. }) => {
                let builder = builder
                    .named(name.as_str())
                    .events(events.iter().cloned())
                    .priorities(priorities.iter().copied());
                if *required { builder } else { builder.optional() }
            }
        };
        match self.publisher_id() {
            Some(publisher_id) => builder.publisher_id(publisher_id),
            None => builder,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            strategy: "noop",
            settings: CommonSettings::default(),
            options: OptionTree::default(),
            place: None,
            #[cfg(feature = "spool")]
            spool_names: Some(Vec::new()),
            several: Vec::new(),
        }
    }
}

impl FromStr for Config {
    type Err = Error;

    /// Reads a TOML text. Ignores the environment.
    fn from_str(toml: &str) -> Result<Self> {
        let mut options = OptionTree::default();
        options.put_toml("TOML", toml)?;
        Self::from_options(options)
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Map::deserialize(deserializer)?;
        let mut options = OptionTree::default();
        options
            .put_table("the program's configuration", table)
            .and_then(|()| Self::from_options(options))
            .map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for Config {
    /// Shows the keys but no values, because any value may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("strategy", &self.strategy)
            .field("keys", &self.options.origins.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The library sends nothing unless an operator configures a strategy.
    #[test]
    fn the_default_is_noop() {
        assert_eq!(Config::default().strategy(), "noop");
        assert_eq!("".parse::<Config>().unwrap().strategy(), "noop");
        assert_eq!("strategy = 'default'".parse::<Config>().unwrap().strategy(), "noop");
    }

    /// A program embeds the configuration as a table of its own.
    #[test]
    fn deserializes_from_a_table_of_a_larger_configuration() {
        /// The configuration of a program that embeds a notifier.
        #[derive(Debug, Deserialize)]
        struct ServiceConfig {
            notifications: Config,
        }
        let service: ServiceConfig =
            ::toml::from_str("[notifications]\nstrategy = 'log'\nlog_file = 'a'").unwrap();
        assert_eq!(service.notifications.strategy(), "log");
        let error =
            ::toml::from_str::<ServiceConfig>("[notifications]\nlog_fiel = 'hunter2'").unwrap_err();
        assert!(
            error.message().starts_with("`log_fiel` (the program's configuration): unknown"),
            "{error}"
        );
    }

    /// `Debug` ends up in logs, so it shows keys only.
    #[test]
    fn debug_shows_keys_and_no_values() {
        let config: Config =
            "publisher_id = 'hunter2'\n[rabbit]\npassword = 'hunter2'".parse().unwrap();
        let debug = format!("{config:?}");
        assert!(debug.contains("rabbit.password") && !debug.contains("hunter2"), "{debug}");
    }
}
