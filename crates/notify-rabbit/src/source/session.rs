//! One session: a channel with consumers, from the start of the connection to the first error.
//!
//! # Order
//!
//! All consumers share one channel, so that one acknowledgement covers all of them. The broker numbers
//! the messages of a channel. lapin's thread sorts them by consumer; [`SourceSession`] merges them again:
//! it takes from every consumer until none has more, and sorts what it took. lapin's thread hands over in
//! the order of the numbers, so a number that comes later is larger.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, QueueDeleteOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use notify_core::redact::printable;
use notify_core::source::{Credit, DeliverySettlements, IncomingBody, IncomingDelivery, Reception};
use notify_core::{Error, ErrorKind, Result};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::incoming::MessageConverter;
use super::read_plan::ReadPlan;
use super::source_config::{RabbitSourceConfig, SourceQueue};
use super::topology_watch::{TopologyWatch, WatchEvent};
use crate::connection::{Connection, ConnectionTask};
use crate::error::Operation;
use crate::runtime::silently;

/// A future that is kept between two calls.
pub(super) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A session in progress.
pub(super) struct SourceSession {
    /// The consumers with their queues. They are dropped before the channel.
    consumers: Vec<(Consumer, ShortString)>,
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
    /// Messages that no call has handed over yet.
    pending: VecDeque<IncomingDelivery>,
    converter: MessageConverter,
    max_bytes: usize,
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
        let prefetch = (credit.window / plan.consumers().max(1)).max(1);
        let prefetch = u16::try_from(prefetch).unwrap_or(u16::MAX);
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
            consumers: Vec::new(),
            channel,
            connection,
            config,
            temporary_queue: None,
            watch,
            _watch_task: ConnectionTask::spawn(topology_watch.run()),
            starting: None,
            pending: VecDeque::new(),
            converter: MessageConverter::default(),
            max_bytes: credit.max_bytes,
        })
    }

    /// Waits for news.
    ///
    /// # Errors
    ///
    /// If the session is over: see [`into_connection`](Self::into_connection).
    ///
    /// # Cancel safety
    ///
    /// Messages and steps that a dropped call had begun stay in the session.
    pub(super) async fn receive(&mut self, credit: Credit) -> Result<Reception> {
        loop {
            if let Some(starting) = &mut self.starting {
                let started = starting.as_mut().await;
                self.starting = None;
                self.consumers.push(started?);
            }
            if let Some(deliveries) = self.hand_over(credit) {
                return Ok(deliveries);
            }
            let Self { consumers, watch, pending, converter, max_bytes, .. } = self;
            let took = poll_fn(|cx| {
                poll_consumers(cx, consumers, pending, &mut |delivery, queue| {
                    converter.convert(delivery, queue, *max_bytes)
                })
            });
            tokio::select! {
                biased;
                Some(event) = watch.recv() => match event {
                    WatchEvent::Queue { name, is_exclusive } => self.start_consumer(name, is_exclusive),
                    WatchEvent::Attached => return Ok(Reception::Attached),
                    WatchEvent::Detached(reason) => return Ok(Reception::Detached(reason)),
                    WatchEvent::Failed(error) => return Err(error),
                },
                end = silently(took) => match end {
                    ConsumerEnd::None => {}
                    ConsumerEnd::Error(error) => {
                        return Err(self.connection.context.explain(&error, Operation::Consume));
                    }
                    ConsumerEnd::Cancelled(queue) => return Err(self.cancelled(&queue)),
                },
            }
        }
    }

    /// Begins to consume a queue.
    fn start_consumer(&mut self, queue: ShortString, is_exclusive: bool) {
        if self.config.queue == SourceQueue::Temporary {
            self.temporary_queue = Some(queue.clone());
        }
        let (channel, context) = (self.channel.clone(), self.connection.context.clone());
        let limit = self.config.endpoint.connect_timeout;
        let options =
            BasicConsumeOptions { exclusive: is_exclusive, ..BasicConsumeOptions::default() };
        self.starting = Some(Box::pin(async move {
            let tag = ShortString::default();
            let consume = channel.basic_consume(queue.clone(), tag, options, FieldTable::default());
            match timeout(limit, silently(consume)).await {
                Ok(Ok(consumer)) => Ok((consumer, queue)),
                Ok(Err(error)) => Err(context.explain(&error, Operation::Consume)),
                Err(_) => Err(context.timeout_error("did not start a consumer", None)),
            }
        }));
    }

    /// Hands over messages, as far as there is room.
    fn hand_over(&mut self, credit: Credit) -> Option<Reception> {
        let count = self.pending.len().min(credit.room);
        if count == 0 {
            return None;
        }
        let mut deliveries: Vec<_> = self.pending.drain(..count).collect();
        for delivery in &mut deliveries {
            if let IncomingBody::Bytes(bytes) = &delivery.body
                && bytes.len() > credit.max_bytes
            {
                delivery.body = IncomingBody::TooLarge(bytes.len() as u64);
            }
        }
        Some(Reception::Deliveries(deliveries))
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
    /// The broker gives back the unsettled messages of the channel.
    pub(super) async fn into_connection(self) -> Option<KeptConnection> {
        let Self { consumers, channel, connection, temporary_queue, .. } = self;
        if !connection.is_usable() {
            return None;
        }
        // The channel goes as a whole, so no consumer is cancelled before.
        let _ = timeout(CLOSE_TIMEOUT, silently(channel.close(200, "OK".into()))).await;
        drop(consumers);
        connection.is_usable().then_some(KeptConnection { connection, temporary_queue })
    }

    /// Ends the session and closes the connection. Deletes a temporary queue.
    ///
    /// # Errors
    ///
    /// If the broker does not confirm the end.
    pub(super) async fn close(self) -> Result<()> {
        let Self { consumers, channel, connection, temporary_queue, .. } = self;
        if let Some(queue) = temporary_queue.filter(|_| channel.status().connected()) {
            // The broker would do it too, but later.
            let delete = channel.queue_delete(queue, QueueDeleteOptions::default());
            let _ = timeout(CLOSE_TIMEOUT, silently(delete)).await;
        }
        let closed = connection.close().await;
        drop(consumers);
        closed
    }
}

