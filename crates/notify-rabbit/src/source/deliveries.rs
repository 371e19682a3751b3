//! The messages that the broker delivers, taken from the connection before lapin sees them.
//!
//! lapin would hand each message to the stream of its consumer, and wake the task that reads it. The
//! messages of all consumers come here in one order, that of their tags, and many of them with one
//! wake-up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use amq_protocol::protocol::basic;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel};
use notify_net::guard::Violation;

use crate::channel_watch::{ChannelFate, ChannelWatch};
use crate::content::{INCOMPLETE, MessageContent};
use crate::wire::MessageFrames;

/// The deliveries on one connection, on its latest channel.
///
/// lapin's thread records them, and one task takes them.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    state: Mutex<DeliveryState>,
    watch: Arc<ChannelWatch>,
}

/// A message or a method of the broker that concerns a consumer.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all arrivals are messages")]
pub(crate) enum Arrival {
    /// A message for the consumer with this tag.
    Message(ShortString, ReceivedMessage),
    /// The broker has cancelled the consumer with this tag.
    Cancelled(ShortString),
}

/// A message as the broker delivered it.
#[derive(Debug)]
pub(crate) struct ReceivedMessage {
    /// The number of the message on its channel.
    pub(crate) tag: u64,
    pub(crate) redelivered: bool,
    pub(crate) routing_key: ShortString,
    pub(crate) properties: BasicProperties,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Default)]
struct DeliveryState {
    channel: u16,
    arrivals: VecDeque<Arrival>,
    /// The number of arrivals that no broker exceeds which respects the prefetch.
    max_arrivals: usize,
    /// The message whose content is arriving.
    incoming: Option<(basic::Deliver, MessageContent)>,
}

impl Deliveries {
    /// Begins with the first delivery of a channel. At most `max_arrivals` wait to be taken.
    pub(crate) fn begin_channel(&self, channel: &Channel, max_arrivals: usize) {
        self.begin(channel.id(), max_arrivals);
        self.watch.begin(channel.id(), Some(channel.status().clone()));
    }

    /// Forgets everything of earlier channels.
    fn begin(&self, channel: u16, max_arrivals: usize) {
        *self.lock() = DeliveryState { channel, max_arrivals, ..DeliveryState::default() };
    }

