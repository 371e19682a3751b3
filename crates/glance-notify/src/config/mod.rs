//! What an operator configures: one TOML file, the environment over it, settings of a command over
//! that. Every key knows where it came from.
//!
//! `docs/configuration.md` describes each key.

mod compat;
mod entries;
pub mod glance_conf;
mod layers;
mod settings;
mod toml;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use notify_core::codec::{Encoding, SizeLimits};

use notify_core::pipeline::NotifierBuilder;
use notify_core::redact::printable;
use notify_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

pub use entries::Entry;
pub use layers::Layers;
pub use notify_core::config::{Driver, DriverOptions, Origin, Origins, Seconds};
pub use notify_core::redact::Redact;
use settings::Settings;
pub(crate) use toml::parse_value;

use crate::strategy;

/// A configuration: which strategy delivers, with which options, and how notifications are written.
///
/// The options of a strategy are kept as they were written until it is [opened](crate::open), so a
/// file may hold tables of strategies that this program has not compiled in. Everything else is
/// checked here: an unknown key, a value of the wrong kind and an unknown strategy are errors that
/// name the key, where it was set, and what was expected, and never repeat the value.
///
/// The default is the strategy `noop`. `Deserialize` takes it as a table of a larger configuration.
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
#[derive(Clone)]
pub struct Config {
    strategy: &'static str,
    settings: Settings,
    table: Map<String, Value>,
    origins: Origins,
    warnings: Vec<String>,
}

impl Config {
    /// Reads the file at `path` and lays the environment over it: what a service does at its start.
    ///
    /// [`Layers`] has the choice of what lies over what.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], as those of [`Layers::file`], [`Layers::environment`] and
    /// [`Layers::build`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Layers::new().file(path)?.environment()?.build()
    }

    /// The name of the strategy; of `logging`, its name `log`.
    pub fn strategy(&self) -> &'static str {
        self.strategy
    }

    /// Who notifications are from, where that is configured; otherwise it is the host name.
    pub fn publisher_id(&self) -> Option<&str> {
        self.settings.publisher_id.as_deref()
    }

    /// How notifications are written: `payloads` and `redact`.
    pub fn encoding(&self) -> Encoding {
        let Settings { payloads, redact, .. } = self.settings;
        Encoding { payloads, redact, limits: SizeLimits::default() }
    }

    /// How long what is pending may take to be delivered once a notifier is closed:
    /// `queue.drain_timeout`.
    pub fn drain_timeout(&self) -> Duration {
        self.settings.queue.drain_timeout.into()
    }

    /// What works, but probably not as it was meant. No secret is in it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The table of one strategy as it was written, for its driver.
    pub fn options(&self, strategy: &'static str) -> DriverOptions {
        let table = self.table.get(strategy).and_then(Value::as_object).cloned();
        let origins = self.origins.iter().filter_map(|(key, origin)| {
            let key = key.strip_prefix(strategy)?.strip_prefix('.')?;
            Some((key.to_owned(), origin.clone()))
        });
        let options =
            DriverOptions::new(strategy, table.unwrap_or_default()).with_origins(origins.collect());
        match self.publisher_id() {
            Some(publisher_id) => options.with_publisher_id(publisher_id),
            None => options,
        }
    }

    /// The spool before the strategy, where the table `[spool]` asks for one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], when one of its keys is unknown, missing or of the wrong kind.
    #[cfg(feature = "spool")]
    pub fn spool(&self) -> Result<Option<notify_spool::Config>> {
        if !self.wants_spool() {
            return Ok(None);
        }
        let mut spool = notify_spool::Config::from_options(self.options("spool"))?;
        let queue = &self.settings.queue;
        spool.batch_messages = queue.batch_messages;
        spool.batch_bytes = queue.batch_bytes;
        spool.attempt_timeout = queue.attempt_timeout.into();
        Ok(Some(spool))
    }

    /// Whether there is a table `[spool]`.
    pub(crate) fn wants_spool(&self) -> bool {
        self.table.contains_key("spool")
    }

    /// Everything that is not the strategy's, given to a notifier's builder.
    pub(crate) fn apply(&self, builder: NotifierBuilder) -> NotifierBuilder {
        let Settings { disabled_notifications, queue, .. } = &self.settings;
        let builder = builder
            .encoding(self.encoding())
            .disabled(disabled_notifications)
            .queue(queue.bounds())
            .attempt_timeout(queue.attempt_timeout.into())
            .send_timeout(queue.send_timeout.into())
            .drain_timeout(queue.drain_timeout.into());
        match self.publisher_id() {
            Some(publisher_id) => builder.publisher_id(publisher_id),
            None => builder,
        }
    }

    fn new(table: Map<String, Value>, origins: Origins, warnings: Vec<String>) -> Result<Self> {
        let settings: Settings =
            DriverOptions::new("", table.clone()).with_origins(origins.clone()).parse()?;
        let Some(strategy) = strategy::canonical(&settings.strategy) else {
            let place = origins.get("strategy").map(|origin| format!(" ({})", origin.place));
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "`strategy`{}: unknown \"{}\": expected {}",
                    place.unwrap_or_default(),
                    printable(&Redact::Secrets.text(&settings.strategy), 64),
                    strategy::names()
                ),
            ));
        };
        Ok(Self { strategy, settings, table, origins, warnings })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            strategy: "noop",
            settings: Settings::default(),
            table: Map::new(),
            origins: Origins::new(),
            warnings: Vec::new(),
        }
    }
}

