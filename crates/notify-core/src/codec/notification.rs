//! The six-field envelope: a whole notification, read and written.

use std::sync::Arc;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::encode::{Encoding, Envelope, encode};
use super::fields::{Fields, ReadReport, kind_of, parse_uuid};
use super::json_parser::parse;
use super::limits::SizeLimits;
use super::message::Message;
use super::problem::{ONLY_ATTRIBUTES, Problems};
use super::timestamp::parse_time;
use crate::error::{Error, ErrorKind, Result};
use crate::event::event_type::EventType;
use crate::event::image::{DeletedImage, Image, ImageSend};
use crate::event::payload::{Body, Event, Payload, PayloadView};
use crate::event::priority::Priority;
use crate::event::task::{Task, TaskFailure, TaskSuccess};
use crate::redact::quote::{backquoted, quoted};

/// A notification with all six attributes.
///
/// ```
/// use notify_core::codec::Encoding;
/// use notify_core::Notification;
/// # fn main() -> notify_core::Result<()> {
/// let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"host1",
///     "event_type":"image.delete","priority":"INFO","timestamp":"2026-11-22 12:00:00.123456",
///     "payload":"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d"}"#;
/// let notification = Notification::from_json(line)?;
/// let message = notification.encode(&Encoding::default())?;
/// assert!(message.body().starts_with(br#"{"message_id":"6b9d4b8a"#));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// Unique to this notification, and the same in every copy of it.
    pub message_id: Uuid,
    /// Who says so.
    pub publisher_id: Arc<str>,
    /// When it was emitted; written in UTC with six digits of a second.
    pub timestamp: OffsetDateTime,
    /// What happened.
    pub body: Body,
}

impl Notification {
    /// Reads a notification with the default [`SizeLimits`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] or [`ErrorKind::TooLarge`] with the first problem at its JSON pointer;
    /// [`NotificationInput::read`] tells all of them.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        match NotificationInput::read(json, &SizeLimits::default())? {
            NotificationInput::Notification(notification) => Ok(notification),
            NotificationInput::Body(_) => Err(Error::new(
                ErrorKind::Invalid,
                "/message_id: missing, expected a UUID with dashes",
            )),
        }
    }

    /// The notification encoded and redacted, as a transport carries it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] beyond the encoding's limits; [`ErrorKind::Invalid`] for a time before
    /// the year 0.
    pub fn encode(&self, encoding: &Encoding) -> Result<Message> {
        let payload = match &self.body {
            Body::Event(event) => PayloadView::Event(event),
            Body::AsRead { event_type, payload, .. } => PayloadView::AsRead(*event_type, payload),
        };
        let envelope = Envelope {
            id: self.message_id,
            publisher_id: &self.publisher_id,
            event_type: self.body.event_type(),
            priority: self.body.priority(),
            timestamp: self.timestamp,
        };
        encode(&envelope, &payload, encoding)
    }
}

/// What one line of input holds: a whole notification, or only what happened.
#[derive(Clone, Debug, PartialEq)]
pub enum NotificationInput {
    /// All six attributes: id, publisher and time are to be kept.
    Notification(Notification),
    /// `event_type`, `priority` and `payload`: id, publisher and time are still to be given.
    Body(Body),
}

impl NotificationInput {
    /// Reads one line of input.
    ///
    /// Liberal in shape: what is well-formed but not as documented becomes [`Body::AsRead`]. Exact in
    /// kind: a string where a number belongs is a problem. Keys of the envelope that begin with `_`
    /// are oslo.messaging's own; they are left out, for they can hold a user's token.
    ///
    /// # Errors
    ///
    /// All problems of the line, each with pointer, what was expected and what was found.
    pub fn read(json: &[u8], limits: &SizeLimits) -> Result<Self, Problems> {
        let value = parse(json, limits)?;
        let mut report = ReadReport::default();
        let input = match &value {
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

    fn read_envelope(map: &Map<String, Value>, report: &mut ReadReport) -> Option<Self> {
        let mut fields = Fields::new(map, "", report);
        let whole = ["message_id", "publisher_id", "timestamp"].iter().any(|key| fields.has(key));
        let head = whole.then(|| {
            let message_id = read_id(&mut fields);
            let publisher_id = fields.text("publisher_id");
            let timestamp = read_timestamp(&mut fields);
            Some((message_id?, publisher_id?, timestamp?))
        });
        let event_type = fields.word("event_type", EventType::ALL);
        let priority = fields.word("priority", Priority::ALL);
        let payload = fields.any("payload", "a payload");
        let unknown: Vec<_> = fields.untaken().filter(|key| !key.starts_with('_')).collect();
        for key in unknown {
            let found = format!("unknown attribute {}", backquoted(key));
            fields.problem(key, ONLY_ATTRIBUTES, found);
        }
        let body = read_body(event_type?, priority?, payload?, report);
        Some(match head {
            None => Self::Body(body?),
            Some(head) => {
                let (message_id, publisher_id, timestamp) = head?;
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

fn read_id(fields: &mut Fields<'_, '_>) -> Option<Uuid> {
    const EXPECTED: &str = "a UUID with dashes";
    match fields.any("message_id", EXPECTED)? {
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

fn read_timestamp(fields: &mut Fields<'_, '_>) -> Option<OffsetDateTime> {
    const EXPECTED: &str = "a time such as 2026-11-22 12:00:00.123456";
    let value = fields.any("timestamp", EXPECTED)?;
    let time = value.as_str().and_then(parse_time);
    if time.is_none() {
        let found = if value.is_string() { "a string that is not a time" } else { kind_of(value) };
        fields.problem("timestamp", EXPECTED, found);
    }
    time
}

/// Reads the payload of one event type at one priority.
///
/// `None` goes with a problem in the report.
fn read_body(
    event_type: EventType,
    priority: Priority,
    payload: &Value,
    report: &mut ReadReport,
) -> Option<Body> {
    let event = read_event(event_type, priority, payload, report);
    match event {
        Some(event) if !report.foreign => Some(Body::Event(event)),
        _ if report.problems.is_empty() => {
            Some(Body::AsRead { event_type, priority, payload: payload.clone() })
        }
        _ => None,
    }
}

fn read_event(
    event_type: EventType,
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
    })
}

type Read<T> = fn(Fields<'_, '_>) -> Option<T>;

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
    }
}

fn read_map<T>(payload: &Value, report: &mut ReadReport, read: Read<T>) -> Option<T> {
    match payload {
        Value::Object(map) => read(Fields::new(map, "/payload", report)),
        other => {
            report.problem("/payload".into(), "an object", kind_of(other));
            None
        }
    }
}

/// The specification sends the id of a deleted image, Glance's code everything.
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

/// A task that Glance's code sent has `id` and no `task_id`, and may lack input, result and message:
/// it is kept as it was read.
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
