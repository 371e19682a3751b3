//! Text from outside, made safe to show: bounded, on one line, without control characters.
//!
//! Errors, logs and `glance-notify check` use this for every text that a peer, a file or a user
//! supplied. It removes no secrets; see [`Redact`](super::Redact) for those.

use std::fmt;

/// Returns at most `max` characters of `text` for display, on one line.
///
/// Escapes every character that could move the cursor, recolour the terminal or reorder the text that
/// a person reads (CWE-150). An ellipsis marks omitted characters.
///
/// # Examples
///
/// ```
/// use notify_core::redact::printable;
/// assert_eq!(printable("a\u{1b}[2Jb", 64).to_string(), r"a\u{1b}[2Jb");
/// assert_eq!(printable("12345", 3).to_string(), "123…");
/// ```
pub fn printable(text: &str, max: usize) -> Printable<'_> {
    Printable { text, max }
}

/// A text that prints itself escaped and shortened. [`printable`] creates it.
///
/// # Examples
///
/// ```
/// use notify_core::redact::printable;
///
/// let shown = format!("the broker says `{}`", printable("no\nroute", 64));
/// assert_eq!(shown, r"the broker says `no\nroute`");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a> {
    text: &'a str,
    max: usize,
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        let mut chars = self.text.chars();
        for c in chars.by_ref().take(self.max) {
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if is_unsafe(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        if chars.next().is_some() {
            f.write_char('…')?;
        }
        Ok(())
    }
}

/// Returns `true` if a text holds an [unsafe](is_unsafe) character.
pub(crate) fn has_unsafe(text: &str) -> bool {
    // Most texts are ASCII, for which the compiler checks many bytes at once.
    let plain = text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'));
    !plain && text.chars().any(is_unsafe)
}

/// Returns `true` if a character does something other than show itself.
///
/// These are the C0 and C1 controls, DEL, line and paragraph separators, and the bidirectional
/// controls of Unicode (UAX #9).
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fast path for ASCII agrees with the slow one, for every character up to U+2FFF.
    #[test]
    fn finds_an_unsafe_character_anywhere() {
        for c in ('\0'..='\u{2fff}').chain(['🖼']) {
            let text = format!("{}{c}{}", "x".repeat(40), "é".repeat(3));
            assert_eq!(has_unsafe(&text), is_unsafe(c), "{c:?}");
            assert_eq!(has_unsafe(&c.to_string()), is_unsafe(c), "{c:?}");
        }
    }

    /// A text of all Unicode characters comes out harmless, and its harmless characters unchanged.
    #[test]
    fn escapes_every_unsafe_character() {
        let hostile: String = (0..=0x10_ffff).filter_map(char::from_u32).collect();
        let shown = printable(&hostile, usize::MAX).to_string();
        assert!(!shown.chars().any(is_unsafe));
        assert!(shown.contains('é') && shown.contains(r"\u{202e}"));
    }
}
