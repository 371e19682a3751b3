//! The frames of a publish: the method, the content header with the properties, and the body in parts.

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame};
use amq_protocol::protocol::constants::{FRAME_BODY, FRAME_END, FRAME_MIN_SIZE};
use amq_protocol::protocol::{AMQPClass, basic};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use notify_core::Message;
use notify_core::codec::{Envelope, HeaderValue};
use notify_net::guard::amqp091::FRAME_MAX;
use uuid::Uuid;

use crate::frames::{self, FRAME_OVERHEAD};

/// A buffer of whole frames on one channel.
#[derive(Debug)]
pub(crate) struct PublishFrames {
    channel: u16,
    /// The largest part of a body in one frame, in bytes.
    max_payload: usize,
    bytes: Vec<u8>,
}

impl PublishFrames {
    /// Creates an empty buffer. `frame_max` is the connection's limit of a frame in bytes; 0 is none.
    pub(crate) fn new(channel: u16, frame_max: u32) -> Self {
        let frame_max = if frame_max == 0 { FRAME_MAX } else { frame_max.max(FRAME_MIN_SIZE) };
        let max_payload = frame_max as usize - FRAME_OVERHEAD;
        Self { channel, max_payload, bytes: Vec::new() }
    }

    /// Returns the frames.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Removes all frames, and gives the memory of a large message back.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
    }

    /// Appends the frames of a message. The broker returns it if no queue is bound to `routing_key`.
    ///
    /// # Errors
    ///
    /// lapin's error of a text that a frame cannot hold.
    pub(crate) fn push(
        &mut self,
        exchange: ShortString,
        routing_key: ShortString,
        message: &Message,
        envelope: Envelope,
    ) -> lapin::Result<()> {
        let publish = basic::Publish { exchange, routing_key, mandatory: true, immediate: false };
        let publish = AMQPClass::Basic(basic::AMQPMethod::Publish(publish));
        frames::append(&mut self.bytes, &AMQPFrame::Method(self.channel, publish))?;
        let body = envelope.wrap(message);
        let header = AMQPContentHeader {
            class_id: BASIC,
            body_size: body.len() as u64,
            properties: properties(message, envelope),
        };
        frames::append(&mut self.bytes, &AMQPFrame::Header(self.channel, header))?;
        self.bytes.reserve(body.len() + FRAME_OVERHEAD * body.len().div_ceil(self.max_payload));
        for part in body.chunks(self.max_payload) {
            self.bytes.push(FRAME_BODY);
            self.bytes.extend_from_slice(&self.channel.to_be_bytes());
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            self.bytes.extend_from_slice(&length.to_be_bytes());
            self.bytes.extend_from_slice(part);
            self.bytes.push(FRAME_END);
        }
        Ok(())
    }
}

/// Returns the properties of a message (AMQP 0-9-1, class `basic`).
fn properties(message: &Message, envelope: Envelope) -> BasicProperties {
    let mut id = Uuid::encode_buffer();
    // Both texts are shorter than 255 bytes. lapin panics on a longer short string.
    let id = ShortString::from(&*message.id().hyphenated().encode_lower(&mut id));
    let event_type = ShortString::from(message.event_type().as_str());
    let timestamp = u64::try_from(message.timestamp().unix_timestamp()).unwrap_or(0);
    BasicProperties::default()
        .with_content_type(envelope.content_type().into())
        .with_content_encoding("utf-8".into())
        .with_headers(headers(message, envelope))
        .with_delivery_mode(PERSISTENT)
        .with_message_id(id)
        .with_timestamp(timestamp)
        .with_type(event_type)
        .with_app_id(APP_ID.into())
}

/// Returns the headers of a message: its context and its sequence, and in binary mode the attributes of its
/// CloudEvent. `docs/brokers.md` lists them.
fn headers(message: &Message, envelope: Envelope) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in envelope.attributes(message) {
        let value = AMQPValue::LongString(value.as_bytes().into());
        table.insert(format!("{CLOUD_EVENTS_PREFIX}{name}").into(), value);
    }
    for (name, value) in message.headers() {
        let value = match value {
            HeaderValue::Text(text) => AMQPValue::LongString(text.as_bytes().into()),
            HeaderValue::Number(number) => AMQPValue::LongLongInt(number),
        };
        table.insert(name.into(), value);
    }
    table
}

/// The memory that an empty buffer keeps, in bytes.
const KEPT_BYTES: usize = 256 * 1024;
/// The class `basic` of AMQP 0-9-1.
const BASIC: u16 = 60;
/// The delivery mode of messages that a durable queue writes to disk.
const PERSISTENT: u8 = 2;
/// The `app_id` of every message.
const APP_ID: &str = "glance-notify";
/// The prefix of the attributes of CloudEvents, by the binding for RabbitMQ that the specification lists:
/// `cloudevents-protocol-spec/spec.md` of Knative's eventing-rabbitmq.
const CLOUD_EVENTS_PREFIX: &str = "ce-";

#[cfg(test)]
mod tests {
    use amq_protocol::frame::parse_frame;
    use notify_conformance::samples;

    use super::*;

    /// Parses all frames of a buffer.
    fn parse(frames: &PublishFrames) -> Vec<AMQPFrame> {
        let (mut rest, mut parsed) = (frames.bytes(), Vec::new());
        while !rest.is_empty() {
            let (next, frame) = parse_frame(rest).unwrap();
            parsed.push(frame);
            rest = next;
        }
        parsed
    }

    /// Each message is a method, a header and the parts of its body, none larger than the limit.
    #[test]
    fn a_message_is_cut_into_frames() {
        for (frame_max, expected) in [(0, FRAME_MAX), (FRAME_MAX, FRAME_MAX), (1, FRAME_MIN_SIZE)] {
            let mut notification = samples::notification(1);
            let text = "x".repeat(300_000);
            notification.payload = notify_core::event::NotificationPayload::from(
                notify_core::Event::ImageUpload(notify_core::event::Payload::Warn(text)),
            );
            let messages =
                [samples::encode(&samples::notification(0)), samples::encode(&notification)];
            let mut frames = PublishFrames::new(7, frame_max);
            for message in &messages {
                frames.push("glance".into(), "key".into(), message, Envelope::Bare).unwrap();
            }
            let mut parsed = parse(&frames).into_iter().peekable();
            for message in &messages {
                let Some(AMQPFrame::Method(
                    7,
                    AMQPClass::Basic(basic::AMQPMethod::Publish(publish)),
                )) = parsed.next()
                else {
                    panic!("no method");
                };
                assert_eq!(
                    (publish.exchange.as_str(), publish.routing_key.as_str()),
                    ("glance", "key")
                );
                assert!(publish.mandatory && !publish.immediate);
                let Some(AMQPFrame::Header(7, header)) = parsed.next() else { panic!("no header") };
                assert_eq!((header.class_id, header.body_size), (60, message.body().len() as u64));
                let id = header.properties.message_id().as_ref().unwrap();
                assert_eq!(id.as_str(), message.id().to_string());
                let mut body = Vec::new();
                while let Some(AMQPFrame::Body(7, part)) =
                    parsed.next_if(|frame| matches!(frame, AMQPFrame::Body(..)))
                {
                    assert!(part.len() + FRAME_OVERHEAD <= expected as usize);
                    body.extend(part);
                }
                assert!(body == message.body());
            }
            assert!(parsed.next().is_none());
            frames.clear();
            assert!(frames.bytes().is_empty());
        }
    }
}
