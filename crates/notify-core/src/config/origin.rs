//! The places that configured values come from.
//!
//! An error about an option names its place, so that you know which of several files to change.

use std::collections::BTreeMap;
use std::fmt;

/// The origin of each value of a table, by the dotted path of its key: `tls.ca_file`.
pub type Origins = BTreeMap<String, Origin>;

/// The origin of a configured value.
///
/// `Debug` shows the place and never the text, which may be a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    /// The place in words: a file name, `--set`, the name of an environment variable.
    pub place: String,
    /// The text as the user typed it, for a value from an untyped place such as an environment
    /// variable.
    ///
    /// `0012345` parses as a number there. If the option turns out to be a string, this text is its
    /// value: a password may consist of digits.
    pub raw: Option<String>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("place", &self.place).finish_non_exhaustive()
    }
}
