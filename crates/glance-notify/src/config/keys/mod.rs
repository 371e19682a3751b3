//! The description of every key: one source for the documents, for `glance-notify config explain`, and for
//! the sample that `glance-notify config init` writes.
//!
//! The strategies' own types decide which keys exist. Tests compare them with the descriptions.

mod common;
mod log;
mod qpid;
mod rabbit;
mod sample;

pub use sample::sample;

/// The description of one key of the configuration.
///
/// # Examples
///
/// ```
/// use glance_notify::config::{ConfigKey, KeyKind};
///
/// let key = ConfigKey::find("queue.max_age").unwrap();
/// assert_eq!((key.kind, key.kind.unit()), (KeyKind::Seconds, Some("seconds")));
/// assert_eq!(key.default_value(), None);
/// assert_eq!(key.strategy(), None);
/// assert_eq!(ConfigKey::find("rabbit.port").unwrap().default_value(), Some("5672"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigKey {
    /// The dotted key: `queue.max_age`.
    pub name: &'static str,
    /// The kind of its value.
    pub kind: KeyKind,
    /// The default, as the documents show it: a TOML value between backticks, words, or `none`.
    pub default: &'static str,
    /// The meaning in Markdown. Empty if the name says all.
    pub meaning: &'static str,
}

/// The kind of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// One of a few words.
    Word,
    /// One or several of a few words.
    WordList,
    /// Any text.
    Text,
    /// A list of texts.
    TextList,
    /// The path of a file or directory.
    Path,
    /// `true` or `false`.
    Flag,
    /// A whole number without a unit.
    Number,
    /// A whole number of bytes.
    Bytes,
    /// A number of seconds above 0, whole or not.
    Seconds,
    /// A whole number of seconds.
    WholeSeconds,
}

impl KeyKind {
    /// Returns the name of the kind, as the documents show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Word => "word",
            Self::WordList => "word, or list of words",
            Self::Text => "string",
            Self::TextList => "list of strings",
            Self::Path => "path",
            Self::Flag => "true, false",
            Self::Number => "number",
            Self::Bytes => "bytes",
            Self::Seconds => "seconds",
            Self::WholeSeconds => "whole seconds",
        }
    }

    /// Returns the unit of the value, if it has one.
    pub fn unit(self) -> Option<&'static str> {
        match self {
            Self::Bytes => Some("bytes"),
            Self::Seconds | Self::WholeSeconds => Some("seconds"),
            _ => None,
        }
    }
}

impl ConfigKey {
    /// Returns the descriptions of all keys, in the order of the documents.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        TABLES.iter().flat_map(|(_, keys)| *keys)
    }

    /// Returns the description of the key called `name`.
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::all().find(|key| key.name == name)
    }

    /// Returns the known key that `name` most likely means, if it resembles one.
    ///
    /// # Examples
    ///
    /// ```
    /// use glance_notify::config::ConfigKey;
    ///
    /// assert_eq!(ConfigKey::similar("log.fle").unwrap().name, "log.file");
    /// assert_eq!(ConfigKey::similar("max_age").unwrap().name, "queue.max_age");
    /// assert_eq!(ConfigKey::similar("kafka"), None);
    /// ```
    pub fn similar(name: &str) -> Option<&'static Self> {
        let name: String = name.chars().take(MAX_COMPARED).collect();
        let last = |key: &Self| key.name.rsplit('.').next().is_some_and(|last| last == name);
        let distance = |key: &&Self| edit_distance(key.name, &name);
        Self::all().find(|key| last(key)).or_else(|| {
            let nearest = Self::all().min_by_key(distance)?;
            (distance(&nearest) <= MAX_DISTANCE).then_some(nearest)
        })
    }

    /// Returns the table of the key: `queue`, or an empty name outside all tables.
    pub fn table(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(table, _)| table)
    }

    /// Returns the strategy that alone reads the key, or `None` for a key of all strategies.
    pub fn strategy(&self) -> Option<&'static str> {
        Some(self.table()).filter(|table| !table.is_empty() && crate::strategies::is_name(table))
    }

    /// Returns the default as a TOML value. `None` if there is no default, or if it depends on other things.
    pub fn default_value(&self) -> Option<&'static str> {
        self.default.strip_prefix('`')?.strip_suffix('`')
    }

    /// Returns the row of the documents' table for this key.
    pub fn row(&self) -> String {
        let Self { name, kind, default, meaning } = self;
        let row = format!("| `{name}` | {} | {default} | {meaning}", kind.name());
        format!("{} |", row.trim_end())
    }
}

/// Creates a description, for the tables.
const fn key(
    name: &'static str,
    kind: KeyKind,
    default: &'static str,
    meaning: &'static str,
) -> ConfigKey {
    ConfigKey { name, kind, default, meaning }
}

/// Returns how many letters differ between two words: to insert, to remove or to replace.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

/// The tables of a configuration, with their keys.
const TABLES: &[(&str, &[ConfigKey])] = &[
    ("", common::TOP),
    ("queue", common::QUEUE),
    ("spool", common::SPOOL),
    ("log", log::LOG),
    ("rabbit", rabbit::RABBIT),
    ("qpid", qpid::QPID),
];
/// The most letters in which a misspelt key differs from the right one.
const MAX_DISTANCE: usize = 2;
/// How much of a misspelt key is compared, in characters.
const MAX_COMPARED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key is in the table that its name says, once, and its default is TOML.
    #[test]
    fn every_description_is_consistent() {
        let mut names: Vec<_> = ConfigKey::all().map(|key| key.name).collect();
        for (table, keys) in TABLES {
            for key in *keys {
                assert_eq!(key.table(), *table, "{}", key.name);
                let default = key.default_value().map(|text| text.parse::<::toml::Value>());
                assert!(!matches!(default, Some(Err(_))), "{}", key.name);
            }
        }
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
