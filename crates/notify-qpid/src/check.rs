//! The findings of `glance-notify check` about the broker.
//!
//! The check sends no message. It attaches every link, which also creates the nodes that the broker
//! creates on demand.

use notify_core::Result;
use notify_core::redact::printable;
use notify_core::transport::Finding;

use crate::config::Config;
use crate::connection::{Connection, transient_node};

/// Checks every prerequisite of sending that the broker lets us see: connection, TLS, login, one link
/// per address.
///
/// The findings come in this order: `broker`, `TLS`, `login`, one `address …` per link, and `routing`
/// if the broker accepts messages that it drops.
///
/// # Errors
///
/// A transient error if the broker stops answering. Permanent errors of an address are findings.
pub(crate) async fn check(connection: &mut Connection, config: &Config) -> Result<Vec<Finding>> {
    let mut findings = vec![
        Finding::good("broker", format!("{} at {}", connection.product, connection.peer)),
        connection.peer.tls_finding(),
        Finding::good("login", connection.context.user_at_host()),
    ];
    let routes: Vec<_> = connection.topology.documented_routes().cloned().collect();
    for route in &routes {
        let subject = format!("address {}", printable(&route.address, 255));
        let attached = connection.ensure_link(route, config.endpoint.connect_timeout).await;
        match attached.map_err(|failure| failure.error) {
            Ok(()) if connection.is_transient(&route.address) => {
                findings.push(Finding::warning(subject, transient_node(&route.address)));
            }
            Ok(()) => findings.push(Finding::good(subject, "accepts messages")),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => findings.push(Finding::bad(subject, error)),
        }
    }
    if let Some(losses) = connection.topology.known_losses() {
        findings.push(Finding::warning("routing", losses));
    }
    Ok(findings)
}
