//! The strategy `rabbit`: confirmed and routed delivery to RabbitMQ over AMQP 0-9-1.
//!
//! # Guarantees
//!
//! * *Delivered* means that the broker routed the message to a queue and confirmed it. A durable
//!   queue, the default, has the message on the broker's disk then; a quorum queue has it on the disks
//!   of a majority of its nodes.
//! * The transport sends an unconfirmed message again, over a new connection and with the same
//!   `message_id`. So a message can arrive twice, and none is lost.
//! * If an operator deletes a queue or the exchange, no later message is lost: the transport declares
//!   it again and sends the unroutable messages again.
//! * The transport uses an existing exchange or queue as it is. It changes and deletes nothing,
//!   because other services share the virtual host.
//!
//! # Topology
//!
//! One topic exchange, and one queue for each priority. The name of a queue is also its routing key
//! and its binding key. With the default options:
//!
//! | exchange | queue | priority |
//! |---|---|---|
//! | `glance` | `notifications.info` | `INFO` |
//! | `glance` | `notifications.warn` | `WARN` |
//! | `glance` | `notifications.error` | `ERROR` |
//!
//! The transport declares the queue of another priority when the first message of that priority comes.
//!
//! Glance declares the same names through oslo.messaging, so consumers of its notifications read these
//! unchanged. Set `rabbit.durable = false` in a virtual host that you share with OpenStack's services:
//! they declare queues that are not durable, and fail at durable ones.
//!
//! # Messages
//!
//! Each message has the properties `content_type` `application/json`, `content_encoding` `utf-8`,
//! delivery mode 2, `headers` with its context and sequence, `message_id`, `timestamp`, `type` (the event
//! type) and `app_id` `glance-notify`. The body is the notification in its [`Envelope`]. A CloudEvent in
//! structured mode has another content type, and one in binary mode has its attributes as headers with the
//! prefix `ce-`. The transport publishes with the flag `mandatory`, so the broker returns an unroutable
//! message instead of dropping it.
//!
//! # Failures
//!
//! The transport tries once; the worker retries. Each failure has one meaning:
//!
//! | the broker | the transport |
//! |---|---|
//! | is down, freezes, or closes the connection | fails with a transient error; the next attempt connects again, to any of the hosts |
//! | misses two heartbeats, or does not finish the login | fails with [`ErrorKind::Unavailable`](notify_core::ErrorKind::Unavailable) |
//! | confirms no message within `rabbit.confirm_timeout` | fails with [`ErrorKind::Timeout`](notify_core::ErrorKind::Timeout) |
//! | blocks publishers (memory or disk alarm) | fails with [`ErrorKind::Full`](notify_core::ErrorKind::Full) and logs one warning |
//! | nacks a message: a full queue with `reject-publish`, or a quorum queue without a majority | retries the message over a new channel |
//! | returns a message as unroutable | declares the queues again and retries the message; refuses it after `rabbit.refuse_unroutable_after` |
//! | cannot declare one queue: its node is down, a permission is missing | retries the messages of that queue; the others go on |
//! | does not answer the declaration of one queue | fails with [`ErrorKind::Timeout`](notify_core::ErrorKind::Timeout) after the messages of the others have their verdicts |
//! | closes the channel over a routing key that a topic permission refuses | retries the messages with that key; the others go on over a new channel |
//! | closes the channel over a message's size | refuses messages above that size for 10 minutes, then tries again |
//! | refuses login, virtual host, permission or certificate | fails with a permanent error that names the option to change |
//!
//! A failed attempt leaves the outcome of its unconfirmed messages
//! [unknown](notify_core::Outcome::Unknown), because the broker may have them.
//!
//! # Permissions
//!
//! With `rabbit.declare = "yes"` and the default names, the user needs:
//!
//! ```sh
//! rabbitmqctl set_permissions -p openstack glance \
//!     '^(glance|notifications\..*)$' '^(glance|notifications\..*)$' '^glance$'
//! ```
//!
//! Declaring needs *configure* on the exchange and the queues, and a binding needs *write* on the queue
//! and *read* on the exchange. With `"verify"` or `"no"`, *write* on the exchange is enough. Topic permissions
//! of the exchange must allow the routing keys too.
//!
//! # Configuration
//!
//! ```toml
//! strategy = "rabbit"
//!
//! [rabbit]
//! url = "amqps://glance@rabbit1.example.org,rabbit2.example.org/openstack"
//! password_file = "/etc/glance/rabbit-password"
//! queue_type = "quorum"
//! ```
//!
//! [`Config`] documents every option.
//!
//! # Resources
//!
//! A connection costs one socket and one thread, and both end with it. Three tasks accompany it: one
//! follows `connection.blocked` and the error of the connection, one counts the time for which the broker
//! blocks, and one checks the queues for backlogs. At any time, up to 1 MiB of bodies or one larger message is
//! unconfirmed.
//!
//! The crate keeps lapin's log events away from the log of the program, because lapin logs bodies and
//! passwords.
//!
//! # Modules
//!
//! `options` reads the table `[rabbit]` into a [`Config`]. [`Rabbit`] then drives one connection:
//!
//! ```text
//! lib ──► publisher ──► connection ──► wire ──► notify-net
//!  │                                     └────► frame_writer, answers
//!  ├────► topology ───► mismatch
//!  ├────► publish ────► confirms ───► publish_frames
//!  ├────► backlog       (warn about queues without a consumer)
//!  └────► check         (the report of `glance-notify check`)
//! ```
//!
//! # Examples
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use notify_core::event::Payload;
//! use notify_core::{Event, Notifier};
//! use notify_rabbit::{Config, Rabbit};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // A broker on this machine, with its default user `guest`.
//! let transport = Rabbit::new(Config::default())?;
//! let (notifier, worker) = Notifier::builder(transport).build()?;
//! tokio::spawn(worker.run());
//!
//! let event = Event::ImageDelete(Payload::Warn("the store did not answer".into()));
//! notifier.enqueue(&event).await.await?; // Confirmed by the broker.
//!
//! let stats = notifier.shutdown(Duration::from_secs(10)).await;
//! assert_eq!(stats.delivered, 1);
//! # Ok(())
//! # }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod answers;
mod backlog;
mod broker_entity;
mod channel_watch;
mod check;
mod config;
mod confirms;
mod connection;
mod content;
mod error;
mod frame_writer;
mod frames;
mod mismatch;
mod options;
mod publish;
mod publish_frames;
mod publisher;
#[doc(hidden)]
pub mod rabbitmqctl;
mod runtime;
#[cfg(feature = "source")]
mod source;
mod topology;
mod wire;

