//! Input: notifications read from one line, with or without an envelope.
//!
//! Reading trusts nothing in the line. It keeps the limits, reports every problem at its JSON pointer,
//! and repeats no value that may be a secret.

use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::fields::{Fields, parse_uuid};
use super::input_form::{json_range, oslo_message};
use super::json_parser::parse;
use super::limits::SizeLimits;
use super::notification::Notification;
use super::problem::{ONLY_ATTRIBUTES, Problems};
use super::read_report::{ReadReport, kind_of};
use super::timestamp::parse_time;
use crate::error::{Error, ErrorKind, Result};
use crate::event::event_type::{EXPECTED as EXPECTED_NAME, EventType};
use crate::event::image::{DeletedImage, Image};
use crate::event::image_send::ImageSend;
use crate::event::payload::{Body, Event, Payload};
use crate::event::priority::Priority;
use crate::event::task::{Task, TaskFailure, TaskSuccess};
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
/// match NotificationInput::read(line, &SizeLimits::default())? {
///     NotificationInput::Notification(notification) => println!("id {}", notification.message_id),
///     NotificationInput::Body(body) => println!("{} without an id", body.event_type()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum NotificationInput {
    /// All six attributes.
    Notification(Notification),
    /// `event_type`, `priority` and `payload` alone.
    ///
    /// [`Notifier::stamp`](crate::Notifier::stamp) adds id, publisher id and time.
    Body(Body),
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
    ///   `oslo.messaging.notification.EVENT_TYPE [context]`, then the notification
    ///
    /// Reading accepts every shape: a well-formed payload in another shape than the documented one
    /// becomes [`Body::AsRead`]. It accepts no wrong type: a string in place of a number is a problem.
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
    /// assert!(NotificationInput::read(line, &SizeLimits::default()).is_ok());
    /// ```
    pub fn read(line: &[u8], limits: &SizeLimits) -> Result<Self, Problems> {
        let invalid = |problem| Problems::one(ErrorKind::Invalid, problem);
        let range = json_range(line).map_err(invalid)?;
        let value = parse(line, range, limits)?;
        if let Value::Object(map) = &value
            && let Some(message) = oslo_message(map)
        {
            let json = message.map_err(invalid)?.as_bytes();
            let value = parse(json, 0..json.len(), limits)
                .map_err(|problems| problems.inside("/oslo.message"))?;
            return Self::read_value(&value).map_err(|problems| problems.inside("/oslo.message"));
        }
        Self::read_value(&value)
    }

    /// Reads a JSON value that has no envelope of oslo.messaging.
    fn read_value(value: &Value) -> Result<Self, Problems> {
        let mut report = ReadReport::default();
        let input = match value {
            Value::Object(map) => Self::read_envelope(map, &mut report),
            other => {
                report.problem(String::new(), "an object", kind_of(other));
                None
            }
        };
        match input {
            Some(input) if report.problems.is_empty() => Ok(input),
            _ => Err(Problems::new(ErrorKind::Invalid, report.problems)),
        }
    }

    /// Reads the attributes. Returns `None` if `report` has a problem.
    fn read_envelope(map: &Map<String, Value>, report: &mut ReadReport) -> Option<Self> {
        let mut fields = Fields::new(map, "", report);
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
        let payload = fields.value("payload", "a payload");
        let unknown: Vec<_> = fields.remaining_keys().filter(|key| !key.starts_with('_')).collect();
        for key in unknown {
            let found = format!("unknown attribute {}", backquoted(key));
            fields.problem(key, ONLY_ATTRIBUTES, found);
        }
        let body = read_body(event_type?, priority?, payload?, report);
        Some(match envelope {
            None => Self::Body(body?),
            Some(envelope) => {
                let (message_id, publisher_id, timestamp) = envelope?;
                Self::Notification(Notification {
                    message_id,
                    publisher_id: publisher_id.into(),
                    timestamp,
                    body: body?,
                })
            }
        })
    }
}

