//! The encoder: it writes a notification once, as one line of JSON.
//!
//! The line holds no unescaped control character, so it is harmless to a terminal and to a reader that
//! splits on line ends. Transports carry its bytes and never encode again.

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

/// The settings of encoding: payload style, redaction and limits.
///
/// # Examples
///
/// ```
/// use notify_core::codec::{Encoding, PayloadStyle, SizeLimits};
/// use notify_core::redact::Redact;
///
/// let encoding = Encoding {
///     payloads: PayloadStyle::Glance,
///     redact: Redact::Strict,
///     limits: SizeLimits { bytes: 64 * 1024, ..SizeLimits::default() },
/// };
/// # drop(encoding);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// The style of typed payloads. Default: as documented.
    pub payloads: PayloadStyle,
    /// The redaction policy. Default: [`Redact::Secrets`].
    pub redact: Redact,
    /// The limits of size, depth and number of keys.
    pub limits: SizeLimits,
}

/// The five attributes of a notification around its payload.
///
/// Transports route by event type and priority.
pub(crate) struct Envelope<'a> {
    pub(crate) id: Uuid,
    pub(crate) publisher_id: &'a Arc<str>,
    pub(crate) event_type: &'a EventType,
    pub(crate) priority: Priority,
    pub(crate) timestamp: OffsetDateTime,
}

/// Encodes one notification.
///
/// # Errors
///
/// Returns an error of the kind `TooLarge` if the payload or the JSON exceeds a limit, and of the kind
/// `Invalid` if a time lies before the year 0.
pub(crate) fn encode(
    envelope: &Envelope<'_>,
    payload: &PayloadView<'_>,
    encoding: &Encoding,
) -> Result<Message> {
    encoding.limits.check_payload(payload)?;
    let mut w = JsonWriter {
        // A thread that is ending has freed its scratch buffer already.
        bytes: SCRATCH.try_with(RefCell::take).unwrap_or_default(),
        redact: encoding.redact,
        payloads: encoding.payloads,
        bad_time: false,
    };
    write(&mut w, envelope, payload);
    let size = encoding.limits.check_size(w.bytes.len());
    let body = body_pool::store(&w.bytes);
    // Free the buffer of a huge notification, so that the thread does not hold on to it.
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
        event_type: envelope.event_type.clone(),
        priority: envelope.priority,
        publisher_id: Arc::clone(envelope.publisher_id),
        timestamp: envelope.timestamp,
        body,
    })
}

/// Writes the six attributes in the order of the specification.
fn write(w: &mut JsonWriter, envelope: &Envelope<'_>, payload: &PayloadView<'_>) {
    w.raw("{\"message_id\":");
    envelope.id.write(w);
    w.raw(",\"publisher_id\":");
    envelope.publisher_id.as_ref().write(w);
    w.raw(",\"event_type\":");
    w.string(envelope.event_type.as_str());
    w.raw(",\"priority\":\"");
    w.raw(envelope.priority.as_str());
    // `2026-11-22 12:00:00.123456`: UTC, six digits, no zone. oslo.messaging sends this form
    // (`str(datetime.utcnow())`), and every consumer parses it. Ceilometer loops on a timestamp that it
    // cannot parse.
    w.raw("\",\"timestamp\":\"");
    w.time(envelope.timestamp, b' ');
    w.microseconds(envelope.timestamp);
    w.raw("\",\"payload\":");
    payload.write(w);
    w.raw("}");
}

thread_local! {
    /// The buffer in which a thread encodes.
    ///
    /// The body is a copy of the exact size: a queue holds many bodies, and a `Vec` that has grown
    /// takes up to twice the memory of its contents.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The largest buffer that a thread keeps between notifications, in bytes.
const SCRATCH_BYTES: usize = 16 * 1024;
