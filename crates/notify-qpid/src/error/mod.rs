//! What fe2o3-amqp and the broker say, in the user's terms.

mod library;
mod log_in;

use fe2o3_amqp::types::definitions::{self, AmqpError, ErrorCondition};
use fe2o3_amqp::types::primitives::Symbol;
use notify_core::redact::printable;
use notify_core::{Error, ErrorKind};
use notify_net::Host;

use crate::config::Config;

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
