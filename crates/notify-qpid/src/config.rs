//! The table `[qpid]`: where the broker is, what is sent to, what is waited for.

use std::time::Duration;

use notify_core::{Error, ErrorKind, Result};
use notify_net::{Envelope, Host, Password, TlsFiles};
use serde::Deserialize;

use crate::topology::Template;

/// How notifications reach a broker of AMQP 1.0. [`Config::default`] is one on this machine that
/// takes anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// `qpid.url`, or `qpid.host` and `qpid.port`: whom to ask, in shuffled order. Not empty.
    pub hosts: Vec<Host>,
    /// `qpid.user`.
    pub user: Option<String>,
    /// `qpid.password` or `qpid.password_file`.
    pub password: Option<Password>,
    /// `qpid.virtual_host`: the hostname of AMQP's Open. RabbitMQ takes `vhost:NAME`.
    pub virtual_host: Option<String>,
    /// Whether to use TLS (`amqps://`), and with which files (`qpid.ca_file`, `qpid.cert_file`,
    /// `qpid.key_file`).
    pub tls: Option<TlsFiles>,
    /// `qpid.sasl_mechanism`: how we may log in, the best first. The first that the broker offers
    /// is used.
    pub sasl_mechanism: Vec<SaslMechanism>,

    /// `qpid.node`: what is sent to.
    pub node: Node,
    /// `qpid.dialect`: whose addresses to use.
    pub dialect: Dialect,
    /// `qpid.address`: the target address, instead of the dialect's.
    pub address: Option<Template>,
    /// `qpid.exchange`, default `glance`.
    pub exchange: String,
    /// `qpid.topic`, default `notifications`: queues and subjects are this and the priority,
    /// `notifications.info`.
    pub topic: String,
    /// `qpid.envelope`: what the body is.
    pub envelope: Envelope,

    /// `qpid.window`, default 256: how many messages of an address are on their way before the first
    /// of them must be settled.
    pub window: usize,
    /// `qpid.connect_timeout`, default 10 s: for all hosts together, and again for each link.
    pub connect_timeout: Duration,
    /// `qpid.confirm_timeout`, default 30 s: how long the broker may settle nothing of what it was
    /// sent. Doubled each time up to 5 minutes, for as long as the broker settles nothing at all.
    pub confirm_timeout: Duration,
    /// `qpid.heartbeat`, default 10 s, whole seconds: a peer that is silent for as long is gone.
    pub heartbeat: u16,
}

/// How we log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum SaslMechanism {
    /// With user and password.
    #[serde(rename = "PLAIN")]
    Plain,
    /// As nobody.
    #[serde(rename = "ANONYMOUS")]
    Anonymous,
    /// As whom our TLS certificate says.
    #[serde(rename = "EXTERNAL")]
    External,
}

/// What is sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Node {
    /// A queue for each priority: `notifications.info`.
    #[default]
    Queue,
    /// One exchange, `glance`, with the subject `notifications.info`.
    Topic,
}

/// Whose addresses to use. The protocol leaves them to the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// That of the product that the broker says it is.
    #[default]
    Auto,
    /// Apache Qpid's broker in C++.
    Qpidd,
    /// RabbitMQ up to 3.13, with its plugin `rabbitmq_amqp1_0`.
    #[serde(rename = "rabbitmq-3")]
    RabbitMq3,
    /// RabbitMQ from 4.0.
    #[serde(rename = "rabbitmq")]
    RabbitMq,
    /// Apache ActiveMQ Classic.
    ActiveMq,
    /// The names as they are, without capabilities.
    Plain,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hosts: vec![Host::default()],
            user: None,
            password: None,
            virtual_host: None,
            tls: None,
            sasl_mechanism: vec![SaslMechanism::Anonymous],
            node: Node::default(),
            dialect: Dialect::default(),
            address: None,
            exchange: "glance".into(),
            topic: "notifications".into(),
            envelope: Envelope::default(),
            window: 256,
            connect_timeout: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(30),
            heartbeat: 10,
        }
    }
}

impl Config {
    /// What no single key can know.
    pub(crate) fn check(&self) -> Result<()> {
        for (key, text) in [("qpid.exchange", &self.exchange), ("qpid.topic", &self.topic)] {
            if text.is_empty() || text.len() > NAME_BYTES {
                return Err(wrong(format!(
                    "`{key}`: a text of 1 to {NAME_BYTES} bytes is expected"
                )));
            }
        }
        if let Some(files) = &self.tls {
            files.check("qpid")?;
        }
        self.check_mechanisms()?;
        if self.window == 0 || self.window > MOST_WINDOW {
            return Err(wrong(format!(
                "`qpid.window`: a number from 1 to {MOST_WINDOW} is expected"
            )));
        }
        if self.heartbeat == 0 || self.heartbeat > MOST_HEARTBEAT {
            return Err(wrong(format!(
                "`qpid.heartbeat`: a number of seconds from 1 to {MOST_HEARTBEAT} is expected"
            )));
        }
        Ok(())
    }

    fn check_mechanisms(&self) -> Result<()> {
        let may = |mechanism| self.sasl_mechanism.contains(&mechanism);
        match (&self.user, &self.password) {
            (Some(_), None) => {
                return Err(wrong("`qpid.password` is missing, or `qpid.password_file`"));
            }
            (None, Some(_)) => {
                return Err(wrong("`qpid.user` is missing, or a user in `qpid.url`"));
            }
            (None, None) if may(SaslMechanism::Plain) => {
                return Err(wrong(
                    "`qpid.sasl_mechanism` with PLAIN needs `qpid.user` and a password",
                ));
            }
            (Some(_), Some(_)) if !may(SaslMechanism::Plain) => {
                return Err(wrong(
                    "a password is for PLAIN only: add it to `qpid.sasl_mechanism`, or remove \
                     user and password",
                ));
            }
            _ => {}
        }
        if self.sasl_mechanism.is_empty() {
            return Err(wrong(
                "`qpid.sasl_mechanism`: at least one of PLAIN, ANONYMOUS and EXTERNAL is expected",
            ));
        }
        if may(SaslMechanism::External) && !self.has_certificate() {
            return Err(wrong(
                "`qpid.sasl_mechanism` with EXTERNAL needs TLS with `qpid.cert_file` and \
                 `qpid.key_file`",
            ));
        }
        Ok(())
    }

    /// Whether we have a certificate of our own to show.
    pub(crate) fn has_certificate(&self) -> bool {
        self.tls.as_ref().is_some_and(|files| files.cert_file.is_some())
    }
}

impl SaslMechanism {
    /// Its name in the protocol.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Anonymous => "ANONYMOUS",
            Self::External => "EXTERNAL",
        }
    }
}

pub(crate) fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, what.into())
}

/// RabbitMQ takes no longer names, and no broker needs them.
const NAME_BYTES: usize = 240;
/// Beyond 256 little is gained, and each is a possible duplicate.
const MOST_WINDOW: usize = 65_536;
/// Longer is no check any more.
const MOST_HEARTBEAT: u16 = 3600;
