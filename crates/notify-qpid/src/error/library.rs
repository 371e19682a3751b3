//! What the library reports of connections, sessions and links.

use std::io;

use fe2o3_amqp::connection::{ConnectionStopReason, Error as ConnectionError, OpenError};
use fe2o3_amqp::link::{LinkStateError, SendError, SenderAttachError, SessionStopReason};
use fe2o3_amqp::session::{BeginError, Error as SessionError};
use fe2o3_amqp::transport::Error as TransportError;
use fe2o3_amqp::types::definitions::{AmqpError, ErrorCondition};
use notify_core::redact::printable;
use notify_core::{Error, ErrorKind, Result};

use super::{Doing, Site, said};

impl Site {
    /// Why there is no connection.
    pub(crate) fn open(&self, error: &OpenError) -> Error {
        match error {
            OpenError::Io(error) | OpenError::TransportError(TransportError::Io(error)) => {
                self.lost_at_log_in(error)
            }
            OpenError::RemoteClosedWithError(error) => self.refused(error, Doing::LogIn),
            OpenError::ProtocolHeaderMismatch(header) => {
                let mut start = [0; 8];
                let length = header.len().min(8);
                start[..length].copy_from_slice(&header[..length]);
                self.not_amqp(start)
            }
            _ => self.unavailable("did not open the connection"),
        }
    }

    /// Why a connection ended.
    pub(crate) fn closed(&self, error: &ConnectionError) -> Error {
        match error {
            ConnectionError::RemoteClosedWithError(error) => self.refused(error, Doing::Connected),
            ConnectionError::TransportError(TransportError::IdleTimeoutElapsed) => Error::new(
                ErrorKind::Timeout,
                format!("{} has been silent for too long", self.host),
            ),
            ConnectionError::TransportError(TransportError::Io(error)) => {
                if let Some(tls) = notify_net::explain_tls_error(error, &self.host) {
                    return tls;
                }
                self.gone().with_source(io::Error::from(error.kind()))
            }
            ConnectionError::RemoteClosed => self.unavailable("closed the connection"),
            error => self.gone().with_source(error.to_string()),
        }
    }

    /// Why a session did not begin.
    pub(crate) fn begin(&self, error: &BeginError, address: &str) -> Error {
        match error {
            BeginError::RemoteEndedWithError(error) => self.refused(error, Doing::Attach(address)),
            BeginError::ConnectionStopped(reason) => self.stopped(reason),
            _ => self.unavailable("did not begin a session"),
        }
    }

    /// Why a session ended.
    pub(crate) fn ended(&self, error: &SessionError, doing: Doing<'_>) -> Error {
        match error {
            SessionError::RemoteEndedWithError(error) => self.refused(error, doing),
            SessionError::ConnectionStopped(reason) => self.stopped(reason),
            _ => self.unavailable("ended the session"),
        }
    }

    /// Why a link was not attached.
    pub(crate) fn attach(&self, error: &SenderAttachError, address: &str) -> Error {
        let doing = Doing::Attach(address);
        match error {
            SenderAttachError::RemoteClosedWithError(error) => self.refused(error, doing),
            SenderAttachError::SessionStopped(reason) => self.session_stopped(reason, doing),
            SenderAttachError::SndSettleModeNotSupported => Error::new(
                ErrorKind::Config,
                format!(
                    "{} does not say what becomes of messages to `{}`: settling is what delivery \
                     rests on",
                    self.host,
                    printable(address, 255)
                ),
            ),
            _ => self.unavailable("did not attach a link"),
        }
    }

    /// What it means that a node was not created.
    ///
    /// # Errors
    ///
    /// When messages for it cannot be sent either.
    pub(crate) fn not_created(&self, error: &SenderAttachError, creator: &str) -> Result<()> {
        let (SenderAttachError::RemoteClosedWithError(refusal)
        | SenderAttachError::SessionStopped(SessionStopReason::RemoteEndedWithError(refusal))) =
            error
        else {
            return Err(self.attach(error, creator));
        };
        let (node, said) = (printable(creator, 255), said(refusal));
        match &refusal.condition {
            ErrorCondition::AmqpError(AmqpError::PreconditionFailed) => {
                if said.contains("'durable'") {
                    tracing::warn!("{node} is not durable: lost when {} restarts", self.host);
                } else {
                    tracing::debug!("{node} is used as it is: {said}");
                }
                Ok(())
            }
            ErrorCondition::AmqpError(AmqpError::UnauthorizedAccess) => {
                tracing::warn!(
                    "{} may not create {node}: make sure that it exists, what is sent to a queue \
                     that is missing is lost",
                    self.who()
                );
                Ok(())
            }
            _ => Err(self.attach(error, creator)),
        }
    }

    /// Why a link stopped.
    pub(crate) fn link(&self, error: &SendError, address: &str) -> Error {
        let doing = Doing::Publish(address);
        match error {
            SendError::LinkStateError(
                LinkStateError::RemoteClosedWithError(error)
                | LinkStateError::RemoteDetachedWithError(error),
            ) => self.refused(error, doing),
            SendError::LinkStateError(LinkStateError::SessionStopped(reason)) => {
                self.session_stopped(reason, doing)
            }
            SendError::LinkStateError(
                LinkStateError::RemoteClosed | LinkStateError::RemoteDetached,
            ) => self.unavailable("detached the link"),
            SendError::IllegalDeliveryState | SendError::NonTerminalDeliveryState => {
                self.confused("it settled a message without an outcome")
            }
            _ => self.unavailable("stopped the link"),
        }
    }

    fn session_stopped(&self, reason: &SessionStopReason, doing: Doing<'_>) -> Error {
        match reason {
            SessionStopReason::RemoteEndedWithError(error) => self.refused(error, doing),
            SessionStopReason::ConnectionStopped(reason) => self.stopped(reason),
            _ => self.unavailable("ended the session"),
        }
    }

    fn stopped(&self, reason: &ConnectionStopReason) -> Error {
        match reason {
            ConnectionStopReason::RemoteClosedWithError(error) => {
                self.refused(error, Doing::Connected)
            }
            _ => self.gone(),
        }
    }
}
