//! The places that configured values come from.

use std::collections::BTreeMap;
use std::fmt;

/// Where each value of a table came from, by the dotted path of its key.
pub type Origins = BTreeMap<String, Origin>;

/// Where a configured value came from.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    /// The place in words: `notify.toml`, `--set`, an environment variable's name.
    pub place: String,
    /// The text as it was given, where a value was not written in a typed language: used again as a
    /// string when that is what was expected. A password may consist of digits.
    pub raw: Option<String>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("place", &self.place).finish_non_exhaustive()
    }
}
