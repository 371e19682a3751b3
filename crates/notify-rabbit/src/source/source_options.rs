//! The options of a source as an operator writes them, and the rules that combine them into a
//! [`RabbitSourceConfig`].
//!
//! This module opens no file and no connection.

use std::path::PathBuf;
use std::time::Duration;

use notify_core::Result;
use notify_core::config::{DriverOptions, Seconds};
use notify_net::{Secret, endpoint_table};
use serde::Deserialize;

use super::source_config::{
    RabbitSourceConfig, SourceQueue, StreamPosition, StreamStart, TAP_EXPIRY,
};
use crate::config::{QueueType, invalid};
use crate::options::login_default;

impl RabbitSourceConfig {
    /// Creates the configuration of a temporary tap on the broker at `url`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) for an invalid URL, and for one without a
    /// user unless the broker is on this machine.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_rabbit::RabbitSourceConfig;
    ///
    /// let config = RabbitSourceConfig::from_url("amqp://audit:hunter2@rabbit1,rabbit2/openstack")?;
    /// assert_eq!(config.endpoint.hosts.len(), 2);
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn from_url(url: &str) -> Result<Self> {
        let table = [("url".to_owned(), url.into())].into_iter().collect();
        Self::from_options(DriverOptions::new("source", table))
    }

    /// Creates a configuration from a table of options. Errors call the table `source`.
    ///
    /// # Options
    ///
    /// The options of the login are those of [`Config`](crate::Config::from_options). The others, with
    /// their defaults:
    ///
    /// ```toml
    /// exchanges = ["glance"]
    /// topics = ["notifications", "versioned_notifications"]
    /// # max_queue_bytes = 67108864 # Of a tap. 1 GiB with `queue`.
    /// # management_url = "https://monitor:password@rabbit1:15671" # For `glance-notify doctor`.
    ///
    /// # At most one of these three. Without them: a temporary tap.
    /// # queue = "audit"                  # A durable tap.
    /// # pool = "audit"                   # A pool of oslo.messaging.
    /// # consume = ["notifications.info"] # Takes the messages from others.
    ///
    /// queue_type = "classic" # Or "quorum", for `queue` and `pool`; or "stream", for `queue` and `consume`.
    /// durable = true         # For `pool`.
    ///
    /// # For streams:
    /// # max_age = 604800     # Seconds. For `queue`.
    /// # start = "next"       # Or "first", "last", an offset, or a time such as "12h".
    /// # checkpoint = "/var/lib/audit/stream.position"
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) for an unknown option, an invalid value,
    /// or options that contradict each other.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::config::DriverOptions;
    /// use notify_rabbit::{RabbitSourceConfig, SourceQueue};
    ///
    /// let table = serde_json::json!({
    ///     "url": "amqp://glance:hunter2@rabbit1,rabbit2/openstack",
    ///     "consume": "notifications.info",
    /// });
    /// let options = DriverOptions::new("source", table.as_object().unwrap().clone());
    /// let config = RabbitSourceConfig::from_options(options)?;
    /// assert_eq!(config.endpoint.hosts.len(), 2);
    /// assert!(matches!(config.queue, SourceQueue::Shared { .. }));
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn from_options(options: DriverOptions) -> Result<Self> {
        let mut table: SourceTable = options.parse()?;
        let endpoint = login_default(table.take_endpoint(), "source")?;
        let queue = QueueOptions {
            queue: table.queue,
            pool: table.pool,
            consume: table.consume.map(StringList::into_vec),
            queue_type: table.queue_type,
            durable: table.durable,
            max_age: table.max_age.map(Into::into),
            start: table.start.map(|start| start.0),
            checkpoint: table.checkpoint,
        };
        let default = Self::default();
        let config = Self {
            name: default.name,
            endpoint,
            exchanges: table.exchanges.map_or(default.exchanges, StringList::into_vec),
            topics: table.topics.map_or(default.topics, StringList::into_vec),
            queue: queue.resolve()?,
            max_queue_bytes: table.max_queue_bytes,
            management_url: table.management_url,
        };
        config.check()?;
        Ok(config)
    }
}

/// The options that select the queue.
struct QueueOptions {
    queue: Option<String>,
    pool: Option<String>,
    consume: Option<Vec<String>>,
    queue_type: Option<SourceQueueType>,
    durable: Option<bool>,
    max_age: Option<Duration>,
    start: Option<StreamStart>,
    checkpoint: Option<PathBuf>,
}

