//! The settings of a source on RabbitMQ: its values, their defaults and their ranges.
//!
//! `source_options.rs` reads these values from a table. Nothing here opens a connection.

use std::path::PathBuf;
use std::time::Duration;

use notify_core::Result;
use notify_net::{Endpoint, Secret};

use crate::config::{MAX_NAME_BYTES, QueueType, guest, invalid, virtual_host};

/// A place on RabbitMQ to read notifications from.
///
/// The default is a [temporary tap](SourceQueue::Temporary) of the exchange `glance` on a broker on this
/// machine, with its default user `guest`.
///
/// # Examples
///
/// A durable tap, for a service that must miss nothing while it restarts:
///
/// ```
/// use notify_rabbit::{Host, QueueType, RabbitSourceConfig, SourceQueue};
///
/// let mut config = RabbitSourceConfig::default();
/// config.endpoint.hosts = vec![Host { name: "rabbit1.example.org".into(), port: 5672 }];
/// config.endpoint.virtual_host = Some("openstack".into());
/// config.queue = SourceQueue::Durable { name: "audit".into(), queue_type: QueueType::Quorum };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RabbitSourceConfig {
    /// The name of the source in logs, counters and deliveries. Default `rabbit`.
    pub name: String,
    /// `url` and the other options of the login: the broker's hosts, the user, the virtual host, TLS,
    /// the heartbeat.
    ///
    /// By default the user is `guest`, which works only for a broker on this machine.
    /// `connect_timeout` is also the time to declare, bind and start to consume.
    pub endpoint: Endpoint,
    /// `exchanges`: the topic exchanges that a tap or a pool binds its queue to, 1 to 255 bytes each.
    /// Default `glance`.
    ///
    /// The source never declares an exchange: it waits until a service does.
    pub exchanges: Vec<String>,
    /// `topics`: the first parts of the routing keys, 1 to 246 bytes each. Default `notifications` and
    /// `versioned_notifications`.
    pub topics: Vec<String>,
    /// The queue to read from: `queue`, `pool` or `consume`. Default: a temporary one.
    pub queue: SourceQueue,
    /// `max_queue_bytes`: the size in bytes beyond which the broker drops the oldest messages from the
    /// queue of a tap. By default 64 MiB for a temporary tap, and 1 GiB for a durable one.
    ///
    /// The bound counts the messages that no listener has taken yet. It never makes publishers wait.
    pub max_queue_bytes: Option<u64>,
    /// `management_url`: the URL of the broker's management API, with or without a user and a password. It
    /// begins with `http://` or `https://`. Default none.
    ///
    /// The source does not use it: it is for programs that examine the broker, such as the command
    /// `glance-notify doctor`.
    pub management_url: Option<Secret>,
}

/// The queue that a source reads from.
///
/// # Examples
///
/// ```
/// use notify_rabbit::SourceQueue;
///
/// // Ceilometer must not read these queues too: each message goes to one consumer.
/// let queues = ["info", "warn", "error"].map(|priority| format!("notifications.{priority}"));
/// let queue = SourceQueue::Shared { queues: queues.to_vec() };
/// assert_ne!(queue, SourceQueue::default());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceQueue {
    /// A tap that exists as long as the connection: an exclusive queue with a name from the broker.
    ///
    /// It misses the messages that are published while the source is not connected. Nothing is left behind.
    #[default]
    Temporary,
    /// A durable tap: the queue `glance-notify.NAME`, which only one listener reads at a time.
    ///
    /// It keeps messages while the listener is away. The broker deletes it when no listener has come
    /// for seven days. [`RabbitSource::remove_tap`](crate::RabbitSource::remove_tap) deletes it at once.
    Durable {
        /// The name of the tap, 1 to 200 bytes.
        name: String,
        /// The type of its queue.
        queue_type: QueueType,
    },
    /// A pool of oslo.messaging: the queue of this name, whose messages its consumers share. Consumers
    /// of oslo.messaging join it with `pool=NAME`.
    ///
    /// The source declares the queue if it does not exist. oslo.messaging's consumers must then have
    /// the same options, or they fail. Nothing removes the queue, and it grows while it has no consumer.
    Pool {
        /// The name of the pool and of its queue, 1 to 255 bytes.
        name: String,
        /// The type of the queue. oslo.messaging's option is `rabbit_quorum_queue`.
        queue_type: QueueType,
        /// Whether the queue survives a restart of the broker. oslo.messaging's option is
        /// `amqp_durable_queues`.
        durable: bool,
    },
    /// A durable tap as a stream: the stream `glance-notify.NAME`. It keeps its messages after they are
    /// read, so that several listeners can read it, each from where it wants.
    Stream {
        /// The name of the tap, 1 to 200 bytes.
        name: String,
        /// The age at which the broker drops messages, in whole seconds; at least 1 s.
        max_age: Duration,
        /// The place to start from.
        position: StreamPosition,
    },
    /// A stream of others, which the source only reads. It takes nothing from other readers.
    SharedStream {
        /// The name of the stream, 1 to 255 bytes.
        stream: String,
        /// The place to start from.
        position: StreamPosition,
    },
    /// Queues of others, which the source only consumes. **It takes their messages**: no other consumer
    /// of the same queue gets them.
    Shared {
        /// The names of the queues, at least one, 1 to 255 bytes each.
        queues: Vec<String>,
    },
}

