//! The errors of the broker and of fe2o3-amqp, in terms of the options that you can change.
//!
//! # Conditions
//!
//! The broker reports a condition (`amqp:not-found`). Its meaning depends on the [`Operation`] that
//! failed:
//!
//! | condition | during | kind |
//! |---|---|---|
//! | not-found, resource-deleted | attach | `Config`: no such node |
//! | not-found, resource-deleted | publish | `Unavailable`: the node was deleted |
//! | not-found, invalid-field | login | `Config`: the virtual host |
//! | precondition-failed, not-implemented, invalid-field | attach | `Config`: the address |
//! | unauthorized-access, not-allowed | all | `Access`: permission denied |
//! | resource-limit-exceeded | all | `Full` |
//! | any other | all | `Unavailable` |
//!
//! `Config` and `Access` are permanent, so the worker retries them every 30 s. The others are
//! transient.
//!
//! # Privacy
//!
//! No message holds a password or a payload. The broker's text appears escaped and shortened, because
//! a hostile broker could put control characters of a terminal into it.

pub(crate) mod client;
mod login;

use std::time::Duration;

use fe2o3_amqp::types::definitions::{self, AmqpError, ErrorCondition};
use fe2o3_amqp::types::primitives::Symbol;
use notify_core::redact::printable;
use notify_core::{Error, ErrorKind};
use notify_net::{BrokerAnswer, Endpoint, Host};

/// The host, the user and the options that the errors of one connection name.
#[derive(Clone, Debug)]
pub(crate) struct ErrorContext {
    /// The host of this connection.
    pub(crate) host: Host,
    /// `qpid.user`, not escaped.
    user: Option<String>,
    /// `qpid.virtual_host`, not escaped.
    virtual_host: Option<String>,
    /// Whether the connection uses TLS.
    tls: bool,
    /// Whether the configuration has a client certificate.
    certificate: bool,
}

