//! Why nobody lets us in.

use notify_core::redact::printable;
use notify_core::{Error, ErrorKind};

use super::{Said, Site};
use crate::config::{GUEST, SaslMechanism};

impl Site {
    pub(super) fn log_in_refused(&self) -> String {
        match self.sasl_mechanism {
            SaslMechanism::External => format!(
                "{} knows no user for the certificate in `rabbit.cert_file`, or its plugin \
                 rabbitmq_auth_mechanism_ssl is off",
                self.host
            ),
            SaslMechanism::Plain if self.user == GUEST && !self.host.is_loopback() => format!(
                "{} refused user `{GUEST}`, who may log in from the broker's own machine only: \
                 create a user and set `rabbit.user`",
                self.host
            ),
            SaslMechanism::Plain => format!(
                "{} refused user `{}`: wrong `rabbit.user` or password",
                self.host,
                printable(&self.user, 64)
            ),
        }
    }

    /// `NOT_ALLOWED` is said of virtual hosts and of limits.
    pub(super) fn not_allowed(&self, said: Said<'_>) -> Error {
        let virtual_host = printable(&self.virtual_host, 255);
        let (kind, text) = if said.0.contains("not found") {
            (
                ErrorKind::Config,
                format!(
                    "{} has no virtual host `{virtual_host}`: create it, or correct \
                     `rabbit.virtual_host`",
                    self.host
                ),
            )
        } else if said.0.contains("refused for user") {
            (
                ErrorKind::Access,
                format!(
                    "{self} may not use the virtual host `{virtual_host}`: \
                     `rabbitmqctl set_permissions` grants it"
                ),
            )
        } else {
            // A virtual host that is still starting, a limit of connections.
            (ErrorKind::Unavailable, format!("{} does not let us in: {said}", self.host))
        };
        Error::new(kind, text)
    }
}
