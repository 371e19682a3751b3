//! The messages of a session between lapin and the listener: taken in order, converted, and handed over
//! as far as there is room.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream as _;
use lapin::Consumer;
use lapin::message::Delivery;
use lapin::types::ShortString;
use notify_core::source::{Credit, IncomingBody, IncomingDelivery, Reception};

use super::incoming::MessageConverter;
use super::stream_cursor::{StreamCursor, StreamMessage};

/// The consumers of a session, and the messages that it has not handed over yet.
#[derive(Debug)]
pub(super) struct MessageIntake {
    consumers: Vec<(Consumer, ShortString)>,
    pending: VecDeque<IncomingDelivery>,
    /// News to hand over before the messages.
    news: VecDeque<Reception>,
    converter: MessageConverter,
    max_bytes: usize,
    /// The number of pending messages that no broker exceeds which respects the prefetch.
    max_pending: usize,
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
    /// Creates an intake without consumers, for bodies of at most `max_bytes`. `window` is the sum of the limits of
    /// unsettled messages that the broker has for each consumer.
    pub(super) fn new(max_bytes: usize, window: usize, is_stream: bool) -> Self {
        Self {
            consumers: Vec::new(),
            pending: VecDeque::new(),
            news: VecDeque::new(),
            converter: MessageConverter::default(),
            max_bytes,
            max_pending: max_pending(window, is_stream),
        }
    }

    /// Adds the consumer of a queue.
    pub(super) fn add(&mut self, consumer: Consumer, queue: ShortString) {
        self.consumers.push((consumer, queue));
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

    /// Takes every message that the consumers have, in the order of their tags.
    ///
    /// Ready when there are messages, or a consumer has ended.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        cursor: &mut Option<StreamCursor>,
    ) -> Poll<IntakeResult> {
        let before = self.pending.len();
        loop {
            let round = self.pending.len();
            for index in 0..self.consumers.len() {
                let result = self.poll_consumer(index, cx, cursor);
                if let Some(result) = result {
                    return Poll::Ready(result);
                }
            }
            // With several consumers, one may have got a message with a smaller tag meanwhile.
            if self.pending.len() == round || self.consumers.len() == 1 {
                break;
            }
        }
        if self.pending.len() == before {
            return Poll::Pending;
        }
        if self.consumers.len() > 1 {
            let new = &mut self.pending.make_contiguous()[before..];
            new.sort_unstable_by_key(|delivery| delivery.tag);
        }
        Poll::Ready(IntakeResult::Some)
    }

    /// Takes every message that one consumer has. Returns a result that cannot wait.
    fn poll_consumer(
        &mut self,
        index: usize,
        cx: &mut Context<'_>,
        cursor: &mut Option<StreamCursor>,
    ) -> Option<IntakeResult> {
        loop {
            let (consumer, queue) = self.consumers.get_mut(index)?;
            match Pin::new(consumer).poll_next(cx) {
                Poll::Pending => return None,
                Poll::Ready(Some(Ok(_))) if self.pending.len() >= self.max_pending => {
                    return Some(IntakeResult::Overrun);
                }
                Poll::Ready(Some(Ok(delivery))) => {
                    let queue = queue.clone();
                    let Some(cursor) = cursor else {
                        self.take(delivery, &queue, None);
                        continue;
                    };
                    match cursor.take(&delivery) {
                        StreamMessage::New(offset) => self.take(delivery, &queue, Some(offset)),
                        StreamMessage::Unnumbered => self.take(delivery, &queue, None),
                        StreamMessage::AfterGap(offset, gap) => {
                            let reason =
                                format!("the stream dropped {gap} messages before they were read");
                            self.news.push_back(Reception::Detached { reason, since: None });
                            self.news.push_back(Reception::Attached);
                            self.take(delivery, &queue, Some(offset));
                        }
                        StreamMessage::Known => {
                            return Some(IntakeResult::Acknowledge(delivery.delivery_tag));
                        }
                        StreamMessage::Foreign => return Some(IntakeResult::StreamReplaced),
                    }
                }
                Poll::Ready(Some(Err(error))) => return Some(IntakeResult::Failed(error)),
                Poll::Ready(None) => return Some(IntakeResult::Cancelled(queue.clone())),
            }
        }
    }

    /// Keeps a message until it is handed over.
    fn take(&mut self, delivery: Delivery, queue: &ShortString, offset: Option<u64>) {
        let incoming = self.converter.convert(delivery, queue, offset, self.max_bytes);
        self.pending.push_back(incoming);
    }
}

/// Returns the number of pending messages at which a broker certainly ignores the prefetch.
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
            let intake = MessageIntake::new(1024, window, is_stream);
            assert_eq!(intake.max_pending, expected, "window {window}, stream {is_stream}");
        }
    }
}
