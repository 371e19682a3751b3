//! The strategy `rabbit`: confirmed and routed delivery to RabbitMQ over AMQP 0-9-1, readable by
//! oslo.messaging.
//!
//! # What is promised
//!
//! * Delivered means confirmed by the broker and routed to a queue. With durable queues, the default,
//!   it is on the broker's disk; with quorum queues, on those of a majority.
//! * What the broker does not confirm is sent again, on a fresh connection, with the same
//!   `message_id`: it can be there twice, never be missing.
//! * If a queue is deleted while we run, nothing is lost: its messages come back, the queue is
//!   declared again, and they are sent again.
//! * What exists is used as it is, and never changed or deleted: other services share the vhost.
//!
//! A connection costs one thread, which ends with it.

mod backlog;
mod burst;
mod check;
mod config;
mod connection;
mod error;
mod options;
mod publish;
mod runtime;
mod topology;
mod wire;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use notify_core::config::{Driver, DriverOptions};
use notify_core::transport::Finding;
use notify_core::{Batch, EventType, Result, Transport};

pub use config::{Config, Declare, OnMismatch, QueueType, SaslMechanism};
use connection::{Connection, Told};
pub use notify_net::{Envelope, Host, Password, Secret, TlsFiles};
use publish::Memory;
use topology::Topology;

/// How the strategy `rabbit` is opened: from the table `[rabbit]`, as [`Config::from_options`] reads
/// it.
pub const DRIVER: Driver = Driver {
    name: "rabbit",
    aliases: &[],
    defaults: r#"{
        "exchange": "glance", "topic": "notifications", "durable": true, "queue_type": "classic",
        "declare": "yes", "on_mismatch": "adopt", "envelope": "bare", "window": 1024,
        "connect_timeout": 10, "confirm_timeout": 30, "heartbeat": 10, "backlog_warning": 10000
    }"#,
    open,
};

/// Sends notifications to RabbitMQ.
pub struct Rabbit {
    config: Config,
    /// By which the broker's operator knows the connection.
    name: String,
    topology: Topology,
    memory: Memory,
    told: Arc<Told>,
    backlog: backlog::Backlog,
    /// There while nothing speaks against it: a send takes it away and puts it back at its end, so
    /// that one that fails or is dropped leaves none, and with it no confirm that nobody waits for.
    connection: Option<Connection>,
}

impl Rabbit {
    /// A transport to the broker of `config`. Connects with the first send.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) when a name is too long, or values
    /// contradict each other.
    pub fn new(config: Config) -> Result<Self> {
        config.check()?;
        Ok(Self {
            name: connection_name(None),
            topology: Topology::new(&config)?,
            memory: Memory::default(),
            told: Arc::default(),
            backlog: backlog::Backlog::default(),
            connection: None,
            config,
        })
    }

    /// The connection we have, or a new one with everything declared.
    async fn connect(&mut self) -> Result<Connection> {
        if let Some(connection) = self.connection.take().filter(Connection::is_usable) {
            return Ok(connection);
        }
        let mut connection = Connection::open(&self.config, &self.name, &self.told).await?;
        self.topology.ensure(&connection, &self.config).await?;
        if self.config.backlog_warning > 0 {
            let task = backlog::watch(&connection, &self.topology, &self.config, &self.backlog);
            connection.keep(task);
        }
        Ok(connection)
    }
}

#[async_trait]
impl Transport for Rabbit {
    fn name(&self) -> &'static str {
        DRIVER.name
    }

    fn wants(&self, _: EventType) -> bool {
        true
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        self.memory.refuse(batch, &self.config);
        if batch.unsettled().next().is_none() {
            return Ok(());
        }
        let mut connection = self.connect().await?;
        let mut start = 0;
        while start < batch.messages().len() {
            // The first window is one message: as long as the broker blocks us or confirms nothing,
            // every attempt may leave what it sent behind, twice.
            let most = if connection.proven { self.config.window } else { 1 };
            let window = publish::window(batch, start, most);
            start = window.end;
            let Self { config, topology, memory, .. } = self;
            let next =
                publish::publish(&mut connection, config, topology, memory, batch, window).await?;
            if next.renew {
                connection.renew_channel(config).await?;
            }
            if next.declare {
                topology.ensure(&connection, config).await?;
            }
        }
        if connection.proven {
            self.told.takes_again(&connection.site.host);
        }
        self.connection = Some(connection);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        match self.connection.take() {
            Some(connection) => connection.close().await,
            None => Ok(()),
        }
    }

    async fn check(&mut self) -> Result<Vec<Finding>> {
        let connection = Connection::open(&self.config, &self.name, &self.told).await?;
        let findings = check::check(&connection, &self.topology, &self.config).await?;
        connection.close().await?;
        Ok(findings)
    }
}

impl fmt::Debug for Rabbit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rabbit")
            .field("config", &self.config)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

fn open(options: DriverOptions) -> Result<Box<dyn Transport>> {
    let name = connection_name(options.publisher_id());
    Ok(Box::new(Rabbit { name, ..Rabbit::new(Config::from_options(options)?)? }))
}

fn connection_name(publisher_id: Option<&str>) -> String {
    let publisher = publisher_id.unwrap_or("notifications");
    // What the broker's tools show in one line.
    let publisher = notify_core::redact::printable(publisher, 128);
    format!("glance-notify:{}:{publisher}", std::process::id())
}
