//! The broker at the other end of a connection, and whether the network between can read along.

use std::fmt;
use std::net::SocketAddr;

use notify_core::transport::Finding;

use crate::host::Host;

/// The broker at the other end of a connection.
///
/// `Display` writes the configured host and the resolved address: `rabbit1:5672 (192.0.2.7)`.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// The configured host.
    pub host: Host,
    /// The resolved address.
    pub address: SocketAddr,
    /// The negotiated TLS version and cipher suite: `TLS 1.3, TLS13_AES_256_GCM_SHA384`. `None`
    /// without TLS.
    pub tls: Option<String>,
}

impl PeerInfo {
    /// Returns whether the connection carries plain text over a network: it has no TLS, and the
    /// address is not a loopback address.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_net::{Host, PeerInfo};
    ///
    /// let mut peer = PeerInfo {
    ///     host: Host { name: "rabbit1".into(), port: 5672 },
    ///     address: "192.0.2.7:5672".parse().unwrap(),
    ///     tls: None,
    /// };
    /// assert!(peer.exposes_plain_text());
    /// peer.tls = Some("TLS 1.3".into());
    /// assert!(!peer.exposes_plain_text());
    /// ```
    pub fn exposes_plain_text(&self) -> bool {
        self.tls.is_none() && !self.address.ip().is_loopback()
    }

    /// Returns the line about TLS in the report of `glance-notify check`.
    ///
    /// It is a warning if the connection [exposes plain text](Self::exposes_plain_text).
    pub fn tls_finding(&self) -> Finding {
        match &self.tls {
            Some(tls) => Finding::good("TLS", format!("{tls}, certificate and name verified")),
            None if self.exposes_plain_text() => Finding::warning(
                "TLS",
                "none: the password and the notifications cross the network in plain text",
            ),
            None => Finding::good("TLS", "none, the broker is on this machine"),
        }
    }
}

impl fmt::Display for PeerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.host, self.address.ip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A warning appears exactly if plain text leaves this machine.
    #[test]
    fn only_plain_text_on_a_network_is_a_warning() {
        for (address, tls, exposed) in [
            ("192.0.2.1:5672", None, true),
            ("192.0.2.1:5671", Some("TLS 1.3"), false),
            ("127.0.0.1:5672", None, false),
            ("[::1]:5672", None, false),
        ] {
            let address = address.parse().unwrap();
            let peer = PeerInfo { host: Host::default(), address, tls: tls.map(Into::into) };
            assert_eq!(peer.exposes_plain_text(), exposed, "{peer:?}");
            let warned = format!("{:?}", peer.tls_finding()).contains("network in plain text");
            assert_eq!(warned, exposed, "{peer:?}");
        }
    }
}
