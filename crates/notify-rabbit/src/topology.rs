//! The exchange, its queues and their bindings: declared, adopted or only verified.
//!
//! The queues of the three documented priorities exist from the first connection on. The queue of another
//! priority comes with the first message that needs it.
//!
//! A queue that cannot be declared concerns only its own messages: the topology remembers the failure,
//! and the other queues go on. One that held them up, such as one that did not answer, is tried again after
//! them, and only for its own messages.
//!
//! An existing exchange or queue wins over the configuration, because another service may own it.
//! This module changes and deletes nothing.

use std::collections::HashSet;

use lapin::options::QueueBindOptions;
use lapin::protocol::AMQPErrorKind;
use lapin::types::{FieldTable, ShortString};
use notify_core::{Error, ErrorKind, Message, Priority, Result};
use notify_net::BrokerAnswer;
use tokio::time::{Instant, timeout_at};

use crate::broker_entity::{BrokerEntity, is_not_found};
use crate::config::{Config, DeclareMode};
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
    /// The last logged warnings, so that each appears once in the life of a transport. A queue that is in service
    /// again may be warned about anew.
    warned: HashSet<String>,
    /// The queues that are out of service.
    failures: Vec<QueueFailure>,
}

/// The reason why a queue is out of service.
#[derive(Clone, Debug)]
struct QueueFailure {
    priority: Priority,
    meaning: BrokerAnswer,
    error: Error,
    /// Whether a new connection leaves the queue for later, because it held up the others.
    is_deferred: bool,
    /// Whether the failure belongs to the current attempt, which does not try the queue again. One of a
    /// queue that did not answer is new until an attempt ends with its error.
    is_new: bool,
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
            failures: Vec::new(),
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

    /// Returns the queues with their priorities.
    fn named_queues(&self) -> Vec<(Priority, ShortString)> {
        let documented = std::iter::zip(Priority::DOCUMENTED.iter().copied(), &self.queues);
        let others = self.other_queues.iter().map(|(priority, queue)| (*priority, queue));
        documented.chain(others).map(|(priority, queue)| (priority, queue.clone())).collect()
    }

    /// Returns why the queue of `priority` is out of service, if it is.
    pub(crate) fn failure(&self, priority: Priority) -> Option<(BrokerAnswer, &Error)> {
        let failure = self.failures.iter().find(|failure| failure.priority == priority)?;
        Some((failure.meaning, &failure.error))
    }

    /// Takes a queue out of service, because publishing to it failed. The next attempt tries it again after all
    /// others.
    pub(crate) fn defer(&mut self, priority: Priority, error: Error) {
        let meaning = BrokerAnswer::QueueUnavailable;
        // The current attempt ends with the error of a silent queue.
        let is_new = error.kind() != ErrorKind::Timeout;
        self.fail(QueueFailure { priority, meaning, error, is_deferred: true, is_new });
    }

    /// Remembers the last failure of a queue.
    fn fail(&mut self, failure: QueueFailure) {
        self.failures.retain(|earlier| earlier.priority != failure.priority);
        self.failures.push(failure);
    }

    /// Begins an attempt: the queues that are out of service may be tried again.
    pub(crate) fn begin_attempt(&mut self) {
        for failure in &mut self.failures {
            failure.is_new &= failure.error.kind() == ErrorKind::Timeout;
        }
    }

    /// Notes that the attempt ends with the error of this queue, which did not answer.
    pub(crate) fn report_silence(&mut self, priority: Priority) {
        for failure in self.failures.iter_mut().filter(|failure| failure.priority == priority) {
            failure.is_new = false;
        }
    }

