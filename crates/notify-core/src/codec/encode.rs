//! Writing a notification: once, at `emit`, as one line of JSON that no terminal and no line-based
//! reader can be fooled by.

use std::cell::RefCell;
use std::sync::Arc;

use time::OffsetDateTime;
use uuid::Uuid;

use super::body_pool;
use super::json_writer::{JsonWriter, WriteJson};
use super::limits::SizeLimits;
use super::message::Message;
use super::payload_style::PayloadStyle;
use crate::error::{Error, ErrorKind, Result};
use crate::event::event_type::EventType;
use crate::event::payload::PayloadView;
use crate::event::priority::Priority;
use crate::redact::policy::Redact;

/// How notifications are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// In whose shape typed payloads are written.
    pub payloads: PayloadStyle,
    /// What is masked.
    pub redact: Redact,
    /// What is too large.
    pub limits: SizeLimits,
}

/// The attributes of a notification around its [`Body`](crate::Body), and the two of it that
/// transports route by.
pub(crate) struct Envelope<'a> {
    pub(crate) id: Uuid,
    pub(crate) publisher_id: &'a Arc<str>,
    pub(crate) event_type: EventType,
    pub(crate) priority: Priority,
    pub(crate) timestamp: OffsetDateTime,
}

/// Encodes one notification.
pub(crate) fn encode(
    envelope: &Envelope<'_>,
    payload: &PayloadView<'_>,
    encoding: &Encoding,
) -> Result<Message> {
    encoding.limits.check_payload(payload)?;
    let mut w = JsonWriter {
        // A thread that is ending has lost its scratch memory already.
        bytes: SCRATCH.try_with(RefCell::take).unwrap_or_default(),
        redact: encoding.redact,
        payloads: encoding.payloads,
        bad_time: false,
    };
    write(&mut w, envelope, payload);
    let size = encoding.limits.check_size(w.bytes.len());
    let body = body_pool::store(&w.bytes);
    // One huge notification must not occupy its thread's memory for ever.
    if w.bytes.capacity() <= SCRATCH_BYTES {
        w.bytes.clear();
        drop(SCRATCH.try_with(|scratch| scratch.replace(w.bytes)));
    }
    size?;
    if w.bad_time {
        return Err(Error::new(
            ErrorKind::Invalid,
            "a time lies before the year 0 and cannot be encoded",
        ));
    }
    Ok(Message {
        id: envelope.id,
        event_type: envelope.event_type,
        priority: envelope.priority,
        publisher_id: Arc::clone(envelope.publisher_id),
        timestamp: envelope.timestamp,
        body,
    })
}

fn write(w: &mut JsonWriter, envelope: &Envelope<'_>, payload: &PayloadView<'_>) {
    w.raw("{\"message_id\":");
    envelope.id.write(w);
    w.raw(",\"publisher_id\":");
    envelope.publisher_id.as_ref().write(w);
    w.raw(",\"event_type\":\"");
    w.raw(envelope.event_type.as_str());
    w.raw("\",\"priority\":\"");
    w.raw(envelope.priority.as_str());
    // `2026-11-22 12:00:00.123456`: six digits, UTC, no zone. It is what oslo.messaging sends
    // (`str(datetime.utcnow())`), and what every consumer parses; a timestamp that Ceilometer cannot
    // parse makes it loop.
    w.raw("\",\"timestamp\":\"");
    w.time(envelope.timestamp, b' ');
    w.microseconds(envelope.timestamp);
    w.raw("\",\"payload\":");
    payload.write(w);
    w.raw("}");
}

thread_local! {
    /// Where notifications are encoded before they are copied out at their exact size: queues hold
    /// many, and a grown `Vec` is up to twice as large as what is in it.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

const SCRATCH_BYTES: usize = 16 * 1024;
