//! The strategy `qpid`: sends notifications over AMQP 1.0 to Apache Qpid, RabbitMQ, ActiveMQ and
//! other brokers.
//!
//! # Guarantees
//!
//! * *Delivered* means that the broker settled the message as `accepted`. Each product decides what
//!   that is worth. You are warned once about a product that is known to accept
//!   messages and drop them.
//! * A message without an outcome is sent again with the same `message_id`. So a message can arrive
//!   twice, and none goes missing.
//! * An address that fails does not delay the messages of the others.
//!
//! A connection uses no thread of its own, and its tasks end with it.
//!
//! `docs/brokers.md` documents the options, the message on the wire and the guarantees of each
//! product.
//!
//! # Examples
//!
//! ```no_run
//! use notify_core::config::DriverOptions;
//! use notify_core::{Notification, Notifier};
//! use notify_qpid::{Config, Qpid};
//!
//! # async fn example(notification: Notification) -> Result<(), Box<dyn std::error::Error>> {
//! let table = serde_json::json!({ "url": "amqp://glance:secret@broker.example.org" });
//! let options = DriverOptions::new("qpid", table.as_object().unwrap().clone());
//! let transport = Qpid::new(Config::from_options(options)?)?;
//!
//! let (notifier, worker) = Notifier::builder(transport).build()?;
//! let worker = worker.spawn_thread()?;
//! drop(notifier.resend(&notification).await);
//! let stats = notifier.shutdown(std::time::Duration::from_secs(10)).await;
//! assert_eq!(stats.delivered, 1);
//! # drop(worker.join());
//! # Ok(())
//! # }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod check;
mod config;
mod connection;
mod error;
mod link;
mod options;
mod publish;
mod rejection;
mod template;
mod topology;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
pub use notify_core::codec::Envelope;
use notify_core::config::{Driver, DriverOptions};
use notify_core::redact::printable;
use notify_core::transport::{BrokerCounters, Finding, Lanes};
use notify_core::{Batch, Outcome, Result, Transport};

pub use config::{Config, Dialect, Node};
use connection::Connection;
pub use notify_net::{
    BrokerUrl, Endpoint, Host, Password, SaslMechanism, SaslMechanismList, Secret, TlsFiles,
};
use notify_net::{Judge, OnceWarnings};
pub use options::QpidTable;
use publish::ConfirmTimeouts;
pub use template::Template;

/// The driver of the strategy `qpid`. It reads the table `[qpid]` with [`Config::from_options`].
///
/// ```
/// use notify_core::config::DriverOptions;
///
/// let options = DriverOptions::new("qpid", serde_json::Map::new());
/// let transport = (notify_qpid::DRIVER.open)(options)?;
/// assert_eq!(transport.name(), "qpid");
/// # Ok::<(), notify_core::Error>(())
/// ```
pub const DRIVER: Driver = Driver {
    name: "qpid",
    aliases: &[],
    defaults: r#"{
        "node": "queue", "dialect": "auto", "exchange": "glance", "topic": "notifications",
        "envelope": "bare", "window": 256, "connect_timeout": 10, "confirm_timeout": 30,
        "heartbeat": 10, "refuse_unroutable_after": 60
    }"#,
    open,
};

/// The transport that sends notifications to a broker of AMQP 1.0.
///
/// It connects with the first [`send`](Transport::send), and again after the connection has ended.
///
/// # Examples
///
/// Check the connection, the login and every address before you rely on them, without sending a
/// message:
///
/// ```no_run
/// use notify_core::Transport as _;
/// use notify_core::transport::FindingState;
/// use notify_qpid::{Config, Qpid};
///
/// # async fn example() -> Result<(), notify_core::Error> {
/// let mut transport = Qpid::new(Config::default())?;
/// for finding in transport.check().await? {
///     match finding.state {
///         FindingState::Good(text) => println!("{}: {text}", finding.subject),
///         state => eprintln!("{}: {state:?}", finding.subject),
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
///
/// You may drop `send` at any point. Its messages stay in flight: when they come again, the transport
/// waits for their outcomes and does not send them twice.
pub struct Qpid {
    config: Config,
    /// The container id, which the broker's tools show.
    name: String,
    /// The configured publisher id, for the container id of a duplicate.
    publisher_id: Option<String>,
    /// The timeouts of addresses that withhold outcomes. They outlive a connection.
    timeouts: ConfirmTimeouts,
    /// The verdicts by the meaning of the broker's answers.
    judge: Judge,
    /// The warnings that appear once.
    once_warnings: Arc<OnceWarnings>,
    counters: Arc<BrokerCounters>,
    /// Whether a connection was open before.
    has_connected: bool,
    /// The connection stays here during a `send`. So a dropped `send` leaves its messages in flight
    /// behind, for the next `send` to wait for.
    connection: Option<Connection>,
}

