//! Looks at the broker for the command: what a source would meet, without taking or changing anything.
//!
//! It also removes the queue of a durable tap, on request.

use std::collections::BTreeSet;

use lapin::Queue;
use lapin::types::ShortString;
use notify_core::event::Priority;
use notify_core::redact::printable;
use notify_core::transport::Finding;
use notify_core::{Error, ErrorKind, Result};
use tokio::time::timeout;

use super::read_plan::{OwnQueue, ReadPlan, delete_unused, look_up};
use super::source_config::{RabbitSourceConfig, SourceQueue};
use crate::backlog::{LimitedQueues, OverflowPolicy, limit_command};
use crate::broker_entity::{BrokerEntity, is_not_found};
use crate::config::invalid;
use crate::connection::Connection;
use crate::error::Operation;
use crate::runtime::silently;

/// The number of messages and of consumers of a queue, at one moment.
///
/// # Examples
///
/// ```no_run
/// use notify_rabbit::{RabbitSource, RabbitSourceConfig};
///
/// # async fn example() -> notify_core::Result<()> {
/// let mut source = RabbitSource::new(RabbitSourceConfig::default())?;
/// for depth in source.queue_depths().await?.queues {
///     println!("{}: {} messages, {} consumers", depth.queue, depth.messages, depth.consumers);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueDepth {
    /// The name of the queue.
    pub queue: String,
    /// The messages that are ready to be delivered.
    pub messages: u32,
    /// The consumers; always 0 for a stream, whose consumers RabbitMQ does not count here.
    pub consumers: u32,
}

/// The depths of a broker's queues, and the errors of those that the broker cannot look up.
///
/// # Examples
///
/// ```no_run
/// use notify_rabbit::{RabbitSource, RabbitSourceConfig};
///
/// # async fn example() -> notify_core::Result<()> {
/// let mut source = RabbitSource::new(RabbitSourceConfig::default())?;
/// for (queue, error) in source.queue_depths().await?.errors {
///     println!("{queue}: {error:#}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct QueueDepths {
    /// The queues that exist.
    pub queues: Vec<QueueDepth>,
    /// The names of the queues that the broker cannot look up, each with the reason: the home node is down, or
    /// the queue does not answer.
    pub errors: Vec<(String, Error)>,
}

impl QueueDepth {
    /// Creates the depth of a queue that another tool has counted.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_rabbit::QueueDepth;
    ///
    /// let depth = QueueDepth::new("audit", 7, 0);
    /// assert!(depth.backlog_advice("/").unwrap().contains("'^audit$'"));
    /// ```
    pub fn new(queue: impl Into<String>, messages: u32, consumers: u32) -> Self {
        Self { queue: queue.into(), messages, consumers }
    }

    /// Returns the problem of a queue with messages and without a consumer, and the command that bounds it in
    /// `virtual_host`; `None` for other queues.
    ///
    /// Ignore the advice for a stream: it keeps messages that were read, and it seems to have no consumer.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use notify_rabbit::{RabbitSource, RabbitSourceConfig};
    ///
    /// # async fn example() -> notify_core::Result<()> {
    /// let mut source = RabbitSource::new(RabbitSourceConfig::default())?;
    /// for depth in source.queue_depths().await?.queues {
    ///     if let Some(advice) = depth.backlog_advice("/") {
    ///         println!("{}: {advice}", depth.queue);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn backlog_advice(&self, virtual_host: &str) -> Option<String> {
        if self.consumers > 0 || self.messages == 0 {
            return None;
        }
        let is_priority =
            |word: &str| Priority::ALL.iter().any(|priority| priority.lower() == word);
        let queues = match self.queue.rsplit_once('.') {
            Some((topic, priority)) if is_priority(priority) => LimitedQueues::OfTopic(topic),
            _ => LimitedQueues::One(&self.queue),
        };
        let command = limit_command(virtual_host, queues, OverflowPolicy::DropOldest);
        let messages = self.messages;
        Some(format!(
            "{messages} messages and no consumer: start one, or bound the queue with {command}"
        ))
    }
}

/// Counts the messages and consumers of the queues of the topics, and of the source's own.
///
/// # Errors
///
/// If the connection ends, or opens no channel in time.
pub(super) async fn queue_depths(
    connection: &Connection,
    config: &RabbitSourceConfig,
) -> Result<QueueDepths> {
    let mut names: Vec<String> = Vec::new();
    for topic in &config.topics {
        names.extend(Priority::ALL.iter().map(|priority| format!("{topic}.{}", priority.lower())));
    }
    match &config.queue {
        SourceQueue::Temporary => {}
        SourceQueue::SharedStream { stream, .. } => names.push(stream.clone()),
        SourceQueue::Durable { name, .. } | SourceQueue::Stream { name, .. } => {
            names.push(RabbitSourceConfig::tap_queue(name));
        }
        SourceQueue::Pool { name, .. } => names.push(name.clone()),
        SourceQueue::Shared { queues } => names.extend(queues.iter().cloned()),
    }
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let mut depths = QueueDepths::default();
    for queue in names {
        let Ok(name) = ShortString::try_new(queue.clone()) else { continue };
        match depth(connection, config, &name).await? {
            Ok(Some(found)) => depths.queues.push(found),
            Ok(None) => {}
            Err(error) => depths.errors.push((queue, error)),
        }
    }
    Ok(depths)
}

