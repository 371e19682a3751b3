//! Why nobody lets us in.

use std::io;

use notify_core::redact::printable;
use notify_core::{Error, ErrorKind};

use super::Site;
use crate::config::SaslMechanism;

impl Site {
    /// Who refused us by SASL.
    pub(crate) fn refused_log_in(&self, mechanism: SaslMechanism) -> Error {
        let text = match mechanism {
            SaslMechanism::Plain => {
                format!("{} refused {}: wrong `qpid.user` or password", self.host, self.user())
            }
            SaslMechanism::Anonymous => {
                format!("{} takes nobody without a name: set `qpid.user` and a password", self.host)
            }
            SaslMechanism::External => {
                format!("{} knows no user for the certificate in `qpid.cert_file`", self.host)
            }
        };
        Error::new(ErrorKind::Access, text)
    }

    /// That peer and we have no mechanism in common.
    pub(crate) fn no_mechanism(&self, ours: &[SaslMechanism], offered: &[&str]) -> Error {
        let ours: Vec<_> = ours.iter().map(|mechanism| mechanism.name()).collect();
        Error::new(
            ErrorKind::Access,
            format!(
                "{} lets nobody in by {}: it offers {} (`qpid.sasl_mechanism`)",
                self.host,
                ours.join(" or "),
                printable(&offered.join(", "), 255)
            ),
        )
    }

    /// What a peer speaks that answers our protocol header with `start`.
    pub(crate) fn not_amqp(&self, start: [u8; 8]) -> Error {
        let text = match &start {
            b"AMQP\x00\x00\x09\x01" => format!(
                "{} speaks AMQP 0-9-1 only: enable its plugin rabbitmq_amqp1_0, or use the \
                 strategy `rabbit`",
                self.host
            ),
            [b'A', b'M', b'Q', b'P', 1, ..] | b"AMQP\x00\x00\x0a\x00" => {
                format!("{} speaks AMQP 0-10 only, not 1.0", self.host)
            }
            b"AMQP\x00\x01\x00\x00" => format!("{} lets nobody log in by SASL", self.host),
            // An alert of TLS.
            [0x15, 3, ..] => {
                format!("{} answers with TLS: use amqps:// in `qpid.url`", self.host)
            }
            _ => format!("{} does not speak AMQP 1.0 on this port", self.host),
        };
        Error::new(ErrorKind::Config, text)
    }

    /// What a connection that ends while we log in means.
    pub(crate) fn lost_at_log_in(&self, error: &io::Error) -> Error {
        if let Some(tls) = notify_net::explain_tls_error(error, &self.host) {
            return tls;
        }
        if error.kind() == io::ErrorKind::InvalidData {
            return Error::new(
                ErrorKind::Config,
                format!("{} does not speak AMQP 1.0 on this port", self.host),
            );
        }
        // The alert that says so may be overtaken by the end of the connection.
        let hint = match (self.tls, self.certificate) {
            (true, true) => ": does it accept the client certificate in `qpid.cert_file`?",
            (true, false) => ": does it want a client certificate (`qpid.cert_file`)?",
            (false, _) => ": does it speak AMQP without TLS on this port?",
        };
        self.unavailable(&format!("ended the connection while we logged in{hint}"))
            .with_source(io::Error::from(error.kind()))
    }
}
