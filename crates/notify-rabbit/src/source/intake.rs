//! The messages of a session between the connection and the listener: taken in order, converted, and
//! handed over as far as there is room.

use std::collections::VecDeque;
use std::sync::Arc;

use lapin::types::ShortString;
use lapin::{Channel, Consumer};
use notify_core::source::{Credit, IncomingBody, IncomingDelivery, Reception};

use super::deliveries::{Arrival, Deliveries, ReceivedMessage};
use super::incoming::MessageConverter;
use super::stream_cursor::{StreamCursor, StreamMessage};

/// The consumers of a session, and the messages that it has not handed over yet.
#[derive(Debug)]
pub(super) struct MessageIntake {
    deliveries: Arc<Deliveries>,
    consumers: Vec<QueueConsumer>,
    arrivals: VecDeque<Arrival>,
    pending: VecDeque<IncomingDelivery>,
    /// News to hand over before the messages.
    news: VecDeque<Reception>,
    converter: MessageConverter,
    max_bytes: usize,
    /// The number of pending messages that no broker exceeds which respects the prefetch.
    max_pending: usize,
}

/// The consumer of a queue.
#[derive(Debug)]
struct QueueConsumer {
    tag: ShortString,
    queue: ShortString,
    /// lapin cancels a consumer that is dropped.
    _consumer: Consumer,
}

/// The result of taking messages.
#[derive(Debug)]
pub(super) enum IntakeResult {
    /// There are messages or news.
    Some,
    /// The message with this tag needs nothing but an acknowledgement.
    Acknowledge(u64),
    /// The stream is not the one that was read before.
    StreamReplaced,
    /// A consumer ended with an error of the channel or of the connection.
    Failed(lapin::Error),
    /// The broker cancelled the consumer of this queue.
    Cancelled(ShortString),
    /// The broker delivers more messages than the prefetch allows.
    Overrun,
}

impl MessageIntake {
    /// Creates an intake without consumers, for bodies of at most `max_bytes` on the channel that was just opened.
    /// `window` is the sum of the limits of unsettled messages that the broker has for each consumer.
    pub(super) fn new(
        deliveries: Arc<Deliveries>,
        channel: &Channel,
        max_bytes: usize,
        window: usize,
        is_stream: bool,
    ) -> Self {
        let max_pending = max_pending(window, is_stream);
        deliveries.begin_channel(channel, max_pending);
        Self {
            deliveries,
            consumers: Vec::new(),
            arrivals: VecDeque::new(),
            pending: VecDeque::new(),
            news: VecDeque::new(),
            converter: MessageConverter::default(),
            max_bytes,
            max_pending,
        }
    }

    /// Adds the consumer of a queue.
    pub(super) fn add(&mut self, consumer: Consumer, queue: ShortString) {
        self.consumers.push(QueueConsumer { tag: consumer.tag(), queue, _consumer: consumer });
    }

    /// Returns whether the broker has started a consumer.
    pub(super) fn has_consumers(&self) -> bool {
        !self.consumers.is_empty()
    }

    /// Hands over news, or messages as far as there is room.
    pub(super) fn hand_over(&mut self, credit: Credit) -> Option<Reception> {
        if let Some(news) = self.news.pop_front() {
            return Some(news);
        }
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

    /// Waits for messages, and takes all that have come.
    ///
    /// # Cancel safety
    ///
    /// The messages that a dropped call had taken stay in the intake.
    pub(super) async fn take(&mut self, cursor: &mut Option<StreamCursor>) -> IntakeResult {
        if self.arrivals.is_empty() {
            match self.deliveries.next().await {
                Ok(arrivals) => self.arrivals = arrivals,
                Err(error) => return IntakeResult::Failed(error),
            }
        }
        while let Some(arrival) = self.arrivals.pop_front() {
            let (consumer, message) = match arrival {
                Arrival::Message(consumer, message) => (consumer, message),
                Arrival::Cancelled(consumer) => {
                    let queue = queue_of(&self.consumers, &consumer).cloned();
                    return IntakeResult::Cancelled(queue.unwrap_or_default());
                }
            };
            if self.pending.len() >= self.max_pending {
                return IntakeResult::Overrun;
            }
            let Some(cursor) = cursor else {
                self.keep(&consumer, message, None);
                continue;
            };
            match cursor.take(&message) {
                StreamMessage::New(offset) => self.keep(&consumer, message, Some(offset)),
                StreamMessage::Unnumbered => self.keep(&consumer, message, None),
                StreamMessage::AfterGap(offset, gap) => {
                    let reason = format!("the stream dropped {gap} messages before they were read");
                    self.news.push_back(Reception::Detached { reason, since: None });
                    self.news.push_back(Reception::Attached);
                    self.keep(&consumer, message, Some(offset));
                }
                StreamMessage::Known => return IntakeResult::Acknowledge(message.tag),
                StreamMessage::Foreign => return IntakeResult::StreamReplaced,
            }
        }
        IntakeResult::Some
    }

    /// Keeps a message until it is handed over.
    fn keep(&mut self, consumer: &ShortString, message: ReceivedMessage, offset: Option<u64>) {
        let unknown = ShortString::default();
        let queue = queue_of(&self.consumers, consumer).unwrap_or(&unknown);
        let incoming = self.converter.convert(message, queue, offset, self.max_bytes);
        self.pending.push_back(incoming);
    }
}

/// Returns the queue of the consumer with this tag.
fn queue_of<'a>(consumers: &'a [QueueConsumer], tag: &ShortString) -> Option<&'a ShortString> {
    consumers.iter().find(|consumer| consumer.tag == *tag).map(|consumer| &consumer.queue)
}

/// Returns the number of messages that wait at one place at which a broker certainly ignores the prefetch.
///
/// Before version 4, RabbitMQ sends a stream in whole chunks, as long as it has any credit: one chunk may come
/// on top of the window.
fn max_pending(window: usize, is_stream: bool) -> usize {
    let chunk = if is_stream { LARGEST_CHUNK } else { 0 };
    window.saturating_mul(2).saturating_add(PENDING_SLACK).saturating_add(chunk)
}

/// The number of messages beyond twice the window that a broker may send, so that small windows have room too.
const PENDING_SLACK: usize = 16;
/// More messages than a chunk of a stream has: RabbitMQ writes at most 8 192 of AMQP publishers at once.
const LARGEST_CHUNK: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue has at most two windows and a few messages in memory, and a stream one chunk more.
    #[test]
    fn the_pending_messages_of_queues_and_streams_are_bounded() {
        for (window, is_stream, expected) in [
            (1, false, 18),
            (200, false, 416),
            (200, true, 416 + 65_536),
            (usize::MAX, true, usize::MAX),
        ] {
            assert_eq!(
                max_pending(window, is_stream),
                expected,
                "window {window}, stream {is_stream}"
            );
        }
    }
}
