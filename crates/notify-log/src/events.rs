//! Notifications as events of the program's own logging.

use notify_core::{Message, Priority};

/// The target of the events that `log.target = "tracing"` makes: what to filter by.
pub const TARGET: &str = "glance_notify::notification";

/// Makes one event of each message: its level from the priority, its text the notification's JSON.
pub(crate) fn hand_over(messages: &[Message]) {
    for message in messages {
        let json = String::from_utf8_lossy(message.body());
        match message.priority() {
            Priority::Info => tracing::info!(target: TARGET, "{json}"),
            Priority::Warn => tracing::warn!(target: TARGET, "{json}"),
            Priority::Error => tracing::error!(target: TARGET, "{json}"),
        }
    }
}
