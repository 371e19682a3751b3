//! oslo.messaging itself: the publisher of every OpenStack service, and the reader of its
//! notifications.
//!
//! Both programs follow the examples of oslo.messaging's documentation. They run on the version
//! that `cargo xtask setup` pins.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::python_process::PythonProcess;

/// The configuration of an oslo.messaging program.
#[derive(Clone, Debug)]
pub struct OsloConfig {
    url: String,
    exchange: String,
    topics: Vec<String>,
    /// The pool of a listener.
    pool: Option<String>,
    /// The options of the configuration file: group, name, value.
    settings: Value,
}

impl OsloConfig {
    /// Creates the default configuration: the exchange `glance`, the topic `notifications`, and
    /// nothing durable.
    ///
    /// `url` has the project's scheme, `amqp://…`. oslo.messaging calls the scheme `rabbit://…`.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.replacen("amqp://", "rabbit://", 1),
            exchange: "glance".to_owned(),
            topics: vec!["notifications".to_owned()],
            pool: None,
            settings: json!({}),
        }
    }

    /// Sets the exchange.
    #[must_use]
    pub fn exchange(mut self, exchange: &str) -> Self {
        exchange.clone_into(&mut self.exchange);
        self
    }

    /// Sets the topics.
    #[must_use]
    pub fn topics(mut self, topics: &[&str]) -> Self {
        self.topics = topics.iter().map(|&topic| topic.to_owned()).collect();
        self
    }

    /// Lets listeners join a pool.
    #[must_use]
    pub fn pool(mut self, pool: &str) -> Self {
        self.pool = Some(pool.to_owned());
        self
    }

    /// Sets any option of oslo.messaging's configuration file.
    #[must_use]
    pub fn set(mut self, group: &str, name: &str, value: impl Into<Value>) -> Self {
        // The file holds texts without quotes.
        let value = match value.into() {
            Value::String(text) => text,
            other => other.to_string(),
        };
        self.settings[group][name] = json!(value);
        self
    }

    /// Makes the exchange and the queues durable.
    #[must_use]
    pub fn durable(self) -> Self {
        self.set("oslo_messaging_rabbit", "amqp_durable_queues", true)
    }

    /// Uses quorum queues on a durable exchange.
    #[must_use]
    pub fn quorum(self) -> Self {
        self.set("oslo_messaging_rabbit", "rabbit_quorum_queue", true)
    }

    /// Starts the program `source` and waits until it is ready.
    fn start(&self, source: &str, more: &[(&str, &str)]) -> PythonProcess {
        let mut argument = json!({
            "url": self.url,
            "exchange": self.exchange,
            "topics": self.topics,
            "pool": self.pool,
            "options": self.settings,
        });
        for (name, value) in more {
            argument[name] = json!(value);
        }
        let mut python = PythonProcess::start(&format!("{COMMON}\n{source}"), &argument);
        assert_eq!(python.receive(), "ready");
        python
    }
}

/// A notification listener in a process of its own. Dropping it ends the process.
///
/// Its connection has the name of `ceilometer-agent-notification`.
#[derive(Debug)]
pub struct OsloListener(Mutex<PythonProcess>);

impl OsloListener {
    /// Starts a listener for the priorities info, warn and error. Returns after the listener has
    /// declared its queues.
    ///
    /// # Panics
    ///
    /// Panics if the listener does not start. The message repeats the log of oslo.messaging.
    pub fn start(config: &OsloConfig) -> Self {
        Self(Mutex::new(config.start(LISTENER, &[])))
    }

    /// Waits for the next notification.
    ///
    /// # Panics
    ///
    /// Panics if no notification arrives within [`HANG_TIMEOUT`](crate::wait::HANG_TIMEOUT).
    pub fn next(&self) -> OsloNotification {
        let mut python = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        OsloNotification::from(python.receive())
    }

    /// Waits for the next notification; `None` if none arrives within `time`.
    pub fn next_within(&self, time: Duration) -> Option<OsloNotification> {
        let mut python = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        python.receive_within(time).map(OsloNotification::from)
    }

