//! Messages as [CloudEvents 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md): the
//! only list of the attributes, for both content modes.
//!
//! | attribute | value |
//! |---|---|
//! | `specversion` | `1.0` |
//! | `id` | `message_id` |
//! | `source` | `publisher_id`, percent-encoded as one segment of a path; `/` if it is empty |
//! | `type` | `org.openstack.` and the event type |
//! | `time` | `timestamp` in the form of RFC 3339: `2026-11-22T12:00:00.123456Z` |
//! | `datacontenttype` | `application/json` |
//! | `priority` | `priority` |
//! | `traceparent`, `tracestate` | the trace, as the extension Distributed Tracing defines them |
//! | `requestid`, `userid`, `projectid` | the rest of the context |
//! | `sequenceepoch`, `sequencelane`, `sequencenumber` | the sequence |
//! | `data` | `payload` |
//!
//! A CloudEvent lacks the attributes of a context or sequence that the message lacks. All values are texts.
//!
//! The prefix of a type should be the reversed domain name of the organisation that defines the events: that
//! is `openstack.org`. The sequence has no attribute `sequence`, because the extension of that name wants
//! texts that order all events of a source, and numbers begin anew in each run and lane. `sequencenumber` is a
//! text, because an integer of CloudEvents has 32 bits.
//!
//! This module only writes; [`cloud_event_input`](super::cloud_event_input) reads. It knows no protocol.

use std::borrow::Cow;

use time::OffsetDateTime;

use super::json_tokens::UnescapedText;
use super::json_writer::JsonWriter;
use super::limits::SizeLimits;
use super::message::Message;
use super::sequence::Sequence;
use super::timestamp::date_and_time;
use crate::redact::payload_place::PayloadPlace;
use crate::redact::policy::Redact;

/// A message as a CloudEvent. [`Message::cloud_event`] creates it.
///
/// `docs/schema.md` lists the attributes. The CloudEvent is as redacted as the message is.
///
/// # Examples
///
/// ```
/// use notify_core::Message;
///
/// let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"image.host1","event_type":"image.upload","priority":"ERROR","timestamp":"2026-11-22 12:00:00.123456","payload":"storage is full"}"#;
/// let message = Message::from_body(line.to_vec())?;
/// let event = message.cloud_event();
/// let types: Vec<_> = event.attributes().filter(|(name, _)| *name == "type").collect();
/// assert_eq!(types, [("type", "org.openstack.image.upload".into())]);
/// assert_eq!(event.data(), r#""storage is full""#);
/// # Ok::<_, notify_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CloudEvent<'a> {
    message: &'a Message,
}

impl Message {
    /// Returns the message as a CloudEvent, with its context and its sequence.
    pub fn cloud_event(&self) -> CloudEvent<'_> {
        CloudEvent { message: self }
    }
}

impl<'a> CloudEvent<'a> {
    /// Returns names and values of all attributes but `datacontenttype`, which is always
    /// [`DATA_CONTENT_TYPE`](Self::DATA_CONTENT_TYPE).
    ///
    /// Binary mode sends them as headers.
    pub fn attributes(self) -> impl Iterator<Item = (&'static str, Cow<'a, str>)> {
        let Self { message } = self;
        let (context, sequence) = (&message.context, message.sequence());
        let time = time_text(message.timestamp).map(Cow::Owned);
        let required = [
            (SPEC_VERSION, Some("1.0".into())),
            (ID, Some(message.id.to_string().into())),
            (SOURCE, Some(source_of(&message.publisher_id))),
            (TYPE, Some(format!("{TYPE_PREFIX}{}", message.event_type.as_str()).into())),
            (TIME, time),
            (PRIORITY, Some(message.priority.as_str().into())),
        ];
        let optional = [
            (TRACEPARENT, context.traceparent().map(Cow::Borrowed)),
            (TRACESTATE, context.tracestate().map(Cow::Borrowed)),
            (REQUEST_ID, context.request_id().map(Cow::Borrowed)),
            (USER_ID, context.user().map(Cow::Borrowed)),
            (PROJECT_ID, context.project().map(Cow::Borrowed)),
            (EPOCH, sequence.map(|sequence| sequence.epoch().to_string().into())),
            (LANE, sequence.map(Sequence::lane).map(Cow::Borrowed)),
            (NUMBER, sequence.map(|sequence| sequence.number().to_string().into())),
        ];
        // A program may have restored a message with any text.
        let optional =
            optional.into_iter().filter(|(_, value)| !value.as_deref().is_some_and(is_forbidden));
        required.into_iter().chain(optional).filter_map(|(name, value)| Some((name, value?)))
    }

    /// Returns the payload as JSON. Binary mode sends it as the body.
    pub fn data(self) -> &'a str {
        // Every message that leaves a queue has a payload.
        self.message.payload().map_or("null", |payload| payload.get())
    }

    /// Returns the CloudEvent in structured mode: one line of JSON, of the media type
    /// [`MEDIA_TYPE`](Self::MEDIA_TYPE).
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_core::Message;
    /// # let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"image.host1","event_type":"image.upload","priority":"ERROR","timestamp":"2026-11-22 12:00:00.123456","payload":"storage is full"}"#;
    /// # let message = Message::from_body(line.to_vec())?;
    /// let json = String::from_utf8(message.cloud_event().to_json()).unwrap();
    /// assert_eq!(json, concat!(
    ///     r#"{"specversion":"1.0","id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","source":"image.host1","#,
    ///     r#""type":"org.openstack.image.upload","time":"2026-11-22T12:00:00.123456Z","priority":"ERROR","#,
    ///     r#""datacontenttype":"application/json","data":"storage is full"}"#,
    /// ));
    /// # Ok::<_, notify_core::Error>(())
    /// ```
    pub fn to_json(self) -> Vec<u8> {
        let content_type = (CONTENT_TYPE, Self::DATA_CONTENT_TYPE.into());
        structured(self.attributes().chain([content_type]), self.data(), self.message.body.len())
    }

    /// The value of `datacontenttype`, and the content type of a message in binary mode.
    pub const DATA_CONTENT_TYPE: &'static str = "application/json";

    /// The media type of a CloudEvent in structured mode.
    pub const MEDIA_TYPE: &'static str = "application/cloudevents+json; charset=utf-8";
}

