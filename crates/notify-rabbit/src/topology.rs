//! The exchange, the three queues and what binds them: declared, adopted, or only looked for.
//!
//! What exists already wins: it may be another service's. Nothing is ever changed or deleted here.

use std::collections::HashSet;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind, Queue};
use notify_core::redact::printable;
use notify_core::{Error, ErrorKind, Priority, Result};
use tokio::time::timeout;

use crate::config::{Config, Declare, OnMismatch, QueueType};
use crate::connection::Connection;
use crate::error::Doing;
use crate::runtime::quietly;

/// The names of everything, as the protocol wants them, and what the operator was told of it.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) exchange: ShortString,
    /// Info, warn, error.
    queues: [ShortString; 3],
    told: HashSet<String>,
}

/// An exchange or a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node<'a> {
    Exchange(&'a ShortString),
    Queue(&'a ShortString),
}

/// What exists otherwise than we would declare it, by the first argument that the broker named.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    node: String,
    argument: String,
    wanted: String,
    found: String,
}

impl Topology {
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when a name is too long.
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
            told: HashSet::new(),
        })
    }

    /// The queue of a priority, which is also its routing key.
    pub(crate) fn queue(&self, priority: Priority) -> &ShortString {
        match priority {
            Priority::Info => &self.queues[0],
            Priority::Warn => &self.queues[1],
            Priority::Error => &self.queues[2],
        }
    }

    /// All queues.
    pub(crate) fn queues(&self) -> &[ShortString; 3] {
        &self.queues
    }

    /// The exchange and the queues.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        std::iter::once(Node::Exchange(&self.exchange)).chain(self.queues.iter().map(Node::Queue))
    }

    /// Makes sure that everything is there, as far as it is ours to do.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] or [`ErrorKind::Access`] for what an operator must decide.
    pub(crate) async fn ensure(&mut self, connection: &Connection, config: &Config) -> Result<()> {
        let ensure = async {
            match config.declare {
                Declare::Yes => self.declare(connection, config).await,
                Declare::Verify => self.verify(connection).await.map(|()| Vec::new()),
                Declare::No => Ok(Vec::new()),
            }
        };
        match timeout(config.connect_timeout, quietly(ensure)).await {
            Ok(Ok(costs)) => {
                for cost in costs {
                    if !self.told.contains(&cost) {
                        tracing::warn!("{cost}");
                        self.told.insert(cost);
                    }
                }
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(connection
                .site
                .late("did not answer a declaration", connection.blocked().as_deref())),
        }
    }

    /// Declares what is missing; says what adopting the rest costs.
    async fn declare(&self, connection: &Connection, config: &Config) -> Result<Vec<String>> {
        let mut channel = connection.another_channel().await?;
        let mut costs = Vec::new();
        for node in self.nodes() {
            if let Err(error) = node.declare(&channel, config).await {
                let Some(mismatch) = Mismatch::of(&error) else {
                    return Err(connection.site.explain(&error, Doing::Declare));
                };
                costs.extend(mismatch.judge(config)?);
                // The refusal closed the channel.
                channel = connection.another_channel().await?;
                node.look(&channel)
                    .await
                    .map_err(|error| connection.site.explain(&error, Doing::Declare))?;
            }
            if let Node::Queue(queue) = node {
                channel
                    .queue_bind(
                        queue.clone(),
                        self.exchange.clone(),
                        queue.clone(),
                        QueueBindOptions::default(),
                        FieldTable::default(),
                    )
                    .await
                    .map_err(|error| connection.site.explain(&error, Doing::Declare))?;
            }
        }
        Ok(costs)
    }

    async fn verify(&self, connection: &Connection) -> Result<()> {
        let channel = connection.another_channel().await?;
        for node in self.nodes() {
            if let Err(error) = node.look(&channel).await {
                if is_missing(&error) {
                    return Err(node.missing());
                }
                return Err(connection.site.explain(&error, Doing::Declare));
            }
        }
        Ok(())
    }
}

