//! The exchange, its three queues and their bindings: declared, adopted or only verified.
//!
//! An existing exchange or queue wins over the configuration, because another service may own it.
//! This module changes and deletes nothing.

use std::collections::HashSet;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind, Queue};
use notify_core::redact::printable;
use notify_core::{Error, ErrorKind, Priority, Result};
use tokio::time::timeout;

use crate::config::{Config, DeclareMode, MismatchPolicy, QueueType};
use crate::connection::Connection;
use crate::error::Operation;
use crate::runtime::silently;

/// The names of the exchange and the queues, and the warnings that were already logged about them.
#[derive(Debug)]
pub(crate) struct Topology {
    /// The topic exchange.
    pub(crate) exchange: ShortString,
    /// The queues for the priorities info, warn and error.
    queues: [ShortString; 3],
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

/// The difference between an existing entity and the configuration, by the first argument that the
/// broker names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    entity: String,
    argument: String,
    configured: String,
    actual: String,
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
            warned: HashSet::new(),
        })
    }

    /// Returns the queue of a priority. Its name is also the routing key.
    pub(crate) fn queue(&self, priority: Priority) -> &ShortString {
        match priority {
            Priority::Info => &self.queues[0],
            Priority::Warn => &self.queues[1],
            Priority::Error => &self.queues[2],
        }
    }

    /// Returns all queues.
    pub(crate) fn queues(&self) -> &[ShortString; 3] {
        &self.queues
    }

    /// Returns the exchange and then the queues.
    pub(crate) fn entities(&self) -> impl Iterator<Item = BrokerEntity<'_>> {
        std::iter::once(BrokerEntity::Exchange(&self.exchange))
            .chain(self.queues.iter().map(BrokerEntity::Queue))
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
        match timeout(config.connect_timeout, silently(ensure)).await {
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

    /// Verifies that every entity exists.
    async fn verify(&self, connection: &Connection) -> Result<()> {
        let channel = connection.open_channel().await?;
        for entity in self.entities() {
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

impl Mismatch {
    /// Parses the broker's refusal of a declaration. Returns `None` for any other error.
    ///
    /// RabbitMQ: `inequivalent arg 'durable' for exchange 'glance' in vhost '/': received 'true' but
    /// current is 'false'`.
    pub(crate) fn parse(error: &lapin::Error) -> Option<Self> {
        let lapin::ErrorKind::ProtocolError(error) = error.kind() else { return None };
        let text = error.get_message().as_str();
        let (_, text) = text.split_once("inequivalent arg '")?;
        let (argument, text) = text.split_once("' for ")?;
        let (entity, text) = text.split_once(" in vhost ")?;
        let (_, text) = text.split_once(": received ")?;
        let (configured, actual) = text.split_once(" but current is ")?;
        Some(Self {
            entity: printable(&entity.replacen(" '", " `", 1).replace('\'', "`"), 300).to_string(),
            argument: printable(argument, 64).to_string(),
            configured: value(configured),
            actual: value(actual),
        })
    }

    /// Returns a warning about adopting the entity, or `None` if it is at least as safe as the
    /// configuration asks.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the entity is unusable, or `rabbit.on_mismatch` is `refuse`.
    pub(crate) fn evaluate(&self, config: &Config) -> Result<Option<String>> {
        let Self { entity, argument, configured, actual } = self;
        let option = match argument.as_str() {
            "durable" => "`rabbit.durable`",
            "x-queue-type" => "`rabbit.queue_type`",
            _ if entity.starts_with("exchange") => "`rabbit.exchange`",
            _ => "`rabbit.topic`",
        };
        let unusable = matches!(argument.as_str(), "type" | "internal");
        if unusable || config.on_mismatch == MismatchPolicy::Refuse {
            let change = if unusable {
                "choose another `rabbit.exchange`".into()
            } else {
                format!("change {option}")
            };
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "{entity} exists with `{argument}` {actual}, but {configured} is configured: \
                     {change}, or delete it at the broker"
                ),
            ));
        }
        let consequence = match (argument.as_str(), actual.as_str()) {
            ("durable", "true") | ("x-queue-type", "quorum") => return Ok(None),
            ("durable", _) => "is not durable: lost when the broker restarts",
            ("auto_delete", _) => "is deleted with its messages when its last consumer leaves",
            ("exclusive", _) => "belongs to one connection and is deleted with it",
            ("x-queue-type", _) => "is not replicated: lost with its node",
            ("x-message-ttl" | "x-expires", _) => "loses messages that no consumer reads in time",
            ("x-max-length" | "x-max-length-bytes" | "x-overflow", _) => {
                "loses or rejects messages when it is full"
            }
            _ => "differs from the configuration",
        };
        Ok(Some(format!(
            "{entity} exists and is used unchanged: it {consequence} (`{argument}` is {actual})"
        )))
    }
}