/// The operation that failed. It decides the meaning of the broker's error condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation<'a> {
    /// The login, up to an open connection.
    Login,
    /// Attaching a link to this address.
    Attach(&'a str),
    /// Sending messages to this address.
    Publish(&'a str),
    /// None in particular: the error concerns the whole connection.
    Connection,
}

impl ErrorContext {
    /// Creates the context of a connection to `host`.
    pub(crate) fn new(host: &Host, endpoint: &Endpoint) -> Self {
        Self {
            host: host.clone(),
            user: endpoint.user.clone(),
            virtual_host: endpoint.virtual_host.clone(),
            tls: endpoint.tls.is_some(),
            certificate: endpoint.has_certificate(),
        }
    }

    /// Converts an error condition of the broker (AMQP 1.0, sections 2.8.14 to 2.8.18).
    ///
    /// The same condition means different things: `amqp:not-found` is a configuration error during an
    /// attach, and a deleted node, perhaps for a moment, during a publish.
    fn condition_error(&self, error: &definitions::Error, operation: Operation<'_>) -> Error {
        use AmqpError as A;
        let text = broker_text(error);
        let host = &self.host;
        let ErrorCondition::AmqpError(condition) = &error.condition else {
            return self.unavailable_error(&format!("reported an error: {text}"));
        };
        let (kind, message) = match (condition, operation) {
            (A::NotFound | A::ResourceDeleted, Operation::Attach(address)) => (
                ErrorKind::Config,
                format!(
                    "{host} has no node `{}`: create it, or correct `qpid.node`, `qpid.dialect` or \
                     `qpid.address` ({text})",
                    printable(address, 255)
                ),
            ),
            (A::NotFound | A::ResourceDeleted, Operation::Publish(address)) => (
                ErrorKind::Unavailable,
                format!("{host}: node `{}` no longer exists: {text}", printable(address, 255)),
            ),
            (A::NotFound | A::InvalidField, Operation::Login) => (
                ErrorKind::Config,
                format!("{host} did not open the connection: check `qpid.virtual_host` ({text})"),
            ),
            (
                A::PreconditionFailed | A::NotImplemented | A::InvalidField,
                Operation::Attach(address),
            ) => (
                ErrorKind::Config,
                format!(
                    "{host} does not accept messages for `{}`: correct `qpid.dialect` or \
                     `qpid.address` ({text})",
                    printable(address, 255)
                ),
            ),
            (A::UnauthorizedAccess | A::NotAllowed, Operation::Login | Operation::Connection) => {
                let user = self.user_at_host();
                let message = format!(
                    "permission denied: {user} may not use the {}, or it does not exist \
                     (`qpid.virtual_host`): {text}",
                    self.virtual_host_text()
                );
                (ErrorKind::Access, message)
            }
            (A::UnauthorizedAccess | A::NotAllowed, _) => {
                (ErrorKind::Access, format!("permission denied to {}: {text}", self.user_at_host()))
            }
            (A::ResourceLimitExceeded, _) => (ErrorKind::Full, format!("{host} is full: {text}")),
            _ => (ErrorKind::Unavailable, format!("{host} reported an error: {text}")),
        };
        Error::new(kind, message)
    }

    /// Returns the error of a message with the outcome `rejected`. It carries the broker's reason.
    pub(crate) fn rejected(
        &self,
        error: Option<&definitions::Error>,
        meaning: BrokerAnswer,
        address: &str,
    ) -> Error {
        let reason = error.map_or_else(|| "it gave no reason".to_owned(), broker_text);
        let (host, address) = (&self.host, printable(address, 255));
        match meaning {
            BrokerAnswer::Busy => Error::new(
                ErrorKind::Full,
                format!(
                    "{host} rejected the message: `{address}` is full or unavailable: {reason}"
                ),
            ),
            _ => Error::new(
                ErrorKind::Rejected,
                format!("{host} rejected the message: {reason}, for `{address}`"),
            ),
        }
    }

    /// Returns the error of a message with the outcome `released` or `modified`.
    ///
    /// RabbitMQ 4 releases unroutable messages, and qpidd releases messages that a full queue does not
    /// hold. The outcome does not tell which, so the error names both.
    pub(crate) fn not_accepted(&self, outcome: &str, address: &str) -> Error {
        self.unavailable_error(&format!(
            "{outcome} the message: `{}` is unroutable or its queue is full; bind a queue, or make \
             room",
            printable(address, 255)
        ))
    }

    /// Returns the error of a broker that settled none of `unsettled` messages for `timeout`.
    ///
    /// Zero unsettled messages mean that the broker gave no credit, so nothing could be sent.
    pub(crate) fn backlog(&self, address: &str, unsettled: usize, timeout: Duration) -> Error {
        let host = &self.host;
        let address = printable(address, 255);
        let seconds = timeout.as_secs_f64();
        let message = match unsettled {
            0 => format!("{host} has accepted no message for `{address}` for {seconds} s"),
            1 => format!(
                "backlogged: {host} has not settled a message for `{address}` for {seconds} s: \
                 check whether a queue is full"
            ),
            _ => format!(
                "backlogged: {host} has not settled {unsettled} messages for `{address}` for \
                 {seconds} s: check whether a queue is full"
            ),
        };
        // A timeout: the worker then attempts this lane by itself, and the others go on.
        Error::new(ErrorKind::Timeout, message)
    }

    /// Returns the error of an answer that did not come in time. `problem` completes the sentence
    /// that the host begins: "did not answer".
    pub(crate) fn timeout_error(&self, problem: &str) -> Error {
        Error::new(ErrorKind::Timeout, format!("{} {problem}", self.host))
    }

    /// Returns the error of a peer that violates the protocol.
    pub(crate) fn protocol_error(&self, problem: &str) -> Error {
        self.unavailable_error(&format!("violated the AMQP protocol: {problem}"))
    }

    /// Returns the error of a connection that ended without a reason from the broker: a TCP reset, a
    /// killed broker, a cut network.
    pub(crate) fn connection_lost(&self) -> Error {
        Error::new(ErrorKind::Unavailable, format!("connection to {} lost", self.host))
    }

    /// Returns a transient error. `problem` completes the sentence that the host begins: "closed the
    /// connection".
    pub(crate) fn unavailable_error(&self, problem: &str) -> Error {
        Error::new(ErrorKind::Unavailable, format!("{} {problem}", self.host))
    }

    /// Names the configured user, as the object of a sentence. Anonymous logins and logins with a
    /// certificate have none.
    fn user_text(&self) -> String {
        match &self.user {
            Some(user) => format!("user `{}`", printable(user, 64)),
            None => "a login without `qpid.user`".to_owned(),
        }
    }

    /// Names the virtual host in a sentence.
    fn virtual_host_text(&self) -> String {
        match &self.virtual_host {
            Some(name) => format!("virtual host `{}`", printable(name, 255)),
            None => "broker's default virtual host".to_owned(),
        }
    }

    /// Names the user and the host, as the subject of a sentence.
    pub(crate) fn user_at_host(&self) -> String {
        format!("{} at {}", self.user_text(), self.host)
    }
}

/// Returns the condition and the description of a broker's error, escaped and cut to 64 and 512
/// characters: `amqp:not-found: no queue 'notifications.info'`.
fn broker_text(error: &definitions::Error) -> String {
    let condition = match &error.condition {
        ErrorCondition::AmqpError(condition) => Symbol::from(condition),
        ErrorCondition::ConnectionError(condition) => Symbol::from(condition),
        ErrorCondition::SessionError(condition) => Symbol::from(condition),
        ErrorCondition::LinkError(condition) => Symbol::from(condition),
        ErrorCondition::Custom(condition) => condition.clone(),
    };
    match &error.description {
        Some(text) => {
            format!("{}: {}", printable(condition.as_str(), 64), printable(text, 512))
        }
        None => printable(condition.as_str(), 64).to_string(),
    }
}
