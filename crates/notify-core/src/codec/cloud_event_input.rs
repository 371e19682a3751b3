//! CloudEvents from outside, read as notifications.
//!
//! Only CloudEvents that name an event of OpenStack and hold all facts of a notification are notifications.
//! [`cloud_event`](super::cloud_event) describes the attributes.

use std::borrow::Cow;
use std::sync::Arc;

use super::attributes::Attributes;
use super::cloud_event::{
    CONTENT_TYPE, DATA, EMPTY_SOURCE, EPOCH, ID, LANE, NUMBER, PRIORITY, PROJECT_ID, REQUEST_ID,
    SOURCE, SPEC_VERSION, TIME, TRACEPARENT, TRACESTATE, TYPE, TYPE_PREFIX, USER_ID,
};
use super::context::Context;
use super::notification_input::{InputEnvelope, LineContents, read_id, read_priority, read_time};
use super::problem::Problems;
use super::sequence::Sequence;
use crate::event::event_type::EventType;
use crate::redact::quote::quoted;

/// Returns `true` if the object is a CloudEvent in structured mode.
///
/// A notification has an `event_type`, and no attribute of a CloudEvent can have that name.
pub(super) fn is_cloud_event(attributes: &Attributes<'_>) -> bool {
    attributes.has(SPEC_VERSION) && !attributes.has("event_type")
}

/// Reads a CloudEvent in structured mode.
///
/// Passes over a context and a sequence that are not valid, as headers are read.
///
/// # Errors
///
/// Returns all problems, among them the attributes that no notification has.
pub(super) fn read_cloud_event(
    mut attributes: Attributes<'_>,
) -> Result<LineContents<'_>, Problems> {
    let version = attributes.parsed(
        SPEC_VERSION,
        || "\"1.0\"".into(),
        |version| (version == "1.0").then_some(()),
        quoted,
    );
    let id = read_id(&mut attributes, ID);
    let publisher_id = attributes.parsed(
        SOURCE,
        || "a URI reference whose percent-encoding is text in UTF-8".into(),
        publisher_of,
        quoted,
    );
    let event_type = attributes.parsed(
        TYPE,
        || format!("`{TYPE_PREFIX}` and the name of an event"),
        |name| EventType::new(name.strip_prefix(TYPE_PREFIX)?).ok(),
        quoted,
    );
    let timestamp = read_time(&mut attributes, TIME);
    let priority = read_priority(&mut attributes);
    if attributes.has_value(CONTENT_TYPE) {
        let is_json = |text: &str| is_json(text).then_some(());
        let expected = || "a media type of JSON".into();
        attributes.parsed(CONTENT_TYPE, expected, is_json, |_| "another media type".into());
    }
    let payload = attributes.value(DATA, "a payload").map(Cow::Borrowed);

    let given = |name| attributes.valid_text(name).unwrap_or_default();
    let context = Context::builder()
        .traceparent(given(TRACEPARENT))
        .tracestate(given(TRACESTATE))
        .request_id(given(REQUEST_ID))
        .user(given(USER_ID))
        .project(given(PROJECT_ID))
        .build_valid();
    let number = attributes.valid_text(NUMBER).and_then(|number| number.parse().ok());
    let sequence =
        Sequence::of_texts(attributes.valid_text(EPOCH), attributes.valid_text(LANE), number);

    let known: Vec<_> = KNOWN.into_iter().filter(|name| attributes.has(name)).collect();
    let (contents, warnings) = attributes.finish(&known, || {
        version?;
        let (message_id, publisher_id, timestamp) = (id?, publisher_id?, timestamp?);
        let envelope = Some(InputEnvelope { message_id, publisher_id, timestamp });
        let (event_type, priority, payload) = (event_type?, priority?, payload?);
        let warnings = Vec::new();
        Some(LineContents { envelope, event_type, priority, payload, context, sequence, warnings })
    })?;
    Ok(LineContents { warnings, ..contents })
}

/// Returns the publisher id that a source stands for: its text without percent-encoding.
fn publisher_of(source: &str) -> Option<Arc<str>> {
    if source == EMPTY_SOURCE {
        return Some("".into());
    }
    let mut pieces = source.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    let text = String::from_utf8(bytes).ok().filter(|text| !text.is_empty())?;
    Some(text.into())
}

/// Returns `true` if a media type declares JSON: `application/json`, or a subtype that ends with `+json`.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

/// The attributes that a CloudEvent of a notification can have.
const KNOWN: [&str; 16] = [
    SPEC_VERSION,
    ID,
    SOURCE,
    TYPE,
    TIME,
    CONTENT_TYPE,
    PRIORITY,
    TRACEPARENT,
    TRACESTATE,
    REQUEST_ID,
    USER_ID,
    PROJECT_ID,
    EPOCH,
    LANE,
    NUMBER,
    DATA,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Sources that other programs wrote, and those that stand for no text.
    #[test]
    fn reads_the_publisher_in_a_source() {
        for (source, expected) in [
            ("image.host1", "image.host1"),
            ("/", ""),
            ("%2f", "/"),
            ("https://glance.example.org/v2", "https://glance.example.org/v2"),
            ("a%20b%C3%A9", "a bé"),
        ] {
            assert_eq!(publisher_of(source).as_deref(), Some(expected));
        }
        for wrong in ["", "%", "%2", "%+2", "a%zzb", "%ff", "%é"] {
            assert_eq!(publisher_of(wrong), None, "{wrong}");
        }
    }

    /// The JSON format of CloudEvents names the media types that declare JSON.
    #[test]
    fn knows_the_media_types_of_json() {
        for json in ["application/json", "text/JSON; charset=utf-8", "application/x+json ;a=b"] {
            assert!(is_json(json), "{json}");
        }
        for other in ["", "application/xml", "application/jsonx", "json", "text/plain;a=/json"] {
            assert!(!is_json(other), "{other}");
        }
    }
}