    /// Declares or verifies everything, as `rabbit.declare` says, within `rabbit.connect_timeout`.
    ///
    /// A queue that fails is out of service afterwards. Logs each warning about an adopted entity once.
    ///
    /// # Errors
    ///
    /// The error of the exchange, or of the connection.
    pub(crate) async fn ensure(&mut self, connection: &Connection, config: &Config) -> Result<()> {
        let deadline = Instant::now() + config.endpoint.connect_timeout;
        let exchange = self.exchange.clone();
        let entity = BrokerEntity::Exchange(&exchange);
        match timeout_at(deadline, silently(self.ensure_entity(entity, connection, config))).await {
            Ok(Ok(warning)) => self.log_once(warning),
            Ok(Err(failure)) => return Err(failure.error),
            Err(_) => return Err(declare_timeout(connection, entity)),
        }
        let mut queues = self.named_queues();
        queues.retain(|(priority, _)| {
            let is_deferred =
                |failure: &QueueFailure| failure.priority == *priority && failure.is_deferred;
            !self.failures.iter().any(is_deferred)
        });
        self.ensure_queues(&queues, connection, config, deadline).await
    }

    /// Tries again to declare the queues of these priorities that are out of service, within
    /// `rabbit.connect_timeout`. Returns whether one is in service again.
    ///
    /// # Errors
    ///
    /// The error of the connection, which the queue may have ended.
    pub(crate) async fn retry_failures(
        &mut self,
        connection: &Connection,
        config: &Config,
        priorities: &[Priority],
    ) -> Result<bool> {
        let before = self.failures.len();
        let deadline = Instant::now() + config.endpoint.connect_timeout;
        let mut queues = self.named_queues();
        queues.retain(|(priority, _)| {
            let is_due = |failure: &QueueFailure| failure.priority == *priority && !failure.is_new;
            priorities.contains(priority) && self.failures.iter().any(is_due)
        });
        self.ensure_queues(&queues, connection, config, deadline).await?;
        Ok(self.failures.len() < before)
    }

    /// Declares or verifies these queues until `deadline`, and remembers their failures.
    ///
    /// # Errors
    ///
    /// If the connection has ended.
    async fn ensure_queues(
        &mut self,
        queues: &[(Priority, ShortString)],
        connection: &Connection,
        config: &Config,
        deadline: Instant,
    ) -> Result<()> {
        for (index, (priority, queue)) in queues.iter().enumerate() {
            // A queue that does not answer leaves the others their share of the time.
            let now = Instant::now();
            let left = u32::try_from(queues.len() - index).unwrap_or(1);
            let share = now + deadline.saturating_duration_since(now) / left;
            self.ensure_queue(*priority, queue, connection, config, share).await?;
        }
        Ok(())
    }

    /// Declares or verifies one queue, and remembers its failure.
    ///
    /// # Errors
    ///
    /// If the connection has ended.
    async fn ensure_queue(
        &mut self,
        priority: Priority,
        queue: &ShortString,
        connection: &Connection,
        config: &Config,
        deadline: Instant,
    ) -> Result<()> {
        let entity = BrokerEntity::Queue(queue);
        let ensured =
            timeout_at(deadline, silently(self.ensure_entity(entity, connection, config))).await;
        let failure = match ensured {
            Ok(Ok(warning)) => {
                self.failures.retain(|failure| failure.priority != priority);
                let outage = outage_prefix(entity);
                self.warned.retain(|warning| !warning.starts_with(&outage));
                self.log_once(warning);
                return Ok(());
            }
            Ok(Err(failure)) => failure,
            Err(_) => EntityFailure {
                meaning: BrokerAnswer::QueueUnavailable,
                error: declare_timeout(connection, entity),
                ended_connection: false,
            },
        };
        let EntityFailure { meaning, error, ended_connection } = failure;
        if !ended_connection && !connection.is_usable() {
            // The connection ended for another reason, which says nothing about the queue.
            return Err(error);
        }
        self.log_once(Some(format!("{}{error}", outage_prefix(entity))));
        let result = if ended_connection { Err(error.clone()) } else { Ok(()) };
        let is_deferred = ended_connection || error.kind() == ErrorKind::Timeout;
        self.fail(QueueFailure { priority, meaning, error, is_deferred, is_new: true });
        result
    }

