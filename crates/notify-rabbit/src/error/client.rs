//! Errors of lapin, the client library.
//!
//! lapin often reports one cause several times: first the error itself, then closed channels and
//! connections. This module converts one error; choosing among several is the task of
//! [`PublishAnswers`](crate::answers::PublishAnswers).

use notify_core::{Error, ErrorKind};

use super::{ErrorContext, Operation};

impl ErrorContext {
    /// Converts an error of lapin.
    ///
    /// The order of preference: the frame at which the guard ended the connection, a TLS error, the
    /// broker's reply code, and last lapin's own state.
    pub(crate) fn explain(&self, error: &lapin::Error, operation: Operation) -> Error {
        if let Some(violation) = self.report.violation() {
            return violation;
        }
        match error.kind() {
            lapin::ErrorKind::ProtocolError(error) => self.close_error(error, operation),
            lapin::ErrorKind::IOError(error) | lapin::ErrorKind::RuntimeShutdownError(error) => {
                if let Some(tls) = notify_net::explain_tls_error(error, &self.host) {
                    return tls;
                }
                let lost = match operation {
                    Operation::Login => {
                        self.unavailable_error("closed the connection during the login")
                    }
                    Operation::Declare | Operation::Publish { .. } | Operation::Consume => {
                        self.connection_lost()
                    }
                };
                lost.with_source(std::io::Error::from(error.kind()))
            }
            lapin::ErrorKind::MissingHeartbeatError => Error::new(
                // Not a timeout: the worker would take the lanes for silent ones.
                ErrorKind::Unavailable,
                format!("connection to {} lost: it missed two heartbeats", self.host),
            ),
            lapin::ErrorKind::ParsingError(_) | lapin::ErrorKind::InvalidProtocolVersion(_) => {
                Error::new(
                    ErrorKind::Config,
                    format!(
                        "{} does not speak AMQP 0-9-1 on this port: check the port in \
                         `{table}.url` or `{table}.port`",
                        self.host,
                        table = self.table
                    ),
                )
            }
            // lapin reports these after another error has closed the connection.
            _ => Error::new(ErrorKind::Unavailable, format!("connection to {} closed", self.host)),
        }
    }
}
