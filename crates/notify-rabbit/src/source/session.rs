//! One session: a channel with consumers, from the start of the connection to the first error.
//!
//! # Order
//!
//! All consumers share one channel, so that one acknowledgement covers all of them. The broker numbers
//! the messages of a channel. lapin's thread sorts them by consumer; [`MessageIntake`] merges them again: it takes
//! from every consumer until none has more, and sorts these messages. lapin's thread hands over in the order
//! of the numbers, so a number that comes later is larger.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, QueueDeleteOptions,
};
use lapin::types::ShortString;
use lapin::{Channel, Consumer};
use notify_core::redact::printable;
use notify_core::source::{Credit, DeliverySettlements, Reception};
use notify_core::{Error, ErrorKind, Result};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::intake::{IntakeResult, MessageIntake};
use super::read_plan::{ReadPlan, look_up};
use super::source_config::{RabbitSourceConfig, SourceQueue};
use super::stream_cursor::StreamCursor;
use super::topology_watch::{TopologyWatch, WatchEvent};
use crate::connection::{Connection, ConnectionTask};
use crate::error::Operation;
use crate::runtime::silently;

/// A future that is kept between two calls.
pub(super) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A session in progress.
pub(super) struct SourceSession {
    /// The consumers and their messages. They are dropped before the channel.
    intake: MessageIntake,
    channel: Channel,
    connection: Connection,
    config: RabbitSourceConfig,
    /// The temporary queue, which outlives a channel.
    temporary_queue: Option<ShortString>,
    watch: mpsc::Receiver<WatchEvent>,
    _watch_task: ConnectionTask,
    /// A consumer that the broker is starting. No message is handed over meanwhile: those of the new
    /// consumer could have smaller numbers.
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

/// The connection of a session that ended.
pub(super) struct KeptConnection {
    pub(super) connection: Connection,
    /// The temporary queue on this connection.
    pub(super) temporary_queue: Option<ShortString>,
}

impl SourceSession {
    /// Opens a channel on `connection`, and starts to prepare the queues of `plan`.
    ///
    /// # Errors
    ///
    /// The error of the broker, or a timeout.
    pub(super) async fn start(
        connection: Connection,
        config: RabbitSourceConfig,
        plan: ReadPlan,
        credit: Credit,
    ) -> Result<Self> {
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
            intake: MessageIntake::new(credit.max_bytes, window, config.stream().is_some()),
            channel,
            connection,
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
            let intake = &mut self.intake;
            let took = poll_fn(|cx| intake.poll(cx, cursor));
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
                taken = silently(took) => match taken {
                    IntakeResult::Some => {}
                    IntakeResult::Acknowledge(tag) => {
                        let through = Some(tag);
                        self.settle(&DeliverySettlements { through, ..Default::default() }).await?;
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

    /// Returns the error of a consumer that ended without one.
    fn cancelled(&self, queue: &ShortString) -> Error {
        let host = &self.connection.context.host;
        let text = if self.connection.is_usable() && self.channel.status().connected() {
            let queue = printable(queue.as_str(), 255);
            format!(
                "{host} cancelled the consumer of queue `{queue}`: the queue was deleted, or its node \
                 went down"
            )
        } else {
            format!("connection to {host} closed")
        };
        Error::new(ErrorKind::Unavailable, text)
    }

    /// Writes the settlements to the connection, in their order.
    ///
    /// # Errors
    ///
    /// If the channel is closed. The session is over then.
    pub(super) async fn settle(&mut self, settlements: &DeliverySettlements) -> Result<()> {
        let channel = &self.channel;
        let mut requests: Vec<BoxFuture<lapin::Result<()>>> = Vec::new();
        for tag in settlements.releases.iter().copied() {
            let channel = channel.clone();
            requests.push(Box::pin(async move {
                let options = BasicNackOptions { multiple: false, requeue: true };
                channel.basic_nack(tag, options).await
            }));
        }
        let through = settlements.through.iter().map(|tag| (*tag, true));
        for (tag, multiple) in through.chain(settlements.acks.iter().map(|tag| (*tag, false))) {
            let channel = channel.clone();
            requests.push(Box::pin(async move {
                channel.basic_ack(tag, BasicAckOptions { multiple }).await
            }));
        }
        silently(send_all(requests))
            .await
            .map_err(|error| self.connection.context.explain(&error, Operation::Consume))
    }

    /// Ends the session. Returns the connection, unless it is closed too.
    ///
    /// The broker gives back the unsettled messages of the channel. A connection on which no consumer ran is closed:
    /// its node may lack a replica of the queue, and the next session tries any of the hosts. That of a temporary
    /// queue stays in any case, because the queue ends with it.
    pub(super) async fn into_connection(self) -> Option<KeptConnection> {
        let Self { intake, channel, connection, temporary_queue, .. } = self;
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
        connection.is_usable().then_some(KeptConnection { connection, temporary_queue })
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

/// Sends requests in order, and then waits until all are written.
///
/// # Errors
///
/// The first error.
async fn send_all(mut requests: Vec<BoxFuture<lapin::Result<()>>>) -> lapin::Result<()> {
    let mut result = Ok(());
    poll_fn(|cx| {
        // lapin queues a frame when its future is polled for the first time.
        requests.retain_mut(|request| match request.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready(sent) => {
                if result.is_ok() {
                    result = sent;
                }
                false
            }
        });
        if requests.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    result
}

/// Returns the major version in a product such as `RabbitMQ 3.10.8`; 0 if there is none.
fn major_version(product: &str) -> u32 {
    let version = product.strip_prefix("RabbitMQ ").unwrap_or_default();
    version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0)
}

/// The longest wait for the message that a stream starts from. A broker that is busy may take long to find it, and
/// without it the whole stream is read again.
const SEARCH_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);
/// The time for the broker to close a channel or to delete a queue.
const CLOSE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);