    /// Waits for arrivals, and takes all of them.
    ///
    /// # Errors
    ///
    /// lapin's error if the channel or the connection has ended, once all arrivals are taken.
    ///
    /// # Cancel safety
    ///
    /// A dropped call has taken nothing.
    pub(crate) async fn next(&self) -> lapin::Result<VecDeque<Arrival>> {
        loop {
            let arrivals = std::mem::take(&mut self.lock().arrivals);
            if !arrivals.is_empty() {
                return Ok(arrivals);
            }
            match self.watch.fate() {
                ChannelFate::Open => self.watch.changed().await,
                // Nothing can arrive any more.
                ChannelFate::Ending(_) | ChannelFate::Failed(_) => {
                    return Err(self.watch.failure().await);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, DeliveryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeliveryState {
    /// Records a method about a consumer. Returns whether lapin must not see it.
    fn take_method(&mut self, method: basic::AMQPMethod) -> Result<bool, Violation> {
        if self.incoming.is_some() {
            return Err(INCOMPLETE);
        }
        match method {
            basic::AMQPMethod::Deliver(deliver) => {
                self.incoming = Some((deliver, MessageContent::new(true)));
                Ok(true)
            }
            basic::AMQPMethod::Cancel(cancel) => {
                self.push(Arrival::Cancelled(cancel.consumer_tag))?;
                // lapin forgets the consumer.
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// Records a part of a message's content: its header, or a part of its body. Returns whether it is complete.
    fn take_content(&mut self, frame: &[u8]) -> Result<bool, Violation> {
        let Some((_, content)) = &mut self.incoming else { return Err(INCOMPLETE) };
        let is_complete = content.push(frame)?;
        if is_complete && let Some((deliver, content)) = self.incoming.take() {
            let message = ReceivedMessage {
                tag: deliver.delivery_tag,
                redelivered: deliver.redelivered,
                routing_key: deliver.routing_key,
                properties: content.properties,
                body: content.body,
            };
            self.push(Arrival::Message(deliver.consumer_tag, message))?;
        }
        Ok(is_complete)
    }

    /// Keeps an arrival until it is taken.
    fn push(&mut self, arrival: Arrival) -> Result<(), Violation> {
        if self.arrivals.len() >= self.max_arrivals {
            return Err(Violation::Frame("delivers more messages than the prefetch allows"));
        }
        self.arrivals.push_back(arrival);
        Ok(())
    }
}

impl MessageFrames for Deliveries {
    fn take_method(&self, channel: u16, method: basic::AMQPMethod) -> Result<bool, Violation> {
        let mut state = self.lock();
        if channel != state.channel {
            // A message of an earlier channel was not acknowledged, so it comes again.
            return Ok(matches!(method, basic::AMQPMethod::Deliver(_)));
        }
        let is_cancel = matches!(method, basic::AMQPMethod::Cancel(_));
        let is_taken = state.take_method(method)?;
        if is_cancel {
            drop(state);
            self.watch.wake();
        }
        Ok(is_taken)
    }

    fn take_content(&self, channel: u16, frame: &[u8]) -> Result<(), Violation> {
        let mut state = self.lock();
        if channel == state.channel && state.take_content(frame)? {
            drop(state);
            self.watch.wake();
        }
        Ok(())
    }

    fn watch(&self) -> &Arc<ChannelWatch> {
        &self.watch
    }
}

#[cfg(test)]
mod tests {
    use amq_protocol::frame::{AMQPContentHeader, AMQPFrame};
    use amq_protocol::protocol::AMQPClass;

    use super::*;
    use crate::frames::encode;

    /// Encodes a method of the class `basic`.
    fn method(channel: u16, method: basic::AMQPMethod) -> Vec<u8> {
        encode(&AMQPFrame::Method(channel, AMQPClass::Basic(method)))
    }

    /// Encodes a message with a body of `parts` frames.
    fn message(channel: u16, delivery_tag: u64, consumer: &str, parts: u8) -> Vec<Vec<u8>> {
        let deliver = basic::AMQPMethod::Deliver(basic::Deliver {
            consumer_tag: consumer.into(),
            delivery_tag,
            redelivered: false,
            exchange: "glance".into(),
            routing_key: "notifications.info".into(),
        });
        let header = AMQPContentHeader {
            class_id: 60,
            body_size: u64::from(parts) * 10,
            properties: BasicProperties::default(),
        };
        let mut frames =
            vec![method(channel, deliver), encode(&AMQPFrame::Header(channel, header))];
        frames.extend((0..parts).map(|part| encode(&AMQPFrame::Body(channel, vec![part; 10]))));
        frames
    }

    /// Creates deliveries of which at most `max_arrivals` wait.
    fn deliveries(max_arrivals: usize) -> Deliveries {
        let deliveries = Deliveries::default();
        deliveries.begin(CHANNEL, max_arrivals);
        deliveries
    }

    /// Takes frames. None of them may reach lapin.
    fn take(deliveries: &Deliveries, frames: &[Vec<u8>]) {
        for frame in frames {
            assert_eq!(deliveries.take(frame), Ok(true), "{frame:?}");
        }
    }

    /// Messages and cancelled consumers come in the order of the stream, each with its whole body. lapin also
    /// learns that a consumer was cancelled.
    #[tokio::test]
    async fn arrivals_come_in_the_order_of_the_stream() {
        let deliveries = deliveries(9);
        for (tag, consumer, parts) in [(1, "a", 0), (2, "b", 3), (3, "a", 1)] {
            take(&deliveries, &message(CHANNEL, tag, consumer, parts));
        }
        let cancel = basic::Cancel { consumer_tag: "b".into(), nowait: true };
        let cancel = method(CHANNEL, basic::AMQPMethod::Cancel(cancel));
        assert_eq!(deliveries.take(&cancel), Ok(false));
        let arrivals = deliveries.next().await.unwrap().into_iter().map(|arrival| match arrival {
            Arrival::Message(consumer, message) => (consumer, message.tag, message.body.len()),
            Arrival::Cancelled(consumer) => (consumer, 0, 0),
        });
        let expected = [("a", 1, 0), ("b", 2, 30), ("a", 3, 10), ("b", 0, 0)];
        assert!(arrivals.eq(expected.map(|(consumer, tag, length)| (
            consumer.into(),
            tag,
            length
        ))));
    }

    /// A message inside another one would vanish.
    #[test]
    fn an_incomplete_message_is_a_violation() {
        let parts = message(CHANNEL, 1, "a", 2);
        for count in 1..parts.len() {
            let deliveries = deliveries(9);
            take(&deliveries, &parts[..count]);
            assert_eq!(deliveries.take(&parts[0]), Err(INCOMPLETE), "after {count} frames");
        }
        for content in &parts[1..] {
            assert_eq!(deliveries(9).take(content), Err(INCOMPLETE));
        }
    }

    /// The frames of an earlier channel leave nothing, wherever the channel was replaced.
    #[test]
    fn an_earlier_channel_leaves_nothing() {
        let parts = message(CHANNEL, 1, "a", 2);
        for count in 0..=parts.len() {
            let deliveries = deliveries(9);
            take(&deliveries, &parts[..count]);
            deliveries.begin(CHANNEL + 1, 9);
            take(&deliveries, &parts[count..]);
            assert!(deliveries.lock().arrivals.is_empty());
            take(&deliveries, &message(CHANNEL + 1, 1, "b", 1));
            assert_eq!(deliveries.lock().arrivals.len(), 1);
        }
    }

    /// A broker that ignores the prefetch fills no memory, neither with messages nor with cancelled consumers.
    #[test]
    fn arrivals_are_bounded() {
        let deliveries = deliveries(2);
        take(&deliveries, &message(CHANNEL, 1, "a", 0));
        take(&deliveries, &message(CHANNEL, 2, "a", 0));
        let third = message(CHANNEL, 3, "a", 0);
        take(&deliveries, &third[..1]);
        let expected = Violation::Frame("delivers more messages than the prefetch allows");
        assert_eq!(deliveries.take(&third[1]), Err(expected));
        let cancel = basic::Cancel { consumer_tag: "b".into(), nowait: true };
        let cancel = method(CHANNEL, basic::AMQPMethod::Cancel(cancel));
        assert_eq!(deliveries.take(&cancel), Err(expected));
    }

    const CHANNEL: u16 = 3;
}
