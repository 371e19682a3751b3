//! Log lines that appear once for many connections.
//!
//! This module logs facts about the broker that an operator should act on. It never shows a password,
//! and it escapes the broker's text.

use std::sync::atomic::{AtomicBool, Ordering};

use notify_core::redact::printable;
use notify_net::{Endpoint, Host, PeerInfo};

/// The warnings that a transport logs only once, whatever the number of its connections.
///
/// Without it, a transport that reconnects every 30 s to a blocked broker would log every 30 s.
#[derive(Debug, Default)]
pub(crate) struct OnceWarnings {
    /// Whether the last log line says that the broker blocks publishers.
    blocked: AtomicBool,
    /// Whether the log warns about a password in plain text.
    plain_text: AtomicBool,
}

impl OnceWarnings {
    /// Logs a new connection, and once that its password crosses the network in plain text.
    pub(crate) fn log_connected(&self, peer: &PeerInfo, product: &str, endpoint: &Endpoint) {
        let tls = peer.tls.as_deref().unwrap_or("no TLS");
        tracing::info!("`rabbit` is connected to {product} at {peer}, {tls}");
        if endpoint.uses_password()
            && peer.exposes_plain_text()
            && !self.plain_text.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "`rabbit` sends the password to {peer} in plain text: use amqps:// in `rabbit.url`"
            );
        }
    }

    /// Logs that the broker blocks publishers, unless the log says so already.
    pub(crate) fn log_blocked(&self, host: &Host, reason: &str) {
        if !self.blocked.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "{host} blocks publishers until it has free memory and disk space: {}",
                printable(reason, 255)
            );
        }
    }

    /// Logs that the broker accepts messages again, if the log says that it blocks publishers.
    ///
    /// Call it for `connection.unblocked` and for a confirm: a broker sends the former only on a
    /// connection that still exists.
    pub(crate) fn log_unblocked(&self, host: &Host) {
        if self.blocked.swap(false, Ordering::Relaxed) {
            tracing::info!("{host} accepts messages again");
        }
    }
}
