//! Errors of fe2o3-amqp about connections, sessions and links, as errors that an operator can act on.
//!
//! The client's error types stay inside this crate: an [`Error`] carries at most their text.

use std::io;

use fe2o3_amqp::connection::{ConnectionStopReason, Error as ConnectionError, OpenError};
use fe2o3_amqp::link::{LinkStateError, SendError, SenderAttachError, SessionStopReason};
use fe2o3_amqp::session::BeginError;
use fe2o3_amqp::transport::Error as TransportError;
use fe2o3_amqp::types::definitions::{AmqpError, ErrorCondition};
use notify_core::redact::printable;
use notify_core::{Error, ErrorKind, Result};

use super::{ErrorContext, Operation, broker_text};

/// Returns whether a link was not attached because its node does not exist.
pub(crate) fn is_missing_node(error: &SenderAttachError) -> bool {
    let (SenderAttachError::RemoteClosedWithError(error)
    | SenderAttachError::SessionStopped(SessionStopReason::RemoteEndedWithError(error))) = error
    else {
        return false;
    };
    let ErrorCondition::AmqpError(condition) = &error.condition else { return false };
    matches!(condition, AmqpError::NotFound | AmqpError::ResourceDeleted)
}

impl ErrorContext {
    /// Converts the error of a connection that did not open. SASL has succeeded by then, so the broker
    /// refused the Open: usually because of the virtual host.
    pub(crate) fn open_error(&self, error: &OpenError) -> Error {
        match error {
            OpenError::Io(error) | OpenError::TransportError(TransportError::Io(error)) => {
                self.open_disconnect(error)
            }
            OpenError::RemoteClosedWithError(error) => {
                self.condition_error(error, Operation::Login)
            }
            OpenError::ProtocolHeaderMismatch(header) => {
                let mut start = [0; 8];
                let length = header.len().min(8);
                start[..length].copy_from_slice(&header[..length]);
                self.wrong_protocol(start)
            }
            _ => self.unavailable_error("did not open the connection"),
        }
    }

    /// Converts the error that ended a connection: a close by the broker, a heartbeat timeout, or an
    /// error of the socket.
    pub(crate) fn close_error(&self, error: &ConnectionError) -> Error {
        match error {
            ConnectionError::RemoteClosedWithError(error) => {
                self.condition_error(error, Operation::Connection)
            }
            ConnectionError::TransportError(TransportError::IdleTimeoutElapsed) => Error::new(
                // Not a timeout: the worker would take the lanes for silent ones.
                ErrorKind::Unavailable,
                format!(
                    "connection to {} lost: it has been silent for too long (`qpid.heartbeat`)",
                    self.host
                ),
            ),
            ConnectionError::TransportError(TransportError::Io(error)) => {
                if let Some(tls) = notify_net::explain_tls_error(error, &self.host) {
                    return tls;
                }
                self.connection_lost().with_source(io::Error::from(error.kind()))
            }
            ConnectionError::RemoteClosed => self.unavailable_error("closed the connection"),
            error => self.connection_lost().with_source(error.to_string()),
        }
    }

    /// Converts the error of a session, for a link to `address`, that did not begin.
    pub(crate) fn begin_error(&self, error: &BeginError, address: &str) -> Error {
        match error {
            BeginError::RemoteEndedWithError(error) => {
                self.condition_error(error, Operation::Attach(address))
            }
            BeginError::ConnectionStopped(reason) => self.connection_stop_error(reason),
            _ => self.unavailable_error("did not begin a session"),
        }
    }

    /// Converts the error of a link to `address` that was not attached. A missing node and a missing
    /// permission show here first.
    pub(crate) fn attach_error(&self, error: &SenderAttachError, address: &str) -> Error {
        let operation = Operation::Attach(address);
        match error {
            SenderAttachError::RemoteClosedWithError(error) => {
                self.condition_error(error, operation)
            }
            SenderAttachError::SessionStopped(reason) => self.session_stop_error(reason, operation),
            SenderAttachError::SndSettleModeNotSupported => Error::new(
                ErrorKind::Config,
                format!(
                    "{} does not settle messages to `{}`: `qpid` needs settled messages to confirm \
                     delivery",
                    self.host,
                    printable(address, 255)
                ),
            ),
            _ => self.unavailable_error("did not attach a link"),
        }
    }

    /// Decides whether the transport can go on after a node was not created by attaching to
    /// `create_address`.
    ///
    /// It can if the node exists with other properties, and if the user may not create nodes. Logs
    /// what that costs.
    ///
    /// # Errors
    ///
    /// The converted error in all other cases: messages to the node would fail too.
    pub(crate) fn accept_create_error(
        &self,
        error: &SenderAttachError,
        create_address: &str,
    ) -> Result<()> {
        let (SenderAttachError::RemoteClosedWithError(refusal)
        | SenderAttachError::SessionStopped(SessionStopReason::RemoteEndedWithError(refusal))) =
            error
        else {
            return Err(self.attach_error(error, create_address));
        };
        let (node, text) = (printable(create_address, 255), broker_text(refusal));
        match &refusal.condition {
            ErrorCondition::AmqpError(AmqpError::PreconditionFailed) => {
                if text.contains("'durable'") {
                    tracing::warn!(
                        "{node} is not durable: its messages are lost when {} restarts",
                        self.host
                    );
                } else {
                    tracing::debug!(
                        "{node} exists with other properties and is used unchanged: {text}"
                    );
                }
                Ok(())
            }
            ErrorCondition::AmqpError(AmqpError::UnauthorizedAccess) => {
                tracing::warn!(
                    "{} may not create {node}: make sure that it exists, because the broker drops \
                     messages to a missing queue",
                    self.user_at_host()
                );
                Ok(())
            }
            _ => Err(self.attach_error(error, create_address)),
        }
    }

    /// Converts the error of a send, which is the error that stopped the link to `address`.
    pub(crate) fn send_error(&self, error: &SendError, address: &str) -> Error {
        let operation = Operation::Publish(address);
        match error {
            SendError::LinkStateError(
                LinkStateError::RemoteClosedWithError(error)
                | LinkStateError::RemoteDetachedWithError(error),
            ) => self.condition_error(error, operation),
            SendError::LinkStateError(LinkStateError::SessionStopped(reason)) => {
                self.session_stop_error(reason, operation)
            }
            SendError::LinkStateError(
                LinkStateError::RemoteClosed | LinkStateError::RemoteDetached,
            ) => self.unavailable_error("detached the link"),
            SendError::IllegalDeliveryState | SendError::NonTerminalDeliveryState => {
                self.protocol_error("it settled a message without an outcome")
            }
            _ => self.unavailable_error("stopped the link"),
        }
    }

    /// Converts the reason why a link's session stopped. RabbitMQ 3 ends the session where other brokers
    /// detach the link, so the condition belongs to `operation`.
    pub(crate) fn session_stop_error(
        &self,
        reason: &SessionStopReason,
        operation: Operation<'_>,
    ) -> Error {
        match reason {
            SessionStopReason::RemoteEndedWithError(error) => {
                self.condition_error(error, operation)
            }
            SessionStopReason::ConnectionStopped(reason) => self.connection_stop_error(reason),
            _ => self.unavailable_error("ended the session"),
        }
    }

    /// Converts the reason why a session's connection stopped.
    fn connection_stop_error(&self, reason: &ConnectionStopReason) -> Error {
        match reason {
            ConnectionStopReason::RemoteClosedWithError(error) => {
                self.condition_error(error, Operation::Connection)
            }
            _ => self.connection_lost(),
        }
    }
}
