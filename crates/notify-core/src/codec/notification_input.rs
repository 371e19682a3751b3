//! Input: notifications read from one line, with or without an envelope.
//!
//! Reading trusts nothing in the line. It keeps the limits, reports every problem at its JSON pointer,
//! and repeats no value that may be a secret.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::fields::{Fields, parse_uuid};
use super::input_form::{json_range, oslo_message};
use super::json_parser::parse;
use super::limits::SizeLimits;
use super::notification::Notification;
use super::problem::{ONLY_ATTRIBUTES, Problem, Problems, UNREADABLE};
use super::read_report::{ReadReport, kind_of};
use super::timestamp::parse_time;
use crate::error::{Error, ErrorKind, Result};
use crate::event::event_type::{EXPECTED as EXPECTED_NAME, EventType};
use crate::event::priority::Priority;
use crate::event::read_event::ReadEvent;
use crate::redact::quote::{backquoted, quoted};

/// One line of input: a whole notification, or only an event without its envelope.
///
/// `glance-notify emit` accepts both. It keeps the envelope of the first and creates one for the
/// second.
///
/// # Examples
///
/// ```
/// use notify_core::codec::{NotificationInput, SizeLimits};
///
/// # fn main() -> notify_core::Result<()> {
/// let line = br#"{"event_type": "image.upload", "priority": "ERROR", "payload": "storage is full"}"#;
/// match NotificationInput::decode(line, &SizeLimits::default())? {
///     NotificationInput::Notification(notification) => println!("id {}", notification.message_id),
///     NotificationInput::Event(event) => println!("{} without an id", event.event_type()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "most lines hold a whole notification")]
pub enum NotificationInput {
    /// All six attributes.
    Notification(Notification),
    /// `event_type`, `priority` and `payload` alone.
    ///
    /// [`Notifier::stamp`](crate::Notifier::stamp) adds id, publisher id and time.
    Event(ReadEvent),
}

impl NotificationInput {
    /// Reads one line of input within `limits`.
    ///
    /// The line has one of these forms, with or without a byte order mark of UTF-8:
    ///
    /// * bare JSON: the notification, as this library and oslo.messaging's driver `messaging` send it
    /// * envelope 2.0 of oslo.messaging, whose `oslo.message` holds the notification as a string;
    ///   `limits` apply to the envelope and to that string
    /// * a line of a log file that oslo.messaging's driver `log` wrote: anything, then
    ///   `oslo.messaging.notification.EVENT_TYPE [context]`, then the notification; or the same as an
    ///   object of oslo.log's `use_json`
    ///
    /// Reading accepts a payload of any shape and keeps it as it is, as [`ReadEvent`]. Ask
    /// [`ReadEvent::to_event`] whether it has the documented shape.
    ///
    /// Reading ignores keys of the envelope that begin with `_`. They belong to oslo.messaging and can
    /// hold a user's token.
    ///
    /// # Errors
    ///
    /// Returns all problems of the line, each with its JSON pointer, the expectation and the finding.
    /// A line that is not JSON, or exceeds a limit, has one problem.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::codec::{NotificationInput, SizeLimits};
    ///
    /// let line = br#"2026-11-22 12:54:26.539 7 ERROR oslo.messaging.notification.image.upload [-]
    ///     {"event_type": "image.upload", "priority": "ERROR", "payload": "storage is full"}"#;
    /// assert!(NotificationInput::decode(line, &SizeLimits::default()).is_ok());
    /// ```
    pub fn decode(line: &[u8], limits: &SizeLimits) -> Result<Self, Problems> {
        let invalid = |problem| Problems::one(ErrorKind::Invalid, problem);
        let range = json_range(line).map_err(invalid)?;
        let value = parse(line, range, limits)?;
        let attributes = Attributes::read(value)?;
        if let Some(message) = oslo_message(&attributes.map) {
            let json = message.map_err(invalid)?.as_bytes();
            return parse(json, 0..json.len(), limits)
                .and_then(Attributes::read)
                .and_then(|attributes| Self::read_attributes(&attributes))
                .map_err(|problems| problems.inside("/oslo.message"));
        }
        Self::read_attributes(&attributes)
    }

    /// Reads the attributes of a notification.
    fn read_attributes(attributes: &Attributes<'_>) -> Result<Self, Problems> {
        let mut report = ReadReport::default();
        let input = Self::read_envelope(attributes, &mut report);
        match input {
            Some(input) if report.problems.is_empty() => Ok(input),
            _ => Err(Problems::new(ErrorKind::Invalid, report.problems)),
        }
    }

