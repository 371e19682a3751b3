//! The source on RabbitMQ: [`RabbitSource`].

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use notify_core::source::{Credit, DeliverySettlements, Reception, SettlementMode, Source};
use notify_core::transport::Finding;
use notify_core::{Error, ErrorKind, Result};
use notify_net::OnceWarnings;
use notify_net::guard::amqp091::Amqp091Guard;
use tokio::task::JoinSet;

use super::inspection::{self, QueueDepths};
use super::read_plan::ReadPlan;
use super::session::{BoxFuture, SessionEvent, SourceConnection, SourceSession};
use super::source_config::RabbitSourceConfig;
use super::stream_checkpoint::CheckpointFile;
use super::stream_cursor::StreamCursor;
use crate::connection::{Connection, connection_name};

/// Reads notifications from RabbitMQ: through a tap of its own, or from queues of others.
///
/// It connects with the first `receive`, and again after each error. Give it to a
/// [`Listener`](notify_core::listener::Listener), which does that.
///
/// # Cancel safety
///
/// You may drop [`receive`](Source::receive) at any point: the next call continues the same step.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use notify_core::listener::{DeadLetters, Listener};
/// use notify_rabbit::{RabbitSource, RabbitSourceConfig};
///
/// # async fn example() -> notify_core::Result<()> {
/// // A temporary tap on a broker on this machine.
/// let source = RabbitSource::new(RabbitSourceConfig::default())?;
/// let mut listener = Listener::builder(source, DeadLetters::Discard).start()?;
/// while let Some(batch) = listener.next_batch(500, Duration::from_millis(200)).await? {
///     for notification in batch.notifications() {
///         println!("{}", notification.event_type());
///     }
///     batch.ack().await?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct RabbitSource {
    config: RabbitSourceConfig,
    plan: ReadPlan,
    once_warnings: Arc<OnceWarnings>,
    /// The place in the stream, if the source reads one.
    cursor: Option<StreamCursor>,
    state: SessionState,
}

/// The session of a source.
enum SessionState {
    /// There is none, or one whose session is over.
    Idle(Option<Box<SourceConnection>>),
    /// A session is starting.
    Starting(BoxFuture<Result<SourceSession>>),
    /// A session is open.
    Open(Box<SourceSession>),
    /// A session is ending.
    Ending(JoinSet<Option<SourceConnection>>),
}

impl RabbitSource {
    /// Creates a source. It connects with the first `receive`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) when a name is too long, or options
    /// contradict each other.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_rabbit::{RabbitSource, RabbitSourceConfig};
    ///
    /// let mut config = RabbitSourceConfig::default();
    /// config.exchanges = Vec::new();
    /// let error = RabbitSource::new(config).unwrap_err();
    /// assert_eq!(error.to_string(), "`source.exchanges`: name at least one");
    /// ```
    pub fn new(config: RabbitSourceConfig) -> Result<Self> {
        config.check()?;
        let cursor = match config.stream() {
            Some((stream, position)) => {
                let file = position.checkpoint.clone().map(CheckpointFile::start).transpose()?;
                Some(StreamCursor::new(stream, position.start, file))
            }
            None => None,
        };
        Ok(Self {
            cursor,
            plan: ReadPlan::new(&config)?,
            once_warnings: Arc::new(OnceWarnings::new("source")),
            state: SessionState::Idle(None),
            config,
        })
    }

    /// Returns the configuration.
    pub fn config(&self) -> &RabbitSourceConfig {
        &self.config
    }

    /// Counts the messages and the consumers of each queue that exists among these: those of the
    /// topics' priorities, and those that the source reads itself. A queue that the broker cannot look up
    /// hides no other: the result has its error.
    ///
    /// It opens a connection of its own and takes nothing. It needs no permission but to connect.
    ///
    /// # Errors
    ///
    /// When no host accepts the connection, or the connection ends or opens no channel.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn queue_depths(&mut self) -> Result<QueueDepths> {
        let SourceConnection { connection, .. } = self.connect(0).await?;
        let depths = inspection::queue_depths(&connection, &self.config).await?;
        drop(connection.close().await);
        Ok(depths)
    }

    /// Deletes the queue of a [durable tap](super::SourceQueue::Durable) with its messages, unless a
    /// listener reads it. Returns the number of messages that were in it.
    ///
    /// RabbitMQ does not tell whether a listener reads a [stream](super::SourceQueue::Stream), so a stream
    /// goes in any case.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) if the source is no durable tap, or a
    /// listener reads the queue. Otherwise as for [`queue_depths`](Self::queue_depths).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave the queue.
    pub async fn remove_tap(&mut self) -> Result<u32> {
        let queue = inspection::removable_queue(&self.config, &self.plan)?;
        let SourceConnection { connection, .. } = self.connect(0).await?;
        let messages = inspection::remove_queue(&connection, &self.config, queue).await?;
        drop(connection.close().await);
        Ok(messages)
    }

    /// Opens a connection that takes bodies of this size.
    async fn connect(&mut self, max_bytes: usize) -> Result<SourceConnection> {
        connect(&self.config, &self.once_warnings, max_bytes).await
    }

    /// Begins a session, on the connection of the last one if that left it open.
    fn begin(&self, kept: Option<Box<SourceConnection>>, credit: Credit) -> SessionState {
        let (config, warnings) = (self.config.clone(), Arc::clone(&self.once_warnings));
        let mut plan = self.plan.clone();
        SessionState::Starting(Box::pin(async move {
            let connection = match kept {
                Some(kept) if kept.connection.is_usable() => {
                    if let (Some(own), Some(name)) = (&mut plan.own_queue, &kept.temporary_queue) {
                        own.name = name.clone();
                    }
                    *kept
                }
                _ => connect(&config, &warnings, credit.max_bytes).await?,
            };
            SourceSession::start(connection, config, plan, credit).await
        }))
    }

    /// Ends the session after an error, in a task: the listener waits before it receives again, and other
    /// readers of the queues get the unsettled messages meanwhile.
    fn end(&mut self) {
        let state = std::mem::replace(&mut self.state, SessionState::Idle(None));
        if let SessionState::Open(session) = state {
            let mut ending = JoinSet::new();
            ending.spawn(session.into_connection());
            self.state = SessionState::Ending(ending);
        }
    }
}

