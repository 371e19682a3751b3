//! What lapin and the broker say, in the user's terms.

mod library;
mod log_in;

use std::fmt;

use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError};
use notify_core::redact::printable;
use notify_core::{Error, ErrorKind};
use notify_net::Host;

use crate::config::{Config, Declare, SaslMechanism};

/// Where something went wrong, for errors that can be acted on.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) host: Host,
    user: String,
    virtual_host: String,
    sasl_mechanism: SaslMechanism,
    /// Whether what is missing will be there once we have declared it again.
    declares: bool,
}

/// What we were doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Up to an open connection.
    LogIn,
    /// Exchange and queues.
    Declare,
    /// Messages.
    Publish,
}

impl Site {
    pub(crate) fn new(host: &Host, config: &Config) -> Self {
        Self {
            host: host.clone(),
            user: config.user.clone(),
            virtual_host: config.virtual_host.clone(),
            sasl_mechanism: config.sasl_mechanism,
            declares: config.declare == Declare::Yes,
        }
    }

    /// What a close of the connection or of the channel means.
    fn refused(&self, error: &AMQPError, doing: Doing) -> Error {
        use {AMQPErrorKind as Kind, AMQPHardError as Hard, AMQPSoftError as Soft};
        let said = Said(error.get_message().as_str());
        let missing = if doing == Doing::Publish && self.declares {
            ErrorKind::Unavailable
        } else {
            ErrorKind::Config
        };
        let hint = match doing {
            Doing::Declare => "; where others declare, set `rabbit.declare = \"verify\"`",
            Doing::LogIn | Doing::Publish => "",
        };
        let (kind, text) = match error.kind() {
            Kind::Soft(Soft::ACCESSREFUSED) if doing == Doing::LogIn => {
                return Error::new(ErrorKind::Access, self.log_in_refused());
            }
            Kind::Soft(Soft::ACCESSREFUSED) => (
                ErrorKind::Access,
                format!("{self} lacks a permission: {said} (`rabbitmqctl set_permissions`){hint}"),
            ),
            Kind::Hard(Hard::NOTALLOWED) => return self.not_allowed(said),
            Kind::Soft(Soft::NOTFOUND) => (missing, format!("{}: {said}", self.host)),
            Kind::Soft(Soft::PRECONDITIONFAILED | Soft::RESOURCELOCKED)
                if doing != Doing::Publish =>
            {
                (ErrorKind::Config, format!("{}: {said}", self.host))
            }
            Kind::Hard(Hard::CONNECTIONFORCED) => {
                (ErrorKind::Unavailable, format!("{} closed the connection: {said}", self.host))
            }
            _ => (ErrorKind::Unavailable, format!("{} gave up on us: {said}", self.host)),
        };
        Error::new(kind, text)
    }

    /// What to say when an answer did not come.
    pub(crate) fn late(&self, what: &str, blocked: Option<&str>) -> Error {
        match blocked {
            Some(reason) => Error::new(
                ErrorKind::Full,
                format!("{} takes nothing now: {}", self.host, printable(reason, 255)),
            ),
            None => Error::new(ErrorKind::Timeout, format!("{} {what}", self.host)),
        }
    }

    fn unavailable(&self, what: &str) -> Error {
        Error::new(ErrorKind::Unavailable, format!("{} {what}", self.host))
    }
}

/// `user at host`, as the subject of a sentence.
impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user `{}` at {}", printable(&self.user, 64), self.host)
    }
}

/// The broker's own words, without the name of the code, made safe to show.
#[derive(Clone, Copy)]
struct Said<'a>(&'a str);

impl fmt::Display for Said<'_> {
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

    fn site(user: &str, host: &str) -> Site {
        let host = Host { name: host.into(), port: 5672 };
        let config =
            Config { user: user.into(), virtual_host: "glance".into(), ..Config::default() };
        Site::new(&host, &config)
    }

    fn said(site: &Site, code: u16, text: &str, doing: Doing) -> Error {
        let error = AMQPError::from_id(code, text.into()).unwrap();
        site.explain(&lapin::ErrorKind::ProtocolError(error).into(), doing)
    }

    #[test]
    fn refusals_are_said_in_the_users_terms() {
        let us = site("svc", "broker");
        for (code, text, doing, kind, expected) in [
            (
                403,
                "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.",
                Doing::LogIn,
                ErrorKind::Access,
                "broker:5672 refused user `svc`: wrong `rabbit.user` or password",
            ),
            (
                403,
                "ACCESS_REFUSED - access to exchange 'glance' in vhost '/' refused for user 'svc'",
                Doing::Publish,
                ErrorKind::Access,
                "user `svc` at broker:5672 lacks a permission: access to exchange 'glance' in \
              vhost '/' refused for user 'svc' (`rabbitmqctl set_permissions`)",
            ),
            (
                530,
                "NOT_ALLOWED - vhost glance not found",
                Doing::LogIn,
                ErrorKind::Config,
                "broker:5672 has no virtual host `glance`: create it, or correct `rabbit.virtual_host`",
            ),
            (
                530,
                "NOT_ALLOWED - access to vhost 'glance' refused for user 'svc'",
                Doing::LogIn,
                ErrorKind::Access,
                "user `svc` at broker:5672 may not use the virtual host `glance`: \
              `rabbitmqctl set_permissions` grants it",
            ),
            (
                530,
                "NOT_ALLOWED - vhost 'glance' is down",
                Doing::LogIn,
                ErrorKind::Unavailable,
                "broker:5672 does not let us in: vhost 'glance' is down",
            ),
            (
                320,
                "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'",
                Doing::Publish,
                ErrorKind::Unavailable,
                "broker:5672 closed the connection: broker forced connection closure with reason \
              'shutdown'",
            ),
            (
                404,
                "NOT_FOUND - no exchange 'glance' in vhost '/'",
                Doing::Publish,
                ErrorKind::Unavailable,
                "broker:5672: no exchange 'glance' in vhost '/'",
            ),
            (
                404,
                "NOT_FOUND - no exchange 'glance' in vhost '/'",
                Doing::Declare,
                ErrorKind::Config,
                "broker:5672: no exchange 'glance' in vhost '/'",
            ),
            (
                541,
                "INTERNAL_ERROR - \u{1b}[31m",
                Doing::Publish,
                ErrorKind::Unavailable,
                r"broker:5672 gave up on us: \u{1b}[31m",
            ),
        ] {
            let error = said(&us, code, text, doing);
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, expected));
        }
        let guest = said(&site("guest", "broker"), 403, "ACCESS_REFUSED - x", Doing::LogIn);
        assert!(guest.to_string().contains("from the broker's own machine only"), "{guest}");
    }

    #[test]
    fn an_error_of_ours_comes_back_as_it_was() {
        let ours = Error::new(ErrorKind::Config, "broker:5672 does not speak AMQP on this port");
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, ours.clone());
        let error = site("svc", "broker").explain(&error.into(), Doing::LogIn);
        assert_eq!(error.to_string(), ours.to_string());
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}
