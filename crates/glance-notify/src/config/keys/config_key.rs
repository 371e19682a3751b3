//! `ConfigKey`: the description of one key.

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
pub(super) const fn key(
    name: &'static str,
    kind: KeyKind,
    default: &'static str,
    meaning: &'static str,
) -> ConfigKey {
    ConfigKey { name, kind, default, meaning }
}