impl QueueOptions {
    /// Combines the options.
    fn resolve(self) -> Result<SourceQueue> {
        self.refuse_unused()?;
        let queue_type = match self.queue_type {
            Some(SourceQueueType::Quorum) => QueueType::Quorum,
            _ => QueueType::Classic,
        };
        let is_stream = self.queue_type == Some(SourceQueueType::Stream);
        let position =
            StreamPosition { start: self.start.unwrap_or_default(), checkpoint: self.checkpoint };
        match (self.queue, self.pool, self.consume) {
            (None, None, None) => Ok(SourceQueue::Temporary),
            (Some(name), None, None) if is_stream => {
                let max_age = self.max_age.unwrap_or(TAP_EXPIRY);
                Ok(SourceQueue::Stream { name, max_age, position })
            }
            (Some(name), None, None) => Ok(SourceQueue::Durable { name, queue_type }),
            (None, Some(name), None) => {
                Ok(SourceQueue::Pool { name, queue_type, durable: self.durable.unwrap_or(true) })
            }
            (None, None, Some(queues)) if is_stream => match <[String; 1]>::try_from(queues) {
                Ok([stream]) => Ok(SourceQueue::SharedStream { stream, position }),
                Err(_) => Err(invalid("`source.consume`: a source reads one stream")),
            },
            (None, None, Some(queues)) => Ok(SourceQueue::Shared { queues }),
            _ => Err(invalid(
                "`source.queue`, `source.pool` and `source.consume` exclude each other: keep one",
            )),
        }
    }

    /// Refuses options that have no effect beside the others.
    fn refuse_unused(&self) -> Result<()> {
        let is_stream = self.queue_type == Some(SourceQueueType::Stream);
        let has_type = self.queue.is_some()
            || (self.pool.is_some() && !is_stream)
            || (self.consume.is_some() && is_stream);
        for (option, is_set, is_used, needed) in [
            ("durable", self.durable.is_some(), self.pool.is_some(), "`source.pool`"),
            (
                "queue_type",
                self.queue_type.is_some(),
                has_type,
                "`source.queue`, or `source.pool` and no stream, or `source.consume` and a stream",
            ),
            (
                "max_age",
                self.max_age.is_some(),
                is_stream && self.queue.is_some(),
                "`source.queue` and `source.queue_type = \"stream\"`",
            ),
            ("start", self.start.is_some(), is_stream, STREAM),
            ("checkpoint", self.checkpoint.is_some(), is_stream, STREAM),
        ] {
            if is_set && !is_used {
                let message = format!("`source.{option}` has no effect: it needs {needed}");
                return Err(invalid(message));
            }
        }
        Ok(())
    }
}

endpoint_table! {
    /// The table as the operator wrote it. [`RabbitSourceConfig`] documents the options.
    struct SourceTable {
        exchanges: Option<StringList>,
        topics: Option<StringList>,
        queue: Option<String>,
        pool: Option<String>,
        consume: Option<StringList>,
        queue_type: Option<SourceQueueType>,
        durable: Option<bool>,
        max_age: Option<Seconds>,
        start: Option<StreamStartOption>,
        checkpoint: Option<PathBuf>,
        max_queue_bytes: Option<u64>,
        management_url: Option<Secret>,
    }
}

/// `queue_type`.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SourceQueueType {
    Classic,
    Quorum,
    Stream,
}

/// `start`: a word, an offset, or a time with its unit.
#[derive(Deserialize)]
#[serde(try_from = "StartText")]
struct StreamStartOption(StreamStart);

/// `start` as the operator wrote it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or an offset")]
enum StartText {
    Offset(u64),
    Text(String),
}

impl TryFrom<StartText> for StreamStartOption {
    type Error = &'static str;

    fn try_from(text: StartText) -> Result<Self, Self::Error> {
        let text = match text {
            StartText::Offset(offset) => return Ok(Self(StreamStart::Offset(offset))),
            StartText::Text(text) => text,
        };
        let error = "expected `first`, `last`, `next`, an offset, or a time such as `90s`, `15m`, \
                     `12h` or `7d`";
        let start = match text.as_str() {
            "first" => StreamStart::First,
            "last" => StreamStart::Last,
            "next" => StreamStart::Next,
            text => {
                let unit = text.chars().next_back().ok_or(error)?;
                let seconds = match unit {
                    's' => 1,
                    'm' => 60,
                    'h' => 60 * 60,
                    'd' => 24 * 60 * 60,
                    _ => return Err(error),
                };
                let count: u64 = text[..text.len() - 1].parse().map_err(|_| error)?;
                StreamStart::Ago(Duration::from_secs(count.checked_mul(seconds).ok_or(error)?))
            }
        };
        Ok(Self(start))
    }
}

