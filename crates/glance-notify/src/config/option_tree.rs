//! `OptionTree`: configured values by key, and where each value came from.
//!
//! All sources write into a tree: TOML, the environment, single settings, `glance-api.conf` and
//! presets. A tree knows no key and no type; [`Config`](super::Config) checks the values later.

use notify_core::config::{Origin, Origins};
use notify_core::redact::{Redact, printable};
use notify_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

use super::toml::{self, parse_value};
use crate::strategies;

/// A tree of configured values with their origins, and the warnings found while reading them.
#[derive(Clone, Default)]
pub(super) struct OptionTree {
    pub(super) values: Map<String, Value>,
    /// The origin of every value, by its dotted key. A table has one only if it is empty.
    pub(super) origins: Origins,
    pub(super) warnings: Vec<String>,
    /// The error if no layer sets `log.file`, in the words of the files of Glance's format.
    pub(super) without_log_file: Option<String>,
}

impl OptionTree {
    /// Writes a TOML text over the tree. Errors name the text `place` and do not quote it.
    pub(super) fn put_toml(&mut self, place: &str, text: &str) -> Result<()> {
        let table = toml::parse(text).map_err(|error| config_error(format!("{place}, {error}")))?;
        self.put_table(place, table)
    }

    /// Writes a table over the tree, key by key. Errors name the table `place`.
    ///
    /// `log_file` is another name of `log.file`, as in `glance-api.conf`.
    pub(super) fn put_table(&mut self, place: &str, mut table: Map<String, Value>) -> Result<()> {
        if let Some(log_file) = table.remove("log_file") {
            let log = table.entry("log").or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(log) = log
                && log.insert("file".to_owned(), log_file).is_some()
            {
                return Err(config_error(format!(
                    "`log_file` and `log.file` ({place}) set the same option: remove one"
                )));
            }
        }
        for (key, value) in table {
            self.put(&key, value, place);
        }
        Ok(())
    }

    /// Writes a value that an operator gave as text, such as `false` or `debian-12`.
    ///
    /// The tree keeps the text as well, for options of type string: a password may be `007`.
    pub(super) fn put_text(&mut self, key: &str, text: &str, place: &str) -> Result<()> {
        let key = if key == "log_file" { "log.file" } else { key };
        if key.split('.').any(str::is_empty) || key.split('.').count() > MAX_DEPTH {
            return Err(config_error(format!(
                "{place}: `{}` is not a key: expected one like `log.file`",
                printable(&Redact::Secrets.text(key), KEY_CHARS)
            )));
        }
        self.put_with_raw(key, parse_value(text), place, Some(text));
        Ok(())
    }

    /// Writes a value at a dotted key. A table merges into the existing one, key by key.
    pub(super) fn put(&mut self, key: &str, value: Value, place: &str) {
        self.put_with_raw(key, value, place, None);
    }

