//! The table `[listener]`: the bounds of a listener, and its dead letters.
//!
//! Only programs that read notifications use it. Emitting ignores it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The table `[listener]`. Serializing it gives the defaults that `check` shows.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ListenerSettings {
    /// The most unsettled deliveries of each source.
    pub(crate) prefetch: usize,
    /// The number of failures after which a delivery becomes a dead letter.
    pub(crate) attempts: u32,
    /// The largest message, in bytes.
    pub(crate) max_message_bytes: usize,
    /// The file of dead letters. Absent means that they are logged and discarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letters: Option<PathBuf>,
    /// The largest size of that file, in bytes.
    pub(crate) max_dead_letter_bytes: u64,
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self {
            prefetch: 200,
            attempts: 5,
            max_message_bytes: 1024 * 1024,
            dead_letters: None,
            max_dead_letter_bytes: 64 * 1024 * 1024,
        }
    }
}
