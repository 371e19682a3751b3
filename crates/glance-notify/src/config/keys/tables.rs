//! The tables of the configuration, with the descriptions of their keys, and the look-up of a key by name.

use super::config_key::ConfigKey;
use super::{common, destinations, listening, log, qpid, rabbit};

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
pub(super) const TABLES: &[(&str, &[ConfigKey])] = &[
    ("", common::TOP),
    ("queue", common::QUEUE),
    ("spool", common::SPOOL),
    ("log", log::LOG),
    ("rabbit", rabbit::RABBIT),
    ("qpid", qpid::QPID),
    ("destination", destinations::DESTINATION),
    ("listener", listening::LISTENER),
    ("source", listening::SOURCE),
    ("archive", listening::ARCHIVE),
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
                let default = key.default_value().map(str::parse::<::toml::Value>);
                assert!(!matches!(default, Some(Err(_))), "{}", key.name);
            }
        }
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
