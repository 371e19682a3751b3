//! Writing a notification: once, at `emit`, as one line of JSON that no terminal and no line-based
//! reader can be fooled by.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::ser::Formatter;
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use crate::limits::Limits;
use crate::redact::Redact;
use crate::redacted::Text;
use crate::schema::PayloadView;
use crate::text::is_unsafe;
use crate::{Error, ErrorKind, EventType, Message, Priority, Result};

/// How notifications are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// In whose shape typed payloads are written.
    pub payloads: Payloads,
    /// What is masked.
    pub redact: Redact,
    /// What is too large.
    pub limits: Limits,
}

/// In whose shape the payloads of typed events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Payloads {
    /// As Glance's notification specification documents them.
    #[default]
    Documented,
    /// As Glance's code sends them: a deleted image whole, tasks as `id` and `type` without input,
    /// result and message. What Ceilometer expects.
    Glance,
}

/// A value as it is written under one encoding.
pub(crate) struct View<'a, T> {
    pub(crate) value: &'a T,
    pub(crate) encoding: Encoding,
}

impl Encoding {
    pub(crate) fn view<'a, T>(&self, value: &'a T) -> View<'a, T> {
        View { value, encoding: *self }
    }
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
///
/// The six keys around the payload are written by hand: that takes three quarters of the time of one
/// serde struct with all of them.
pub(crate) fn encode(
    envelope: &Envelope<'_>,
    payload: &PayloadView<'_>,
    encoding: &Encoding,
) -> Result<Message> {
    encoding.limits.check_payload(payload)?;
    SCRATCH.with_borrow_mut(|out| {
        out.clear();
        let written = write(out, envelope, payload, encoding);
        let body = Box::from(out.as_slice());
        // One huge notification must not occupy its thread's memory for ever.
        out.shrink_to(SCRATCH_BYTES);
        written?;
        encoding.limits.check_size(out.len())?;
        Ok(Message {
            id: envelope.id,
            event_type: envelope.event_type,
            priority: envelope.priority,
            publisher_id: Arc::clone(envelope.publisher_id),
            timestamp: envelope.timestamp,
            body,
        })
    })
}

fn write(
    out: &mut Vec<u8>,
    envelope: &Envelope<'_>,
    payload: &PayloadView<'_>,
    encoding: &Encoding,
) -> Result<()> {
    let mut id = Uuid::encode_buffer();
    out.extend_from_slice(br#"{"message_id":""#);
    out.extend_from_slice(envelope.id.hyphenated().encode_lower(&mut id).as_bytes());
    out.extend_from_slice(br#"","publisher_id":"#);
    write_value(out, &Text(envelope.publisher_id, encoding.redact))?;
    out.extend_from_slice(br#","event_type":""#);
    out.extend_from_slice(envelope.event_type.as_str().as_bytes());
    out.extend_from_slice(br#"","priority":""#);
    out.extend_from_slice(envelope.priority.as_str().as_bytes());
    out.extend_from_slice(br#"","timestamp":""#);
    out.extend_from_slice(timestamp(envelope.timestamp)?.as_slice());
    out.extend_from_slice(br#"","payload":"#);
    write_value(out, &encoding.view(payload))?;
    out.push(b'}');
    Ok(())
}

fn write_value(out: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(out, OneLine)).map_err(|error| {
        Error::new(ErrorKind::Invalid, "cannot encode the payload").with_source(error)
    })
}

thread_local! {
    /// Where notifications are encoded before they are copied out at their exact size: queues hold
    /// many, and a grown `Vec` is up to twice as large as what is in it.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(SCRATCH_BYTES));
}

const SCRATCH_BYTES: usize = 8 * 1024;

/// Compact JSON in which every character that is not itself to the eye is escaped, so that one
/// notification is one line for every reader.
struct OneLine;

impl Formatter for OneLine {
    #[inline]
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // serde_json has cut out what JSON itself demands; what is left to find is DEL or above.
        if fragment.bytes().all(|byte| byte < 0x7f) {
            return out.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_unsafe(*c)) {
            out.write_all(&rest.as_bytes()[..at])?;
            // Every character that is unsafe stands in the basic plane: one unit of UTF-16.
            write!(out, "\\u{:04x}", u32::from(c))?;
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

/// Writes `json`, which is one line of JSON of ours, as a JSON string: only quotes and backslashes
/// are left in it to escape.
pub(crate) fn write_json_string(out: &mut Vec<u8>, json: &[u8]) {
    out.push(b'"');
    for piece in json.split_inclusive(|byte| matches!(byte, b'"' | b'\\')) {
        match piece {
            [plain @ .., mark @ (b'"' | b'\\')] => {
                out.extend_from_slice(plain);
                out.extend_from_slice(&[b'\\', *mark]);
            }
            plain => out.extend_from_slice(plain),
        }
    }
    out.push(b'"');
}

/// A time of a payload: `2012-05-16T15:27:36Z`, whole seconds, UTC.
#[derive(Clone, Copy)]
pub(crate) struct Seconds(pub(crate) OffsetDateTime);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = *b"0000-00-00T00:00:00Z";
        write_time(self.0, &mut text).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Seconds {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"
        })
    }
}

/// The time of a notification, `2026-11-22 12:00:00.123456`: six digits, UTC, no zone. It is what
/// oslo.messaging sends (`str(datetime.utcnow())`) and what every consumer parses; a timestamp that
/// Ceilometer cannot parse makes it loop.
fn timestamp(time: OffsetDateTime) -> Result<[u8; 26]> {
    let mut text = *b"0000-00-00 00:00:00.000000";
    write_time(time, &mut text)?;
    digits(&mut text[20..26], time.microsecond());
    Ok(text)
}

/// Writes date and time over the zeros of `text`.
fn write_time(time: OffsetDateTime, text: &mut [u8]) -> Result<()> {
    let time = time.checked_to_offset(UtcOffset::UTC).unwrap_or(time);
    let Ok(year) = u32::try_from(time.year()) else {
        return Err(Error::new(ErrorKind::Invalid, "a time before the year 0 cannot be written"));
    };
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], u8::from(time.month()).into());
    digits(&mut text[8..10], time.day().into());
    digits(&mut text[11..13], time.hour().into());
    digits(&mut text[14..16], time.minute().into());
    digits(&mut text[17..19], time.second().into());
    Ok(())
}

fn digits(text: &mut [u8], mut number: u32) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}
