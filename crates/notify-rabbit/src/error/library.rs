//! What the library reports.

use notify_core::{Error, ErrorKind};

use super::{Doing, Site};

impl Site {
    /// What `error` means.
    pub(crate) fn explain(&self, error: &lapin::Error, doing: Doing) -> Error {
        match error.kind() {
            lapin::ErrorKind::ProtocolError(error) => self.refused(error, doing),
            lapin::ErrorKind::IOError(error) | lapin::ErrorKind::RuntimeShutdownError(error) => {
                if let Some(known) = error.get_ref().and_then(|error| error.downcast_ref::<Error>())
                {
                    return known.clone();
                }
                if let Some(tls) = notify_net::explain_tls_error(error, &self.host) {
                    return tls;
                }
                self.unavailable(match doing {
                    Doing::LogIn => "ended the connection while we logged in",
                    Doing::Declare | Doing::Publish => "is gone: the connection was lost",
                })
                .with_source(std::io::Error::from(error.kind()))
            }
            lapin::ErrorKind::MissingHeartbeatError => Error::new(
                ErrorKind::Timeout,
                format!("{} has been silent for two heartbeats", self.host),
            ),
            lapin::ErrorKind::ParsingError(_) | lapin::ErrorKind::InvalidProtocolVersion(_) => {
                Error::new(ErrorKind::Config, format!("{} does not speak AMQP 0-9-1", self.host))
            }
            // How lapin says that something else went wrong before.
            _ => self.unavailable("is gone: the connection was closed"),
        }
    }
}