use std::fmt;
use std::sync::Arc;

use answers::PublishAnswers;
use async_trait::async_trait;
pub use notify_core::codec::Envelope;
use notify_core::config::{Driver, DriverOptions};
use notify_core::transport::{BrokerCounters, Finding, Lanes};
use notify_core::{Batch, Result, Transport};

pub use config::{Config, DeclareMode, MismatchPolicy, QueueType};
use connection::{Connection, connection_name};
use notify_net::OnceWarnings;
use notify_net::guard::amqp091::Amqp091Guard;
pub use notify_net::{
    BrokerUrl, Endpoint, Host, Password, SaslMechanism, SaslMechanismList, Secret, TlsFiles,
};
pub use options::RabbitTable;
use publish::PublishState;
use publisher::Publisher;
#[cfg(feature = "source")]
pub use source::{
    QueueDepth, QueueDepths, RabbitSource, RabbitSourceConfig, SourceQueue, StreamPosition,
    StreamStart,
};
use topology::Topology;

/// The driver of the strategy `rabbit`. It opens the transport from the table `[rabbit]`, which
/// [`Config::from_options`] reads.
///
/// # Examples
///
/// ```
/// use notify_rabbit::DRIVER;
///
/// assert_eq!(DRIVER.name, "rabbit");
/// assert!(DRIVER.defaults.contains(r#""exchange": "glance""#));
/// ```
pub const DRIVER: Driver = Driver {
    name: "rabbit",
    aliases: &[],
    defaults: r#"{
        "exchange": "glance", "topic": "notifications", "durable": true, "queue_type": "classic",
        "declare": "yes", "on_mismatch": "adopt", "envelope": "bare", "window": 1024,
        "connect_timeout": 10, "confirm_timeout": 30, "heartbeat": 10,
        "refuse_unroutable_after": 60, "backlog_warning": 10000
    }"#,
    open,
};