impl FromStr for Config {
    type Err = Error;

    /// Reads TOML, and nothing else: no environment.
    fn from_str(toml: &str) -> Result<Self> {
        Layers::new().toml("TOML", toml)?.build()
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Map::deserialize(deserializer)?;
        Layers::new()
            .table("the program's configuration", table)
            .and_then(Layers::build)
            .map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for Config {
    /// Names the keys, shows no value: any of them may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("strategy", &self.strategy)
            .field("keys", &self.origins.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(toml: &str) -> String {
        let error = toml.parse::<Config>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    }

    #[test]
    fn the_default_is_noop() {
        assert_eq!(Config::default().strategy(), "noop");
        assert_eq!("".parse::<Config>().unwrap().strategy(), "noop");
        assert_eq!("strategy = 'default'".parse::<Config>().unwrap().strategy(), "noop");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_key_and_what_was_expected() {
        for (toml, expected) in [
            (
                "strategy = 'kafka'",
                "`strategy` (TOML): unknown \"kafka\": expected noop, log, rabbit or qpid",
            ),
            ("strategy = 3", "`strategy` (TOML): expected a string, found a whole number"),
            (
                "strateyg = 'log'",
                "`strateyg` (TOML): unknown field: expected \"strategy\", \"publisher_id\", \"disabled_notifications\", \"payloads\", \"redact\", \"compat\", \"log_file\", \"queue\", \"spool\", \"log\", \"rabbit\" or \"qpid\"",
            ),
            ("log = 'x'", "`log` (TOML): expected a table, found a string"),
            (
                "payloads = 'oslo'",
                "`payloads` (TOML): unknown \"oslo\": expected \"documented\" or \"glance\"",
            ),
            ("compat = true", "`compat` (TOML): expected a string, found true or false"),
            (
                "disabled_notifications = 'image'",
                "`disabled_notifications` (TOML): expected a list, found a string",
            ),
            (
                "[queue]\nmax_messages = -1",
                "`queue.max_messages` (TOML): expected a whole number from 0 to 18446744073709551615, found a negative number",
            ),
            (
                "[queue]\nmax_age = '1h'",
                "`queue.max_age` (TOML): expected a number of seconds above 0, found a string",
            ),
            (
                "[queue]\noverflow = 'block'",
                "`queue.overflow` (TOML): unknown \"block\": expected \"drop_newest\" or \"drop_oldest\"",
            ),
            (
                "log_file = 'a'\nlog.file = 'b'",
                "`log_file` and `log.file` (TOML) are the same: keep one",
            ),
        ] {
            assert_eq!(refusal(toml), expected);
        }
    }

    #[test]
    fn toml_that_is_none_is_refused_by_its_place_and_not_quoted() {
        let text = refusal("strategy = 'rabbit'\n[rabbit]\nurl = hunter2\n");
        assert!(text.starts_with("TOML, line 3, column 7: "), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_table_of_a_larger_configuration_is_one() {
        #[derive(Debug, Deserialize)]
        struct Larger {
            notifications: Config,
        }
        let larger = "[notifications]\nstrategy = 'log'\nlog_file = 'a'";
        let larger: Larger = ::toml::from_str(larger).unwrap();
        assert_eq!(larger.notifications.strategy(), "log");
        let error =
            ::toml::from_str::<Larger>("[notifications]\nlog_fiel = 'hunter2'").unwrap_err();
        assert!(
            error.message().starts_with("`log_fiel` (the program's configuration): unknown"),
            "{error}"
        );
    }

    #[test]
    fn debug_shows_no_value() {
        let config: Config =
            "publisher_id = 'hunter2'\n[rabbit]\npassword = 'hunter2'".parse().unwrap();
        let shown = format!("{config:?}");
        assert!(shown.contains("rabbit.password") && !shown.contains("hunter2"), "{shown}");
    }
}
