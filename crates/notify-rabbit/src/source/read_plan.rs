//! The queue of a source and its bindings: declared and bound where they are the source's own.
//!
//! This module declares no exchange, and no queue of others except a pool's that does not exist.

use lapin::options::{QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Queue};
use notify_core::Result;
use notify_core::event::Priority;

use super::source_config::{RabbitSourceConfig, SourceQueue, TAP_EXPIRY};
use crate::broker_entity::{BrokerEntity, is_not_found};
use crate::config::{QueueType, invalid};

/// The names that a source uses on the broker.
#[derive(Clone, Debug)]
pub(super) struct ReadPlan {
    /// The queue that the source declares and binds; `None` if it only consumes queues of others.
    pub(super) own_queue: Option<OwnQueue>,
    /// The queues of others.
    pub(super) shared_queues: Vec<ShortString>,
    /// The bindings of the own queue.
    pub(super) bindings: Vec<QueueBinding>,
}

/// The queue of a tap or of a pool.
#[derive(Clone, Debug)]
pub(super) struct OwnQueue {
    /// The name; empty before the broker has named a temporary queue.
    pub(super) name: ShortString,
    /// Whether only one listener may consume the queue.
    pub(super) is_exclusive: bool,
    options: QueueDeclareOptions,
    queue_type: QueueType,
    arguments: FieldTable,
}

/// A binding of the own queue to an exchange.
#[derive(Clone, Debug)]
pub(super) struct QueueBinding {
    pub(super) exchange: ShortString,
    key: ShortString,
}

impl ReadPlan {
    /// Creates the names that `config` asks for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) if a name is too long.
    pub(super) fn new(config: &RabbitSourceConfig) -> Result<Self> {
        let shared_queues = match &config.queue {
            SourceQueue::SharedStream { stream, .. } => vec![name(stream)?],
            SourceQueue::Shared { queues } => {
                queues.iter().map(|queue| name(queue)).collect::<Result<_>>()?
            }
            _ => Vec::new(),
        };
        let own_queue = OwnQueue::new(config)?;
        let mut bindings = Vec::new();
        if own_queue.is_some() {
            for exchange in &config.exchanges {
                for key in binding_keys(config) {
                    bindings.push(QueueBinding { exchange: name(exchange)?, key: name(&key)? });
                }
            }
        }
        Ok(Self { own_queue, shared_queues, bindings })
    }

    /// Returns the number of queues that the source consumes.
    pub(super) fn consumers(&self) -> usize {
        usize::from(self.own_queue.is_some()) + self.shared_queues.len()
    }
}

impl OwnQueue {
    /// Creates the queue of a tap or of a pool.
    fn new(config: &RabbitSourceConfig) -> Result<Option<Self>> {
        let mut queue = Self {
            name: ShortString::default(),
            is_exclusive: false,
            options: QueueDeclareOptions::default(),
            queue_type: QueueType::Classic,
            arguments: FieldTable::default(),
        };
        match &config.queue {
            SourceQueue::Shared { .. } | SourceQueue::SharedStream { .. } => return Ok(None),
            SourceQueue::Temporary => {
                queue.options.exclusive = true;
                queue.bound(config.queue_limit());
            }
            SourceQueue::Durable { name: tap, queue_type } => {
                queue.name = name(&RabbitSourceConfig::tap_queue(tap))?;
                queue.is_exclusive = true;
                queue.options.durable = true;
                queue.queue_type = *queue_type;
                let kind = match queue_type {
                    QueueType::Classic => "classic",
                    QueueType::Quorum => "quorum",
                };
                queue.set("x-queue-type", AMQPValue::LongString(kind.into()));
                // No `x-single-active-consumer`: a quorum queue would not count a second listener then.
                queue.set("x-expires", number(TAP_EXPIRY.as_secs() * 1000));
                queue.bound(config.queue_limit());
            }
            SourceQueue::Stream { name: tap, max_age, .. } => {
                queue.name = name(&RabbitSourceConfig::tap_queue(tap))?;
                queue.options.durable = true;
                queue.set("x-queue-type", AMQPValue::LongString("stream".into()));
                let max_age = format!("{}s", max_age.as_secs());
                queue.set("x-max-age", AMQPValue::LongString(max_age.into()));
                let limit = config.queue_limit();
                queue.set("x-max-length-bytes", number(limit));
                // The broker drops whole segments.
                let segment = (limit / 8).clamp(MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES);
                queue.set("x-stream-max-segment-size-bytes", number(segment));
            }
            SourceQueue::Pool { name: pool, queue_type, durable } => {
                queue.name = name(pool)?;
                queue.options.durable = *durable;
                queue.queue_type = *queue_type;
                // As oslo.messaging declares it: a classic queue has no argument.
                if *queue_type == QueueType::Quorum {
                    queue.set("x-queue-type", AMQPValue::LongString("quorum".into()));
                }
            }
        }
        Ok(Some(queue))
    }

