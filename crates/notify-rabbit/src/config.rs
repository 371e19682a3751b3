//! How notifications reach RabbitMQ: where the broker is, what is declared there, what is waited for.

use std::time::Duration;

use notify_core::{Error, ErrorKind, Priority, Result};
use notify_net::{Envelope, Host, Password, Secret, TlsFiles};
use serde::Deserialize;

/// How notifications reach RabbitMQ. [`Config::default`] is a broker on this machine, with its
/// default user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// `rabbit.url`, or `rabbit.host` and `rabbit.port`: whom to ask, in shuffled order. Not empty.
    pub hosts: Vec<Host>,
    /// `rabbit.user`.
    pub user: String,
    /// `rabbit.password` or `rabbit.password_file`.
    pub password: Password,
    /// `rabbit.virtual_host`. At most 255 bytes.
    pub virtual_host: String,
    /// Whether to use TLS (`amqps://`), and with which files (`rabbit.ca_file`, `rabbit.cert_file`,
    /// `rabbit.key_file`).
    pub tls: Option<TlsFiles>,
    /// `rabbit.sasl_mechanism`: how we log in.
    pub sasl_mechanism: SaslMechanism,

    /// `rabbit.exchange`, default `glance`. At most 255 bytes.
    pub exchange: String,
    /// `rabbit.topic`, default `notifications`: queues and routing keys are this and the priority,
    /// `notifications.info`. At most 249 bytes.
    pub topic: String,
    /// `rabbit.durable`, default true: whether exchange and queues outlive the broker's restart.
    pub durable: bool,
    /// `rabbit.queue_type`: what queues are created as.
    pub queue_type: QueueType,
    /// `rabbit.declare`: who creates exchange and queues.
    pub declare: Declare,
    /// `rabbit.on_mismatch`: what to do about an exchange or queue that exists otherwise.
    pub on_mismatch: OnMismatch,
    /// `rabbit.envelope`: what the body is.
    pub envelope: Envelope,

    /// `rabbit.window`, default 1024: how many messages are on their way before the first of them
    /// must be confirmed.
    pub window: usize,
    /// `rabbit.connect_timeout`, default 10 s: for all hosts together, and again for the
    /// declarations.
    pub connect_timeout: Duration,
    /// `rabbit.confirm_timeout`, default 30 s: how long the broker may confirm nothing of what it
    /// was sent.
    pub confirm_timeout: Duration,
    /// `rabbit.heartbeat`, default 10 s, whole seconds: a peer that is silent for twice as long is
    /// gone.
    pub heartbeat: u16,
    /// `rabbit.backlog_warning`, default 10 000: how many messages may lie in a queue that nobody
    /// reads. 0 switches the check off.
    pub backlog_warning: u32,
}

/// How we log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum SaslMechanism {
    /// With user and password.
    #[serde(rename = "PLAIN")]
    Plain,
    /// As whom our TLS certificate says (the broker's plugin `rabbitmq_auth_mechanism_ssl`).
    #[serde(rename = "EXTERNAL")]
    External,
}

/// What queues are created as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueType {
    /// On one node.
    #[default]
    Classic,
    /// On a majority of a cluster's nodes, always durable.
    Quorum,
}

/// Who creates exchange and queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Declare {
    /// We do, where they are missing.
    #[default]
    Yes,
    /// Somebody else does; we look whether they are there.
    Verify,
    /// Somebody else does.
    No,
}

/// What to do about an exchange or queue that exists with other properties than configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMismatch {
    /// Use it as it is, and warn once what that costs.
    #[default]
    Adopt,
    /// Deliver nothing until somebody decides.
    Refuse,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hosts: vec![Host::default()],
            user: GUEST.into(),
            password: Password::Inline(Secret::new(GUEST)),
            virtual_host: "/".into(),
            tls: None,
            sasl_mechanism: SaslMechanism::Plain,
            exchange: "glance".into(),
            topic: "notifications".into(),
            durable: true,
            queue_type: QueueType::default(),
            declare: Declare::default(),
            on_mismatch: OnMismatch::default(),
            envelope: Envelope::default(),
            window: 1024,
            connect_timeout: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(30),
            heartbeat: 10,
            backlog_warning: 10_000,
        }
    }
}

impl Config {
    /// The queue of a priority, which is also its routing key: `notifications.info`.
    pub fn queue(&self, priority: Priority) -> String {
        format!("{}.{}", self.topic, priority.lower())
    }

    /// What no single key can know.
    pub(crate) fn check(&self) -> Result<()> {
        for (key, text, limit) in [
            ("rabbit.virtual_host", &self.virtual_host, NAME_BYTES),
            ("rabbit.exchange", &self.exchange, NAME_BYTES),
            // Room for the longest priority.
            ("rabbit.topic", &self.topic, NAME_BYTES - ".error".len()),
        ] {
            if text.is_empty() || text.len() > limit {
                return Err(wrong(format!("`{key}`: a text of 1 to {limit} bytes is expected")));
            }
        }
        if let Some(files) = &self.tls {
            files.check("rabbit")?;
        }
        if self.sasl_mechanism == SaslMechanism::External && !self.has_certificate() {
            return Err(wrong(
                "`rabbit.sasl_mechanism = \"EXTERNAL\"` needs TLS with `rabbit.cert_file` and \
                 `rabbit.key_file`",
            ));
        }
        if self.queue_type == QueueType::Quorum && !self.durable {
            return Err(wrong(
                "`rabbit.queue_type = \"quorum\"` needs `rabbit.durable = true`: quorum queues are \
                 always durable",
            ));
        }
        if self.window == 0 || self.window > MOST_WINDOW {
            return Err(wrong(format!(
                "`rabbit.window`: a number from 1 to {MOST_WINDOW} is expected"
            )));
        }
        if self.heartbeat == 0 || self.heartbeat > MOST_HEARTBEAT {
            return Err(wrong(format!(
                "`rabbit.heartbeat`: a number of seconds from 1 to {MOST_HEARTBEAT} is expected"
            )));
        }
        Ok(())
    }

    /// Whether we have a certificate of our own to show.
    pub(crate) fn has_certificate(&self) -> bool {
        self.tls.as_ref().is_some_and(|files| files.cert_file.is_some())
    }
}

pub(crate) fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, what.into())
}

/// The user that a fresh broker has, for connections from its own machine only.
pub(crate) const GUEST: &str = "guest";
/// The longest short string of AMQP 0-9-1, in bytes.
const NAME_BYTES: usize = 255;
/// Beyond a hundred little is gained, and each is a possible duplicate.
const MOST_WINDOW: usize = 65_536;
/// Longer is no check any more.
const MOST_HEARTBEAT: u16 = 3600;
