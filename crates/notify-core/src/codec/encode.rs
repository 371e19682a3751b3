//! The encoder: it writes a notification once, as one line of JSON.
//!
//! The line holds no unescaped control character, so it is harmless to a terminal and to a reader that
//! splits on line ends. Transports carry its bytes and never encode again.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::body_pool;
use super::context::Context;
use super::json_writer::JsonWriter;
use super::limits::SizeLimits;
use super::message::Message;
use super::notification_wire::NotificationWire;
use super::payload_style::PayloadStyle;
use super::sequence::SequenceState;
use crate::error::Result;
use crate::event::payload::PayloadView;
use crate::redact::payload_place::PayloadPlace;
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

/// Encodes one notification.
///
/// # Errors
///
/// Returns an error of the kind `TooLarge` if the notification exceeds a limit, and of the kind `Invalid`
/// if a time lies before the year 1.
pub(crate) fn encode(
    message_id: Uuid,
    publisher_id: &Arc<str>,
    timestamp: OffsetDateTime,
    payload: PayloadView<'_>,
    encoding: &Encoding,
) -> Result<Message> {
    let (event_type, priority) = (payload.event_type(), payload.priority());
    let wire = NotificationWire {
        message_id,
        publisher_id: Cow::Borrowed(&**publisher_id),
        event_type: Cow::Borrowed(event_type),
        priority,
        timestamp,
        payload,
    };
    // A thread that is ending has freed its scratch buffer already.
    let mut scratch = SCRATCH.try_with(RefCell::take).unwrap_or_default();
    if let PayloadView::Text(event) = &payload {
        // A buffer that grows step by step takes up to twice the memory, for a moment even three times.
        scratch.reserve(ENVELOPE_BYTES + event.payload.get().len());
    }
    let place = PayloadPlace::notification(event_type);
    let mut w = JsonWriter::new(scratch, place, encoding.redact, encoding.limits);
    let written = wire.serialize(&mut w).map_err(|error| error.0);
    let written = written.and_then(|()| encoding.limits.check_size(w.bytes.len()));
    let body = written.map(|()| {
        if w.bytes.len() > SCRATCH_BYTES {
            // A huge notification must not be in memory twice, not even while its buffer shrinks a little.
            let mut bytes = std::mem::take(&mut w.bytes);
            bytes.shrink_to(bytes.len() + ENVELOPE_BYTES);
            Bytes::from(bytes)
        } else {
            body_pool::store(&w.bytes)
        }
    });
    // Free a large buffer, so that the thread does not hold on to it.
    if w.bytes.capacity() <= SCRATCH_BYTES {
        w.bytes.clear();
        drop(SCRATCH.try_with(|scratch| scratch.replace(w.bytes)));
    }
    // Envelopes and headers carry it beside the body.
    let publisher_id = match encoding.redact.text(publisher_id) {
        Cow::Borrowed(_) => Arc::clone(publisher_id),
        Cow::Owned(redacted) => redacted.into(),
    };
    let body = body?;
    let is_detached = body_pool::is_large(body.len());
    Ok(Message {
        id: message_id,
        event_type: event_type.clone(),
        priority,
        publisher_id,
        timestamp,
        body,
        is_detached,
        context: Context::new(),
        sequence_state: SequenceState::None,
    })
}

thread_local! {
    /// The buffer in which a thread encodes.
    ///
    /// The body is a copy of the exact size: a queue holds many bodies, and a `Vec` that has grown
    /// takes up to twice the memory of its contents.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The usual size of a notification without its payload, in bytes.
const ENVELOPE_BYTES: usize = 512;
/// The largest buffer that a thread keeps between notifications, in bytes.
const SCRATCH_BYTES: usize = 16 * 1024;
