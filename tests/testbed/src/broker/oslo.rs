//! Real oslo.messaging: what OpenStack sends, and what it makes of what we send.
//!
//! Both ends are written as its documentation writes them, and run on the version that
//! `cargo xtask setup` pins.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::python::Python;

/// How oslo.messaging is configured, on either end.
#[derive(Clone, Debug)]
pub struct Options {
    url: String,
    exchange: String,
    topics: Vec<String>,
    /// As in a configuration file: group, name, value.
    settings: Value,
}

impl Options {
    /// The defaults: exchange `glance`, topic `notifications`, nothing durable.
    ///
    /// `url` is one of ours: `amqp://…`; oslo.messaging writes it `rabbit://…`.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.replacen("amqp://", "rabbit://", 1),
            exchange: "glance".to_owned(),
            topics: vec!["notifications".to_owned()],
            settings: json!({}),
        }
    }

    /// Another exchange.
    #[must_use]
    pub fn exchange(mut self, exchange: &str) -> Self {
        exchange.clone_into(&mut self.exchange);
        self
    }

    /// Other topics.
    #[must_use]
    pub fn topics(mut self, topics: &[&str]) -> Self {
        self.topics = topics.iter().map(|&topic| topic.to_owned()).collect();
        self
    }

    /// Any option of its configuration file: group, name, value.
    #[must_use]
    pub fn set(mut self, group: &str, name: &str, value: impl Into<Value>) -> Self {
        // As a file of that form writes it: a text without quotes.
        let value = match value.into() {
            Value::String(text) => text,
            other => other.to_string(),
        };
        self.settings[group][name] = json!(value);
        self
    }

    /// Durable exchange and queues.
    #[must_use]
    pub fn durable(self) -> Self {
        self.set("oslo_messaging_rabbit", "amqp_durable_queues", true)
    }

    /// Quorum queues, on a durable exchange.
    #[must_use]
    pub fn quorum(self) -> Self {
        self.set("oslo_messaging_rabbit", "rabbit_quorum_queue", true)
    }

    fn start(&self, source: &str, more: &[(&str, &str)]) -> Python {
        let mut argument = json!({
            "url": self.url,
            "exchange": self.exchange,
            "topics": self.topics,
            "options": self.settings,
        });
        for (name, value) in more {
            argument[name] = json!(value);
        }
        let mut python = Python::start(&format!("{COMMON}\n{source}"), &argument);
        assert_eq!(python.answer(), "ready");
        python
    }
}

/// A notification listener in a process of its own. It ends when this is dropped.
#[derive(Debug)]
pub struct Listener(Mutex<Python>);

impl Listener {
    /// Starts to listen at the priorities info, warn and error. When this returns, it has declared
    /// its queues.
    ///
    /// # Panics
    ///
    /// When it cannot listen, with what oslo.messaging said.
    pub fn start(options: &Options) -> Self {
        Self(Mutex::new(options.start(LISTENER, &[])))
    }

    /// The next notification.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn next(&self) -> Notified {
        let mut python = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Notified::from(python.answer())
    }

    /// The next notification, if one comes in that time.
    pub fn next_within(&self, time: Duration) -> Option<Notified> {
        let mut python = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        python.answer_within(time).map(Notified::from)
    }

    /// Warnings and errors that oslo.messaging logged so far.
    pub fn said(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).said()
    }
}

/// What the listener's endpoint was called with.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Notified {
    /// The method that was called: `info`, `warn`, `error`.
    pub priority: String,
    /// The event type.
    pub event_type: Option<String>,
    /// The publisher's id.
    pub publisher_id: Option<String>,
    /// The payload.
    pub payload: Value,
    /// `message_id` and `timestamp`.
    pub metadata: Value,
    /// The context that came along.
    pub context: Value,
}

impl From<Value> for Notified {
    fn from(value: Value) -> Self {
        serde_json::from_value(value).expect("the listener writes what it was called with")
    }
}

/// A publisher in a process of its own, with `retry=0`. It ends when this is dropped.
#[derive(Debug)]
pub struct Publisher(Mutex<Python>);

impl Publisher {
    /// Starts it. `driver` is `messaging` or `messagingv2`.
    ///
    /// It connects with its first notification.
    pub fn start(options: &Options, driver: &str, publisher_id: &str) -> Self {
        let more = [("driver", driver), ("publisher_id", publisher_id)];
        Self(Mutex::new(options.start(PUBLISHER, &more)))
    }

    /// Publishes, and waits until oslo.messaging is done with it; which says nothing about whether it
    /// arrived. `priority` is `info`, `warn`, `error`, and whatever else the library knows.
    pub fn publish(&self, priority: &str, event_type: &str, payload: &Value) {
        let mut python = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        python.ask(&json!({"priority": priority, "event_type": event_type, "payload": payload}));
        assert_eq!(python.answer(), "done");
    }

    /// Warnings and errors that oslo.messaging logged so far.
    pub fn said(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).said()
    }
}

const COMMON: &str = include_str!("python/oslo_common.py");
const LISTENER: &str = include_str!("python/oslo_listener.py");
const PUBLISHER: &str = include_str!("python/oslo_publisher.py");
