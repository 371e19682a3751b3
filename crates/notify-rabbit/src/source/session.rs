//! One session: a channel with consumers, from the start of the connection to the first error.
//!
//! All consumers share one channel, so that one acknowledgement covers all of them. The broker numbers the
//! messages of a channel, and they are read in that order.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use amq_protocol::frame::AMQPFrame;
use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic::{AMQPMethod, Ack, Nack};
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeleteOptions};
use lapin::types::ShortString;
use lapin::{Channel, Consumer};
use notify_core::redact::printable;
use notify_core::source::{Credit, DeliverySettlements, Reception};
use notify_core::{Error, ErrorKind, Result};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::deliveries::Deliveries;
use super::intake::{IntakeResult, MessageIntake};
use super::read_plan::{ReadPlan, look_up};
use super::source_config::{RabbitSourceConfig, SourceQueue};
use super::stream_cursor::StreamCursor;
use super::topology_watch::{TopologyWatch, WatchEvent};
use crate::connection::{Connection, ConnectionTask};
use crate::error::Operation;
use crate::frame_writer::WriteEnd;
use crate::frames;
use crate::runtime::silently;

/// A future that is kept between two calls.
pub(super) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A session in progress.
pub(super) struct SourceSession {
    /// The consumers and their messages. They are dropped before the channel.
    intake: MessageIntake,
    channel: Channel,
    connection: Connection,
    deliveries: Arc<Deliveries>,
    config: RabbitSourceConfig,
    /// The temporary queue, which outlives a channel.
    temporary_queue: Option<ShortString>,
    watch: mpsc::Receiver<WatchEvent>,
    _watch_task: ConnectionTask,
    /// A consumer that the broker is starting. No message is handed over meanwhile: the queue of the new
    /// consumer's messages is not known yet.
    starting: Option<BoxFuture<Result<(Consumer, ShortString)>>>,
    /// The time at which the message that a stream starts from must have come.
    search_end: Option<Instant>,
}

/// The event that [`SourceSession::receive`] waits for.
pub(super) enum SessionEvent {
    /// A reception for the listener.
    Reception(Reception),
    /// The stream is not the one that was read before. The session is over, and has handed over nothing.
    StreamReplaced,
}

/// An open connection for sessions, one after the other.
pub(super) struct SourceConnection {
    pub(super) connection: Connection,
    /// The messages that arrive on it.
    pub(super) deliveries: Arc<Deliveries>,
    /// The temporary queue of its last session.
    pub(super) temporary_queue: Option<ShortString>,
}

