//! The target `tracing`: notifications as events of the program's own logging.
//!
//! This module installs no subscriber. The program decides where its events go.

use notify_core::codec::Envelope;
use notify_core::{Message, Priority};

/// The target of the events that `log.target = "tracing"` emits.
///
/// Filter by it in your subscriber: `RUST_LOG=glance_notify::notification=info`. An event's level
/// follows from the notification's priority, and its text is the notification as one line of JSON, in the
/// form of `log.envelope`.
///
/// ```
/// assert_eq!(notify_log::TARGET, "glance_notify::notification");
/// ```
pub const TARGET: &str = "glance_notify::notification";

/// Emits one event per message. The priorities debug, info, warn and error become the levels of the same
/// names, critical becomes error, and audit and sample become info.
pub(crate) fn emit_events(messages: &[Message], envelope: Envelope) {
    for message in messages {
        let json = envelope.wrap(message);
        let json = String::from_utf8_lossy(&json);
        match message.priority() {
            Priority::Debug => tracing::debug!(target: TARGET, "{json}"),
            Priority::Info | Priority::Audit | Priority::Sample => {
                tracing::info!(target: TARGET, "{json}");
            }
            Priority::Warn => tracing::warn!(target: TARGET, "{json}"),
            Priority::Error | Priority::Critical => tracing::error!(target: TARGET, "{json}"),
        }
    }
}