#[async_trait]
impl Source for RabbitSource {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn settlement_mode(&self) -> SettlementMode {
        match self.cursor {
            Some(_) => SettlementMode::Cumulative,
            None => SettlementMode::Individual,
        }
    }

    async fn receive(&mut self, credit: Credit) -> Result<Reception> {
        loop {
            match &mut self.state {
                SessionState::Idle(kept) => {
                    if let Some(cursor) = &mut self.cursor {
                        cursor.begin().await?;
                    }
                    let kept = kept.take();
                    self.state = self.begin(kept, credit);
                }
                SessionState::Ending(ending) => {
                    let kept = match ending.join_next().await {
                        Some(Ok(kept)) => kept,
                        _ => None,
                    };
                    self.state = SessionState::Idle(kept.map(Box::new));
                }
                SessionState::Starting(starting) => match starting.as_mut().await {
                    Ok(session) => self.state = SessionState::Open(Box::new(session)),
                    Err(error) => {
                        self.state = SessionState::Idle(None);
                        return Err(error);
                    }
                },
                SessionState::Open(session) => {
                    match session.receive(credit, &mut self.cursor).await {
                        Ok(SessionEvent::Reception(reception)) => return Ok(reception),
                        Ok(SessionEvent::StreamReplaced) => {
                            self.end();
                            if let Some(cursor) = &mut self.cursor {
                                cursor.start_over();
                            }
                            let reason = "the stream was declared anew: reading it from its start";
                            return Ok(Reception::Detached { reason: reason.into(), since: None });
                        }
                        Err(error) => {
                            self.end();
                            return Err(error);
                        }
                    }
                }
            }
        }
    }

    async fn settle(&mut self, settlements: &DeliverySettlements) -> Result<()> {
        let state = std::mem::replace(&mut self.state, SessionState::Idle(None));
        let SessionState::Open(mut session) = state else {
            self.state = state;
            let message = "the session ended before its settlements were written";
            return Err(Error::new(ErrorKind::Unavailable, message));
        };
        // If this future is dropped, the session is over.
        let kept = match (&mut self.cursor, settlements.through) {
            (Some(cursor), Some(through)) => cursor.settle(through).await,
            _ => Ok(()),
        };
        let settled = match kept {
            Ok(()) => session.settle(settlements).await,
            Err(error) => Err(error),
        };
        self.state = SessionState::Open(session);
        if settled.is_err() {
            self.end();
        }
        settled
    }

    async fn close(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.state, SessionState::Idle(None)) {
            SessionState::Open(session) => session.close().await,
            SessionState::Idle(Some(kept)) => kept.connection.close().await,
            _ => Ok(()),
        }
    }

    /// Checks broker, TLS, login, the exchanges of a tap, and the queues, over a connection of its own.
    async fn check(&mut self) -> Result<Vec<Finding>> {
        let SourceConnection { connection, .. } = self.connect(0).await?;
        let findings = inspection::check(&connection, &self.config, &self.plan).await?;
        // The findings are complete, even if the broker does not confirm the close.
        drop(connection.close().await);
        Ok(findings)
    }
}

impl fmt::Debug for RabbitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitSource").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Opens a connection that takes bodies of at most `max_bytes`.
async fn connect(
    config: &RabbitSourceConfig,
    warnings: &Arc<OnceWarnings>,
    max_bytes: usize,
) -> Result<SourceConnection> {
    let max_bytes = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    let guard = Amqp091Guard::receiver(max_bytes);
    let name = connection_name(Some(&config.name));
    let (connection, deliveries) =
        Connection::open(&config.endpoint, &guard, &name, warnings).await?;
    Ok(SourceConnection { connection, deliveries, temporary_queue: None })
}