/// Returns whether the broker reported that an entity does not exist.
pub(crate) fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), lapin::ErrorKind::ProtocolError(error) if error.get_id() == 404)
}

/// Returns a value in the broker's text as an operator writes it: `'true'` becomes `true`, and `the
/// value 'quorum' of type 'longstr'` becomes `quorum`.
fn value(text: &str) -> String {
    let text = text.strip_prefix("the value ").unwrap_or(text);
    let text = text.split_once(" of type ").map_or(text, |(value, _)| value);
    printable(text.trim_matches('\''), 64).to_string()
}

#[cfg(test)]
mod tests {
    use lapin::protocol::AMQPError;

    use super::*;

    /// Parses the text of a refused declaration.
    fn mismatch(text: &str) -> Mismatch {
        let error =
            AMQPError::from_id(406, format!("PRECONDITION_FAILED - {text}").into()).unwrap();
        Mismatch::parse(&lapin::ErrorKind::ProtocolError(error).into()).unwrap()
    }

    const DURABLE: &str = "inequivalent arg 'durable' for exchange 'glance' in vhost 'mm': received \
                           'true' but current is 'false'";
    const QUORUM: &str = "inequivalent arg 'x-queue-type' for queue 'notifications.info' in vhost \
                          'mm': received the value 'quorum' of type 'longstr' but current is none";
    const TYPE: &str = "inequivalent arg 'type' for exchange 'glance' in vhost '/': received \
                        'topic' but current is 'fanout'";
    const LENGTH: &str = "inequivalent arg 'x-max-length' for queue 'notifications.info' in vhost \
                          '/': received none but current is the value '10' of type 'signedint'";

    /// Adopting an entity that is less safe than configured has a warning with the consequence.
    #[test]
    fn adopting_an_unsafe_entity_is_a_warning() {
        let warning = |text| mismatch(text).evaluate(&Config::default()).unwrap();
        assert_eq!(
            warning(DURABLE).unwrap(),
            "exchange `glance` exists and is used unchanged: it is not durable: lost when the \
             broker restarts (`durable` is false)"
        );
        assert_eq!(
            warning(QUORUM).unwrap(),
            "queue `notifications.info` exists and is used unchanged: it is not replicated: lost \
             with its node (`x-queue-type` is none)"
        );
        assert!(warning(LENGTH).unwrap().ends_with("when it is full (`x-max-length` is 10)"));
        let safer = "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but \
                     current is 'true'";
        assert_eq!(warning(safer), None);
    }

    /// The error of an entity that is unusable or must not be adopted names both values.
    #[test]
    fn an_unusable_entity_is_an_error_with_both_values() {
        let refuse = Config { on_mismatch: MismatchPolicy::Refuse, ..Config::default() };
        for (text, config, expected) in [
            (
                TYPE,
                &Config::default(),
                "exchange `glance` exists with `type` fanout, but topic is configured: choose \
                 another `rabbit.exchange`, or delete it at the broker",
            ),
            (
                DURABLE,
                &refuse,
                "exchange `glance` exists with `durable` false, but true is configured: change \
                 `rabbit.durable`, or delete it at the broker",
            ),
            (
                LENGTH,
                &refuse,
                "queue `notifications.info` exists with `x-max-length` 10, but none is configured: \
                 change `rabbit.topic`, or delete it at the broker",
            ),
        ] {
            let error = mismatch(text).evaluate(config).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(!error.is_transient());
        }
    }
}
