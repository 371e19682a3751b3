//! The strategy `qpid`: settled delivery over AMQP 1.0 to Apache Qpid, RabbitMQ, ActiveMQ and any
//! other broker of that protocol.
//!
//! # What is promised
//!
//! * Delivered means that the broker settled the message as `accepted`. What that is worth is the
//!   broker's own: where one is known to accept what nobody gets, that is warned about once per
//!   connection.
//! * What the broker does not settle is sent again, with the same `message_id`: it can be there
//!   twice, never be missing.
//! * An address that fails does not keep the others from their messages.
//!
//! A connection costs no thread; its tasks end with it.

mod check;
mod config;
mod connection;
mod error;
mod link;
mod options;
mod publish;
mod topology;
mod wire;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use notify_core::config::{Driver, DriverOptions};
use notify_core::transport::Finding;
use notify_core::{Batch, EventType, Result, Transport};

pub use config::{Config, Dialect, Node, SaslMechanism};
use connection::Connection;
pub use notify_net::{Envelope, Host, Password, Secret, TlsFiles};
use publish::Patience;
pub use topology::Template;

/// How the strategy `qpid` is opened: from the table `[qpid]`, as [`Config::from_options`] reads it.
pub const DRIVER: Driver = Driver {
    name: "qpid",
    aliases: &[],
    defaults: r#"{
        "node": "queue", "dialect": "auto", "exchange": "glance", "topic": "notifications",
        "envelope": "bare", "window": 256, "connect_timeout": 10, "confirm_timeout": 30,
        "heartbeat": 10
    }"#,
    open,
};

/// Sends notifications to a broker of AMQP 1.0.
pub struct Qpid {
    config: Config,
    /// By which the broker's operator knows the connection.
    name: String,
    patience: Patience,
    /// It stays where it is during a send, so that one that is dropped leaves behind what is on its
    /// way, to be waited for by the next.
    connection: Option<Connection>,
}

impl Qpid {
    /// A transport to the broker of `config`. Connects with the first send.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) when values contradict each other.
    pub fn new(config: Config) -> Result<Self> {
        config.check()?;
        Ok(Self {
            name: container_id(None),
            patience: Patience::default(),
            connection: None,
            config,
        })
    }

    /// The connection we have, or a new one.
    async fn connect(&mut self) -> Result<&mut Connection> {
        let connection = match self.connection.take().filter(Connection::is_usable) {
            Some(connection) => connection,
            None => Connection::open(&self.config, &self.name).await?,
        };
        Ok(self.connection.insert(connection))
    }
}

#[async_trait]
impl Transport for Qpid {
    fn name(&self) -> &'static str {
        DRIVER.name
    }

    fn wants(&self, _: EventType) -> bool {
        true
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        if batch.unsettled().next().is_none() {
            return Ok(());
        }
        self.connect().await?;
        let Self { config, patience, connection: Some(connection), .. } = self else {
            return Ok(());
        };
        let sent = publish::publish(connection, config, patience, batch).await;
        if sent.is_err() && !connection.is_usable() {
            self.connection = None;
        }
        sent
    }

    async fn close(&mut self) -> Result<()> {
        match self.connection.take() {
            Some(connection) => connection.close().await,
            None => Ok(()),
        }
    }

    async fn check(&mut self) -> Result<Vec<Finding>> {
        let mut connection = Connection::open(&self.config, &self.name).await?;
        let findings = check::check(&mut connection, &self.config).await?;
        connection.close().await?;
        Ok(findings)
    }
}

impl fmt::Debug for Qpid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Qpid")
            .field("config", &self.config)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

fn open(options: DriverOptions) -> Result<Box<dyn Transport>> {
    let name = container_id(options.publisher_id());
    Ok(Box::new(Qpid { name, ..Qpid::new(Config::from_options(options)?)? }))
}

/// A name of its own for each transport: brokers take a second connection of the same name for the
/// first one come back.
fn container_id(publisher_id: Option<&str>) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let publisher = publisher_id.unwrap_or("notifications");
    // What the broker's tools show in one line.
    let publisher = notify_core::redact::printable(publisher, 128);
    format!("glance-notify:{}-{number}:{publisher}", std::process::id())
}
