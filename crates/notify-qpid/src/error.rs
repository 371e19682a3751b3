//! What fe2o3-amqp and the broker say, in the user's terms.

use std::io;

use fe2o3_amqp::connection::{ConnectionStopReason, Error as ConnectionError, OpenError};
use fe2o3_amqp::link::{LinkStateError, SendError, SenderAttachError, SessionStopReason};
use fe2o3_amqp::session::{BeginError, Error as SessionError};
use fe2o3_amqp::transport::Error as TransportError;
use fe2o3_amqp::types::definitions::{self, AmqpError, ErrorCondition};
use fe2o3_amqp::types::primitives::Symbol;
use notify_core::{Error, ErrorKind, Result, printable};
use notify_net::Host;

use crate::config::{Config, SaslMechanism};

/// Where something went wrong, for errors that can be acted on.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) host: Host,
    user: Option<String>,
    virtual_host: Option<String>,
    tls: bool,
    certificate: bool,
}

/// What we were doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing<'a> {
    /// Up to an open connection.
    LogIn,
    /// A link to an address.
    Attach(&'a str),
    /// Messages to an address.
    Publish(&'a str),
    /// What concerns all links.
    Connected,
}

impl Site {
    pub(crate) fn new(host: &Host, config: &Config) -> Self {
        Self {
            host: host.clone(),
            user: config.user.clone(),
            virtual_host: config.virtual_host.clone(),
            tls: config.tls.is_some(),
            certificate: config.has_certificate(),
        }
    }

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
                if let Some(tls) = notify_net::explain(error, &self.host) {
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

    /// What an error condition means.
    fn refused(&self, error: &definitions::Error, doing: Doing<'_>) -> Error {
        use AmqpError as A;
        let said = said(error);
        let ErrorCondition::AmqpError(condition) = &error.condition else {
            return self.unavailable(&format!("gave up on us: {said}"));
        };
        let (kind, text) = match (condition, doing) {
            (A::NotFound | A::ResourceDeleted, Doing::Attach(address)) => (
                ErrorKind::Config,
                format!(
                    "{} has no node `{}`: create it, or correct `qpid.node`, `qpid.dialect` or \
                     `qpid.address` ({said})",
                    self.host,
                    printable(address, 255)
                ),
            ),
            (A::NotFound | A::ResourceDeleted, Doing::Publish(address)) => (
                ErrorKind::Unavailable,
                format!("{}: node `{}` is gone: {said}", self.host, printable(address, 255)),
            ),
            (A::NotFound | A::InvalidField, Doing::LogIn) => (
                ErrorKind::Config,
                format!("{} does not let us in: is `qpid.virtual_host` right? ({said})", self.host),
            ),
            (
                A::PreconditionFailed | A::NotImplemented | A::InvalidField,
                Doing::Attach(address),
            ) => (
                ErrorKind::Config,
                format!(
                    "{} does not take messages for `{}`: correct `qpid.dialect` or \
                     `qpid.address` ({said})",
                    self.host,
                    printable(address, 255)
                ),
            ),
            (A::UnauthorizedAccess | A::NotAllowed, Doing::LogIn | Doing::Connected) => {
                let virtual_host = match &self.virtual_host {
                    Some(name) => format!("virtual host `{}`", printable(name, 255)),
                    None => "broker's default virtual host".to_owned(),
                };
                let who = self.who();
                let text = format!(
                    "{who} may not use the {virtual_host}, or it does not exist \
                     (`qpid.virtual_host`): {said}"
                );
                (ErrorKind::Access, text)
            }
            (A::UnauthorizedAccess | A::NotAllowed, _) => {
                (ErrorKind::Access, format!("{} lacks a permission: {said}", self.who()))
            }
            (A::ResourceLimitExceeded, _) => {
                (ErrorKind::Full, format!("{} is full: {said}", self.host))
            }
            _ => (ErrorKind::Unavailable, format!("{} gave up on us: {said}", self.host)),
        };
        Error::new(kind, text)
    }

    /// What the outcome `rejected` says.
    pub(crate) fn rejected(&self, error: Option<&definitions::Error>) -> Error {
        let why = error.map_or_else(|| "without a reason".to_owned(), said);
        Error::new(ErrorKind::Rejected, format!("{} rejected it: {why}", self.host))
    }

    /// What the outcomes `released` and `modified` say.
    pub(crate) fn not_taken(&self, outcome: &str, address: &str) -> Error {
        Error::new(
            ErrorKind::Unavailable,
            format!(
                "{} {outcome} it: `{}` takes no message now; is a queue bound, or one full?",
                self.host,
                printable(address, 255)
            ),
        )
    }

    /// What to say of a message that is larger than the link allows.
    pub(crate) fn too_large(&self, most: u64) -> Error {
        Error::new(
            ErrorKind::TooLarge,
            format!("{} takes messages of at most {most} bytes", self.host),
        )
    }

    /// What to say when the broker keeps its outcomes to itself.
    pub(crate) fn withheld(
        &self,
        address: &str,
        count: usize,
        patience: std::time::Duration,
    ) -> Error {
        let address = printable(address, 255);
        let seconds = patience.as_secs_f64();
        let text = match count {
            0 => format!("{} has taken nothing for `{address}` for {seconds} s", self.host),
            _ => format!(
                "backlogged: {} has {count} messages for `{address}` and has not said for \
                 {seconds} s what becomes of them; is a queue full?",
                self.host
            ),
        };
        Error::new(ErrorKind::Full, text)
    }

    /// What to say when an answer did not come.
    pub(crate) fn late(&self, what: &str) -> Error {
        Error::new(ErrorKind::Timeout, format!("{} {what}", self.host))
    }

    /// Who refused us by SASL.
    pub(crate) fn refused_log_in(&self, mechanism: SaslMechanism) -> Error {
        let text = match mechanism {
            SaslMechanism::Plain => {
                format!("{} refused {}: wrong `qpid.username` or password", self.host, self.user())
            }
            SaslMechanism::Anonymous => {
                format!(
                    "{} takes nobody without a name: set `qpid.username` and a password",
                    self.host
                )
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
                "{} lets nobody in by {}: it offers {} (`qpid.sasl_mechanisms`)",
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
        if let Some(tls) = notify_net::explain(error, &self.host) {
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

    /// What a peer means that breaks the protocol.
    pub(crate) fn confused(&self, what: &str) -> Error {
        self.unavailable(&format!("is not understood: {what}"))
    }

    /// That there is no connection any more.
    pub(crate) fn gone(&self) -> Error {
        self.unavailable("is gone: the connection was lost")
    }

    fn unavailable(&self, what: &str) -> Error {
        Error::new(ErrorKind::Unavailable, format!("{} {what}", self.host))
    }

    fn user(&self) -> String {
        match &self.user {
            Some(user) => format!("user `{}`", printable(user, 64)),
            None => "us".to_owned(),
        }
    }

    /// `user at host`, as the subject of a sentence.
    pub(crate) fn who(&self) -> String {
        match &self.user {
            Some(_) => format!("{} at {}", self.user(), self.host),
            None => format!("whoever has no name at {}", self.host),
        }
    }
}

/// The broker's own words, made safe to show.
fn said(error: &definitions::Error) -> String {
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