/// A transport that sends notifications to RabbitMQ.
///
/// It connects with the first [`send`](Transport::send), and again with the next one after a failure.
/// `Debug` shows no password and no message.
///
/// # Examples
///
/// [`check`](Transport::check) reports the state of the broker without sending a message, as
/// `glance-notify check` does:
///
/// ```no_run
/// use notify_core::Transport;
/// use notify_rabbit::{Config, Rabbit};
///
/// # async fn example() -> notify_core::Result<()> {
/// let mut transport = Rabbit::new(Config::default())?;
/// for finding in transport.check().await? {
///     println!("{}: {:?}", finding.subject, finding.state);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Rabbit {
    config: Config,
    /// The connection's name in the broker's management tools.
    connection_name: String,
    topology: Topology,
    publish_state: PublishState,
    once_warnings: Arc<OnceWarnings>,
    counters: Arc<BrokerCounters>,
    /// Whether a connection was ready to publish before.
    has_connected: bool,
    warned_queues: backlog::WarnedQueues,
    /// The open connection between two sends. A send takes it out and puts it back at its end. So a
    /// send that fails or is dropped leaves no connection, and with it no outstanding confirm.
    publisher: Option<Publisher>,
}

impl Rabbit {
    /// Creates a transport to the broker of `config`, without connecting.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) when a name is too long, a number is out
    /// of its range, or options contradict each other.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::ErrorKind;
    /// use notify_rabbit::{Config, Rabbit};
    ///
    /// let mut config = Config::default();
    /// assert!(Rabbit::new(config.clone()).is_ok());
    ///
    /// config.window = 0;
    /// let error = Rabbit::new(config).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// assert_eq!(error.to_string(), "`rabbit.window`: expected a number from 1 to 65536");
    /// ```
    pub fn new(config: Config) -> Result<Self> {
        config.check(DRIVER.name)?;
        Ok(Self {
            connection_name: connection_name(None),
            topology: Topology::new(&config)?,
            publish_state: PublishState::new(&config),
            once_warnings: Arc::new(OnceWarnings::new(DRIVER.name)),
            counters: Arc::default(),
            has_connected: false,
            warned_queues: backlog::WarnedQueues::default(),
            publisher: None,
            config,
        })
    }

    /// Opens a connection.
    async fn open_connection(&self) -> Result<(Connection, Arc<PublishAnswers>)> {
        let Self { config, connection_name, once_warnings, .. } = self;
        let guard = Amqp091Guard::sender();
        Connection::open(&config.endpoint, &guard, connection_name, once_warnings).await
    }

    /// Takes the open connection, or opens one and declares the exchange and the queues.
    async fn connect(&mut self) -> Result<Publisher> {
        if let Some(publisher) = self.publisher.take().filter(Publisher::is_usable) {
            return Ok(publisher);
        }
        let (mut connection, answers) = self.open_connection().await?;
        self.publish_state.judge.forget_times();
        connection.count_blocked_time(&self.counters);
        self.topology.ensure(&connection, &self.config).await?;
        if self.config.backlog_warning > 0 {
            let monitor =
                backlog::monitor(&connection, &self.topology, &self.config, &self.warned_queues);
            connection.own_task(monitor);
        }
        let publisher = Publisher::open(connection, answers, &self.config, &self.counters).await?;
        if std::mem::replace(&mut self.has_connected, true) {
            self.counters.add_reconnect();
        }
        Ok(publisher)
    }

