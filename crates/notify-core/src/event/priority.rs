//! The priorities of notifications, which are the levels that oslo.messaging routes by.

use super::words::words;

words! {
    /// The priority of a notification.
    ///
    /// Each priority has a queue of its own on a broker, so consumers can subscribe to failures only.
    ///
    /// The specification documents [three](Self::DOCUMENTED). oslo.messaging has four more, which
    /// services other than Glance use. Reading accepts a priority in any case, as oslo.messaging does.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::Priority;
    ///
    /// assert_eq!("ERROR".parse::<Priority>()?, Priority::Error);
    /// assert_eq!("error".parse::<Priority>()?, Priority::Error);
    /// assert_eq!(Priority::Error.to_string(), "ERROR");
    /// assert_eq!(format!("notifications.{}", Priority::Error.lower()), "notifications.error");
    /// # Ok::<_, notify_core::Error>(())
    /// ```
    pub enum Priority as "priority" or eq_ignore_ascii_case {
        /// The operation succeeded.
        Info = "INFO",
        /// The operation succeeded with reservations. Glance itself never emits this priority.
        Warn = "WARN",
        /// The operation failed.
        Error = "ERROR",
        /// A record for audits.
        Audit = "AUDIT",
        /// The service cannot go on.
        Critical = "CRITICAL",
        /// A detail for developers.
        Debug = "DEBUG",
        /// A sample of a meter.
        Sample = "SAMPLE",
    }
}

impl Priority {
    /// The three priorities that the specification documents.
    pub const DOCUMENTED: &'static [Self] = &[Self::Info, Self::Warn, Self::Error];

    /// Returns the priority in lower case, as routing keys and names of queues end:
    /// `notifications.info`.
    pub fn lower(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Audit => "audit",
            Self::Critical => "critical",
            Self::Debug => "debug",
            Self::Sample => "sample",
        }
    }
}