/// One text, or a list of texts.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum StringList {
    One(String),
    Many(Vec<String>),
}

impl StringList {
    /// Returns the texts.
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

/// The need of the options of streams.
const STREAM: &str = "`source.queue_type = \"stream\"`";

#[cfg(test)]
mod tests {
    use notify_conformance::options::{assert_rejected, options_of};
    use serde_json::{Value, json};

    use super::*;

    fn read(table: Value) -> Result<RabbitSourceConfig> {
        RabbitSourceConfig::from_options(options_of("source", table))
    }

    /// An empty table is a temporary tap on the broker of this machine.
    #[test]
    fn the_default_is_a_temporary_tap() {
        assert_eq!(read(json!({})).unwrap(), RabbitSourceConfig::default());
    }

    /// Each kind of queue has its options.
    #[test]
    fn options_select_the_queue() {
        let queue = |table: Value| read(table).unwrap().queue;
        let (name, position) = (|| "audit".to_owned(), StreamPosition::default());
        assert_eq!(
            queue(json!({ "queue": "audit", "queue_type": "quorum" })),
            SourceQueue::Durable { name: name(), queue_type: QueueType::Quorum }
        );
        assert_eq!(
            queue(json!({ "pool": "audit" })),
            SourceQueue::Pool { name: name(), queue_type: QueueType::Classic, durable: true }
        );
        assert_eq!(
            queue(json!({ "consume": ["audit", "b"] })),
            SourceQueue::Shared { queues: vec![name(), "b".into()] }
        );
        assert_eq!(
            queue(json!({ "consume": "audit", "queue_type": "stream" })),
            SourceQueue::SharedStream { stream: name(), position: position.clone() }
        );
        let stream = |start: Value| {
            queue(
                json!({ "queue": "audit", "queue_type": "stream", "start": start, "max_age": 60 }),
            )
        };
        for (start, expected) in [
            (json!("first"), StreamStart::First),
            (json!("last"), StreamStart::Last),
            (json!("next"), StreamStart::Next),
            (json!(7), StreamStart::Offset(7)),
            (json!("2h"), StreamStart::Ago(Duration::from_secs(7200))),
        ] {
            let position = StreamPosition { start: expected, ..position.clone() };
            let max_age = Duration::from_secs(60);
            assert_eq!(stream(start), SourceQueue::Stream { name: name(), max_age, position });
        }
    }

    /// Each invalid or contradictory option has a message that names it.
    #[test]
    fn invalid_options_are_named() {
        let long = "x".repeat(256);
        let cases = [
            (json!({ "uri": "amqp://a" }), "`source.uri` (a.toml): unknown option"),
            (json!({ "url": "amqp://a" }), "no user: set `source.user`"),
            (json!({ "exchanges": [] }), "`source.exchanges`: name at least one"),
            (json!({ "topics": long[..250] }), "`source.topics`: expected 1 to 246 bytes"),
            (json!({ "queue": "" }), "`source.queue`: expected 1 to 200 bytes"),
            (json!({ "queue": "a", "pool": "b" }), "exclude each other"),
            (json!({ "consume": [] }), "`source.consume`: name at least one queue"),
            (json!({ "queue_type": "quorum" }), "`source.queue_type` has no effect"),
            (
                json!({ "management_url": "hunter2@rabbit1:15672" }),
                "`source.management_url`: expected a URL that begins with http:// or https://",
            ),
            (json!({ "queue": "a", "durable": true }), "`source.durable` has no effect"),
            (json!({ "queue": "a", "start": "first" }), "`source.start` has no effect"),
            (json!({ "checkpoint": "/c" }), "`source.checkpoint` has no effect"),
            (json!({ "queue": "a", "queue_type": "lazy" }), "`source.queue_type`"),
            (
                json!({ "queue": "a", "queue_type": "stream", "start": "2w" }),
                "expected `first`, `last`, `next`, an offset, or a time",
            ),
            (json!({ "consume": ["a", "b"], "queue_type": "stream" }), "a source reads one stream"),
            (
                json!({ "pool": "a", "queue_type": "quorum", "durable": false }),
                "quorum queues are always durable",
            ),
        ];
        assert_rejected(cases, read);
    }
}
