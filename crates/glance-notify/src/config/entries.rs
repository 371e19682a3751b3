//! The effective configuration, key by key, safe to show.

use notify_core::redact::Redact;
use serde_json::{Map, Value};

use super::{Config, Settings};
use crate::strategy;

/// One key of a [`Config`], and where its value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The dotted path: `queue.max_age`.
    pub key: String,
    /// The value as JSON, which is TOML too for all but tables. `"***"` where it is a secret; URLs
    /// without their credentials.
    pub value: String,
    /// Where it was set: a file's path, an environment variable, `--set`; `default` where nowhere.
    pub origin: String,
}

impl Config {
    /// Every key that has a value, in alphabetical order: what was set, and the defaults. Tables of
    /// other strategies than the configured one are left out. Secrets are masked.
    pub fn entries(&self) -> Vec<Entry> {
        let mut values = Vec::new();
        let strategy = strategy::DRIVERS.iter().find(|driver| driver.name == self.strategy);
        let own = strategy.and_then(|driver| serde_json::from_str(driver.defaults).ok());
        let common = serde_json::to_value(Settings::default()).ok();
        for (defaults, prefix) in
            [(common, ""), (own, self.strategy), (self.spool_defaults(), "spool")]
        {
            let Some(Value::Object(defaults)) = defaults else { continue };
            leaves(&defaults, prefix, &mut |key, value| {
                if !self.origins.contains_key(&key) {
                    values.push((key, value.clone(), "default"));
                }
            });
        }
        leaves(&self.table, "", &mut |key, value| {
            let table = key.split('.').next().unwrap_or_default();
            let idle = strategy::canonical(table).is_some_and(|known| known != self.strategy);
            if !idle && let Some(origin) = self.origins.get(&key) {
                values.push((key, value.clone(), &origin.place));
            }
        });
        values.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        let entry = |(key, value, origin): (String, Value, &str)| Entry {
            value: shown(&key, &value).to_string(),
            key,
            origin: origin.to_owned(),
        };
        values.into_iter().map(entry).collect()
    }
}

impl Config {
    /// What holds for a spool where nothing else is configured, if there is to be one.
    fn spool_defaults(&self) -> Option<Value> {
        #[cfg(feature = "spool")]
        let defaults = Some(notify_spool::DEFAULTS);
        #[cfg(not(feature = "spool"))]
        let defaults: Option<&str> = None;
        defaults.filter(|_| self.wants_spool()).and_then(|text| serde_json::from_str(text).ok())
    }
}

/// Calls `each` with every value that is no table, and its dotted path.
pub(super) fn leaves<'a>(
    table: &'a Map<String, Value>,
    path: &str,
    each: &mut dyn FnMut(String, &'a Value),
) {
    for (key, value) in table {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Object(table) => leaves(table, &path, each),
            value => each(path, value),
        }
    }
}

/// Whether the value at `key` is kept back, wholly or in part.
pub(super) fn is_secret(key: &str, value: &Value) -> bool {
    shown(key, value) != *value
}

fn shown(key: &str, value: &Value) -> Value {
    let name = key.rsplit('.').next().unwrap_or(key);
    // A file's path is no secret, whatever the file is.
    if !name.ends_with("_file") && key.split('.').any(|segment| Redact::Secrets.hides(segment)) {
        return MASK.into();
    }
    match value {
        Value::String(text) => {
            let masked = Redact::Secrets.text(text);
            // What is no URL where one belongs may have its credentials anywhere.
            let torn = name.ends_with("url") && !is_clean(&masked);
            if torn { MASK.into() } else { masked.into() }
        }
        Value::Array(items) => items.iter().map(|item| shown(key, item)).collect(),
        value => value.clone(),
    }
}

/// Whether nothing of a URL but the mask stands where its credentials would.
fn is_clean(url: &str) -> bool {
    let Some((before, _)) = url.rsplit_once('@') else { return true };
    let scheme = before.strip_suffix(MASK).and_then(|scheme| scheme.strip_suffix("://"));
    scheme.is_some_and(|scheme| !scheme.contains(|c: char| !c.is_ascii_alphanumeric()))
}

const MASK: &str = "***";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_the_rest_is_shown() {
        for (toml, expected) in [
            ("rabbit.password = 'hunter2'", r#""***""#),
            ("rabbit.password = 4242", r#""***""#),
            ("rabbit.password_file = '/etc/x'", r#""/etc/x""#),
            ("rabbit.url = 'amqp://u:hunter2@h/v'", r#""amqp://***@h/v""#),
            ("rabbit.url = 'amqp://u:hunter2@h,u:hunter2@g/v'", r#""amqp://***@g/v""#),
            ("rabbit.url = 'amqp:/u:hunter2@h/v'", r#""***""#),
            ("rabbit.url = 'amqp://u:hunter2 x@h/v'", r#""amqp://***@h/v""#),
            ("rabbit.url = 'amqp://u:1 hunter2@h/v'", r#""***""#),
            ("rabbit.url = 'amqp://u:?key=x hunter2@h/v'", r#""***""#),
            ("rabbit.url = 'amqp://h/v?password=hunter2'", r#""amqp://h/v?password=***""#),
            ("rabbit.hosts = ['amqp://u:hunter2@h', 'h']", r#"["amqp://***@h","h"]"#),
            ("rabbit.token.deep = ['hunter2']", r#""***""#),
            ("rabbit.port = 5672", "5672"),
        ] {
            let config: Config = format!("strategy = 'rabbit'\n{toml}").parse().unwrap();
            let entries = config.entries();
            let set = |entry: &&Entry| entry.key.starts_with("rabbit") && entry.origin != "default";
            let entry = entries.iter().find(set).unwrap();
            assert_eq!(entry.value, expected, "{toml}");
        }
    }

    #[test]
    fn defaults_are_entries_too() {
        let config: Config = "queue.max_age = 60\nqueue.send_timeout = 0.5".parse().unwrap();
        let shown: Vec<_> = config
            .entries()
            .iter()
            .map(|e| format!("{} {} {}", e.key, e.value, e.origin))
            .collect();
        assert_eq!(
            shown,
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
