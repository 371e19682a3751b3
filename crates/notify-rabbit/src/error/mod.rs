//! The errors of the broker and of lapin, in terms of the options that you can change.
//!
//! No message holds a password or a payload. The broker's text appears escaped and shortened.
//!
//! RabbitMQ reports errors by a reply code and a text (AMQP 0-9-1, section 1.2; RabbitMQ's guide
//! "Channels"). This module converts them by their meaning for a publisher:
//!
//! | reply code | during the login | while declaring | while publishing, or reading |
//! |---|---|---|---|
//! | 311, 320 and others | unavailable | unavailable | unavailable |
//! | 403 `ACCESS_REFUSED` | access | access | access |
//! | 404 `NOT_FOUND`, no such queue or exchange | configuration | configuration | unavailable, if the transport declares again |
//! | 404 `NOT_FOUND`, home node down or timeout | | unavailable | unavailable |
//! | 405, 406 | configuration | configuration | unavailable |
//! | 530 `NOT_ALLOWED` | access, configuration or unavailable, by the text | the same | the same |
//!
//! *Access* and *configuration* are permanent: the worker retries every 30 s. *Unavailable* is
//! transient.

mod client;
mod login;

use std::fmt;

use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError};
use notify_core::redact::printable;
use notify_core::{Error, ErrorKind};
use notify_net::guard::GuardReport;
use notify_net::{Endpoint, Host, SaslMechanism};

use crate::config::virtual_host;

/// The host, the user and the options that the errors of one connection name.
#[derive(Clone, Debug)]
pub(crate) struct ErrorContext {
    /// The host of this connection.
    pub(crate) host: Host,
    /// The table of the options that messages name: `rabbit`, or `source`.
    table: &'static str,
    user: String,
    virtual_host: String,
    sasl_mechanism: Option<SaslMechanism>,
    /// The guard's findings about the broker.
    report: GuardReport,
}

/// The operation that failed. It decides the meaning of the broker's reply code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The login, up to an open connection.
    Login,
    /// Opening a channel, or declaring the exchange and the queues.
    Declare,
    /// Publishing messages.
    Publish {
        /// Whether the transport declares a missing exchange or queue again.
        declares: bool,
    },
    /// Preparing a queue for a source, and reading from it.
    Consume,
}

impl ErrorContext {
    /// Creates the context of a connection to `host`.
    pub(crate) fn new(
        host: &Host,
        endpoint: &Endpoint,
        table: &'static str,
        report: GuardReport,
    ) -> Self {
        let user = endpoint.user.clone();
        Self {
            host: host.clone(),
            table,
            user: user.unwrap_or_else(|| "the certificate's user".into()),
            virtual_host: virtual_host(endpoint).to_owned(),
            sasl_mechanism: endpoint.sasl_mechanism.first().copied(),
            report,
        }
    }

    /// Converts the reason for which the broker closed the connection or the channel (AMQP 0-9-1,
    /// section 1.8, "reply codes").
    ///
    /// The same code means different things: `NOT_FOUND` during a publish is transient if the
    /// transport can declare the exchange again, and a configuration error otherwise.
    fn close_error(&self, error: &AMQPError, operation: Operation) -> Error {
        use {AMQPErrorKind as Kind, AMQPHardError as Hard, AMQPSoftError as Soft};
        let text = BrokerText(error.get_message().as_str());
        let host = &self.host;
        let not_found = match operation {
            Operation::Publish { declares: true } | Operation::Consume => ErrorKind::Unavailable,
            _ => ErrorKind::Config,
        };
        let is_missing = text.0.contains("no queue") || text.0.contains("no exchange");
        let hint = match operation {
            Operation::Declare => {
                ", or set `rabbit.declare = \"verify\"` if another program declares the queues"
            }
            // Binding to a topic exchange can need both.
            Operation::Consume if text.0.contains("access to topic") => {
                " and `set_topic_permissions`"
            }
            Operation::Login | Operation::Publish { .. } | Operation::Consume => "",
        };
        let grant = match operation {
            Operation::Publish { .. } if text.0.contains("access to topic") => {
                "set_topic_permissions"
            }
            _ => "set_permissions",
        };
        let (kind, message) = match error.kind() {
            Kind::Soft(Soft::ACCESSREFUSED | Soft::RESOURCELOCKED)
                if operation == Operation::Consume && text.0.contains("exclusive") =>
            {
                (ErrorKind::Unavailable, format!("{host}: {text}: {IN_USE}"))
            }
            Kind::Soft(Soft::PRECONDITIONFAILED) if text.0.contains("acknowledgement") => (
                ErrorKind::Unavailable,
                format!(
                    "{host} closed the channel: {text}: settle deliveries sooner, or raise \
                     `consumer_timeout` in rabbitmq.conf"
                ),
            ),
            Kind::Soft(Soft::ACCESSREFUSED) if operation == Operation::Login => {
                return self.login_refused();
            }
            Kind::Soft(Soft::ACCESSREFUSED) => (
                ErrorKind::Access,
                format!(
                    "permission denied to {self}: {text}; grant it with `rabbitmqctl \
                     {grant}`{hint}"
                ),
            ),
            Kind::Hard(Hard::NOTALLOWED) => return self.not_allowed(text),
            // A queue that exists and cannot be reached has the same code.
            Kind::Soft(Soft::NOTFOUND) if !is_missing => {
                (ErrorKind::Unavailable, format!("{host}: queue unavailable: {text}"))
            }
            Kind::Soft(Soft::NOTFOUND) => (not_found, format!("{host}: {text}")),
            _ if text.0.contains("transient_nonexcl_queues") => (
                ErrorKind::Config,
                format!(
                    "{host} refuses queues that are not durable, as RabbitMQ does from 4.3: set \
                     `{table}.durable = true`, or allow them in rabbitmq.conf with \
                     `deprecated_features.permit.transient_nonexcl_queues = true`",
                    table = self.table
                ),
            ),
            _ if text.0.contains("replica on the local node") => (
                ErrorKind::Unavailable,
                format!("{host}: {text}: name a node that has one in `{}.url`", self.table),
            ),
            Kind::Soft(Soft::PRECONDITIONFAILED | Soft::RESOURCELOCKED)
                if !matches!(operation, Operation::Publish { .. }) =>
            {
                (ErrorKind::Config, format!("{host}: {text}"))
            }
            Kind::Hard(Hard::CONNECTIONFORCED) => {
                (ErrorKind::Unavailable, format!("{host} closed the connection: {text}"))
            }
            _ => (ErrorKind::Unavailable, format!("{host} reported an error: {text}")),
        };
        Error::new(kind, message)
    }

