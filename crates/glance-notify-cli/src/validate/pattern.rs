//! The patterns of the schema: those of times, such as `^[0-9]{4}-[0-9]{2}$`.
//!
//! A library for all regular expressions would make the command larger by megabytes.

/// Returns whether all of `text` matches `pattern`.
///
/// A pattern consists of `^`, any number of literals, escaped literals and `[0-9]{COUNT}`, and `$`.
/// Returns `None` for a pattern of another form.
pub(super) fn matches(pattern: &str, text: &str) -> Option<bool> {
    let mut rest = pattern.strip_prefix('^')?.strip_suffix('$')?;
    let mut text = Some(text);
    while !rest.is_empty() {
        if let Some(digits) = rest.strip_prefix("[0-9]{") {
            let (count, after) = digits.split_once('}')?;
            for _ in 0..count.parse().ok()? {
                text = text.and_then(|text| text.strip_prefix(|c: char| c.is_ascii_digit()));
            }
            rest = after;
        } else {
            let is_escaped = rest.starts_with('\\');
            let literal = rest.chars().nth(usize::from(is_escaped))?;
            let is_special = if is_escaped {
                literal.is_ascii_alphanumeric()
            } else {
                SPECIAL.contains(literal)
            };
            if is_special {
                return None;
            }
            text = text.and_then(|text| text.strip_prefix(literal));
            rest = &rest[usize::from(is_escaped) + literal.len_utf8()..];
        }
    }
    Some(text == Some(""))
}

/// The characters that have a meaning of their own in a regular expression.
const SPECIAL: &str = ".*+?()[]{}|^$";

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole text must match, digit by digit.
    #[test]
    fn matches_digits_and_literals() {
        let pattern = r"^[0-9]{4}-[0-9]{2}\.[0-9]{1}Z$";
        assert_eq!(matches(pattern, "2012-05.1Z"), Some(true));
        for text in ["", "2012-05.1", "2012-05.1ZZ", "2012-05x1Z", "201-05.1Z", "२०१२-05.1Z"]
        {
            assert_eq!(matches(pattern, text), Some(false), "{text}");
        }
    }

    /// A pattern that means more than literals and digits is unknown, and not a literal.
    #[test]
    fn does_not_guess_at_other_patterns() {
        for pattern in ["a", "^a", "^a+$", "^[a-z]{2}$", r"^\d$", "^a|b$", "^[0-9]{1,2}$", r"^a\$"]
        {
            assert_eq!(matches(pattern, "a"), None, "{pattern}");
        }
    }
}
