//! The exchange, its queues and their bindings: declared, adopted or only verified.
//!
//! The queues of the three documented priorities exist from the first connection on. The queue of another
//! priority comes with the first message that needs it.
//!
//! An existing exchange or queue wins over the configuration, because another service may own it.
//! This module changes and deletes nothing.

use std::collections::HashSet;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind, Queue};
use notify_core::redact::printable;
use notify_core::{Error, ErrorKind, Message, Priority, Result};
use tokio::time::timeout;

use crate::config::{Config, DeclareMode, QueueType};
use crate::connection::Connection;
use crate::error::Operation;
use crate::mismatch::Mismatch;
use crate::runtime::silently;

/// The names of the exchange and the queues, and the warnings that were already logged about them.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    /// The topic exchange.
    pub(crate) exchange: ShortString,
    /// The queues for the priorities info, warn and error.
    queues: [ShortString; 3],
    /// The queues for the other priorities that messages had so far.
    other_queues: Vec<(Priority, ShortString)>,
    /// The logged warnings, so that each appears once in the life of a transport.
    warned: HashSet<String>,
}

/// An exchange or a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrokerEntity<'a> {
    /// The exchange of this name.
    Exchange(&'a ShortString),
    /// The queue of this name.
    Queue(&'a ShortString),
}

impl Topology {
    /// Creates the names that `config` asks for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when a name is longer than 255 bytes.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let name = |text: String| {
            ShortString::try_new(text).map_err(|_| {
                Error::new(ErrorKind::Config, "`rabbit.exchange` or `rabbit.topic` is too long")
            })
        };
        Ok(Self {
            exchange: name(config.exchange.clone())?,
            queues: [
                name(config.queue(Priority::Info))?,
                name(config.queue(Priority::Warn))?,
                name(config.queue(Priority::Error))?,
            ],
            other_queues: Vec::new(),
            warned: HashSet::new(),
        })
    }

    /// Returns the queue of a priority. Its name is also the routing key.
    pub(crate) fn queue(&self, priority: Priority) -> ShortString {
        match priority {
            Priority::Info => self.queues[0].clone(),
            Priority::Warn => self.queues[1].clone(),
            Priority::Error => self.queues[2].clone(),
            other => {
                let mut queues = self.other_queues.iter();
                let known = queues.find(|(priority, _)| *priority == other);
                known.map(|(_, queue)| queue.clone()).unwrap_or_default()
            }
        }
    }

    /// Adds the queues of the priorities of `messages`. Returns whether there are new ones, which
    /// [`ensure`](Self::ensure) must declare.
    pub(crate) fn add_queues(&mut self, messages: &[Message], config: &Config) -> bool {
        let before = self.other_queues.len();
        for priority in messages.iter().map(Message::priority) {
            let is_known = Priority::DOCUMENTED.contains(&priority)
                || self.other_queues.iter().any(|(known, _)| *known == priority);
            if !is_known {
                // `Config::check` has left room for the longest priority.
                let queue = ShortString::from(config.queue(priority));
                self.other_queues.push((priority, queue));
            }
        }
        self.other_queues.len() > before
    }

    /// Returns the queues of the three documented priorities.
    pub(crate) fn queues(&self) -> &[ShortString; 3] {
        &self.queues
    }

    /// Returns the exchange and then the queues.
    pub(crate) fn entities(&self) -> impl Iterator<Item = BrokerEntity<'_>> {
        std::iter::once(BrokerEntity::Exchange(&self.exchange))
            .chain(self.queues.iter().map(BrokerEntity::Queue))
            .chain(self.other_queues.iter().map(|(_, queue)| BrokerEntity::Queue(queue)))
    }

    /// Declares or verifies everything, as `rabbit.declare` says, within `rabbit.connect_timeout`.
    ///
    /// Logs each warning about an adopted entity once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] or [`ErrorKind::Access`] for problems that an operator must solve.
    pub(crate) async fn ensure(&mut self, connection: &Connection, config: &Config) -> Result<()> {
        let ensure = async {
            match config.declare {
                DeclareMode::Yes => self.declare(connection, config).await,
                DeclareMode::Verify => self.verify(connection).await.map(|()| Vec::new()),
                DeclareMode::No => Ok(Vec::new()),
            }
        };
        match timeout(config.endpoint.connect_timeout, silently(ensure)).await {
            Ok(Ok(warnings)) => {
                for warning in warnings {
                    if !self.warned.contains(&warning) {
                        tracing::warn!("{warning}");
                        self.warned.insert(warning);
                    }
                }
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(connection
                .context
                .timeout_error("did not answer a declaration", connection.blocked().as_deref())),
        }
    }

    /// Declares missing entities and adopts existing ones. Returns the warnings about the latter.
    ///
    /// It also binds every queue to the exchange. A binding that exists already stays unchanged.
    async fn declare(&self, connection: &Connection, config: &Config) -> Result<Vec<String>> {
        let explain = |error| connection.context.explain(&error, Operation::Declare);
        let mut channel = connection.open_channel().await?;
        let mut warnings = Vec::new();
        for entity in self.entities() {
            if let Err(error) = entity.declare(&channel, config).await {
                let Some(mismatch) = Mismatch::parse(&error) else { return Err(explain(error)) };
                warnings.extend(mismatch.evaluate(config)?);
                // The broker's refusal closed the channel.
                channel = connection.open_channel().await?;
                entity.look_up(&channel).await.map_err(explain)?;
            }
            if let BrokerEntity::Queue(queue) = entity {
                channel
                    .queue_bind(
                        queue.clone(),
                        self.exchange.clone(),
                        queue.clone(),
                        QueueBindOptions::default(),
                        FieldTable::default(),
                    )
                    .await
                    .map_err(explain)?;
            }
        }
        Ok(warnings)
    }

    /// Verifies that the exchange and the queues of the documented priorities exist. Properties and
    /// bindings may be anything.
    ///
    /// A message of another priority without a queue comes back as unroutable. It must not stop the rest.
    async fn verify(&self, connection: &Connection) -> Result<()> {
        let channel = connection.open_channel().await?;
        let queues = self.queues.iter().map(BrokerEntity::Queue);
        for entity in std::iter::once(BrokerEntity::Exchange(&self.exchange)).chain(queues) {
            if let Err(error) = entity.look_up(&channel).await {
                if is_not_found(&error) {
                    return Err(entity.missing_error());
                }
                return Err(connection.context.explain(&error, Operation::Declare));
            }
        }
        Ok(())
    }
}