impl Node<'_> {
    /// Declares it as configured.
    pub(crate) async fn declare(self, channel: &Channel, config: &Config) -> lapin::Result<()> {
        match self {
            Node::Exchange(name) => {
                let options =
                    ExchangeDeclareOptions { durable: config.durable, ..Default::default() };
                let arguments = FieldTable::default();
                channel
                    .exchange_declare(name.clone(), ExchangeKind::Topic, options, arguments)
                    .await
            }
            Node::Queue(name) => {
                let options = QueueDeclareOptions { durable: config.durable, ..Default::default() };
                let mut arguments = FieldTable::default();
                if config.queue_type == QueueType::Quorum {
                    // Nothing is said of classic ones: that is what they are by default, and what
                    // OpenStack's services declare.
                    let quorum = AMQPValue::LongString("quorum".into());
                    arguments.insert("x-queue-type".into(), quorum);
                }
                channel.queue_declare(name.clone(), options, arguments).await.map(|_| ())
            }
        }
    }

    /// Looks whether it is there; for a queue, how full it is.
    pub(crate) async fn look(self, channel: &Channel) -> lapin::Result<Option<Queue>> {
        let arguments = FieldTable::default();
        match self {
            Node::Exchange(name) => {
                let options = ExchangeDeclareOptions { passive: true, ..Default::default() };
                let kind = ExchangeKind::Topic;
                channel.exchange_declare(name.clone(), kind, options, arguments).await?;
                Ok(None)
            }
            Node::Queue(name) => {
                let options = QueueDeclareOptions { passive: true, ..Default::default() };
                channel.queue_declare(name.clone(), options, arguments).await.map(Some)
            }
        }
    }

    /// The error of one that others should have declared.
    pub(crate) fn missing(self) -> Error {
        Error::new(
            ErrorKind::Config,
            format!("{self} does not exist: declare it, or set `rabbit.declare = \"yes\"`"),
        )
    }
}

impl std::fmt::Display for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exchange(name) => write!(f, "exchange `{}`", printable(name.as_str(), 255)),
            Self::Queue(name) => write!(f, "queue `{}`", printable(name.as_str(), 255)),
        }
    }
}

impl Mismatch {
    /// What a refused declaration says, if it is that.
    ///
    /// RabbitMQ: `inequivalent arg 'durable' for exchange 'glance' in vhost '/': received 'true' but
    /// current is 'false'`.
    pub(crate) fn of(error: &lapin::Error) -> Option<Self> {
        let lapin::ErrorKind::ProtocolError(error) = error.kind() else { return None };
        let text = error.get_message().as_str();
        let (_, text) = text.split_once("inequivalent arg '")?;
        let (argument, text) = text.split_once("' for ")?;
        let (node, text) = text.split_once(" in vhost ")?;
        let (_, text) = text.split_once(": received ")?;
        let (wanted, found) = text.split_once(" but current is ")?;
        Some(Self {
            node: printable(&node.replacen(" '", " `", 1).replace('\'', "`"), 300).to_string(),
            argument: printable(argument, 64).to_string(),
            wanted: value(wanted),
            found: value(found),
        })
    }

    /// What using it as it is costs; `None` if nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where it cannot be used, or is not to be.
    pub(crate) fn judge(&self, config: &Config) -> Result<Option<String>> {
        let Self { node, argument, wanted, found } = self;
        let option = match argument.as_str() {
            "durable" => "`rabbit.durable`",
            "x-queue-type" => "`rabbit.queue_type`",
            _ if node.starts_with("exchange") => "`rabbit.exchange`",
            _ => "`rabbit.topic`",
        };
        let useless = matches!(argument.as_str(), "type" | "internal");
        if useless || config.on_mismatch == OnMismatch::Refuse {
            let change = if useless { "choose another `rabbit.exchange`" } else { option };
            let change = if useless { change.into() } else { format!("change {change}") };
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "{node} exists with `{argument}` {found} where {wanted} is configured: \
                     {change}, or delete it at the broker"
                ),
            ));
        }
        let cost = match (argument.as_str(), found.as_str()) {
            ("durable", "true") | ("x-queue-type", "quorum") => return Ok(None),
            ("durable", _) => "is not durable: lost when the broker restarts",
            ("auto_delete", _) => "is deleted with what is in it when its last consumer leaves",
            ("exclusive", _) => "belongs to one connection and is deleted with it",
            ("x-queue-type", _) => "is not replicated: lost with the node it is on",
            ("x-message-ttl" | "x-expires", _) => "loses what is not read in time",
            ("x-max-length" | "x-max-length-bytes" | "x-overflow", _) => {
                "loses or refuses messages when it is full"
            }
            _ => "is not what is configured",
        };
        Ok(Some(format!("{node} exists and is used as it is: it {cost} (`{argument}` is {found})")))
    }
}

