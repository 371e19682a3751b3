//! The effective configuration, key by key, in a form that is safe to show.

use notify_core::config::table_values;
use serde_json::Value;

use super::common_settings::CommonSettings;
use super::configuration::Config;
use super::masking::masked;
use super::option_tree::for_each_value;
use super::reading_tables::ListenerTable;
use crate::strategies;

/// One key of a [`Config`] with its value and the place that set it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigEntry {
    /// The dotted key, such as `queue.max_age`.
    pub key: String,
    /// The value as JSON, with secrets masked: `"***"` for a password, URLs without credentials.
    ///
    /// All values but tables are valid TOML too.
    pub value: String,
    /// The place that set the value: a file's path, an environment variable, `--set`, or `default`.
    pub origin: String,
}

impl Config {
    /// Returns every key that has a value, whether configured or by default, in alphabetical order.
    ///
    /// With several destinations, each has keys of its own: `destination[0].queue.max_messages`.
    ///
    /// The tables of other strategies are omitted. Secrets are masked.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> glance_notify::Result<()> {
    /// let config: glance_notify::Config = "queue.max_messages = 500".parse()?;
    /// let entries = config.entries();
    /// let entry = entries.iter().find(|entry| entry.key == "queue.max_messages").unwrap();
    /// assert_eq!((entry.value.as_str(), entry.origin.as_str()), ("500", "TOML"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn entries(&self) -> Vec<ConfigEntry> {
        if self.several.is_empty() {
            return self.entries_of_one();
        }
        let is_shared = |entry: &ConfigEntry| {
            SHARED.contains(&entry.key.split(['.', '[']).next().unwrap_or_default())
        };
        let mut entries: Vec<_> = self.entries_of_one().into_iter().filter(is_shared).collect();
        for one in &self.several {
            let Some(place) = &one.place else { continue };
            let own = place.own_values().map(|(key, value)| ConfigEntry {
                key: key.to_owned(),
                value: value.to_string(),
                origin: self
                    .options
                    .origin("destination")
                    .map_or_else(String::new, |origin| origin.place.clone()),
            });
            let others = one.entries_of_one().into_iter().filter(|entry| !is_shared(entry));
            entries.extend(
                own.into_iter().chain(others).map(|entry| ConfigEntry {
                    key: format!("{}.{}", place.key, entry.key),
                    ..entry
                }),
            );
        }
        entries.sort_by(|left, right| left.key.cmp(&right.key));
        entries
    }

    /// Returns the keys of the flat form, or those that all destinations share.
    fn entries_of_one(&self) -> Vec<ConfigEntry> {
        let mut values = Vec::new();
        let driver = strategies::DRIVERS.iter().find(|driver| driver.name == self.strategy);
        let of_strategy = driver.and_then(|driver| serde_json::from_str(driver.defaults).ok());
        let common = table_values(&CommonSettings::default()).ok().map(Value::Object);
        for (defaults, prefix) in [
            (common, ""),
            (of_strategy, self.strategy),
            (self.spool_defaults(), "spool"),
            (self.listener_defaults(), "listener"),
        ] {
            let Some(Value::Object(defaults)) = defaults else { continue };
            for_each_value(&defaults, prefix, &mut |key, value| {
                if !self.options.origins.contains_key(&key) {
                    values.push((key, value.clone(), "default"));
                }
            });
        }
        for_each_value(&self.options.values, "", &mut |key, value| {
            let table = key.split('.').next().unwrap_or_default();
            let strategy = strategies::canonical_name(table);
            let of_another_strategy = strategy.is_some_and(|strategy| strategy != self.strategy);
            if !of_another_strategy && let Some(origin) = self.options.origin(&key) {
                values.push((key, value.clone(), &origin.place));
            }
        });
        values.sort_by(|(left, ..), (right, ..)| left.cmp(right));
        let entry = |(key, value, origin): (String, Value, &str)| ConfigEntry {
            value: masked(&key, &value).to_string(),
            key,
            origin: origin.to_owned(),
        };
        values.into_iter().map(entry).collect()
    }

    /// Returns the default options of the spool if the configuration has a table `[spool]`.
    fn spool_defaults(&self) -> Option<Value> {
        #[cfg(feature = "spool")]
        let defaults = Some(notify_spool::DEFAULTS);
        #[cfg(not(feature = "spool"))]
        let defaults: Option<&str> = None;
        defaults.filter(|_| self.has_spool_table()).and_then(|text| serde_json::from_str(text).ok())
    }

    /// Returns the defaults of `[listener]` if the configuration has sources.
    fn listener_defaults(&self) -> Option<Value> {
        self.options.get("source")?;
        table_values(&ListenerTable::defaults()).ok().map(Value::Object)
    }
}

/// The keys and tables that do not belong to a destination.
const SHARED: [&str; 4] = ["publisher_id", "source", "listener", "archive"];

#[cfg(test)]
mod tests {
    use super::*;

    /// An operator sees every key that takes effect, not only the configured ones.
    #[test]
    fn entries_include_the_defaults() {
        let config: Config = "queue.max_age = 60\nqueue.send_timeout = 0.5".parse().unwrap();
        let lines: Vec<_> = config
            .entries()
            .iter()
            .map(|entry| format!("{} {} {}", entry.key, entry.value, entry.origin))
            .collect();
        assert_eq!(
            lines,
            [
                "disabled_notifications [] default",
                "payloads \"documented\" default",
                "queue.attempt_timeout 60 default",
                "queue.batch_bytes 8388608 default",
                "queue.batch_messages 1024 default",
                "queue.drain_timeout 10 default",
                "queue.max_age 60 TOML",
                "queue.max_bytes 67108864 default",
                "queue.max_messages 10000 default",
                "queue.overflow \"drop_newest\" default",
                "queue.send_timeout 0.5 TOML",
                "redact \"secrets\" default",
                "strategy \"noop\" default",
            ]
        );
    }
}