impl SourceSession {
    /// Opens a channel on `connection`, and starts to prepare the queues of `plan`.
    ///
    /// # Errors
    ///
    /// The error of the broker, or a timeout.
    pub(super) async fn start(
        open: SourceConnection,
        config: RabbitSourceConfig,
        plan: ReadPlan,
        credit: Credit,
    ) -> Result<Self> {
        let SourceConnection { connection, deliveries, .. } = open;
        // Each consumer has its own limit: RabbitMQ 4.3 refuses one limit for all.
        let consumers = plan.consumers().max(1);
        let prefetch = u16::try_from((credit.window / consumers).max(1)).unwrap_or(u16::MAX);
        let window = usize::from(prefetch).saturating_mul(consumers);
        let open = async {
            let channel = connection.open_channel().await?;
            let limited = channel.basic_qos(prefetch, BasicQosOptions { global: false });
            limited
                .await
                .map_err(|error| connection.context.explain(&error, Operation::Consume))?;
            Ok::<_, Error>(channel)
        };
        let channel = match timeout(config.endpoint.connect_timeout, silently(open)).await {
            Ok(channel) => channel?,
            Err(_) => return Err(connection.context.timeout_error("did not open a channel", None)),
        };
        let (events, watch) = mpsc::channel(16);
        let topology_watch = TopologyWatch {
            plan,
            channels: connection.channel_opener(),
            context: connection.context.clone(),
            major_version: major_version(&connection.product),
            timeout: config.endpoint.connect_timeout,
            events,
        };
        Ok(Self {
            intake: MessageIntake::new(
                Arc::clone(&deliveries),
                &channel,
                credit.max_bytes,
                window,
                config.stream().is_some(),
            ),
            channel,
            connection,
            deliveries,
            config,
            temporary_queue: None,
            watch,
            _watch_task: ConnectionTask::spawn(topology_watch.run()),
            starting: None,
            search_end: None,
        })
    }

    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// If the session is over: see [`into_connection`](Self::into_connection).
    ///
    /// # Cancel safety
    ///
    /// Messages and steps that a dropped call had begun stay in the session.
    pub(super) async fn receive(
        &mut self,
        credit: Credit,
        cursor: &mut Option<StreamCursor>,
    ) -> Result<SessionEvent> {
        loop {
            if let Some(starting) = &mut self.starting {
                let started = starting.as_mut().await;
                self.starting = None;
                let (consumer, queue) = started?;
                self.intake.add(consumer, queue);
                self.search_end = Some(Instant::now() + SEARCH_TIMEOUT);
            }
            if let Some(cursor) = cursor {
                cursor.keep_first().await?;
            }
            if let Some(reception) = self.intake.hand_over(credit) {
                return Ok(SessionEvent::Reception(reception));
            }
            let is_searching = cursor.as_ref().is_some_and(StreamCursor::is_searching);
            let search_end = self.search_end.filter(|_| is_searching);
            tokio::select! {
                biased;
                Some(event) = self.watch.recv() => match event {
                    WatchEvent::Queue { name, is_exclusive } => {
                        self.start_consumer(name, is_exclusive, cursor.as_mut());
                    }
                    WatchEvent::Coverage(reception) => {
                        return Ok(SessionEvent::Reception(reception));
                    }
                    WatchEvent::Failed(error) => return Err(error),
                },
                taken = self.intake.take(cursor) => match taken {
                    IntakeResult::Some => {}
                    IntakeResult::Acknowledge(tag) => {
                        // lapin keeps it, even if this call is dropped.
                        let ack = self.channel.basic_ack(tag, BasicAckOptions { multiple: true });
                        if let Err(error) = silently(ack).await {
                            let context = &self.connection.context;
                            return Err(context.explain(&error, Operation::Consume));
                        }
                    }
                    IntakeResult::StreamReplaced => return Ok(SessionEvent::StreamReplaced),
                    IntakeResult::Failed(error) => {
                        return Err(self.connection.context.explain(&error, Operation::Consume));
                    }
                    IntakeResult::Cancelled(queue) => return Err(self.cancelled(&queue)),
                    IntakeResult::Overrun => {
                        let host = &self.connection.context.host;
                        let text = format!("{host} delivers more messages than the prefetch allows");
                        return Err(Error::new(ErrorKind::Unavailable, text));
                    }
                },
                // The last acknowledged message is always there, unless the stream is another one.
                () = sleep_until(search_end.unwrap_or_else(Instant::now)), if search_end.is_some() => {
                    return Ok(SessionEvent::StreamReplaced);
                }
            }
        }
    }

    /// Begins to consume a queue.
    fn start_consumer(
        &mut self,
        queue: ShortString,
        is_exclusive: bool,
        cursor: Option<&mut StreamCursor>,
    ) {
        if self.config.queue == SourceQueue::Temporary {
            self.temporary_queue = Some(queue.clone());
        }
        let (channel, context) = (self.channel.clone(), self.connection.context.clone());
        let limit = self.config.endpoint.connect_timeout;
        let options =
            BasicConsumeOptions { exclusive: is_exclusive, ..BasicConsumeOptions::default() };
        let arguments = cursor.map(StreamCursor::arguments).unwrap_or_default();
        self.starting = Some(Box::pin(async move {
            let start = async {
                let tag = ShortString::default();
                let consume = channel.basic_consume(queue.clone(), tag, options, arguments);
                let consumer = consume.await?;
                // A quorum queue ignores the flag `exclusive`. Of two listeners that start together, at
                // least one sees both here. Neither has handed over a message yet.
                let found = if is_exclusive { look_up(&channel, &queue).await? } else { None };
                Ok::<_, lapin::Error>((consumer, found.map_or(1, |found| found.consumer_count())))
            };
            let started = timeout(limit, silently(start)).await;
            match started {
                Ok(Ok((_, consumers))) if consumers > 1 => {
                    Err(context.queue_in_use(queue.as_str()))
                }
                Ok(Ok((consumer, _))) => Ok((consumer, queue)),
                Ok(Err(error)) => Err(context.explain(&error, Operation::Consume)),
                Err(_) => Err(context.timeout_error("did not start a consumer", None)),
            }
        }));
    }

