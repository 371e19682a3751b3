//! The options of a source as an operator writes them, and the rules that combine them into a
//! [`RabbitSourceConfig`].
//!
//! This module opens no file and no connection.

use std::path::PathBuf;

use notify_core::Result;
use notify_core::config::{DriverOptions, Seconds};
use notify_net::{BrokerUrl, EndpointOptions, SaslMechanismList, Secret, TlsFiles};
use serde::Deserialize;

use super::source_config::{RabbitSourceConfig, SourceQueue};
use crate::config::{QueueType, invalid};
use crate::options::login_default;

impl RabbitSourceConfig {
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
    ///
    /// # At most one of these three. Without them: a temporary tap.
    /// # queue = "audit"                  # A durable tap.
    /// # pool = "audit"                   # A pool of oslo.messaging.
    /// # consume = ["notifications.info"] # Takes the messages from others.
    ///
    /// queue_type = "classic" # Or "quorum". For `queue` and `pool`.
    /// durable = true         # For `pool`.
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
        let table: SourceTable = options.parse()?;
        let endpoint = EndpointOptions {
            url: table.url,
            host: table.host,
            port: table.port,
            user: table.user,
            password: table.password,
            password_file: table.password_file,
            virtual_host: table.virtual_host,
            tls: TlsFiles {
                ca_file: table.ca_file,
                cert_file: table.cert_file,
                key_file: table.key_file,
            },
            sasl_mechanism: table.sasl_mechanism,
            connect_timeout: table.connect_timeout,
            heartbeat: table.heartbeat,
        };
        let queue = QueueOptions {
            queue: table.queue,
            pool: table.pool,
            consume: table.consume.map(StringList::into_vec),
            queue_type: table.queue_type,
            durable: table.durable,
        };
        let default = Self::default();
        let config = Self {
            name: default.name,
            endpoint: login_default(endpoint, "source")?,
            exchanges: table.exchanges.map_or(default.exchanges, StringList::into_vec),
            topics: table.topics.map_or(default.topics, StringList::into_vec),
            queue: queue.resolve()?,
            max_queue_bytes: table.max_queue_bytes,
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
    queue_type: Option<QueueType>,
    durable: Option<bool>,
}

impl QueueOptions {
    /// Combines the options.
    fn resolve(self) -> Result<SourceQueue> {
        let unused = |option: &str, needed: &str| {
            invalid(format!("`source.{option}` has no effect: it needs {needed}"))
        };
        if self.durable.is_some() && self.pool.is_none() {
            return Err(unused("durable", "`source.pool`"));
        }
        if self.queue_type.is_some() && self.queue.is_none() && self.pool.is_none() {
            return Err(unused("queue_type", "`source.queue` or `source.pool`"));
        }
        let queue_type = self.queue_type.unwrap_or_default();
        match (self.queue, self.pool, self.consume) {
            (None, None, None) => Ok(SourceQueue::Temporary),
            (Some(name), None, None) => Ok(SourceQueue::Durable { name, queue_type }),
            (None, Some(name), None) => {
                Ok(SourceQueue::Pool { name, queue_type, durable: self.durable.unwrap_or(true) })
            }
            (None, None, Some(queues)) => Ok(SourceQueue::Shared { queues }),
            _ => Err(invalid(
                "`source.queue`, `source.pool` and `source.consume` exclude each other: keep one",
            )),
        }
    }
}

/// The table as the operator wrote it. [`RabbitSourceConfig`] documents the options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceTable {
    url: Option<BrokerUrl>,
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<Secret>,
    password_file: Option<PathBuf>,
    virtual_host: Option<String>,
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    sasl_mechanism: Option<SaslMechanismList>,
    connect_timeout: Option<Seconds>,
    heartbeat: Option<u16>,
    exchanges: Option<StringList>,
    topics: Option<StringList>,
    queue: Option<String>,
    pool: Option<String>,
    consume: Option<StringList>,
    queue_type: Option<QueueType>,
    durable: Option<bool>,
    max_queue_bytes: Option<u64>,
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
