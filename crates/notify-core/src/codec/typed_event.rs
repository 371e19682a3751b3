//! The typed form of an event that was read, for payloads in the documented shape.

use serde_json::Value;

use super::fields::{Fields, parse_uuid};
use super::problem::{Problem, Problems, UNREADABLE};
use super::read_report::{ReadReport, kind_of};
use crate::error::ErrorKind;
use crate::event::event_type::EventType;
use crate::event::image::{DeletedImage, Image};
use crate::event::image_send::ImageSend;
use crate::event::payload::{Event, NotificationPayload, Payload};
use crate::event::priority::Priority;
use crate::event::read_event::ReadEvent;
use crate::event::task::{Task, TaskFailure, TaskSuccess};
use crate::redact::quote::quoted;

impl ReadEvent {
    /// Returns the event in its typed form.
    ///
    /// Writing that form in the documented style gives the payload back, key by key. An event type outside
    /// of the documented ones becomes [`Event::Other`].
    ///
    /// # Errors
    ///
    /// Returns the problems of the payload, each at its JSON pointer. A payload of a documented event in
    /// another shape, such as a task of Glance's own code, has one problem.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::Notification;
    /// use notify_core::event::NotificationPayload;
    ///
    /// # fn main() -> notify_core::Result<()> {
    /// let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"host1",
    ///     "event_type":"image.upload","priority":"INFO","timestamp":"2026-11-22 12:00:00.123456",
    ///     "payload":"text"}"#;
    /// let NotificationPayload::Read(event) = Notification::decode(line)?.payload else { panic!() };
    /// let problems = event.to_event().unwrap_err();
    /// assert_eq!(problems.to_string(), "/payload: expected an object, found a string");
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_event(&self) -> Result<Event, Problems> {
        let (event_type, priority) = (self.event_type(), self.priority());
        let problem = |expected: &str, found: &str| {
            let (expected, found) = (expected.into(), found.into());
            let problem = Problem { pointer: "/payload".into(), expected, found };
            Problems::one(ErrorKind::Invalid, problem)
        };
        let payload: Value = serde_json::from_str(self.payload().get())
            .map_err(|_| problem("numbers of 64 bits and texts of whole characters", UNREADABLE))?;
        if let EventType::Other(_) = event_type {
            return Ok(Event::Other { event_type: event_type.clone(), priority, payload });
        }
        let mut report = ReadReport::default();
        match read_event(event_type, priority, &payload, &mut report) {
            Some(event) if report.problems.is_empty() && !report.foreign => Ok(event),
            _ if report.problems.is_empty() => {
                Err(problem("the documented shape", "another shape"))
            }
            _ => Err(Problems::new(ErrorKind::Invalid, report.problems)),
        }
    }
}

impl NotificationPayload {
    /// Returns the event in its typed form: as it was constructed, or [as it was read](ReadEvent::to_event).
    ///
    /// # Errors
    ///
    /// Returns the problems of a payload that was read.
    pub fn to_event(&self) -> Result<Event, Problems> {
        match self {
            Self::Constructed(event) => Ok(event.clone()),
            Self::Read(event) => event.to_event(),
        }
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