    /// Declares one entity, or verifies that it exists. Binds a declared queue to the exchange; a
    /// binding that exists already stays unchanged. Returns the warning about an adopted entity.
    async fn ensure_entity(
        &self,
        entity: BrokerEntity<'_>,
        connection: &Connection,
        config: &Config,
    ) -> Result<Option<String>, EntityFailure> {
        let explain = |error: lapin::Error| EntityFailure::new(&error, connection);
        // The broker closes the channel of a declaration that it refuses.
        let open = async || connection.open_channel().await.map_err(EntityFailure::explained);
        match config.declare {
            DeclareMode::No => return Ok(None),
            DeclareMode::Verify => {
                let channel = open().await?;
                let found = entity.look_up(&channel).await;
                let _ = channel.close(200, "OK".into()).await;
                return match found {
                    Ok(_) => Ok(None),
                    Err(error) if is_not_found(&error) => Err(EntityFailure {
                        meaning: BrokerAnswer::Unroutable,
                        error: entity.missing_error(),
                        ended_connection: false,
                    }),
                    Err(error) => Err(explain(error)),
                };
            }
            DeclareMode::Yes => {}
        }
        let mut channel = open().await?;
        let mut warning = None;
        if let Err(error) = entity.declare(&channel, config).await {
            let Some(mismatch) = Mismatch::parse(&error) else { return Err(explain(error)) };
            warning = mismatch.evaluate(config).map_err(EntityFailure::explained)?;
            channel = open().await?;
            entity.look_up(&channel).await.map_err(explain)?;
        }
        if let BrokerEntity::Queue(queue) = entity {
            let (queue, exchange) = (queue.clone(), self.exchange.clone());
            let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
            let bind = channel.queue_bind(queue.clone(), exchange, queue, options, arguments);
            bind.await.map_err(explain)?;
        }
        let _ = channel.close(200, "OK".into()).await;
        Ok(warning)
    }

    /// Logs a warning, unless the log has it already.
    fn log_once(&mut self, warning: Option<String>) {
        if let Some(warning) = warning
            && !self.warned.contains(&warning)
        {
            tracing::warn!("{warning}");
            // The text of a broker may differ each time.
            if self.warned.len() >= MAX_WARNINGS {
                self.warned.clear();
            }
            self.warned.insert(warning);
        }
    }
}

/// The reason why an exchange or a queue could not be declared or verified.
struct EntityFailure {
    meaning: BrokerAnswer,
    error: Error,
    /// Whether the broker closed the connection over this entity.
    ended_connection: bool,
}

impl EntityFailure {
    /// Interprets the broker's answer to a declaration.
    fn new(error: &lapin::Error, connection: &Connection) -> Self {
        let ended_connection = match error.kind() {
            lapin::ErrorKind::ProtocolError(error) => {
                matches!(error.kind(), AMQPErrorKind::Hard(_))
            }
            _ => false,
        };
        let error = connection.context.explain(error, Operation::Declare);
        Self { meaning: BrokerAnswer::QueueUnavailable, error, ended_connection }
    }

    /// Wraps an error that is explained already.
    fn explained(error: Error) -> Self {
        Self { meaning: BrokerAnswer::QueueUnavailable, error, ended_connection: false }
    }
}

/// Returns the begin of the warning about an entity that is out of service.
fn outage_prefix(entity: BrokerEntity<'_>) -> String {
    format!("{entity} is out of service: ")
}

/// Returns the error of a declaration without an answer. It is a timeout only if the queue alone is silent.
fn declare_timeout(connection: &Connection, entity: BrokerEntity<'_>) -> Error {
    let problem = format!("did not answer a declaration of {entity}");
    let (context, blocked) = (&connection.context, connection.blocked());
    match entity {
        BrokerEntity::Queue(_) if connection.is_usable() => {
            context.timeout_error(&problem, blocked.as_deref())
        }
        _ => context.unanswered_error(&problem, blocked.as_deref()),
    }
}

/// The most warnings that a topology remembers.
const MAX_WARNINGS: usize = 256;
