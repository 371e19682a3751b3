//! The messages that the broker delivers, taken from the connection before lapin sees them.
//!
//! lapin would hand each message to the stream of its consumer, and wake the task that reads it. The
//! messages of all consumers come here in one order, that of their tags, and many of them with one
//! wake-up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::protocol::constants::{FRAME_BODY, FRAME_HEADER, FRAME_METHOD};
use amq_protocol::protocol::{AMQPClass, basic};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel};
use notify_net::guard::Violation;

use crate::channel_watch::{ChannelFate, ChannelWatch};
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
    arrivals: VecDeque<Arrival>,
    /// The number of arrivals that no broker exceeds which respects the prefetch.
    max_arrivals: usize,
    /// The message whose content is arriving: its consumer, and its bytes that are still missing.
    incoming: Option<(ShortString, ReceivedMessage, u64)>,
}

impl Deliveries {
    /// Begins with the first delivery of a channel, which has at most `max_arrivals` messages that nobody has taken.
    pub(crate) fn begin_channel(&self, channel: &Channel, max_arrivals: usize) {
        *self.lock() = DeliveryState { max_arrivals, ..DeliveryState::default() };
        self.watch.begin(channel.id(), Some(channel.status().clone()));
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

    /// Records a part of a message's content: its header, or a part of its body.
    fn record_content(&self, frame: &[u8]) {
        let mut state = self.lock();
        let Some((consumer, mut message, mut rest)) = state.incoming.take() else { return };
        if frame.first() == Some(&FRAME_BODY) {
            let part = frame.get(HEADER_BYTES..frame.len() - 1).unwrap_or_default();
            message.body.extend_from_slice(part);
            rest = rest.saturating_sub(part.len() as u64);
        } else if let Ok((_, AMQPFrame::Header(_, header))) = parse_frame(frame) {
            rest = header.body_size;
            // The guard limits the size.
            message.body.reserve_exact(usize::try_from(rest).unwrap_or(0));
            message.properties = header.properties;
        }
        if rest > 0 {
            state.incoming = Some((consumer, message, rest));
        } else {
            state.arrivals.push_back(Arrival::Message(consumer, message));
            drop(state);
            self.watch.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, DeliveryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MessageFrames for Deliveries {
    fn take(&self, frame: &[u8]) -> Result<bool, Violation> {
        let [kind, high, low, ..] = *frame else { return Ok(false) };
        let channel = u16::from_be_bytes([high, low]);
        match kind {
            FRAME_METHOD => {}
            FRAME_HEADER | FRAME_BODY => {
                // The content of a message that was delivered on an earlier channel is nobody's.
                if self.watch.is_current(channel) {
                    self.record_content(frame);
                }
                return Ok(true);
            }
            _ => return Ok(false),
        }
        // lapin reports a malformed frame.
        let Ok((_, AMQPFrame::Method(_, method))) = parse_frame(frame) else { return Ok(false) };
        match method {
            AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver)) => {
                if self.watch.is_current(channel) {
                    let message = ReceivedMessage {
                        tag: deliver.delivery_tag,
                        redelivered: deliver.redelivered,
                        routing_key: deliver.routing_key,
                        properties: BasicProperties::default(),
                        body: Vec::new(),
                    };
                    let mut state = self.lock();
                    if state.arrivals.len() >= state.max_arrivals {
                        return Err(Violation::Frame(
                            "delivers more messages than the prefetch allows",
                        ));
                    }
                    state.incoming = Some((deliver.consumer_tag, message, 0));
                }
                Ok(true)
            }
            AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)) => {
                if self.watch.is_current(channel) {
                    self.lock().arrivals.push_back(Arrival::Cancelled(cancel.consumer_tag));
                    self.watch.wake();
                }
                // lapin forgets the consumer.
                Ok(false)
            }
            method => {
                self.watch.record(channel, method);
                Ok(false)
            }
        }
    }

    fn watch(&self) -> &Arc<ChannelWatch> {
        &self.watch
    }
}

/// The length of a frame's header, in bytes.
const HEADER_BYTES: usize = 7;