    /// Lets the broker drop the oldest messages beyond this size, and never make publishers wait.
    fn bound(&mut self, bytes: u64) {
        self.set("x-max-length-bytes", number(bytes));
        self.set("x-overflow", AMQPValue::LongString("drop-head".into()));
    }

    /// Sets an argument of the declaration.
    fn set(&mut self, argument: &'static str, value: AMQPValue) {
        self.arguments.insert(argument.into(), value);
    }

    /// Returns whether the queue ends with its connection.
    pub(super) fn is_temporary(&self) -> bool {
        self.options.exclusive
    }

    /// Declares the queue. A queue that exists stays as it is.
    ///
    /// `major_version` is that of RabbitMQ: from 4 on, quorum queues would discard a message that came
    /// back twenty times.
    ///
    /// # Errors
    ///
    /// The broker's error: 406 if the queue exists with other properties.
    pub(super) async fn declare(
        &self,
        channel: &Channel,
        major_version: u32,
    ) -> lapin::Result<Queue> {
        let mut arguments = self.arguments.clone();
        if self.is_exclusive && self.queue_type == QueueType::Quorum && major_version >= 4 {
            arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(-1));
        }
        channel.queue_declare(self.name.clone(), self.options, arguments).await
    }
}

impl QueueBinding {
    /// Binds `queue`. A binding that exists stays as it is. Returns `false` if the exchange does not
    /// exist; the broker has closed the channel then.
    ///
    /// # Errors
    ///
    /// The broker's error.
    pub(super) async fn ensure(
        &self,
        channel: &Channel,
        queue: &ShortString,
    ) -> lapin::Result<bool> {
        let (exchange, key) = (self.exchange.clone(), self.key.clone());
        let options = QueueBindOptions::default();
        let bind = channel.queue_bind(queue.clone(), exchange, key, options, FieldTable::default());
        match bind.await {
            Ok(()) => Ok(true),
            Err(error) if is_not_found(&error) && error.to_string().contains("no exchange") => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// Looks a queue up. Returns `None` if it does not exist; the broker has closed the channel then.
///
/// # Errors
///
/// The broker's error.
pub(super) async fn look_up(
    channel: &Channel,
    queue: &ShortString,
) -> lapin::Result<Option<Queue>> {
    match BrokerEntity::Queue(queue).look_up(channel).await {
        Ok(found) => Ok(found),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes the queue of a tap with its messages, and returns their number. Returns `None` if the queue has a
/// consumer, and leaves it then.
///
/// # Errors
///
/// The broker's error.
pub(super) async fn delete_unused(
    channel: &Channel,
    queue: &OwnQueue,
) -> lapin::Result<Option<u32>> {
    match look_up(channel, &queue.name).await? {
        None => return Ok(Some(0)),
        Some(found) if found.consumer_count() > 0 => return Ok(None),
        Some(_) => {}
    }
    // RabbitMQ refuses the flag for a quorum queue, and ends the connection. For a classic queue, the flag
    // protects a consumer that came after the look-up. A stream has no exclusive consumer.
    let if_unused = queue.is_exclusive && queue.queue_type == QueueType::Classic;
    let options = QueueDeleteOptions { if_unused, ..QueueDeleteOptions::default() };
    match channel.queue_delete(queue.name.clone(), options).await {
        Ok(messages) => Ok(Some(messages)),
        Err(error) if is_in_use(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns whether the broker keeps a queue because it has a consumer.
fn is_in_use(error: &lapin::Error) -> bool {
    matches!(error.kind(), lapin::ErrorKind::ProtocolError(error) if error.get_id() == 406)
}

/// Returns the keys of the bindings: all of a topic for a tap, each priority's for a pool.
fn binding_keys(config: &RabbitSourceConfig) -> Vec<String> {
    let topics = config.topics.iter();
    if matches!(config.queue, SourceQueue::Pool { .. }) {
        let of_topic = |topic: &String| -> Vec<_> {
            Priority::ALL.iter().map(|priority| format!("{topic}.{}", priority.lower())).collect()
        };
        return topics.flat_map(of_topic).collect();
    }
    topics.map(|topic| format!("{topic}.#")).collect()
}

/// Returns a number as an argument.
fn number(number: u64) -> AMQPValue {
    AMQPValue::LongLongInt(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Converts a name.
fn name(text: &str) -> Result<ShortString> {
    ShortString::try_new(text.to_owned())
        .map_err(|_| invalid("the name of a queue, an exchange or a topic is too long"))
}

/// The smallest segment of a stream that a tap declares, in bytes.
const MIN_SEGMENT_BYTES: u64 = 1 << 20;
/// The largest one, which is also RabbitMQ's default.
const MAX_SEGMENT_BYTES: u64 = 500_000_000;
