//! The configuration of the strategy `rabbit`: its values, their defaults and their ranges.
//!
//! `options.rs` reads these values from the table `[rabbit]`.

use std::time::Duration;

use notify_core::codec::Envelope;
use notify_core::{Error, ErrorKind, Priority, Result};
use notify_net::{Endpoint, Password, SaslMechanism, Secret, check_timeout, check_window};
use serde::{Deserialize, Serialize};

/// The configuration of the strategy `rabbit`.
///
/// [`Config::default`] is a broker on this machine, with its default user `guest`.
///
/// # Examples
///
/// ```
/// use notify_rabbit::{Config, Host, Password, QueueType, Secret};
///
/// let mut config = Config::default();
/// config.endpoint.hosts = vec![Host { name: "rabbit1.example.org".into(), port: 5672 }];
/// config.endpoint.user = Some("glance".into());
/// config.endpoint.password = Some(Password::Inline(Secret::new("hunter2")));
/// config.queue_type = QueueType::Quorum;
/// assert!(!format!("{config:?}").contains("hunter2"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// `rabbit.url` and the other options of the login: the broker's hosts, the user, the virtual host,
    /// TLS, the heartbeat.
    ///
    /// By default the user is `guest`, who may log in only to a broker on this machine. The virtual
    /// host has 1 to 255 bytes; by default it is `/`. `rabbit.connect_timeout` is also the time to
    /// declare exchange and queues. A broker that is silent for two heartbeats counts as unreachable,
    /// and the broker may ask for a shorter interval.
    pub endpoint: Endpoint,

    /// `rabbit.exchange`: the topic exchange, 1 to 255 bytes. Default `glance`, the name that Glance
    /// itself uses (oslo.messaging's `control_exchange`).
    pub exchange: String,
    /// `rabbit.topic`: the first part of the queues' names, 1 to 246 bytes. Default `notifications`.
    ///
    /// A queue's name and routing key is the topic, a dot and the priority: `notifications.info`.
    /// oslo.messaging builds them in the same way from its option `topics`.
    pub topic: String,
    /// `rabbit.durable`: whether exchange and queues survive a restart of the broker. Default `true`.
    ///
    /// OpenStack's services declare queues that are not durable. In a virtual host that you share with
    /// them, set `compat = "openstack"`, which makes this `false`.
    pub durable: bool,
    /// `rabbit.queue_type`: the type of queues that the transport declares. Default `classic`.
    pub queue_type: QueueType,
    /// `rabbit.declare`: whether the transport declares exchange and queues. Default `yes`.
    pub declare: DeclareMode,
    /// `rabbit.on_mismatch`: the policy for an exchange or queue that exists with other properties
    /// than configured. Default `adopt`.
    pub on_mismatch: MismatchPolicy,
    /// `rabbit.envelope`: the form of a notification in the message. Default `bare`.
    pub envelope: Envelope,

    /// `rabbit.window`: the most unconfirmed messages, 1 to 65 536. Default 1024.
    ///
    /// The bodies of a window have at most 1 MiB together. A larger window is hardly faster, and a
    /// lost connection can duplicate a whole window. The first window of each connection is one
    /// message.
    pub window: usize,
    /// `rabbit.confirm_timeout`: the time within which the broker must confirm at least one of the
    /// unconfirmed messages. Default 30 s.
    ///
    /// It is not the time for a whole window: a slow link may take longer, as long as confirms arrive.
    pub confirm_timeout: Duration,
    /// `rabbit.refuse_unroutable_after`: the time for which a message may be unroutable before the
    /// transport refuses it. Default 60 s.
    ///
    /// A queue that an operator deletes and creates again costs no message within this time.
    pub refuse_unroutable_after: Duration,
    /// `rabbit.backlog_warning`: the number of messages in a queue without a consumer above which the
    /// transport logs a warning. Default 10 000; 0 disables the check.
    ///
    /// The transport checks at every connect and every minute. It never limits a queue by an argument,
    /// because other programs could not declare the queue then. Use a policy instead; the warning
    /// contains the command.
    pub backlog_warning: u32,
}

/// The type of queues that the transport declares: `rabbit.queue_type`.
///
/// You cannot change the type of an existing queue. To migrate, configure a new `rabbit.topic`, let
/// consumers read both topics for a while, and delete the old queues when they are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum QueueType {
    /// `classic`: a queue on one node of a cluster.
    #[default]
    Classic,
    /// `quorum`: a replicated queue on a majority of a cluster's nodes (RabbitMQ 3.8 or later). It
    /// requires `rabbit.durable = true`.
    ///
    /// The broker confirms a message when a majority has it on disk, and nacks messages while the queue
    /// has no majority.
    Quorum,
}