    /// Returns the error of a consumer that the broker has cancelled.
    fn cancelled(&self, queue: &ShortString) -> Error {
        let host = &self.connection.context.host;
        let queue = printable(queue.as_str(), 255);
        let text = format!(
            "{host} cancelled the consumer of queue `{queue}`: the queue was deleted, or its node went \
             down"
        );
        Error::new(ErrorKind::Unavailable, text)
    }

    /// Writes the settlements to the connection, in their order.
    ///
    /// # Errors
    ///
    /// If the channel is closed. The session is over then.
    pub(super) async fn settle(&mut self, settlements: &DeliverySettlements) -> Result<()> {
        let Connection { writer, watch, context, .. } = &self.connection;
        let frames = match settlement_frames(self.channel.id(), settlements) {
            Ok(frames) => frames,
            Err(error) => return Err(context.explain(&error, Operation::Consume)),
        };
        // lapin's heartbeats end the wait for a broker that takes nothing.
        let error = match writer.write(&frames, Duration::MAX).await {
            Ok(WriteEnd::Complete) => return Ok(()),
            Ok(WriteEnd::ChannelFailed | WriteEnd::Stalled) => watch.failure().await,
            Err(error) => error.into(),
        };
        Err(context.explain(&error, Operation::Consume))
    }

    /// Ends the session. Returns the connection, unless it is closed too.
    ///
    /// The broker gives back the unsettled messages of the channel. A connection on which no consumer ran is closed:
    /// its node may lack a replica of the queue, and the next session tries any of the hosts. That of a temporary
    /// queue stays in any case, because the queue ends with it.
    pub(super) async fn into_connection(self) -> Option<SourceConnection> {
        let Self { intake, channel, connection, deliveries, temporary_queue, .. } = self;
        if !connection.is_usable() {
            return None;
        }
        if !intake.has_consumers() && temporary_queue.is_none() {
            drop(connection.close().await);
            return None;
        }
        // The channel goes as a whole, so no consumer is cancelled before.
        let _ = timeout(CLOSE_TIMEOUT, silently(channel.close(200, "OK".into()))).await;
        drop(intake);
        connection.is_usable().then_some(SourceConnection {
            connection,
            deliveries,
            temporary_queue,
        })
    }

    /// Ends the session and closes the connection. Deletes a temporary queue.
    ///
    /// # Errors
    ///
    /// If the broker does not confirm the end.
    pub(super) async fn close(self) -> Result<()> {
        let Self { intake, channel, connection, temporary_queue, .. } = self;
        if let Some(queue) = temporary_queue.filter(|_| channel.status().connected()) {
            // The broker would do it too, but later.
            let delete = channel.queue_delete(queue, QueueDeleteOptions::default());
            let _ = timeout(CLOSE_TIMEOUT, silently(delete)).await;
        }
        let closed = connection.close().await;
        drop(intake);
        closed
    }
}

/// Encodes settlements: the releases, then the acknowledgements.
///
/// # Errors
///
/// lapin's error of a value that a frame cannot hold.
fn settlement_frames(channel: u16, settlements: &DeliverySettlements) -> lapin::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut push =
        |method| frames::append(&mut bytes, &AMQPFrame::Method(channel, AMQPClass::Basic(method)));
    for delivery_tag in settlements.releases.iter().copied() {
        push(AMQPMethod::Nack(Nack { delivery_tag, multiple: false, requeue: true }))?;
    }
    if let Some(delivery_tag) = settlements.through {
        push(AMQPMethod::Ack(Ack { delivery_tag, multiple: true }))?;
    }
    for delivery_tag in settlements.acks.iter().copied() {
        push(AMQPMethod::Ack(Ack { delivery_tag, multiple: false }))?;
    }
    Ok(bytes)
}

/// Returns the major version in a product such as `RabbitMQ 3.10.8`; 0 if there is none.
fn major_version(product: &str) -> u32 {
    let version = product.strip_prefix("RabbitMQ ").unwrap_or_default();
    version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0)
}

/// The longest wait for the message that a stream starts from. A broker that is busy may take long to find it, and
/// without it the whole stream is read again.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(60);
/// The time for the broker to close a channel or to delete a queue.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