    /// Reads the attributes. Returns `None` if `report` has a problem.
    fn read_envelope(attributes: &Attributes<'_>, report: &mut ReadReport) -> Option<Self> {
        let mut fields = Fields::new(&attributes.map, "", report);
        let has_envelope =
            ["message_id", "publisher_id", "timestamp"].iter().any(|key| fields.has(key));
        let envelope = has_envelope.then(|| {
            let message_id = read_id(&mut fields);
            let publisher_id = fields.text("publisher_id");
            let timestamp = read_timestamp(&mut fields);
            Some((message_id?, publisher_id?, timestamp?))
        });
        let event_type = read_event_type(&mut fields);
        let priority = fields.word("priority", Priority::ALL);
        fields.value("payload", "a payload");
        let unknown: Vec<_> = fields.remaining_keys().filter(|key| !key.starts_with('_')).collect();
        for key in unknown {
            let found = format!("unknown attribute {}", backquoted(key));
            fields.problem(key, ONLY_ATTRIBUTES, found);
        }
        let event = ReadEvent::new(event_type?, priority?, attributes.payload?.to_owned());
        Some(match envelope {
            None => Self::Event(event),
            Some(envelope) => {
                let (message_id, publisher_id, timestamp) = envelope?;
                Self::Notification(Notification {
                    message_id,
                    publisher_id: publisher_id.into(),
                    timestamp,
                    payload: event.into(),
                })
            }
        })
    }
}

/// The attributes of a notification, or of an envelope around it.
struct Attributes<'a> {
    /// All attributes. The value of the payload is null here, as are the values of unknown attributes.
    map: Map<String, Value>,
    /// The payload as it is in the text.
    payload: Option<&'a RawValue>,
}

impl<'a> Attributes<'a> {
    /// Reads the attributes of an object.
    ///
    /// # Errors
    ///
    /// Returns the problem of a text that is no object, or of an attribute that Rust has no value for.
    fn read(json: &'a RawValue) -> Result<Self, Problems> {
        let problem = |pointer: String, expected: &str, found: &str| {
            let (expected, found) = (expected.into(), found.into());
            Problems::one(ErrorKind::Invalid, Problem { pointer, expected, found })
        };
        let mut attributes = Attributes { map: Map::new(), payload: None };
        if !json.get().starts_with('{') {
            let found = match json.get().as_bytes() {
                [b'[', ..] => "a list",
                [b'"', ..] => "a string",
                [b't' | b'f', ..] => "a boolean",
                [b'n', ..] => "null",
                _ => "a number",
            };
            return Err(problem(String::new(), "an object", found));
        }
        let entries: Entries<'a> = serde_json::from_str(json.get())
            .map_err(|_| problem(String::new(), "keys of whole characters", UNREADABLE))?;
        for (key, value) in entries.0 {
            let is_read = ATTRIBUTES.contains(&key.as_str());
            let read = if is_read { serde_json::from_str(value.get()) } else { Ok(Value::Null) };
            let read = read.map_err(|_| {
                problem(format!("/{key}"), "a text of whole characters", UNREADABLE)
            })?;
            if key == "payload" {
                attributes.payload = Some(value);
            }
            attributes.map.insert(key, read);
        }
        Ok(attributes)
    }
}

/// The entries of an object in their order, with values as they are in the text.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// The visitor of [`Entries`].
struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

/// The attributes whose values reading looks at.
const ATTRIBUTES: [&str; 9] = [
    "message_id",
    "publisher_id",
    "event_type",
    "priority",
    "timestamp",
    "oslo.version",
    "oslo.message",
    "name",
    "message",
];

impl Notification {
    /// Reads a notification within the default [`SizeLimits`].
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`ErrorKind::Invalid`] or [`ErrorKind::TooLarge`] with the first
    /// problem at its JSON pointer. [`NotificationInput::decode`] returns all problems.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::Notification;
    ///
    /// let error = Notification::decode(b"not json").unwrap_err();
    /// assert_eq!(error.to_string(), "not JSON: unexpected character at column 2");
    /// ```
    pub fn decode(json: &[u8]) -> Result<Self> {
        match NotificationInput::decode(json, &SizeLimits::default())? {
            NotificationInput::Notification(notification) => Ok(notification),
            NotificationInput::Event(_) => Err(Error::new(
                ErrorKind::Invalid,
                "/message_id: missing, expected a UUID with dashes",
            )),
        }
    }
}

/// Reads `event_type`, any valid name.
fn read_event_type(fields: &mut Fields<'_, '_>) -> Option<EventType> {
    let name = fields.text("event_type")?;
    let event_type = EventType::new(&name).ok();
    if event_type.is_none() {
        fields.problem("event_type", EXPECTED_NAME, quoted(&name));
    }
    event_type
}

/// Reads `message_id`, in upper or lower case.
fn read_id(fields: &mut Fields<'_, '_>) -> Option<Uuid> {
    const EXPECTED: &str = "a UUID with dashes";
    match fields.value("message_id", EXPECTED)? {
        Value::String(text) => {
            let id = parse_uuid(text);
            if id.is_none() {
                let found = quoted(text);
                fields.problem("message_id", EXPECTED, found);
            }
            id
        }
        other => {
            fields.problem("message_id", EXPECTED, kind_of(other));
            None
        }
    }
}

/// Reads `timestamp`, in every form that consumers accept.
fn read_timestamp(fields: &mut Fields<'_, '_>) -> Option<OffsetDateTime> {
    const EXPECTED: &str = "a time such as 2026-11-22 12:00:00.123456";
    let value = fields.value("timestamp", EXPECTED)?;
    let time = value.as_str().and_then(parse_time);
    if time.is_none() {
        let found = if value.is_string() { "a string that is not a time" } else { kind_of(value) };
        fields.problem("timestamp", EXPECTED, found);
    }
    time
}