impl Qpid {
    /// Creates a transport to the broker of `config`. Connects with the first send.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) if options contradict each other.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_qpid::{Config, Qpid};
    ///
    /// let mut config = Config::default();
    /// let transport = Qpid::new(config.clone())?;
    ///
    /// config.window = 0;
    /// let error = Qpid::new(config).unwrap_err();
    /// assert!(error.to_string().starts_with("`qpid.window`"));
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn new(config: Config) -> Result<Self> {
        config.check(DRIVER.name)?;
        Ok(Self {
            name: container_id(None),
            publisher_id: None,
            timeouts: ConfirmTimeouts::default(),
            judge: Judge::new(config.refuse_unroutable_after),
            once_warnings: Arc::new(OnceWarnings::new(DRIVER.name)),
            counters: Arc::default(),
            has_connected: false,
            connection: None,
            config,
        })
    }

    /// Returns the current connection if it is usable, else opens a new one.
    async fn connect(&mut self) -> Result<&mut Connection> {
        if let Some(connection) = self.connection.take().filter(Connection::is_usable) {
            return Ok(self.connection.insert(connection));
        }
        let connection = Connection::open(&self.config, &self.name, &self.once_warnings).await?;
        self.judge.forget_times();
        if std::mem::replace(&mut self.has_connected, true) {
            self.counters.add_reconnect();
        }
        Ok(self.connection.insert(connection))
    }
}

#[async_trait]
impl Transport for Qpid {
    fn name(&self) -> &'static str {
        DRIVER.name
    }

    /// Returns one lane for each priority, with the subject or the address of its messages.
    fn lanes(&self) -> Lanes {
        topology::lanes(&self.config)
    }

    /// Creates a transport with a container id and a connection of its own.
    fn duplicate(&self) -> Option<Box<dyn Transport>> {
        Some(Box::new(Self {
            name: container_id(self.publisher_id.as_deref()),
            publisher_id: self.publisher_id.clone(),
            timeouts: ConfirmTimeouts::default(),
            judge: Judge::new(self.config.refuse_unroutable_after),
            once_warnings: Arc::clone(&self.once_warnings),
            counters: Arc::clone(&self.counters),
            has_connected: false,
            connection: None,
            config: self.config.clone(),
        }))
    }

    fn counters(&self) -> Option<Arc<BrokerCounters>> {
        Some(Arc::clone(&self.counters))
    }

    /// Connects if necessary, sends the messages and settles them by the broker's outcomes.
    ///
    /// # Errors
    ///
    /// The error of the connection, or the timeout of an address that withholds its outcomes. The
    /// messages of other addresses are settled all the same. The outcome of the others is
    /// unknown, unless there was no connection.
    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        if batch.unsettled().next().is_none() {
            return Ok(());
        }
        self.connect().await?;
        let Self { config, timeouts, judge, counters, connection: Some(connection), .. } = self
        else {
            return Ok(());
        };
        let sent = publish::publish(connection, config, timeouts, judge, counters, batch).await;
        let sent = sent.map_err(|error| connection.violation().unwrap_or(error));
        if sent.is_err() && !connection.is_usable() {
            self.connection = None;
        }
        sent.map_err(|error| error.with_outcome(Outcome::Unknown))
    }

    /// Closes the connection and waits up to 3 s for the broker's answer.
    async fn close(&mut self) -> Result<()> {
        match self.connection.take() {
            Some(connection) => connection.close().await,
            None => Ok(()),
        }
    }

    /// Checks the broker on a new connection, and closes it afterwards. The connection of earlier sends
    /// stays as it is.
    async fn check(&mut self) -> Result<Vec<Finding>> {
        let name = container_id(self.publisher_id.as_deref());
        let mut connection = Connection::open(&self.config, &name, &self.once_warnings).await?;
        let findings = check::check(&mut connection, &self.config).await;
        let findings = findings.map_err(|error| connection.violation().unwrap_or(error))?;
        // The findings are complete, even if the broker does not confirm the close.
        drop(connection.close().await);
        Ok(findings)
    }
}

impl fmt::Debug for Qpid {
    /// Shows no password and no message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Qpid")
            .field("config", &self.config)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

/// Opens the transport for [`DRIVER`].
fn open(options: DriverOptions) -> Result<Box<dyn Transport>> {
    let publisher_id = options.publisher_id().map(str::to_owned);
    let name = container_id(publisher_id.as_deref());
    Ok(Box::new(Qpid { name, publisher_id, ..Qpid::new(Config::from_options(options)?)? }))
}

/// Returns a unique container id. A broker treats a second connection of the same name as a
/// reconnect of the first.
fn container_id(publisher_id: Option<&str>) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let publisher = publisher_id.unwrap_or("notifications");
    // Keep it short enough for one line in the broker's tools.
    let publisher = printable(publisher, 128);
    format!("glance-notify:{}-{number}:{publisher}", std::process::id())
}