    /// Returns the error of an answer that did not come in time.
    ///
    /// `problem` completes the sentence that the host begins: "did not answer". `blocked` is the reason
    /// of a broker that blocks publishers. Such a broker is full, not slow, so the error has the kind
    /// [`ErrorKind::Full`] then. A peer that broke the rules of the guard gets the guard's error: lapin can
    /// leave a request without an answer after its connection failed.
    pub(crate) fn timeout_error(&self, problem: &str, blocked: Option<&str>) -> Error {
        if let Some(violation) = self.report.violation() {
            return violation;
        }
        match blocked {
            Some(reason) => Error::new(
                ErrorKind::Full,
                format!("{} blocks publishers: {}", self.host, printable(reason, 255)),
            ),
            None => Error::new(ErrorKind::Timeout, format!("{} {problem}", self.host)),
        }
    }

    /// Returns the error of a request about more than one queue that had no answer in time. The parameters
    /// are those of [`timeout_error`](Self::timeout_error).
    ///
    /// It is not a timeout: the worker would take the lanes for silent ones.
    pub(crate) fn unanswered_error(&self, problem: &str, blocked: Option<&str>) -> Error {
        let error = self.timeout_error(problem, blocked);
        if error.kind() == ErrorKind::Timeout { self.unavailable_error(problem) } else { error }
    }

    /// Returns the error of a queue that another listener reads.
    #[cfg(feature = "source")]
    pub(crate) fn queue_in_use(&self, queue: &str) -> Error {
        let queue = printable(queue, 255);
        let text = format!("{}: queue '{queue}' has a consumer: {IN_USE}", self.host);
        Error::new(ErrorKind::Unavailable, text)
    }

    /// Returns the error of a connection that ended without a reason.
    fn connection_lost(&self) -> Error {
        Error::new(ErrorKind::Unavailable, format!("connection to {} lost", self.host))
    }

    /// Returns a transient error. `problem` completes the sentence that the host begins.
    pub(crate) fn unavailable_error(&self, problem: &str) -> Error {
        Error::new(ErrorKind::Unavailable, format!("{} {problem}", self.host))
    }
}

/// Names the user and the host, as the subject of a sentence: "user `svc` at rabbit1:5672".
impl fmt::Display for ErrorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user `{}` at {}", printable(&self.user, 64), self.host)
    }
}

/// The advice for a queue that only one listener may read.
const IN_USE: &str = "another listener reads it: stop that one, or choose another name";

/// The text of a broker's error. `Display` leaves out the name of the reply code and escapes the
/// rest.
#[derive(Clone, Copy)]
struct BrokerText<'a>(&'a str);

