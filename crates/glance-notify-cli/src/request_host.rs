//! The host that a request names: [`is_address_or_localhost`].
//!
//! A web page elsewhere whose name leads to this machine (DNS rebinding) sends its own name as `Host`.

use std::net::IpAddr;

/// Returns `true` if a host is an address or `localhost`, so that no web page elsewhere can have its name.
///
/// # Examples
///
/// ```
/// use glance_notify_cli::request_host::is_address_or_localhost;
///
/// assert!(is_address_or_localhost("[::1]"));
/// assert!(is_address_or_localhost("LOCALHOST"));
/// assert!(!is_address_or_localhost("127.0.0.1.evil.example"));
/// ```
pub fn is_address_or_localhost(host: &str) -> bool {
    // Rebinding needs a name: an address cannot change its meaning.
    let address = host.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}