impl BrokerEntity<'_> {
    /// Declares the entity as configured. Fails with 406 if it exists with other properties.
    pub(crate) async fn declare(self, channel: &Channel, config: &Config) -> lapin::Result<()> {
        match self {
            BrokerEntity::Exchange(name) => {
                let options =
                    ExchangeDeclareOptions { durable: config.durable, ..Default::default() };
                let arguments = FieldTable::default();
                channel
                    .exchange_declare(name.clone(), ExchangeKind::Topic, options, arguments)
                    .await
            }
            BrokerEntity::Queue(name) => {
                let options = QueueDeclareOptions { durable: config.durable, ..Default::default() };
                let mut arguments = FieldTable::default();
                if config.queue_type == QueueType::Quorum {
                    // Classic queues get no argument: classic is the default, and OpenStack's
                    // services declare their queues without one.
                    let quorum = AMQPValue::LongString("quorum".into());
                    arguments.insert("x-queue-type".into(), quorum);
                }
                channel.queue_declare(name.clone(), options, arguments).await.map(|_| ())
            }
        }
    }

    /// Looks the entity up by a passive declaration. Returns the counts of a queue.
    ///
    /// Fails with 404 if the entity does not exist, and the broker closes the channel then.
    pub(crate) async fn look_up(self, channel: &Channel) -> lapin::Result<Option<Queue>> {
        let arguments = FieldTable::default();
        match self {
            BrokerEntity::Exchange(name) => {
                let options = ExchangeDeclareOptions { passive: true, ..Default::default() };
                let kind = ExchangeKind::Topic;
                channel.exchange_declare(name.clone(), kind, options, arguments).await?;
                Ok(None)
            }
            BrokerEntity::Queue(name) => {
                let options = QueueDeclareOptions { passive: true, ..Default::default() };
                channel.queue_declare(name.clone(), options, arguments).await.map(Some)
            }
        }
    }

    /// Returns the error of an entity that does not exist and that the transport must not declare.
    pub(crate) fn missing_error(self) -> Error {
        Error::new(
            ErrorKind::Config,
            format!("{self} does not exist: declare it, or set `rabbit.declare = \"yes\"`"),
        )
    }
}

/// Writes the kind and the name: "queue `notifications.info`".
impl std::fmt::Display for BrokerEntity<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exchange(name) => write!(f, "exchange `{}`", printable(name.as_str(), 255)),
            Self::Queue(name) => write!(f, "queue `{}`", printable(name.as_str(), 255)),
        }
    }
}

/// Returns whether the broker reported that an entity does not exist (404 `NOT_FOUND`).
pub(crate) fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), lapin::ErrorKind::ProtocolError(error) if error.get_id() == 404)
}
