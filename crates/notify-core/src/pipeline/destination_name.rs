//! The name of a destination.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::redact::quote::quoted;

/// The name of a destination: 1 to 64 lower-case letters, digits, `-` and `_`.
///
/// It names the destination in the log, in accounts and in receipts, and its directory in a spool.
///
/// # Examples
///
/// ```
/// use notify_core::pipeline::DestinationName;
///
/// assert_eq!(DestinationName::new("audit-2")?.as_str(), "audit-2");
/// assert!(DestinationName::new("../audit").is_err());
/// # Ok::<_, notify_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationName(Arc<str>);

impl DestinationName {
    /// Returns the name of this text.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the text is empty, too long, or has another character.
    pub fn new(name: &str) -> Result<Self> {
        let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if (1..=MAX_BYTES).contains(&name.len()) && name.bytes().all(is_plain) {
            return Ok(Self(name.into()));
        }
        Err(Error::new(
            ErrorKind::Config,
            format!(
                "{} is not the name of a destination: expected 1 to {MAX_BYTES} lower-case letters, \
                 digits, `-` and `_`",
                quoted(name)
            ),
        ))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DestinationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest name, in bytes.
const MAX_BYTES: usize = 64;
