//! One message of RabbitMQ as the listener takes it: its body unpacked, its size limited, its place
//! named, its context and its sequence read. A CloudEvent in binary mode gets its attributes into its body.

use std::io::Read;
use std::sync::Arc;

use flate2::read::ZlibDecoder;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use notify_core::codec::HeaderValue;
use notify_core::redact::printable;
use notify_core::source::{IncomingBody, IncomingDelivery, Position};
use notify_net::guard::content_header::{DROPPED_HEADER, dropped_size};

use super::deliveries::ReceivedMessage;

/// A converter of the messages of one session. It keeps the names of places, which repeat.
#[derive(Debug, Default)]
pub(super) struct MessageConverter {
    places: Vec<(ShortString, ShortString, Arc<str>)>,
}

impl MessageConverter {
    /// Converts a message. `queue` is that of the consumer, `offset` that of a stream, and an unpacked
    /// body has at most `max_bytes`.
    pub(super) fn convert(
        &mut self,
        mut message: ReceivedMessage,
        queue: &ShortString,
        offset: Option<u64>,
        max_bytes: usize,
    ) -> IncomingDelivery {
        let (tag, redelivered) = (message.tag, message.redelivered);
        let position = Position::new(self.place(&message, queue), offset.unwrap_or(tag));
        let mut incoming =
            IncomingDelivery::new(tag, IncomingBody::Bytes(Vec::new().into()), position);
        incoming.redelivered = redelivered;
        incoming.body = body(&mut message, max_bytes);
        let headers = message.properties.headers().as_ref().map(FieldTable::inner);
        if let Some(headers) = headers.filter(|headers| !headers.is_empty()) {
            incoming.read_headers(|name| header_value(headers.get(name)?));
            let content_type = message.properties.content_type().as_ref().map(ShortString::as_str);
            let values = headers.iter();
            let values =
                values.filter_map(|(name, value)| Some((name.as_str(), header_value(value)?)));
            incoming.read_cloud_event(content_type, values);
        }
        incoming
    }

    /// Returns the queue of a message, with the key if that is not the same: `audit/notifications.info`.
    fn place(&mut self, message: &ReceivedMessage, queue: &ShortString) -> Arc<str> {
        let key = &message.routing_key;
        if let Some((.., place)) = self.places.iter().find(|(q, k, _)| q == queue && k == key) {
            return Arc::clone(place);
        }
        let place: Arc<str> = if queue.as_str() == key.as_str() {
            queue.as_str().into()
        } else {
            format!("{}/{}", queue.as_str(), key.as_str()).into()
        };
        // The keys are a publisher's input.
        if self.places.len() < MAX_PLACES {
            self.places.push((queue.clone(), key.clone(), Arc::clone(&place)));
        }
        place
    }
}

/// Returns the body as it was before oslo.messaging compressed it, or the reason why it is none.
fn body(message: &mut ReceivedMessage, max_bytes: usize) -> IncomingBody {
    let data = std::mem::take(&mut message.body);
    let headers = message.properties.headers().as_ref();
    let header = |name: &str| match headers?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        _ => None,
    };
    if let Some(size) = header(DROPPED_HEADER).and_then(|reason| dropped_size(&reason)) {
        return IncomingBody::TooLarge(size);
    }
    match header("compression").as_deref() {
        None | Some("") => IncomingBody::Bytes(data.into()),
        // kombu's name for a zlib stream.
        Some("application/x-gzip") => inflate(&data, max_bytes),
        Some(other) => {
            let reason = format!("unknown compression `{}`", printable(other, 64));
            IncomingBody::Unusable(data.into(), reason)
        }
    }
}

/// Returns the text or the whole number in a header. A timestamp counts as its milliseconds since 1970, as
/// AMQP 1.0 defines it.
fn header_value(value: &AMQPValue) -> Option<HeaderValue<'_>> {
    Some(match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok()?.into(),
        AMQPValue::ShortString(text) => text.as_str().into(),
        // A broker that converts a message between protocols may choose a shorter type.
        AMQPValue::ShortShortInt(number) => HeaderValue::Number((*number).into()),
        AMQPValue::ShortShortUInt(number) => HeaderValue::Number((*number).into()),
        AMQPValue::ShortInt(number) => HeaderValue::Number((*number).into()),
        AMQPValue::ShortUInt(number) => HeaderValue::Number((*number).into()),
        AMQPValue::LongInt(number) => HeaderValue::Number((*number).into()),
        AMQPValue::LongUInt(number) => HeaderValue::Number((*number).into()),
        AMQPValue::LongLongInt(number) => HeaderValue::Number(*number),
        AMQPValue::Timestamp(seconds) => {
            HeaderValue::Number(i64::try_from(*seconds).ok()?.checked_mul(1000)?)
        }
        _ => return None,
    })
}

/// Unpacks a zlib stream of at most `max_bytes`.
fn inflate(packed: &[u8], max_bytes: usize) -> IncomingBody {
    let mut unpacked = Vec::new();
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    match ZlibDecoder::new(packed).take(limit).read_to_end(&mut unpacked) {
        Ok(size) if size > max_bytes => IncomingBody::TooLarge(limit),
        Ok(_) => IncomingBody::Bytes(unpacked.into()),
        Err(_) => {
            let reason = "the body is no zlib stream, as its header `compression` says";
            IncomingBody::Unusable(packed.to_vec().into(), reason.into())
        }
    }
}

/// The most places whose names are kept.
const MAX_PLACES: usize = 64;