impl fmt::Display for BrokerText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0.split_once(" - ") {
            Some((code, text)) if code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') => text,
            _ => self.0,
        };
        printable(text, 512).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const PUBLISH: Operation = Operation::Publish { declares: true };

    /// Creates a context with the virtual host `glance` and otherwise default options.
    fn context(user: &str, host: &str) -> ErrorContext {
        let host = Host { name: host.into(), port: 5672 };
        let mut endpoint = Config::default().endpoint;
        endpoint.user = Some(user.into());
        endpoint.virtual_host = Some("glance".into());
        ErrorContext::new(&host, &endpoint, "rabbit", GuardReport::default())
    }

    /// Explains a close with this reply code and text.
    fn explain(context: &ErrorContext, code: u16, text: &str, operation: Operation) -> Error {
        let error = AMQPError::from_id(code, text.into()).unwrap();
        context.explain(&lapin::ErrorKind::ProtocolError(error).into(), operation)
    }

    /// Each reply code of RabbitMQ becomes a message that names the option or command to use.
    #[test]
    fn reply_codes_become_advice() {
        let svc = context("svc", "broker");
        for (code, text, operation, kind, expected) in [
            (
                403,
                "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.",
                Operation::Login,
                ErrorKind::Access,
                "authentication failed: broker:5672 refused user `svc`: check `rabbit.user` and the \
                 password",
            ),
            (
                403,
                "ACCESS_REFUSED - access to exchange 'glance' in vhost '/' refused for user 'svc'",
                PUBLISH,
                ErrorKind::Access,
                "permission denied to user `svc` at broker:5672: access to exchange 'glance' in \
                 vhost '/' refused for user 'svc'; grant it with `rabbitmqctl set_permissions`",
            ),
            (
                403,
                "ACCESS_REFUSED - access to topic 'notifications.error' in exchange 'glance' in vhost \
                 '/' refused for user 'svc'",
                PUBLISH,
                ErrorKind::Access,
                "permission denied to user `svc` at broker:5672: access to topic \
                 'notifications.error' in exchange 'glance' in vhost '/' refused for user 'svc'; \
                 grant it with `rabbitmqctl set_topic_permissions`",
            ),
            (
                403,
                "ACCESS_REFUSED - access to exchange 'glance' in vhost '/' refused for user 'svc'",
                Operation::Declare,
                ErrorKind::Access,
                "permission denied to user `svc` at broker:5672: access to exchange 'glance' in \
                 vhost '/' refused for user 'svc'; grant it with `rabbitmqctl set_permissions`, or \
                 set `rabbit.declare = \"verify\"` if another program declares the queues",
            ),
            (
                530,
                "NOT_ALLOWED - vhost glance not found",
                Operation::Login,
                ErrorKind::Config,
                "broker:5672 has no virtual host `glance`: create it, or correct \
                 `rabbit.virtual_host`",
            ),
            (
                530,
                "NOT_ALLOWED - access to vhost 'glance' refused for user 'svc'",
                Operation::Login,
                ErrorKind::Access,
                "permission denied: user `svc` at broker:5672 may not use the virtual host \
                 `glance`; grant it with `rabbitmqctl set_permissions`",
            ),
            (
                530,
                "NOT_ALLOWED - vhost 'glance' is down",
                Operation::Login,
                ErrorKind::Unavailable,
                "broker:5672 did not open the connection: vhost 'glance' is down",
            ),
            (
                320,
                "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'",
                PUBLISH,
                ErrorKind::Unavailable,
                "broker:5672 closed the connection: broker forced connection closure with reason \
                 'shutdown'",
            ),
            (
                404,
                "NOT_FOUND - no exchange 'glance' in vhost '/'",
                PUBLISH,
                ErrorKind::Unavailable,
                "broker:5672: no exchange 'glance' in vhost '/'",
            ),
            (
                404,
                "NOT_FOUND - no exchange 'glance' in vhost '/'",
                Operation::Declare,
                ErrorKind::Config,
                "broker:5672: no exchange 'glance' in vhost '/'",
            ),
            (
                541,
                "INTERNAL_ERROR - \u{1b}[31m",
                PUBLISH,
                ErrorKind::Unavailable,
                r"broker:5672 reported an error: \u{1b}[31m",
            ),
        ] {
            let error = explain(&svc, code, text, operation);
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, expected));
        }
        let guest =
            explain(&context("guest", "broker"), 403, "ACCESS_REFUSED - x", Operation::Login);
        assert!(guest.to_string().contains("only from the broker's own machine"), "{guest}");
    }

    /// A queue that cannot be reached is not missing, and a queue that RabbitMQ 4.3 refuses names the
    /// broker's switch.
    #[test]
    fn unavailable_queues_and_refused_queues_have_their_own_advice() {
        let svc = context("svc", "broker");
        for (code, text, operation, kind, expected) in [
            (
                404,
                "NOT_FOUND - home node 'rabbit@c1' of durable queue 'q' in vhost '/' is down or \
                 inaccessible",
                Operation::Declare,
                ErrorKind::Unavailable,
                "broker:5672: queue unavailable: home node 'rabbit@c1' of durable queue 'q' in vhost \
                 '/' is down or inaccessible",
            ),
            (
                406,
                "PRECONDITION_FAILED - queue 's' in vhost '/' does not have a running replica on \
                 the local node",
                Operation::Consume,
                ErrorKind::Unavailable,
                "broker:5672: queue 's' in vhost '/' does not have a running replica on the local \
                 node: name a node that has one in `rabbit.url`",
            ),
            (
                541,
                "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.",
                Operation::Declare,
                ErrorKind::Config,
                "broker:5672 refuses queues that are not durable, as RabbitMQ does from 4.3: set \
                 `rabbit.durable = true`, or allow them in rabbitmq.conf with \
                 `deprecated_features.permit.transient_nonexcl_queues = true`",
            ),
        ] {
            let error = explain(&svc, code, text, operation);
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, expected));
        }
    }
}