    /// Returns the value at a dotted key.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let mut segments = key.split('.');
        let mut value = self.values.get(segments.next()?)?;
        for segment in segments {
            value = value.get(segment)?;
        }
        Some(value)
    }

    /// Removes a key outside of all tables.
    pub(super) fn remove(&mut self, key: &str) {
        self.values.remove(key);
        self.origins.remove(key);
    }

    /// Returns the place that set the value at a key that [`for_each_value`] visits.
    ///
    /// A list of tables has one origin.
    pub(super) fn origin(&self, key: &str) -> Option<&Origin> {
        let list = || self.origins.get(key.split('[').next()?);
        self.origins.get(key).or_else(list)
    }

    /// Returns the options of one destination: its table over the options outside of all tables of
    /// destinations. `spool = false` removes the spool.
    ///
    /// A table of another strategy outside concerns other destinations.
    pub(super) fn for_destination(
        &self,
        mut table: Map<String, Value>,
        place: &str,
    ) -> Result<Self> {
        let strategy = table.get("strategy").and_then(Value::as_str);
        let strategy = strategy.and_then(strategies::canonical_name);
        let without_log_file = self.without_log_file.clone();
        let mut options = Self { without_log_file, ..Self::default() };
        for (key, origin) in &self.origins {
            if concerns_destination(key, strategy)
                && let Some(value) = self.get(key)
            {
                let Origin { place, raw } = origin;
                options.put_with_raw(key, value.clone(), place, raw.as_deref());
            }
        }
        if table.get("spool") == Some(&Value::Bool(false)) {
            table.remove("spool");
            options.values.remove("spool");
            options.origins.retain(|key, _| key.split('.').next() != Some("spool"));
        }
        options.put_table(place, table)?;
        Ok(options)
    }

    /// Writes all values of `other` over the tree, and appends its warnings.
    pub(super) fn put_tree(&mut self, other: Self) {
        for (key, origin) in &other.origins {
            if let Some(value) = other.get(key) {
                let Origin { place, raw } = origin;
                self.put_with_raw(key, value.clone(), place, raw.as_deref());
            }
        }
        self.warnings.extend(other.warnings);
    }

    /// Adds a warning that [`start`](crate::start) logs.
    pub(super) fn warn(&mut self, warning: String) {
        // A file may be read twice, as the default file and by its name.
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Implements [`put`](Self::put); `raw` is the value's text as the operator wrote it.
    fn put_with_raw(&mut self, key: &str, value: Value, place: &str, raw: Option<&str>) {
        if let Value::Object(table) = value {
            if table.is_empty() {
                self.value_mut(key);
                let origin = Origin { place: place.to_owned(), raw: None };
                self.origins.entry(key.to_owned()).or_insert(origin);
            }
            for (name, value) in table {
                self.put(&format!("{key}.{name}"), value, place);
            }
            return;
        }
        *self.value_mut(key) = value;
        let below = format!("{key}.");
        self.origins.retain(|known, _| !known.starts_with(&below));
        let origin = Origin { place: place.to_owned(), raw: raw.map(str::to_owned) };
        self.origins.insert(key.to_owned(), origin);
    }

    /// Returns the value at a dotted key, and creates it as an empty table if it is missing.
    ///
    /// A value on the way that is not a table becomes one and loses its origin.
    fn value_mut(&mut self, key: &str) -> &mut Value {
        let Self { values, origins, .. } = self;
        let mut path = String::new();
        let mut segments = key.split('.').peekable();
        let first = segments.next().unwrap_or_default();
        path.push_str(first);
        let mut value = values.entry(first).or_insert_with(|| Value::Object(Map::new()));
        for segment in segments {
            if !value.is_object() {
                *value = Value::Object(Map::new());
                origins.remove(&path);
            }
            path.push('.');
            path.push_str(segment);
            value = &mut value[segment];
            if value.is_null() {
                *value = Value::Object(Map::new());
            }
        }
        value
    }
}

/// Returns whether a key outside of all tables of destinations concerns one of this strategy.
pub(super) fn concerns_destination(key: &str, strategy: Option<&str>) -> bool {
    let group = key.split('.').next().unwrap_or_default();
    let concerns_others = strategies::is_name(group) && Some(group) != strategy;
    !concerns_others && !NOT_OF_DESTINATIONS.contains(&group)
}

/// Calls `visit` with the dotted key of every value in `table` that is not a table itself.
///
/// `path` is the dotted key of `table`, or empty for the root. The keys in a list of tables have a number:
/// `source[0].name`.
pub(super) fn for_each_value<'a>(
    table: &'a Map<String, Value>,
    path: &str,
    visit: &mut dyn FnMut(String, &'a Value),
) {
    for (key, value) in table {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Object(table) => for_each_value(table, &path, visit),
            Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => {
                for (index, item) in items.iter().enumerate() {
                    if let Value::Object(table) = item {
                        for_each_value(table, &format!("{path}[{index}]"), visit);
                    }
                }
            }
            value => visit(path, value),
        }
    }
}

/// Returns an [`ErrorKind::Config`] with `message`.
pub(super) fn config_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message.into())
}

/// The keys outside that do not concern a destination. The publisher id does, because a transport shows it.
const NOT_OF_DESTINATIONS: [&str; 4] = ["destination", "source", "listener", "archive"];
/// How many segments a key in text form may have. The longest real key has two.
const MAX_DEPTH: usize = 8;
/// How much of an invalid key an error shows, in characters.
const KEY_CHARS: usize = 64;