    /// Returns the warnings and errors that oslo.messaging has logged so far.
    pub fn log(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).error_output()
    }
}

/// A notification as oslo.messaging passed it to the listener's endpoint.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct OsloNotification {
    /// The endpoint's method: `info`, `warn` or `error`.
    pub priority: String,
    /// The event type.
    pub event_type: Option<String>,
    /// The publisher id.
    pub publisher_id: Option<String>,
    /// The payload.
    pub payload: Value,
    /// `message_id` and `timestamp`.
    pub metadata: Value,
    /// The request context.
    pub context: Value,
}

impl From<Value> for OsloNotification {
    fn from(value: Value) -> Self {
        serde_json::from_value(value).expect("the listener writes the endpoint's arguments")
    }
}

/// A publisher in a process of its own, with `retry=0`. Dropping it ends the process.
///
/// Its connection has the name of `glance-api`.
#[derive(Debug)]
pub struct OsloPublisher(Mutex<PythonProcess>);

impl OsloPublisher {
    /// Starts a publisher. `driver` is `messaging` or `messagingv2`.
    ///
    /// The publisher connects to the broker when it sends its first notification.
    pub fn start(config: &OsloConfig, driver: &str, publisher_id: &str) -> Self {
        let more = [("driver", driver), ("publisher_id", publisher_id)];
        Self(Mutex::new(config.start(PUBLISHER, &more)))
    }

    /// Publishes a notification and waits until oslo.messaging returns. oslo.messaging also returns
    /// normally when it has lost the notification; then [`log`](Self::log) has an error.
    ///
    /// `priority` is the name of a notifier method: `info`, `warn`, `error` or another one.
    pub fn publish(&self, priority: &str, event_type: &str, payload: &Value) {
        let mut python = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        python.send(&json!({"priority": priority, "event_type": event_type, "payload": payload}));
        assert_eq!(python.receive(), "done");
    }

    /// Returns the warnings and errors that oslo.messaging has logged so far.
    pub fn log(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).error_output()
    }
}

/// A publisher of many notifications in a process of its own, which waits for each confirm. Dropping it ends the
/// process.
#[derive(Debug)]
pub struct OsloBulkPublisher {
    python: PythonProcess,
    /// The number of notifications that oslo.messaging has returned from.
    published: u64,
    confirmed: Vec<u64>,
    has_ended: bool,
}

impl OsloBulkPublisher {
    /// Starts to publish `count` notifications, numbered from 1. The size of the image in each is its number ×
    /// 1 024.
    ///
    /// # Panics
    ///
    /// Panics if the publisher does not start.
    pub fn start(config: &OsloConfig, driver: &str, publisher_id: &str, count: u64) -> Self {
        let count = count.to_string();
        let more = [("driver", driver), ("publisher_id", publisher_id), ("count", count.as_str())];
        let python = config.start(BULK_PUBLISHER, &more);
        Self { python, published: 0, confirmed: Vec::new(), has_ended: false }
    }

    /// Waits until `count` notifications are published, or all of them.
    ///
    /// # Panics
    ///
    /// Panics if one takes longer than [`HANG_TIMEOUT`](crate::wait::HANG_TIMEOUT).
    pub fn wait_for(&mut self, count: u64) {
        while self.published < count && !self.has_ended {
            match self.python.receive() {
                // A negative number is one that oslo.messaging has lost.
                Value::Number(number) => {
                    self.published += 1;
                    self.confirmed.extend(number.as_u64());
                }
                _ => self.has_ended = true,
            }
        }
    }

    /// Waits until all are published. Returns the numbers of those that the broker confirmed.
    ///
    /// # Panics
    ///
    /// As for [`wait_for`](Self::wait_for).
    pub fn finish(mut self) -> Vec<u64> {
        self.wait_for(u64::MAX);
        self.confirmed
    }
}

const BULK_PUBLISHER: &str = include_str!("python/oslo_bulk_publisher.py");
const COMMON: &str = include_str!("python/oslo_common.py");
const LISTENER: &str = include_str!("python/oslo_listener.py");
const PUBLISHER: &str = include_str!("python/oslo_publisher.py");