/// Returns a CloudEvent in structured mode. `data` is valid JSON, and `capacity` its size in bytes, about.
pub(super) fn structured<'name, 'value>(
    attributes: impl Iterator<Item = (&'name str, Cow<'value, str>)>,
    data: &str,
    capacity: usize,
) -> Vec<u8> {
    let limits = SizeLimits { depth: 1, keys: usize::MAX, bytes: usize::MAX };
    let bytes = Vec::with_capacity(capacity + ENVELOPE_BYTES);
    let mut w = JsonWriter::new(bytes, PayloadPlace::Elsewhere, Redact::Off, limits);
    // Neither one level nor any number of keys exceeds these limits.
    let _ = w.open(true);
    for (name, value) in attributes {
        let _ = w.key(&UnescapedText { text: name.into(), has_surrogates: false });
        w.text(&value, false);
    }
    let _ = w.known_key(DATA);
    w.bytes.extend_from_slice(data.as_bytes());
    w.close(true);
    w.bytes
}

/// Returns a publisher id as a URI reference (RFC 3986): one segment of a path, in which only unreserved
/// characters stand for themselves.
fn source_of(publisher_id: &str) -> Cow<'_, str> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if publisher_id.is_empty() {
        return EMPTY_SOURCE.into();
    }
    if publisher_id.bytes().all(is_unreserved) {
        return publisher_id.into();
    }
    let mut source = String::with_capacity(publisher_id.len() + 16);
    for byte in publisher_id.bytes() {
        if is_unreserved(byte) {
            source.push(char::from(byte));
        } else {
            let digits = [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]);
            source.extend(['%'].into_iter().chain(digits.map(char::from)));
        }
    }
    source.into()
}

/// Returns a time as RFC 3339 writes it, in UTC with microseconds; `None` before the year 1.
pub(super) fn time_text(time: OffsetDateTime) -> Option<String> {
    let seconds = date_and_time(time, b'T')?;
    let seconds = std::str::from_utf8(&seconds).ok()?;
    Some(format!("{seconds}.{:06}Z", time.microsecond()))
}

/// Returns whether a text has a character that CloudEvents forbid: a control, or none of Unicode.
fn is_forbidden(text: &str) -> bool {
    let is_no_character =
        |c| matches!(u32::from(c), 0xfdd0..=0xfdef) || u32::from(c) & 0xfffe == 0xfffe;
    text.chars().any(|c| c.is_control() || is_no_character(c))
}

pub(super) const SPEC_VERSION: &str = "specversion";
pub(super) const ID: &str = "id";
pub(super) const SOURCE: &str = "source";
pub(super) const TYPE: &str = "type";
pub(super) const TIME: &str = "time";
pub(super) const CONTENT_TYPE: &str = "datacontenttype";
pub(super) const PRIORITY: &str = "priority";
pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const TRACESTATE: &str = "tracestate";
pub(super) const REQUEST_ID: &str = "requestid";
pub(super) const USER_ID: &str = "userid";
pub(super) const PROJECT_ID: &str = "projectid";
pub(super) const EPOCH: &str = "sequenceepoch";
pub(super) const LANE: &str = "sequencelane";
pub(super) const NUMBER: &str = "sequencenumber";
pub(super) const DATA: &str = "data";

/// The part of a type in front of the event type.
pub(super) const TYPE_PREFIX: &str = "org.openstack.";
/// The source of a notification without a publisher id. No id is encoded so.
pub(super) const EMPTY_SOURCE: &str = "/";
/// The bytes by which most CloudEvents are larger than the body of their message.
const ENVELOPE_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    /// Every publisher id becomes a URI reference without a scheme, an authority or an empty path.
    #[test]
    fn a_source_is_one_segment_of_a_path() {
        for (publisher_id, source) in [
            ("image.host1", "image.host1"),
            ("", "/"),
            ("/", "%2F"),
            ("urn:a", "urn%3Aa"),
            ("//h/?q#f", "%2F%2Fh%2F%3Fq%23f"),
            ("a b\n%é", "a%20b%0A%25%C3%A9"),
        ] {
            assert_eq!(source_of(publisher_id), source);
        }
    }

    /// The specification forbids controls and code points that are no characters.
    #[test]
    fn knows_the_forbidden_characters() {
        for c in ['\0', '\u{1f}', '\u{7f}', '\u{9f}', '\u{fdd0}', '\u{ffff}', '\u{10fffe}'] {
            assert!(is_forbidden(&format!("a{c}")), "{c:?}");
        }
        assert!(!is_forbidden("a \"\\é\u{a0}\u{fdf0}\u{10fffd}"));
    }
}