/// The place where reading a stream starts, and the file that keeps how far it went.
///
/// # Examples
///
/// ```
/// use notify_rabbit::{StreamPosition, StreamStart};
///
/// // What was published since yesterday; after a restart, what was not acknowledged.
/// let position = StreamPosition {
///     start: StreamStart::Ago(std::time::Duration::from_secs(86_400)),
///     checkpoint: Some("/var/lib/audit/stream.position".into()),
/// };
/// assert_ne!(position, StreamPosition::default());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPosition {
    /// `start`: the place to start from without a checkpoint. Default [`StreamStart::Next`].
    pub start: StreamStart,
    /// `checkpoint`: the file that keeps the last acknowledged message, with mode 0600. Until then it keeps
    /// the first message, and before that the time of `next` or of the age; a start from that time may
    /// deliver somewhat older messages. One source at a time reads with it: a second one tries again until
    /// the first ends. Without it, each start of the program begins at `start`. Default none.
    pub checkpoint: Option<PathBuf>,
}

/// The place in a stream to start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamStart {
    /// `first`: the oldest message that the stream still has.
    First,
    /// `last`: the last block of messages.
    Last,
    /// `next`: messages that are published from now on.
    #[default]
    Next,
    /// A number: the message with this offset.
    Offset(u64),
    /// A time such as `90s`, `15m`, `12h` or `7d`: messages that were published in this time. The broker
    /// starts at the block of messages with that time, so some are older.
    Ago(Duration),
}

impl Default for RabbitSourceConfig {
    fn default() -> Self {
        Self {
            name: "rabbit".into(),
            endpoint: guest(Endpoint::default()),
            exchanges: vec!["glance".into()],
            topics: vec!["notifications".into(), "versioned_notifications".into()],
            queue: SourceQueue::default(),
            max_queue_bytes: None,
            management_url: None,
        }
    }
}

impl RabbitSourceConfig {
    /// Returns the name of the queue of a durable tap.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_rabbit::RabbitSourceConfig;
    ///
    /// assert_eq!(RabbitSourceConfig::tap_queue("audit"), "glance-notify.audit");
    /// ```
    pub fn tap_queue(name: &str) -> String {
        format!("glance-notify.{name}")
    }

    /// Checks ranges, and the rules between options.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) with the option, as an operator writes it.
    pub(crate) fn check(&self) -> Result<()> {
        let check = |option: &str, text: &str, limit: usize| {
            if text.is_empty() || text.len() > limit {
                let message = format!("`source.{option}`: expected 1 to {limit} bytes of text");
                return Err(invalid(message));
            }
            Ok(())
        };
        check("virtual_host", virtual_host(&self.endpoint), MAX_NAME_BYTES)?;
        self.endpoint.check("source")?;
        if self.endpoint.sasl_mechanism.len() > 1 {
            return Err(invalid("`source.sasl_mechanism`: expected one mechanism"));
        }
        if let Some(url) = &self.management_url {
            let begins_with = |scheme| url.expose().starts_with(scheme);
            if !begins_with("http://") && !begins_with("https://") {
                let problem = "expected a URL that begins with http:// or https://";
                return Err(invalid(format!("`source.management_url`: {problem}")));
            }
        }
        for exchange in &self.exchanges {
            check("exchanges", exchange, MAX_NAME_BYTES)?;
        }
        for topic in &self.topics {
            // The longest priority follows the topic.
            check("topics", topic, MAX_NAME_BYTES - ".critical".len())?;
        }
        match &self.queue {
            SourceQueue::Temporary => {}
            SourceQueue::Durable { name, .. } => check("queue", name, MAX_TAP_NAME_BYTES)?,
            SourceQueue::Pool { name, queue_type, durable } => {
                check("pool", name, MAX_NAME_BYTES)?;
                if *queue_type == QueueType::Quorum && !durable {
                    return Err(invalid(
                        "`source.queue_type = \"quorum\"` needs `source.durable = true`: quorum \
                         queues are always durable",
                    ));
                }
            }
            SourceQueue::Stream { name, max_age, .. } => {
                check("queue", name, MAX_TAP_NAME_BYTES)?;
                if max_age.as_secs() == 0 {
                    return Err(invalid("`source.max_age`: expected at least 1 s"));
                }
            }
            SourceQueue::SharedStream { stream, .. } => {
                return check("consume", stream, MAX_NAME_BYTES);
            }
            SourceQueue::Shared { queues } => {
                for queue in queues {
                    check("consume", queue, MAX_NAME_BYTES)?;
                }
                if queues.is_empty() {
                    return Err(invalid("`source.consume`: name at least one queue"));
                }
                return Ok(());
            }
        }
        for (option, is_empty) in
            [("exchanges", self.exchanges.is_empty()), ("topics", self.topics.is_empty())]
        {
            if is_empty {
                return Err(invalid(format!("`source.{option}`: name at least one")));
            }
        }
        Ok(())
    }

    /// Returns how to read the stream, if the source reads one, and the name of the stream.
    pub(super) fn stream(&self) -> Option<(String, &StreamPosition)> {
        match &self.queue {
            SourceQueue::Stream { name, position, .. } => Some((Self::tap_queue(name), position)),
            SourceQueue::SharedStream { stream, position } => Some((stream.clone(), position)),
            _ => None,
        }
    }

    /// Returns the bound of a tap's queue in bytes.
    pub(super) fn queue_limit(&self) -> u64 {
        self.max_queue_bytes.unwrap_or(match self.queue {
            SourceQueue::Temporary => 64 << 20,
            _ => 1 << 30,
        })
    }
}

/// The time without a listener after which the broker deletes a durable tap.
pub(super) const TAP_EXPIRY: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The longest name of a durable tap, in bytes. The name of its queue is longer.
const MAX_TAP_NAME_BYTES: usize = 200;
