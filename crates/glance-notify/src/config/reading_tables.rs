//! The tables `[listener]` and `[archive]`: the bounds of a listener, its dead letters, and the directory of
//! an archive.
//!
//! Only programs that read notifications use them. Emitting ignores them.

use std::path::PathBuf;

use notify_core::listener::ListenerConfig;
use serde::{Deserialize, Serialize};

/// The table `[listener]`: one field for each key. `None` leaves the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ListenerTable {
    /// The most unsettled deliveries of each source.
    pub prefetch: Option<usize>,
    /// The number of failures after which a delivery becomes a dead letter.
    pub attempts: Option<u32>,
    /// The largest message, in bytes.
    pub max_message_bytes: Option<usize>,
    /// The file of dead letters. Without it, the listener logs and discards them. A source that consumes queues
    /// of others needs it.
    pub dead_letters: Option<PathBuf>,
    /// The largest size of that file, in bytes.
    pub max_dead_letter_bytes: Option<u64>,
}

/// The table `[archive]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ArchiveTable {
    /// The directory of the archive.
    pub dir: Option<PathBuf>,
}

impl ListenerTable {
    /// Returns the defaults that `check` shows.
    pub(super) fn defaults() -> Self {
        let ListenerConfig { prefetch, attempts, limits, .. } = ListenerConfig::default();
        Self {
            prefetch: Some(prefetch),
            attempts: Some(attempts),
            max_message_bytes: Some(limits.bytes),
            dead_letters: None,
            max_dead_letter_bytes: Some(MAX_DEAD_LETTER_BYTES),
        }
    }

    /// Returns the bounds of a listener.
    #[cfg(feature = "listen")]
    pub(crate) fn listener_config(&self) -> ListenerConfig {
        let mut config = ListenerConfig::default();
        config.prefetch = self.prefetch.unwrap_or(config.prefetch);
        config.attempts = self.attempts.unwrap_or(config.attempts);
        config.limits.bytes = self.max_message_bytes.unwrap_or(config.limits.bytes);
        config
    }

    /// Returns the largest size of the dead-letter file, in bytes.
    #[cfg(feature = "listen")]
    pub(crate) fn max_dead_letter_bytes(&self) -> u64 {
        self.max_dead_letter_bytes.unwrap_or(MAX_DEAD_LETTER_BYTES)
    }
}

/// The default size of a dead-letter file, in bytes.
const MAX_DEAD_LETTER_BYTES: u64 = 64 * 1024 * 1024;
