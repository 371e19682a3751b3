//! Words and paths of the input, in the form of an error message.

use std::path::Path;

use super::policy::Redact;
use super::printable::printable;

/// Returns `word` in double quotes, escaped and shortened to 64 characters.
///
/// A user may have put a URL in place of the word, so this also removes credentials of URLs. Quote only
/// words of a closed vocabulary, ids and names: any other value may be a secret.
pub(crate) fn quoted(word: &str) -> String {
    format!("\"{}\"", printable(&Redact::Secrets.text(word), WORD_CHARS))
}

/// Returns `name` in backquotes, otherwise as [`quoted`] does.
pub(crate) fn backquoted(name: &str) -> String {
    format!("`{}`", printable(&Redact::Secrets.text(name), WORD_CHARS))
}

/// Returns at most `max` characters of a path for display, escaped, on one line.
///
/// A user may have put a URL in place of the path, so this also removes credentials of URLs.
///
/// # Examples
///
/// ```
/// use std::path::Path;
///
/// use notify_core::redact::printable_path;
///
/// assert_eq!(printable_path(Path::new("/srv/a\n.log"), 256), r"/srv/a\n.log");
/// assert_eq!(printable_path(Path::new("amqp://user:secret@host"), 256), "amqp://***@host");
/// assert_eq!(printable_path(Path::new("/srv/amqp:/u:secret@host"), 256), "/srv/amqp://***@host");
/// ```
pub fn printable_path(path: &Path, max: usize) -> String {
    let text = path.to_string_lossy();
    // An absolute path has one slash where the URL had two.
    let url = text.replace("://", ":/").replace(":/", "://");
    let masked = Redact::Secrets.text(&url);
    let shown = if masked == url { text } else { masked };
    printable(&shown, max).to_string()
}

/// The longest word that an error repeats, in characters.
const WORD_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// An error that repeats a word of the input stays safe to print and to log.
    #[test]
    fn quoted_words_are_short_escaped_and_redacted() {
        assert_eq!(quoted("a\u{1b}"), r#""a\u{1b}""#);
        assert_eq!(quoted(&"x".repeat(65)), format!("\"{}…\"", "x".repeat(64)));
        let long = format!("amqp://user:{}@host", "hunter2".repeat(10));
        assert_eq!(quoted(&long), "\"amqp://***@host\"");
    }
}
