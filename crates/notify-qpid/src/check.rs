//! What `glance-notify check` finds at the broker. Sends nothing.

use notify_core::Result;
use notify_core::transport::Finding;

use crate::config::Config;
use crate::connection::Connection;

/// Looks at everything that sending needs, as far as the broker lets it be seen: each link is
/// attached, which also creates what a broker creates on demand.
///
/// # Errors
///
/// When the broker stops answering.
pub(crate) async fn check(connection: &mut Connection, config: &Config) -> Result<Vec<Finding>> {
    let mut findings = vec![
        Finding::good("broker", format!("{} at {}", connection.product, connection.peer)),
        connection.peer.tls_finding(),
        Finding::good("login", connection.site.who()),
    ];
    let routes: Vec<_> = connection.topology.routes().cloned().collect();
    for route in &routes {
        let subject = format!("address {}", notify_core::redact::printable(&route.address, 255));
        match connection.ensure_link(route, config.connect_timeout).await {
            Ok(()) => findings.push(Finding::good(subject, "takes messages")),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => findings.push(Finding::bad(subject, error)),
        }
    }
    if let Some(losses) = connection.topology.losses() {
        findings.push(Finding::warning("routing", losses));
    }
    Ok(findings)
}
