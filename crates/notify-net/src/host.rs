//! A broker's host name or address, and its port.
//!
//! This module resolves no name and opens no connection: [`Dialer`](crate::Dialer) does.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A host and its TCP port, as the operator configured them.
///
/// # Examples
///
/// `Display` writes the form that URLs use, with brackets around an IPv6 address:
///
/// ```
/// use notify_net::Host;
///
/// let host = Host { name: "2001:db8::1".into(), port: 5671 };
/// assert_eq!(host.to_string(), "[2001:db8::1]:5671");
/// assert_eq!(Host::default().to_string(), "localhost:5672");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// A host name, an IPv4 address, or an IPv6 address without brackets.
    pub name: String,
    /// The TCP port.
    pub port: u16,
}

impl Host {
    /// Returns the port that IANA registers for AMQP: 5672, or 5671 with TLS.
    pub(crate) fn default_port(tls: bool) -> u16 {
        if tls { 5671 } else { 5672 }
    }

    /// Returns whether the name always means this machine: `localhost` or a loopback address.
    ///
    /// The function resolves no name, so a name in `/etc/hosts` that points to this machine does not
    /// count.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_net::Host;
    ///
    /// let is_loopback = |name: &str| Host { name: name.into(), port: 5672 }.is_loopback();
    /// assert!(is_loopback("localhost") && is_loopback("127.0.0.2") && is_loopback("::1"));
    /// assert!(!is_loopback("broker.example.org"));
    /// ```
    pub fn is_loopback(&self) -> bool {
        let address = self.name.parse::<IpAddr>();
        self.name == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

/// The broker on this machine: `localhost`, port 5672.
impl Default for Host {
    fn default() -> Self {
        Self { name: "localhost".into(), port: Self::default_port(false) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.parse::<Ipv6Addr>() {
            Ok(address) => write!(f, "[{address}]:{}", self.port),
            Err(_) => {
                write!(f, "{}:{}", notify_core::redact::printable(&self.name, 255), self.port)
            }
        }
    }
}

/// Returns whether `name` is a DNS name, or one with the underscores that container networks use.
pub(crate) fn is_host_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that only begins with `localhost` belongs to the network.
    #[test]
    fn only_localhost_and_loopback_addresses_are_this_machine() {
        let is_loopback = |name: &str| Host { name: name.into(), port: 1 }.is_loopback();
        for name in ["localhost", "127.0.0.1", "127.1.2.3", "::1"] {
            assert!(is_loopback(name), "{name}");
        }
        for name in ["localhost.example.org", "192.0.2.1", "2001:db8::1", ""] {
            assert!(!is_loopback(name), "{name}");
        }
    }

    /// Messages show the name of a host, so a URL with a password must not pass as a name.
    #[test]
    fn a_url_is_not_a_host_name() {
        for name in ["a", "a.b-c_d", "10.0.0.1", "A9"] {
            assert!(is_host_name(name), "{name}");
        }
        for name in ["", "a b", "amqp://u:p@h", "u:p", "a/b", "é"] {
            assert!(!is_host_name(name), "{name}");
        }
    }
}
