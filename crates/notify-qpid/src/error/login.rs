//! Errors of the login: SASL, and peers that speak another protocol.
//!
//! No message shows the password. A user name appears escaped.

use std::io;

use notify_core::redact::printable;
use notify_core::{Error, ErrorKind};
use notify_net::SaslMechanism;

use super::ErrorContext;

impl ErrorContext {
    /// Returns the error of a broker that refused the login by `mechanism`. The broker does not tell
    /// whether the user or the password is wrong.
    pub(crate) fn login_refused(&self, mechanism: SaslMechanism) -> Error {
        let host = &self.host;
        let text = match mechanism {
            SaslMechanism::Plain => format!(
                "authentication failed: {host} refused {}: check `qpid.user` and the password",
                self.user_text()
            ),
            SaslMechanism::Anonymous => format!(
                "authentication failed: {host} refused an anonymous login: set `qpid.user` and a \
                 password"
            ),
            SaslMechanism::External => format!(
                "authentication failed: {host} has no user for the certificate in \
                 `qpid.cert_file`"
            ),
        };
        Error::new(ErrorKind::Access, text)
    }

    /// Returns the error of a broker that offers none of the mechanisms in `qpid.sasl_mechanism`. It
    /// lists those that the broker offers, for you to choose from.
    pub(crate) fn no_common_mechanism(&self, ours: &[SaslMechanism], offered: &[&str]) -> Error {
        let ours: Vec<_> = ours.iter().map(|mechanism| mechanism.name()).collect();
        let offered = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
        Error::new(
            ErrorKind::Access,
            format!(
                "authentication failed: {} does not offer the SASL mechanism {}, it offers {}: \
                 change `qpid.sasl_mechanism`",
                self.host,
                ours.join(" or "),
                printable(&offered, 255)
            ),
        )
    }

    /// Returns the error of a peer that answered the protocol header with `start`.
    ///
    /// The first eight bytes tell the protocol (AMQP 1.0, section 2.2): the letters `AMQP`, a protocol
    /// id, and the version. A broker that refuses a version answers with the header of its own. A
    /// TLS server answers with an alert, and other servers with a text.
    pub(crate) fn wrong_protocol(&self, start: [u8; 8]) -> Error {
        let host = &self.host;
        let text = match &start {
            b"AMQP\x00\x00\x09\x01" => format!(
                "{host} speaks AMQP 0-9-1 only: enable its plugin rabbitmq_amqp1_0, or use the \
                 strategy `rabbit`"
            ),
            [b'A', b'M', b'Q', b'P', 1, ..] | b"AMQP\x00\x00\x0a\x00" => {
                format!("{host} speaks AMQP 0-10 only: `qpid` needs AMQP 1.0")
            }
            b"AMQP\x00\x01\x00\x00" => {
                format!("{host} does not offer SASL: enable SASL at the broker")
            }
            // A TLS alert.
            [0x15, 3, ..] => format!(
                "{host} answers with TLS: use amqps:// in `qpid.url`, or the port for plain text"
            ),
            _ => format!(
                "{host} does not speak AMQP 1.0 on this port: check the \
                 port in `qpid.url` or `qpid.port`"
            ),
        };
        Error::new(ErrorKind::Config, text)
    }

    /// Returns the error of a connection that ended during the login.
    ///
    /// # Errors by cause
    ///
    /// * A TLS alert: the error of the alert.
    /// * Bytes that are not AMQP: a configuration error.
    /// * The end of the stream: a transient error with a guess, because a broker that restarts looks
    ///   the same as one that requires TLS.
    pub(crate) fn login_disconnect(&self, error: &io::Error) -> Error {
        if let Some(tls) = notify_net::explain_tls_error(error, &self.host) {
            return tls;
        }
        if error.kind() == io::ErrorKind::InvalidData {
            return Error::new(
                ErrorKind::Config,
                format!(
                    "{} does not speak AMQP 1.0 on this port: check the \
                     port in `qpid.url` or `qpid.port`",
                    self.host
                ),
            );
        }
        // A peer usually sends an alert that names the cause, but the end of the connection can
        // overtake it. So these are guesses.
        let hint = match (self.tls, self.certificate) {
            (true, true) => "check that it accepts the client certificate in `qpid.cert_file`",
            (true, false) => "it may require a client certificate (`qpid.cert_file`)",
            (false, _) => "it may require TLS (amqps:// in `qpid.url`)",
        };
        self.unavailable_error(&format!("closed the connection during the login: {hint}"))
            .with_source(io::Error::from(error.kind()))
    }

    /// Returns the error of a connection that ended after the login and before the broker's Open.
    ///
    /// RabbitMQ 4 ends it without an answer if the virtual host does not exist (seen with 4.0.5). A
    /// broker that stops at that moment looks the same, so the error is transient.
    pub(crate) fn open_disconnect(&self, error: &io::Error) -> Error {
        if let Some(tls) = notify_net::explain_tls_error(error, &self.host) {
            return tls;
        }
        self.unavailable_error(&format!(
            "closed the connection after the login: check that the {} exists, and that {} may use it \
             (`qpid.virtual_host`)",
            self.virtual_host_text(),
            self.user_text()
        ))
        .with_source(io::Error::from(error.kind()))
    }
}
