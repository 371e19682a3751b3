//! The configuration of the strategy `qpid`: the broker, the addresses and the timeouts.
//!
//! The module `options` reads it from the table `[qpid]`. Checking it contacts no broker.

use std::time::Duration;

use notify_core::codec::Envelope;
use notify_core::{Error, ErrorKind, Result};
use notify_net::{Endpoint, check_timeout, check_window};
use serde::{Deserialize, Serialize};

use crate::template::Template;

/// The configuration of a transport to a broker of AMQP 1.0.
///
/// [`Config::default`] connects to port 5672 of this machine with an anonymous login, and sends to the
/// queues `notifications.info`, `notifications.warn` and `notifications.error`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use notify_qpid::{Config, Node};
///
/// let mut config = Config::default();
/// config.node = Node::Topic;
/// config.confirm_timeout = Duration::from_secs(60);
/// assert_eq!(config.endpoint.hosts[0].to_string(), "localhost:5672");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// `qpid.url` and the other options of the login: the broker's hosts, the user, TLS, the heartbeat.
    ///
    /// By default the login is anonymous. The virtual host is the hostname in AMQP's Open; RabbitMQ 3
    /// expects `vhost:NAME`. The transport uses the first mechanism of `qpid.sasl_mechanism` that the
    /// broker offers. `qpid.connect_timeout` is also the time of one attempt for all links that are missing.
    /// A broker that is silent for two heartbeats counts as unreachable.
    pub endpoint: Endpoint,

    /// `qpid.node`: whether to send to queues or to an exchange. Default `queue`.
    pub node: Node,
    /// `qpid.dialect`: the product whose form of addresses to use. Default `auto`.
    pub dialect: Dialect,
    /// `qpid.address`: the template of the target address, instead of the dialect's. Default `None`.
    pub address: Option<Template>,
    /// `qpid.exchange`, by default `glance`: 1 to 240 bytes.
    pub exchange: String,
    /// `qpid.topic`, by default `notifications`: 1 to 240 bytes. Queues and subjects are the topic and
    /// the priority: `notifications.info`.
    pub topic: String,
    /// `qpid.envelope`: the form of a notification in the message. Default `bare`.
    pub envelope: Envelope,

    /// `qpid.window`, by default 256, at most 65 536: the number of messages of an address that may
    /// be in flight, without an outcome.
    pub window: usize,
    /// `qpid.confirm_timeout`, by default 30 s: the longest time in which the broker settles none of
    /// the messages in flight to an address.
    ///
    /// After a timeout, the transport drops the link to that address, and the worker sends the
    /// messages again on a new link. The timeout of the address doubles each time, up to 5 minutes,
    /// until the broker settles a message.
    pub confirm_timeout: Duration,
    /// `qpid.refuse_unroutable_after`, by default 60 s: the time for which the broker may reject a
    /// message without a known condition, or report its node as missing, before the transport refuses
    /// it.
    pub refuse_unroutable_after: Duration,
}

/// The kind of node that the transport sends to.
///
/// Queues keep messages until a consumer reads them. An exchange routes each message to the queues
/// that are bound to it, and some brokers drop a message that matches no binding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Node {
    /// `queue`: a queue for each priority, `notifications.info`.
    #[default]
    Queue,
    /// `topic`: one exchange, `glance`, with the subject `notifications.info`.
    Topic,
}

/// The form of a broker's addresses, which AMQP 1.0 leaves to each product.
///
/// `docs/brokers.md` documents the addresses, and which guarantees each product gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Dialect {
    /// `auto`: the dialect of the product that the broker names in its Open.
    #[default]
    Auto,
    /// `qpidd`: Apache Qpid's broker in C++.
    Qpidd,
    /// `rabbitmq-3`: RabbitMQ up to 3.13, with its plugin `rabbitmq_amqp1_0`.
    #[serde(rename = "rabbitmq-3")]
    RabbitMq3,
    /// `rabbitmq`: RabbitMQ from 4.0.
    #[serde(rename = "rabbitmq")]
    RabbitMq,
    /// `activemq`: Apache ActiveMQ Classic. The first edition expected `active-mq`.
    #[serde(rename = "activemq", alias = "active-mq")]
    ActiveMq,
    /// `artemis`: Apache ActiveMQ Artemis.
    Artemis,
    /// `plain`: the plain names of queues and exchange, without capabilities.
    Plain,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::default(),
            node: Node::default(),
            dialect: Dialect::default(),
            address: None,
            exchange: "glance".into(),
            topic: "notifications".into(),
            envelope: Envelope::default(),
            window: 256,
            confirm_timeout: Duration::from_secs(30),
            refuse_unroutable_after: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// Checks lengths and ranges, and the keys that need or exclude each other. Errors call the keys
    /// `table.exchange` and so on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] that names the keys.
    pub(crate) fn check(&self, table: &str) -> Result<()> {
        for (key, text) in [("exchange", &self.exchange), ("topic", &self.topic)] {
            if text.is_empty() || text.len() > MAX_NAME_BYTES {
                return Err(invalid(format!(
                    "`{table}.{key}`: expected 1 to {MAX_NAME_BYTES} bytes of text"
                )));
            }
        }
        self.endpoint.check(table)?;
        check_timeout(table, "confirm_timeout", self.confirm_timeout)?;
        check_window(table, self.window)
    }
}

/// Returns an error about the configuration. `problem` names the keys.
pub(crate) fn invalid(problem: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, problem.into())
}

/// The longest exchange or topic, in bytes. RabbitMQ accepts 255 for a queue, which is a topic, a dot
/// and a priority.
const MAX_NAME_BYTES: usize = 240;
