//! The limits of a notification: its size, its depth and its number of keys.
//!
//! Reading enforces them before it builds a value, and encoding while it writes. So neither a peer nor a
//! caller can exhaust the memory or overflow the stack.

use crate::error::{Error, ErrorKind, Result};

/// The largest notification that reading accepts and that encoding writes.
///
/// The defaults are far above the needs of an image's notification, and far below anything that harms a
/// broker or a stack.
///
/// # Examples
///
/// ```
/// use notify_core::codec::{NotificationInput, SizeLimits};
/// use notify_core::{Error, ErrorKind};
///
/// let limits = SizeLimits { bytes: 10, ..SizeLimits::default() };
/// let problems = NotificationInput::decode(br#"{"event_type": 1}"#, &limits).unwrap_err();
/// let error = Error::from(problems);
/// assert_eq!(error.kind(), ErrorKind::TooLarge);
/// assert_eq!(
///     error.to_string(),
///     "the notification is too large: 17 bytes, the limit is 10 bytes",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeLimits {
    /// The number of nested objects and lists, including the notification itself. Default 64.
    pub depth: usize,
    /// The number of keys in all objects together. Default 4 096.
    pub keys: usize,
    /// The size of the notification in bytes of JSON, together with its context when it is emitted. Default
    /// 1 MiB. An envelope around it may have twice as many bytes and 8 KiB, because it contains the notification
    /// as a text with escapes.
    pub bytes: usize,
}

impl Default for SizeLimits {
    fn default() -> Self {
        Self { depth: 64, keys: 4096, bytes: 1024 * 1024 }
    }
}

impl SizeLimits {
    /// Returns an error if `bytes` of JSON are too many.
    pub(crate) fn check_size(&self, bytes: usize) -> Result<()> {
        if bytes <= self.bytes {
            return Ok(());
        }
        Err(self.size_error(&format!("{bytes} bytes")))
    }

    /// Returns the size of the largest envelope around a notification, and of the largest line.
    pub(crate) fn envelope_bytes(&self) -> usize {
        self.bytes.saturating_mul(2).saturating_add(ENVELOPE_BYTES)
    }

    /// Creates the error of a notification of `size`, which is a number with its unit.
    pub(crate) fn size_error(&self, size: &str) -> Error {
        Error::new(
            ErrorKind::TooLarge,
            format!("the notification is too large: {size}, the limit is {} bytes", self.bytes),
        )
    }

    /// Creates the error of a value that is nested too deeply.
    pub(crate) fn depth_error(&self) -> Error {
        Error::new(
            ErrorKind::TooLarge,
            format!("the payload is nested too deeply: the limit is {} levels", self.depth),
        )
    }

    /// Creates the error of a notification with too many keys.
    pub(crate) fn keys_error(&self) -> Error {
        Error::new(
            ErrorKind::TooLarge,
            format!("the payload has too many keys: the limit is {}", self.keys),
        )
    }
}

/// The most bytes of an envelope without the notification in it: keys, a prefix, and the context.
const ENVELOPE_BYTES: usize = 8 * 1024;