impl Notification {
    /// Reads a notification within the default [`SizeLimits`].
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`ErrorKind::Invalid`] or [`ErrorKind::TooLarge`] with the first
    /// problem at its JSON pointer. [`NotificationInput::read`] returns all problems.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::Notification;
    ///
    /// let error = Notification::from_json(b"not json").unwrap_err();
    /// assert_eq!(error.to_string(), "not JSON: unexpected character at column 2");
    /// ```
    pub fn from_json(json: &[u8]) -> Result<Self> {
        match NotificationInput::read(json, &SizeLimits::default())? {
            NotificationInput::Notification(notification) => Ok(notification),
            NotificationInput::Body(_) => Err(Error::new(
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

/// Reads the payload of one event type at one priority.
///
/// Returns `None` if `report` has a problem.
fn read_body(
    event_type: EventType,
    priority: Priority,
    payload: &Value,
    report: &mut ReadReport,
) -> Option<Body> {
    let event = read_event(&event_type, priority, payload, report);
    match event {
        Some(event) if !report.foreign => Some(Body::Event(event)),
        _ if report.problems.is_empty() => {
            Some(Body::AsRead { event_type, priority, payload: payload.clone() })
        }
        _ => None,
    }
}

/// Reads a typed event. Returns `None` if the shape is foreign or `report` has a problem.
fn read_event(
    event_type: &EventType,
    priority: Priority,
    payload: &Value,
    report: &mut ReadReport,
) -> Option<Event> {
    use EventType as E;
    let image = |fields: Fields<'_, '_>| Image::read(fields, false);
    Some(match event_type {
        E::ImageSend => Event::ImageSend(priority, read_map(payload, report, ImageSend::read)?),
        E::ImageCreate => Event::ImageCreate(read_payload(priority, payload, report, image)?),
        E::ImagePrepare => Event::ImagePrepare(read_payload(priority, payload, report, image)?),
        E::ImageUpload => Event::ImageUpload(read_payload(priority, payload, report, image)?),
        E::ImageActivate => Event::ImageActivate(read_payload(priority, payload, report, image)?),
        E::ImageUpdate => Event::ImageUpdate(read_payload(priority, payload, report, image)?),
        E::ImageDelete => Event::ImageDelete(read_deleted(priority, payload, report)?),
        E::TaskRun => Event::TaskRun(read_task(priority, payload, report, Task::read)?),
        E::TaskProcessing => {
            Event::TaskProcessing(read_task(priority, payload, report, Task::read)?)
        }
        E::TaskSuccess => {
            Event::TaskSuccess(read_task(priority, payload, report, TaskSuccess::read)?)
        }
        E::TaskFailure => {
            Event::TaskFailure(read_task(priority, payload, report, TaskFailure::read)?)
        }
        E::Other(_) => {
            report.foreign = true;
            return None;
        }
    })
}

/// A function that reads the keys of a payload.
type Read<T> = fn(Fields<'_, '_>) -> Option<T>;

/// Reads facts at the priority `INFO`, and a text at any other.
fn read_payload<T>(
    priority: Priority,
    payload: &Value,
    report: &mut ReadReport,
    read: Read<T>,
) -> Option<Payload<T>> {
    let mut text = |expected| match payload {
        Value::String(text) => Some(text.clone()),
        other => {
            report.problem("/payload".into(), expected, kind_of(other));
            None
        }
    };
    match priority {
        Priority::Info => read_map(payload, report, read).map(Payload::Info),
        Priority::Warn => text("a string because the priority is WARN").map(Payload::Warn),
        Priority::Error => text("a string because the priority is ERROR").map(Payload::Error),
        _ => {
            report.foreign = true;
            None
        }
    }
}

/// Reads a payload that must be an object.
fn read_map<T>(payload: &Value, report: &mut ReadReport, read: Read<T>) -> Option<T> {
    match payload {
        Value::Object(map) => read(Fields::new(map, "/payload", report)),
        other => {
            report.problem("/payload".into(), "an object", kind_of(other));
            None
        }
    }
}

/// Reads the payload of `image.delete`: the id, as the specification defines it, or the whole image, as
/// Glance's code sends it.
fn read_deleted(
    priority: Priority,
    payload: &Value,
    report: &mut ReadReport,
) -> Option<Payload<DeletedImage>> {
    const EXPECTED: &str = "the image's id or an object";
    match payload {
        Value::String(text) if priority == Priority::Info => {
            let Some(id) = parse_uuid(text) else {
                let found = quoted(text);
                report.problem("/payload".into(), EXPECTED, found);
                return None;
            };
            report.foreign |= text.bytes().any(|byte| byte.is_ascii_uppercase());
            Some(Payload::Info(DeletedImage::Id(id)))
        }
        Value::Object(_) | Value::String(_) => read_payload(priority, payload, report, |fields| {
            Image::read(fields, true).map(DeletedImage::from)
        }),
        other => {
            report.problem("/payload".into(), EXPECTED, kind_of(other));
            None
        }
    }
}

/// Reads the payload of a task event.
///
/// A task from Glance's code has `id` instead of `task_id`, and may lack input, result and message. Its
/// shape is foreign.
fn read_task<T>(
    priority: Priority,
    payload: &Value,
    report: &mut ReadReport,
    read: Read<T>,
) -> Option<Payload<T>> {
    if let Value::Object(map) = payload
        && priority == Priority::Info
        && map.contains_key("id")
        && !map.contains_key("task_id")
    {
        report.foreign = true;
        Fields::new(map, "/payload", report).uuid("id");
        return None;
    }
    read_payload(priority, payload, report, read)
}