/// Whether the transport declares exchange and queues: `rabbit.declare`.
///
/// A declaration never changes an existing entity: see [`MismatchPolicy`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeclareMode {
    /// `yes`: declare the exchange, the queues and the bindings that do not exist. The user needs the
    /// permissions to configure, write and read.
    #[default]
    Yes,
    /// `verify`: fail if the exchange or a queue does not exist. Another program declares them.
    Verify,
    /// `no`: neither declare nor verify. Another program declares exchange and queues.
    No,
}

/// The policy for an exchange or queue that exists with other properties than configured:
/// `rabbit.on_mismatch`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MismatchPolicy {
    /// `adopt`: use it as it is. The transport logs once how it is less safe than configured.
    ///
    /// An exchange of another type, or an internal one, is a permanent error all the same, because it
    /// cannot route notifications.
    #[default]
    Adopt,
    /// `refuse`: fail with a permanent error that names the entity, the argument, both values and the
    /// option to change. The worker retries every 30 s.
    Refuse,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: guest(Endpoint::default()),
            exchange: "glance".into(),
            topic: "notifications".into(),
            durable: true,
            queue_type: QueueType::default(),
            declare: DeclareMode::default(),
            on_mismatch: MismatchPolicy::default(),
            envelope: Envelope::default(),
            window: 1024,
            confirm_timeout: Duration::from_secs(30),
            refuse_unroutable_after: Duration::from_secs(60),
            backlog_warning: 10_000,
        }
    }
}

impl Config {
    /// Returns the queue of a priority. Its name is also the routing key.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::Priority;
    /// use notify_rabbit::Config;
    ///
    /// assert_eq!(Config::default().queue(Priority::Error), "notifications.error");
    /// ```
    pub fn queue(&self, priority: Priority) -> String {
        format!("{}.{}", self.topic, priority.lower())
    }

    /// Checks ranges, and the rules between options. Errors call the options `table.exchange` and so on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] with the option, as an operator writes it.
    pub(crate) fn check(&self, table: &str) -> Result<()> {
        for (option, text, limit) in [
            ("virtual_host", self.virtual_host(), MAX_NAME_BYTES),
            ("exchange", &self.exchange, MAX_NAME_BYTES),
            // The longest priority follows the topic.
            ("topic", &self.topic, MAX_NAME_BYTES - ".critical".len()),
        ] {
            if text.is_empty() || text.len() > limit {
                return Err(invalid(format!(
                    "`{table}.{option}`: expected 1 to {limit} bytes of text"
                )));
            }
        }
        self.endpoint.check(table)?;
        check_timeout(table, "confirm_timeout", self.confirm_timeout)?;
        if self.endpoint.sasl_mechanism.len() > 1 {
            return Err(invalid(format!("`{table}.sasl_mechanism`: expected one mechanism")));
        }
        if self.queue_type == QueueType::Quorum && !self.durable {
            return Err(invalid(format!(
                "`{table}.queue_type = \"quorum\"` needs `{table}.durable = true`: quorum queues are \
                 always durable"
            )));
        }
        check_window(table, self.window)
    }

    /// Returns the virtual host.
    pub(crate) fn virtual_host(&self) -> &str {
        virtual_host(&self.endpoint)
    }
}

/// Returns the virtual host of a login.
pub(crate) fn virtual_host(endpoint: &Endpoint) -> &str {
    endpoint.virtual_host.as_deref().unwrap_or("/")
}

/// Returns `endpoint` with the login of a new broker's default user.
pub(crate) fn guest(endpoint: Endpoint) -> Endpoint {
    let mut endpoint = endpoint;
    endpoint.user = Some(GUEST.into());
    endpoint.password = Some(Password::Inline(Secret::new(GUEST)));
    endpoint.sasl_mechanism = vec![SaslMechanism::Plain];
    endpoint
}

/// Creates the error of an invalid option.
pub(crate) fn invalid(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, text.into())
}

/// The user of a new RabbitMQ broker. It may log in only from the broker's own machine.
pub(crate) const GUEST: &str = "guest";
/// The longest short string of AMQP 0-9-1, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 255;
