//! Who is at the other end, and what anybody between us can read.

use std::fmt;
use std::net::SocketAddr;

use notify_core::transport::Finding;

use crate::Host;

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// As it was configured.
    pub host: Host,
    /// As it was resolved.
    pub address: SocketAddr,
    /// The version and the cipher of TLS; `None` without it.
    pub tls: Option<String>,
}

impl PeerInfo {
    /// Whether what we send goes through a network in plain text.
    pub fn exposes_plain_text(&self) -> bool {
        self.tls.is_none() && !self.address.ip().is_loopback()
    }

    /// What `glance-notify check` finds about TLS.
    pub fn tls_finding(&self) -> Finding {
        match &self.tls {
            Some(tls) => Finding::good("TLS", format!("{tls}, certificate and name verified")),
            None if self.exposes_plain_text() => {
                Finding::warning("TLS", "none: password and notifications go in plain text")
            }
            None => Finding::good("TLS", "none, on this machine"),
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

    #[test]
    fn only_a_network_without_tls_is_warned_of() {
        for (address, tls, overheard) in [
            ("192.0.2.1:5672", None, true),
            ("192.0.2.1:5671", Some("TLS 1.3"), false),
            ("127.0.0.1:5672", None, false),
            ("[::1]:5672", None, false),
        ] {
            let address = address.parse().unwrap();
            let peer = PeerInfo { host: Host::default(), address, tls: tls.map(Into::into) };
            assert_eq!(peer.exposes_plain_text(), overheard, "{peer:?}");
            let plain = format!("{:?}", peer.tls_finding()).contains("go in plain text");
            assert_eq!(plain, overheard, "{peer:?}");
        }
    }
}
