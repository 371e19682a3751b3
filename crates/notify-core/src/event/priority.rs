//! The priorities of notifications.

use super::words::words;

words! {
    /// How urgent a notification is.
    pub enum Priority as "priority" {
        /// It went well.
        Info = "INFO",
        /// It went well with reservations. Glance itself never emits it.
        Warn = "WARN",
        /// It failed.
        Error = "ERROR",
    }
}

impl Priority {
    /// The priority in lower case, as it ends routing keys and the names of queues:
    /// `notifications.info`.
    pub fn lower(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}
