//! Events on the wire without an envelope: [`EventWire`], through which serde reads and writes them.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::event_type::EventType;
use super::image::{DeletedImage, Image};
use super::payload::{Event, NotificationPayload, Payload, PayloadView};
use super::payload_problem::read_payload;
use super::priority::Priority;
use super::read_event::ReadEvent;
use crate::codec::problem::{Problem, Problems, UNREADABLE, kind_of};
use crate::error::ErrorKind;

/// Event type, priority and payload: three of the six attributes of a notification.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventWire<'a, P> {
    event_type: Cow<'a, EventType>,
    priority: Priority,
    payload: P,
}

impl<'a> EventWire<'a, PayloadView<'a>> {
    /// Borrows an event.
    fn new(payload: &'a PayloadView<'a>) -> Self {
        let event_type = Cow::Borrowed(payload.event_type());
        Self { event_type, priority: payload.priority(), payload: *payload }
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        EventWire::new(&PayloadView::Constructed(self, None)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = EventWire::<Value>::deserialize(deserializer)?;
        typed_event(wire.event_type.into_owned(), wire.priority, wire.payload)
            .map_err(D::Error::custom)
    }
}

impl Serialize for ReadEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        EventWire::new(&PayloadView::Read(self.view())).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ReadEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = EventWire::<Box<RawValue>>::deserialize(deserializer)?;
        Ok(Self::new(wire.event_type.into_owned(), wire.priority, wire.payload))
    }
}

impl ReadEvent {
    /// Returns the event in its typed form.
    ///
    /// The payload must have the documented shape. Of an image, the typed form keeps keys that are not
    /// documented; of a task or a sending, it drops them. An event type outside of the documented ones
    /// becomes [`Event::Other`]. Use [`Notification::event`](crate::Notification::event) for payloads of
    /// any shape.
    ///
    /// # Errors
    ///
    /// Returns the first problem of the payload at its JSON pointer.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::Notification;
    /// use notify_core::event::NotificationPayload;
    ///
    /// # fn main() -> notify_core::Result<()> {
    /// let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"host1",
    ///     "event_type":"image.upload","priority":"ERROR","timestamp":"2026-11-22 12:00:00.123456",
    ///     "payload":{}}"#;
    /// let NotificationPayload::Read(event) = Notification::decode(line)?.payload else { panic!() };
    /// assert_eq!(
    ///     event.to_event().unwrap_err().to_string(),
    ///     "/payload: expected a string because the priority is ERROR, found an object",
    /// );
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_event(&self) -> Result<Event, Problems> {
        const EXPECTED: &str = "numbers of 64 bits and texts of whole characters";
        let payload = serde_json::from_str(self.payload().get());
        payload
            .map_err(|_| Problem::new("/payload", EXPECTED, UNREADABLE))
            .and_then(|payload| typed_event(self.event_type().clone(), self.priority(), payload))
            .map_err(|problem| Problems::one(ErrorKind::Invalid, problem))
    }
}

impl NotificationPayload {
    /// Returns the event in its typed form: as a program constructed it, or
    /// [as it was read](ReadEvent::to_event).
    ///
    /// # Errors
    ///
    /// Returns the first problem of a payload that was read.
    pub fn to_event(&self) -> Result<Event, Problems> {
        match self {
            Self::Constructed(event) => Ok(event.clone()),
            Self::Read(event) => event.to_event(),
        }
    }
}

/// Returns the event of a payload in the documented shape.
fn typed_event(
    event_type: EventType,
    priority: Priority,
    payload: Value,
) -> Result<Event, Problem> {
    use EventType as E;
    let image = || facts_or_text(priority, &payload, Image::of_payload);
    Ok(match event_type {
        E::ImageCreate => Event::ImageCreate(image()?),
        E::ImagePrepare => Event::ImagePrepare(image()?),
        E::ImageUpload => Event::ImageUpload(image()?),
        E::ImageActivate => Event::ImageActivate(image()?),
        E::ImageSend => Event::ImageSend(priority, read_payload(&payload)?),
        E::ImageUpdate => Event::ImageUpdate(image()?),
        E::ImageDelete => {
            Event::ImageDelete(facts_or_text(priority, &payload, DeletedImage::of_payload)?)
        }
        E::TaskRun => Event::TaskRun(facts_or_text(priority, &payload, read_payload)?),
        E::TaskProcessing => {
            Event::TaskProcessing(facts_or_text(priority, &payload, read_payload)?)
        }
        E::TaskSuccess => Event::TaskSuccess(facts_or_text(priority, &payload, read_payload)?),
        E::TaskFailure => Event::TaskFailure(facts_or_text(priority, &payload, read_payload)?),
        E::Other(_) => Event::Other { event_type, priority, payload },
    })
}

/// Reads facts at the priority `INFO`, and a text at `WARN` and `ERROR`.
fn facts_or_text<T>(
    priority: Priority,
    payload: &Value,
    read: fn(&Value) -> Result<T, Problem>,
) -> Result<Payload<T>, Problem> {
    let text = || match payload {
        Value::String(text) => Ok(text.clone()),
        other => {
            let expected = format!("a string because the priority is {priority}");
            Err(Problem::new("/payload", expected, kind_of(&other.to_string())))
        }
    };
    match priority {
        Priority::Info => read(payload).map(Payload::Info),
        Priority::Warn => text().map(Payload::Warn),
        Priority::Error => text().map(Payload::Error),
        _ => Err(Problem::new("/priority", "INFO, WARN or ERROR", priority.as_str())),
    }
}