/// The end of a consumer.
enum ConsumerEnd {
    /// None has ended.
    None,
    /// With an error of the channel or of the connection.
    Error(lapin::Error),
    /// Without an error: the broker cancelled the consumer of this queue.
    Cancelled(ShortString),
}

/// Takes every message that the consumers have, in the order of their tags.
///
/// Ready when there are messages, or a consumer has ended.
fn poll_consumers(
    cx: &mut Context<'_>,
    consumers: &mut [(Consumer, ShortString)],
    pending: &mut VecDeque<IncomingDelivery>,
    convert: &mut dyn FnMut(lapin::message::Delivery, &ShortString) -> IncomingDelivery,
) -> Poll<ConsumerEnd> {
    let before = pending.len();
    loop {
        let round = pending.len();
        for (consumer, queue) in consumers.iter_mut() {
            loop {
                match Pin::new(&mut *consumer).poll_next(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Some(Ok(delivery))) => pending.push_back(convert(delivery, queue)),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(ConsumerEnd::Error(error)),
                    Poll::Ready(None) => {
                        return Poll::Ready(ConsumerEnd::Cancelled(queue.clone()));
                    }
                }
            }
        }
        // With several consumers, one may have got a message with a smaller tag meanwhile.
        if pending.len() == round || consumers.len() == 1 {
            break;
        }
    }
    if pending.len() == before {
        return Poll::Pending;
    }
    if consumers.len() > 1 {
        pending.make_contiguous()[before..].sort_unstable_by_key(|delivery| delivery.tag);
    }
    Poll::Ready(ConsumerEnd::None)
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

/// The time for the broker to close a channel or to delete a queue.
const CLOSE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);
