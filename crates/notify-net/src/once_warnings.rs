//! Log lines that appear once for many connections.
//!
//! This module logs facts about the broker that an operator should act on. It never shows a password,
//! and it escapes the broker's text.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use notify_core::redact::printable;

use crate::endpoint::Endpoint;
use crate::host::Host;
use crate::peer::PeerInfo;

/// The warnings that a transport logs only once, whatever the number of its connections.
///
/// Without it, a transport that reconnects every 30 s to a blocked broker would log every 30 s.
///
/// # Examples
///
/// ```
/// use notify_net::{Host, OnceWarnings};
///
/// let warnings = OnceWarnings::new("rabbit");
/// warnings.log_blocked(&Host::default(), "low on memory");
/// warnings.log_blocked(&Host::default(), "low on memory"); // Logs nothing.
/// warnings.log_unblocked(&Host::default());
/// ```
#[derive(Debug)]
pub struct OnceWarnings {
    strategy: &'static str,
    /// Whether the last log line says that the broker blocks publishers.
    blocked: AtomicBool,
    /// The warnings in the log.
    logged: Mutex<HashSet<String>>,
}

impl OnceWarnings {
    /// Creates the warnings of a transport of this strategy, without any.
    pub fn new(strategy: &'static str) -> Self {
        Self { strategy, blocked: AtomicBool::new(false), logged: Mutex::default() }
    }

    /// Returns the strategy, which is also the name of its table of options.
    pub fn strategy(&self) -> &'static str {
        self.strategy
    }

    /// Logs a new connection, and once that its password crosses the network in plain text. `product`
    /// must be escaped.
    pub fn log_connected(&self, peer: &PeerInfo, product: &str, endpoint: &Endpoint) {
        let strategy = self.strategy;
        let tls = peer.tls.as_deref().unwrap_or("no TLS");
        tracing::info!("`{strategy}` is connected to {product} at {peer}, {tls}");
        if endpoint.uses_password() && peer.exposes_plain_text() {
            self.warn(&format!(
                "`{strategy}` sends the password to {} in plain text: use amqps:// in \
                 `{strategy}.url`",
                peer.host
            ));
        }
    }

    /// Logs a warning, unless the log has it already.
    pub fn warn(&self, warning: &str) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.insert(warning.to_owned()) {
            tracing::warn!("{warning}");
        }
    }

    /// Logs that the broker blocks publishers, unless the log says so already.
    pub fn log_blocked(&self, host: &Host, reason: &str) {
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
    pub fn log_unblocked(&self, host: &Host) {
        if self.blocked.swap(false, Ordering::Relaxed) {
            tracing::info!("{host} accepts messages again");
        }
    }
}
