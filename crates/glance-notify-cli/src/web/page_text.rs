//! Text from outside on a page: [`PageText`].

use std::fmt;

use glance_notify::transport::printable;

/// A text of at most 256 characters without characters that could reorder or hide others.
///
/// The templates escape it for HTML. A page shows text from outside only through this type, so that a name
/// such as `<script>` or one with a bidirectional control is text and does nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PageText(String);

impl PageText {
    /// Makes a text from outside safe to show.
    pub(super) fn new(text: &str) -> Self {
        Self::up_to(text, LONGEST)
    }

    /// Makes a longer text from outside safe to show.
    pub(super) fn up_to(text: &str, characters: usize) -> Self {
        Self(printable(text, characters).to_string())
    }

    /// Returns the characters.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PageText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The most characters of a text in a table.
const LONGEST: usize = 256;