/// Counts the messages and consumers of a queue; `None` if it does not exist. The inner error concerns this queue
/// alone: the connection goes on.
///
/// # Errors
///
/// If the connection ends, or opens no channel in time.
async fn depth(
    connection: &Connection,
    config: &RabbitSourceConfig,
    queue: &ShortString,
) -> Result<Result<Option<QueueDepth>>> {
    let channel = in_time(connection, config, connection.open_channel()).await?;
    let limit = config.endpoint.connect_timeout;
    let context = &connection.context;
    let found = if let Ok(found) = timeout(limit, silently(look_up(&channel, queue))).await {
        found.map_err(|error| context.explain(&error, Operation::Consume))
    } else {
        let entity = BrokerEntity::Queue(queue);
        Err(context.timeout_error(&format!("did not answer a declaration of {entity}"), None))
    };
    let count = |found: Queue| {
        QueueDepth::new(queue.as_str(), found.message_count(), found.consumer_count())
    };
    match found {
        Ok(found) => Ok(Ok(found.map(count))),
        Err(error) if connection.is_usable() => Ok(Err(error)),
        Err(error) => Err(error),
    }
}

/// Checks what a source needs.
///
/// # Errors
///
/// If the broker stops answering.
pub(super) async fn check(
    connection: &Connection,
    config: &RabbitSourceConfig,
    plan: &ReadPlan,
) -> Result<Vec<Finding>> {
    let mut findings = vec![
        Finding::good("broker", format!("{} at {}", connection.product, connection.peer)),
        connection.peer.tls_finding(),
        Finding::good("login", connection.context.to_string()),
    ];
    let exchanges: BTreeSet<_> =
        plan.bindings.iter().map(|binding| binding.exchange.clone()).collect();
    let is_kept = plan.own_queue.as_ref().is_some_and(|queue| !queue.is_temporary());
    for exchange in exchanges {
        findings.push(check_exchange(connection, config, &exchange, is_kept).await?);
    }
    let own = plan.own_queue.iter().filter(|queue| !queue.is_temporary()).map(|queue| &queue.name);
    for queue in own.chain(&plan.shared_queues) {
        let subject = format!("queue `{}`", printable(queue.as_str(), 255));
        findings.push(match depth(connection, config, queue).await? {
            Ok(Some(QueueDepth { messages, consumers, .. })) => {
                Finding::good(subject, format!("{messages} messages, {consumers} consumers"))
            }
            Ok(None) if plan.own_queue.is_some() => {
                Finding::good(subject, "does not exist yet: the listener declares it")
            }
            Ok(None) => Finding::warning(subject, "does not exist: the listener waits for it"),
            Err(error) => Finding::bad(subject, error),
        });
    }
    Ok(findings)
}

/// Checks whether an exchange exists. Names the window of a queue that outlives a restart of the broker.
async fn check_exchange(
    connection: &Connection,
    config: &RabbitSourceConfig,
    exchange: &ShortString,
    is_kept: bool,
) -> Result<Finding> {
    let entity = BrokerEntity::Exchange(exchange);
    let subject = entity.to_string();
    let look = async {
        let channel = connection.open_channel().await?;
        match entity.look_up(&channel).await {
            Ok(_) => {
                let details = if is_kept { format!("exists; {WINDOW}") } else { "exists".into() };
                Ok(Finding::good(subject, details))
            }
            Err(error) if is_not_found(&error) => Ok(Finding::warning(
                subject,
                "does not exist: no service has sent a notification since the broker started, or the \
                 name is wrong (`control_exchange` of the service)",
            )),
            Err(error) => {
                let error = connection.context.explain(&error, Operation::Consume);
                if connection.is_usable() { Ok(Finding::bad(subject, error)) } else { Err(error) }
            }
        }
    };
    in_time(connection, config, look).await
}

/// Returns the queue that a command may remove.
///
/// # Errors
///
/// If the source is no durable tap.
pub(super) fn removable_queue(config: &RabbitSourceConfig, plan: &ReadPlan) -> Result<OwnQueue> {
    match (&config.queue, &plan.own_queue) {
        (SourceQueue::Durable { .. } | SourceQueue::Stream { .. }, Some(queue)) => {
            Ok(queue.clone())
        }
        _ => Err(invalid("only the queue of a durable tap can be removed: set `source.queue`")),
    }
}

/// Deletes a queue without consumers, and returns the number of its messages.
///
/// # Errors
///
/// If the queue has a consumer, or the broker stops answering.
pub(super) async fn remove_queue(
    connection: &Connection,
    config: &RabbitSourceConfig,
    queue: OwnQueue,
) -> Result<u32> {
    let remove = async {
        let channel = connection.open_channel().await?;
        let deleted = delete_unused(&channel, &queue)
            .await
            .map_err(|error| connection.context.explain(&error, Operation::Consume))?;
        deleted.ok_or_else(|| {
            let name = printable(queue.name.as_str(), 255);
            let message = format!("a listener reads the queue `{name}`: stop it first");
            Error::new(ErrorKind::Config, message)
        })
    };
    in_time(connection, config, remove).await
}

/// Waits for the broker's answer, at most `connect_timeout`.
async fn in_time<T>(
    connection: &Connection,
    config: &RabbitSourceConfig,
    request: impl Future<Output = Result<T>>,
) -> Result<T> {
    timeout(config.endpoint.connect_timeout, silently(request))
        .await
        .unwrap_or_else(|_| Err(connection.context.timeout_error("did not answer", None)))
}

/// The time in which a durable tap misses messages: a passive declaration does not show whether an exchange is
/// durable.
const WINDOW: &str = "if it is not durable, a restart of the broker loses the binding, and the tap misses what is \
                      sent until it has bound again, a second after a service declares the exchange \
                      (`amqp_durable_queues = true` in the services prevents that)";
