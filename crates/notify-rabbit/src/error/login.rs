//! Errors of the login.
//!
//! RabbitMQ refuses a wrong user or password by 403 `ACCESS_REFUSED`, and a virtual host by 530
//! `NOT_ALLOWED`. The text of the former gives no reason; the broker's log does.
//!
//! No message shows the password. A user name appears escaped.

use notify_core::redact::printable;
use notify_core::{Error, ErrorKind};
use notify_net::SaslMechanism;

use super::{BrokerText, ErrorContext};
use crate::config::GUEST;

impl ErrorContext {
    /// Returns the error of a broker that refused the login.
    pub(super) fn login_refused(&self) -> Error {
        let (host, table) = (&self.host, self.table);
        let text = match self.sasl_mechanism {
            Some(SaslMechanism::External) => format!(
                "authentication failed: {host} has no user for the certificate in \
                 `{table}.cert_file`, or its plugin rabbitmq_auth_mechanism_ssl is disabled"
            ),
            // RabbitMQ's option `loopback_users` contains `guest` by default.
            Some(SaslMechanism::Anonymous) => format!(
                "authentication failed: {host} refused an anonymous login: set `{table}.user` and a \
                 password"
            ),
            Some(SaslMechanism::Plain) if self.user == GUEST && !host.is_loopback() => format!(
                "authentication failed: {host} refused user `{GUEST}`, who may log in only from the \
                 broker's own machine: create a user and set `{table}.user`"
            ),
            Some(SaslMechanism::Plain) | None => format!(
                "authentication failed: {host} refused user `{}`: check `{table}.user` and the \
                 password",
                printable(&self.user, 64)
            ),
        };
        Error::new(ErrorKind::Access, text)
    }

    /// Converts `NOT_ALLOWED`, RabbitMQ's reply code for everything wrong with a virtual host and
    /// for its limits. Only the text tells them apart.
    pub(super) fn not_allowed(&self, text: BrokerText<'_>) -> Error {
        let (host, table) = (&self.host, self.table);
        let virtual_host = printable(&self.virtual_host, 255);
        let (kind, message) = if text.0.contains("not found") {
            (
                ErrorKind::Config,
                format!(
                    "{host} has no virtual host `{virtual_host}`: create it, or correct \
                     `{table}.virtual_host`"
                ),
            )
        } else if text.0.contains("refused for user") {
            (
                ErrorKind::Access,
                format!(
                    "permission denied: {self} may not use the virtual host `{virtual_host}`; \
                     grant it with `rabbitmqctl set_permissions`"
                ),
            )
        } else {
            // A virtual host that is still starting, or a limit of connections.
            (ErrorKind::Unavailable, format!("{host} did not open the connection: {text}"))
        };
        Error::new(kind, message)
    }
}