/// Whether what was looked for is not there.
pub(crate) fn is_missing(error: &lapin::Error) -> bool {
    matches!(error.kind(), lapin::ErrorKind::ProtocolError(error) if error.get_id() == 404)
}

/// `'true'` and `the value 'quorum' of type 'longstr'`, as a user would write it.
fn value(text: &str) -> String {
    let text = text.strip_prefix("the value ").unwrap_or(text);
    let text = text.split_once(" of type ").map_or(text, |(value, _)| value);
    printable(text.trim_matches('\''), 64).to_string()
}

#[cfg(test)]
mod tests {
    use lapin::protocol::AMQPError;

    use super::*;

    fn mismatch(text: &str) -> Mismatch {
        let error =
            AMQPError::from_id(406, format!("PRECONDITION_FAILED - {text}").into()).unwrap();
        Mismatch::of(&lapin::ErrorKind::ProtocolError(error).into()).unwrap()
    }

    const DURABLE: &str = "inequivalent arg 'durable' for exchange 'glance' in vhost 'mm': received \
                           'true' but current is 'false'";
    const QUORUM: &str = "inequivalent arg 'x-queue-type' for queue 'notifications.info' in vhost \
                          'mm': received the value 'quorum' of type 'longstr' but current is none";
    const TYPE: &str = "inequivalent arg 'type' for exchange 'glance' in vhost '/': received \
                        'topic' but current is 'fanout'";
    const LENGTH: &str = "inequivalent arg 'x-max-length' for queue 'notifications.info' in vhost \
                          '/': received none but current is the value '10' of type 'signedint'";

    #[test]
    fn what_exists_is_adopted_at_a_cost() {
        let cost = |text| mismatch(text).judge(&Config::default()).unwrap();
        assert_eq!(
            cost(DURABLE).unwrap(),
            "exchange `glance` exists and is used as it is: it is not durable: lost when the \
             broker restarts (`durable` is false)"
        );
        assert_eq!(
            cost(QUORUM).unwrap(),
            "queue `notifications.info` exists and is used as it is: it is not replicated: lost \
             with the node it is on (`x-queue-type` is none)"
        );
        assert!(cost(LENGTH).unwrap().ends_with("when it is full (`x-max-length` is 10)"));
        let more = "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but \
                    current is 'true'";
        assert_eq!(cost(more), None);
    }

    #[test]
    fn what_cannot_or_must_not_be_adopted_names_both_values() {
        let refuse = Config { on_mismatch: OnMismatch::Refuse, ..Config::default() };
        for (text, config, expected) in [
            (
                TYPE,
                &Config::default(),
                "exchange `glance` exists with `type` fanout where topic is configured: choose another \
              `rabbit.exchange`, or delete it at the broker",
            ),
            (
                DURABLE,
                &refuse,
                "exchange `glance` exists with `durable` false where true is configured: change \
              `rabbit.durable`, or delete it at the broker",
            ),
            (
                LENGTH,
                &refuse,
                "queue `notifications.info` exists with `x-max-length` 10 where none is configured: \
              change `rabbit.topic`, or delete it at the broker",
            ),
        ] {
            let error = mismatch(text).judge(config).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(!error.is_transient());
        }
    }
}
