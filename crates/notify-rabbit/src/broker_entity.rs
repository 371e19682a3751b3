//! One exchange or one queue on a broker: how to declare it, and how to look it up.
//!
//! Nothing here decides what a failure means for messages: see [`topology`](crate::topology).

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind, Queue};
use notify_core::redact::printable;
use notify_core::{Error, ErrorKind};

use crate::config::{Config, QueueType};

/// An exchange or a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrokerEntity<'a> {
    /// The exchange of this name.
    Exchange(&'a ShortString),
    /// The queue of this name.
    Queue(&'a ShortString),
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
///
/// RabbitMQ has the same code for a queue that exists and cannot be reached: `home node 'rabbit@c1' of
/// durable queue 'q' in vhost '/' is down or inaccessible`, and `failed to perform operation on queue
/// 'q' in vhost '/' due to timeout`.
pub(crate) fn is_not_found(error: &lapin::Error) -> bool {
    match error.kind() {
        lapin::ErrorKind::ProtocolError(error) => {
            let text = error.get_message().as_str();
            error.get_id() == 404 && (text.contains("no queue") || text.contains("no exchange"))
        }
        _ => false,
    }
}
