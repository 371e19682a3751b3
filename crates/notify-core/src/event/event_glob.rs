//! Patterns of event types: [`EventGlob`].

use std::str::FromStr;

use super::event_type::EventType;
use crate::error::{Error, ErrorKind, Result};

/// A pattern of event types, in which `*` stands for any characters and `?` for one.
///
/// # Examples
///
/// ```
/// use notify_core::EventType;
/// use notify_core::event::EventGlob;
///
/// let glob: EventGlob = "image.*".parse()?;
/// assert!(glob.matches(&EventType::ImageDelete));
/// assert!(!glob.matches(&EventType::TaskRun));
/// # Ok::<_, notify_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventGlob(String);

impl EventGlob {
    /// Returns `true` if the pattern matches the whole event type.
    pub fn matches(&self, event_type: &EventType) -> bool {
        matches(self.0.as_bytes(), event_type.as_str().as_bytes())
    }

    /// Returns the pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the event type, if the pattern is one.
    pub fn exact(&self) -> Option<&str> {
        (!self.0.contains(['*', '?'])).then_some(self.0.as_str())
    }
}

impl FromStr for EventGlob {
    type Err = Error;

    /// Returns the pattern of this text.
    ///
    /// # Errors
    ///
    /// An error of the kind [`ErrorKind::Invalid`] unless the text has 1 to 255 printable characters of
    /// ASCII without spaces.
    fn from_str(text: &str) -> Result<Self> {
        let is_valid =
            (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if is_valid {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::new(ErrorKind::Invalid, "expected an event type or a pattern such as `image.*`"))
    }
}

/// Matches in time `pattern × text` at most: it remembers only the last `*`.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut star = None;
    while position < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, position));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[position] => {
                at += 1;
                position += 1;
            }
            _ => {
                let Some((star_at, matched)) = star else { return false };
                star = Some((star_at, matched + 1));
                at = star_at + 1;
                position = matched + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `*` may stand for nothing, and a pattern without it is a whole event type.
    #[test]
    fn matches_whole_event_types() {
        for (pattern, event_type, expected) in [
            ("image.delete", "image.delete", true),
            ("image.delet", "image.delete", false),
            ("*", "task.run", true),
            ("image.*.create", "image.member.create", true),
            ("image.*.create", "image.create", false),
            ("*.d?lete*", "image.delete", true),
            ("*a*a*", "image.activate", true),
            ("*a*a*a*", "image.activate", true),
            ("?", "ab", false),
        ] {
            let event_type = EventType::new(event_type).unwrap();
            let glob: EventGlob = pattern.parse().unwrap();
            assert_eq!(glob.matches(&event_type), expected, "{pattern} {event_type}");
        }
        assert!("".parse::<EventGlob>().is_err() && "a b".parse::<EventGlob>().is_err());
    }
}