    /// Publishes the unsettled messages of the batch, except those whose queue is out of service.
    async fn publish_windows(
        &mut self,
        publisher: &mut Publisher,
        batch: &mut Batch<'_>,
    ) -> Result<()> {
        let Self { config, topology, publish_state, .. } = self;
        let mut start = 0;
        while start < batch.messages().len() {
            let max_messages = publish_state.max_messages(publisher, config);
            let window = publish::window(batch, start, max_messages);
            let end = window.end;
            let follow_up =
                publish::publish(publisher, config, topology, publish_state, batch, window).await?;
            // Each repetition leaves out one queue more.
            if !follow_up.repeat {
                start = end;
            }
            if follow_up.renew_channel {
                publisher.renew_channel(config).await?;
            }
            if follow_up.declare {
                topology.ensure(&publisher.connection, config).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Transport for Rabbit {
    fn name(&self) -> &'static str {
        DRIVER.name
    }

    /// Returns one lane for each priority, with the name of its queue.
    fn lanes(&self) -> Lanes {
        Lanes::by_priority(|priority| self.config.queue(priority))
    }

    /// Creates a transport with a connection of its own, which counts together with this one. Each warning is
    /// still logged once.
    fn duplicate(&self) -> Option<Box<dyn Transport>> {
        Some(Box::new(Self {
            config: self.config.clone(),
            connection_name: self.connection_name.clone(),
            topology: self.topology.clone(),
            publish_state: PublishState::new(&self.config),
            once_warnings: Arc::clone(&self.once_warnings),
            counters: Arc::clone(&self.counters),
            has_connected: false,
            warned_queues: Arc::clone(&self.warned_queues),
            publisher: None,
        }))
    }

    fn counters(&self) -> Option<Arc<BrokerCounters>> {
        Some(Arc::clone(&self.counters))
    }

    /// Publishes the batch in windows of up to `rabbit.window` messages.
    ///
    /// # Errors
    ///
    /// When no host accepts the connection, the topology is unusable, a window ends early, or a queue of
    /// the batch does not answer. The next send opens a new connection then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection. The messages without a verdict may have reached the
    /// broker.
    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        self.publish_state.refuse_undeliverable(batch, &self.config);
        if batch.unsettled().next().is_none() {
            return Ok(());
        }
        self.topology.begin_attempt();
        let has_new_queues = self.topology.add_queues(batch.messages(), &self.config);
        let is_connected = self.publisher.as_ref().is_some_and(Publisher::is_usable);
        let mut publisher = self.connect().await?;
        // A new connection has declared all queues.
        if has_new_queues && is_connected {
            self.topology.ensure(&publisher.connection, &self.config).await?;
        }
        self.publish_windows(&mut publisher, batch).await?;
        // The messages of other queues have their verdicts now, so nothing delays them.
        let messages = batch.messages();
        let waiting: Vec<_> = batch.unsettled().map(|index| messages[index].priority()).collect();
        let retried =
            self.topology.retry_failures(&publisher.connection, &self.config, &waiting).await;
        if let Ok(true) = retried {
            self.publish_windows(&mut publisher, batch).await?;
        }
        let silence = self.publish_state.settle_unavailable(batch, &mut self.topology);
        if publisher.has_answered {
            self.once_warnings.log_unblocked(&publisher.connection.context.host);
        }
        match (retried, silence) {
            // The connection is gone, but every message has its verdict.
            (Err(_), None) if batch.unsettled().next().is_none() => Ok(()),
            // The end of the connection also ends a declaration that has no answer.
            (Err(error), _) | (Ok(_), Some(error)) => Err(error),
            (Ok(_), None) => {
                self.publisher = Some(publisher);
                Ok(())
            }
        }
    }

    /// Closes the connection orderly, within 3 s. All messages of earlier sends have their verdicts
    /// already.
    async fn close(&mut self) -> Result<()> {
        match self.publisher.take() {
            Some(publisher) => publisher.connection.close().await,
            None => Ok(()),
        }
    }

    /// Checks broker, TLS, login, exchange, queues and the permission to write, over a connection of
    /// its own.
    async fn check(&mut self) -> Result<Vec<Finding>> {
        let (connection, _) = self.open_connection().await?;
        let findings = check::check(&connection, &self.topology, &self.config).await?;
        // The findings are complete, even if the broker does not confirm the close.
        drop(connection.close().await);
        Ok(findings)
    }
}

impl fmt::Debug for Rabbit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rabbit")
            .field("config", &self.config)
            .field("publisher", &self.publisher)
            .finish_non_exhaustive()
    }
}

/// Opens a transport from the table `[rabbit]`. It connects later.
fn open(options: DriverOptions) -> Result<Box<dyn Transport>> {
    let connection_name = connection_name(options.publisher_id());
    Ok(Box::new(Rabbit { connection_name, ..Rabbit::new(Config::from_options(options)?)? }))
}

#[cfg(test)]
mod tests {
    use notify_core::Priority;

    use super::*;

    /// Each priority has a queue, so each has a lane, also on the duplicate.
    #[test]
    fn each_queue_is_a_lane() {
        let config = Config { topic: "events".into(), ..Config::default() };
        let rabbit = Rabbit::new(config).unwrap();
        for transport in [rabbit.duplicate().unwrap(), Box::new(rabbit)] {
            let lanes = transport.lanes();
            assert_eq!(lanes.len(), Priority::ALL.len());
            let names: Vec<_> = lanes.iter().map(|lane| lanes.name(lane).to_owned()).collect();
            assert_eq!(names[..3], ["events.info", "events.warn", "events.error"]);
        }
    }
}
