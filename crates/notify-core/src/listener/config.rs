//! The settings of a listener: its bounds, and the fate of deliveries that cannot be handled.
//!
//! Every field has a default that suits a service. Nothing here opens a file or a connection.

use std::path::PathBuf;

use crate::codec::limits::SizeLimits;
use crate::redact::policy::Redact;

/// The bounds of a listener.
///
/// # Examples
///
/// ```
/// use notify_core::listener::ListenerConfig;
///
/// let mut config = ListenerConfig::default();
/// config.prefetch = 1_000;
/// config.attempts = 10;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerConfig {
    /// The largest number of unsettled deliveries of each source; at least 1. Default 200.
    ///
    /// The memory of a source is bounded by `prefetch` × (2 × `limits.bytes` + 8 KiB), the size of the largest
    /// envelope. Set it to at least twice the size of your batches, so that the next batch arrives while you
    /// store the last one.
    pub prefetch: usize,
    /// The number of failures that count, after which a delivery becomes a dead letter; at least 1.
    /// Default 5.
    ///
    /// A failure counts only if another delivery was acknowledged since the previous failure of the
    /// same delivery. While everything fails, nothing becomes a dead letter.
    pub attempts: u32,
    /// The limits of one message. A larger message is unreadable. Default: see [`SizeLimits`].
    pub limits: SizeLimits,
    /// The redaction of everything that the listener hands out. Default [`Redact::Secrets`].
    pub redact: Redact,
    /// Whether the listener hands out unreadable messages. By default false: they become dead letters
    /// at once.
    pub deliver_unreadable: bool,
    /// Whether the listener keeps trying when a source fails permanently before it was ever attached.
    /// By default false: [`next_batch`](super::Listener::next_batch) returns that error.
    pub wait: bool,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            prefetch: 200,
            attempts: 5,
            limits: SizeLimits::default(),
            redact: Redact::default(),
            deliver_unreadable: false,
            wait: false,
        }
    }
}

/// The place of dead letters: deliveries that were refused, are unreadable, or failed too often.
///
/// # Examples
///
/// ```
/// use notify_core::listener::DeadLetters;
///
/// let file = DeadLetters::file("/var/lib/audit/dead.jsonl");
/// # drop(file);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeadLetters {
    /// A file, to which the listener appends one line of JSON for each dead letter.
    ///
    /// The listener creates the file with the mode 0600 and syncs each line before it acknowledges the
    /// delivery. When the file is full or cannot be written, reading pauses until you make room. It also pauses
    /// while the disk does not answer within 30 s.
    File {
        /// The path of the file, in a directory that exists.
        path: PathBuf,
        /// The largest size of the file in bytes.
        max_bytes: u64,
    },
    /// Nowhere: the listener acknowledges the delivery and logs the reason with the size of the body.
    ///
    /// Use it for a temporary tap: other consumers have the same messages.
    Discard,
}

impl DeadLetters {
    /// Returns a dead-letter file of at most 64 MiB.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File { path: path.into(), max_bytes: 64 * 1024 * 1024 }
    }
}
