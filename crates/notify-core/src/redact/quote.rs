//! Quoting a word of the input in an error message.

use super::policy::Redact;
use super::printable::printable;

/// A word that an error repeats, in quotes: at most 64 characters, and without the credentials of a URL
/// that stands where the word belongs.
pub(crate) fn quoted(word: &str) -> String {
    format!("\"{}\"", printable(&Redact::Secrets.text(word), 64))
}

/// As [`quoted`], in backquotes: for names rather than values.
pub(crate) fn backquoted(name: &str) -> String {
    format!("`{}`", printable(&Redact::Secrets.text(name), 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_are_short_escaped_and_redacted() {
        assert_eq!(quoted("a\u{1b}"), r#""a\u{1b}""#);
        assert_eq!(quoted(&"x".repeat(65)), format!("\"{}…\"", "x".repeat(64)));
        let long = format!("amqp://user:{}@host", "hunter2".repeat(10));
        assert_eq!(quoted(&long), "\"amqp://***@host\"");
    }
}
