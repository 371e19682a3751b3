//! Events with their payloads: [`Event`], [`Payload`] and [`NotificationPayload`].

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::event_type::EventType;
use super::image::{DeletedImage, Image};
use super::image_send::ImageSend;
use super::priority::Priority;
use super::read_event::{ReadEvent, ReadEventView};
use super::task::{Task, TaskFailure, TaskSuccess};
use super::task_wire::GlanceTask;
use crate::codec::json_writer::redacted_json;
use crate::codec::payload_style::PayloadStyle;

/// Something that happened to an image or a task, with its priority and payload.
///
/// The type of the payload holds the priority, so the two cannot disagree: facts at `INFO`, a text at
/// `WARN` and `ERROR`.
///
/// This enum is exhaustive on purpose. The specification documents eleven events, and a `match` proves
/// that code handles all of them and [`Other`](Self::Other).
///
/// # Examples
///
/// ```
/// use notify_core::event::Payload;
/// use notify_core::{Event, EventType, Priority};
///
/// let failed = Event::ImageUpload(Payload::Error("storage is full".into()));
/// assert_eq!(*failed.event_type(), EventType::ImageUpload);
/// assert_eq!(failed.priority(), Priority::Error);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// See [`EventType::ImageCreate`].
    ImageCreate(Payload<Image>),
    /// See [`EventType::ImagePrepare`].
    ImagePrepare(Payload<Image>),
    /// See [`EventType::ImageUpload`].
    ImageUpload(Payload<Image>),
    /// See [`EventType::ImageActivate`].
    ImageActivate(Payload<Image>),
    /// See [`EventType::ImageSend`]. It carries the same facts at every priority.
    ImageSend(Priority, ImageSend),
    /// See [`EventType::ImageUpdate`].
    ImageUpdate(Payload<Image>),
    /// See [`EventType::ImageDelete`].
    ImageDelete(Payload<DeletedImage>),
    /// See [`EventType::TaskRun`].
    TaskRun(Payload<Task>),
    /// See [`EventType::TaskProcessing`].
    TaskProcessing(Payload<Task>),
    /// See [`EventType::TaskSuccess`].
    TaskSuccess(Payload<TaskSuccess>),
    /// See [`EventType::TaskFailure`].
    TaskFailure(Payload<TaskFailure>),
    /// An event of any other type, with a payload of any shape.
    ///
    /// Give one of the documented types its own variant instead: that variant checks the payload.
    Other {
        /// The event type.
        event_type: EventType,
        /// The priority.
        priority: Priority,
        /// The payload, unredacted.
        payload: Value,
    },
}

impl Event {
    /// Returns the event type.
    #[inline]
    pub fn event_type(&self) -> &EventType {
        match self {
            Self::ImageCreate(_) => &EventType::ImageCreate,
            Self::ImagePrepare(_) => &EventType::ImagePrepare,
            Self::ImageUpload(_) => &EventType::ImageUpload,
            Self::ImageActivate(_) => &EventType::ImageActivate,
            Self::ImageSend(..) => &EventType::ImageSend,
            Self::ImageUpdate(_) => &EventType::ImageUpdate,
            Self::ImageDelete(_) => &EventType::ImageDelete,
            Self::TaskRun(_) => &EventType::TaskRun,
            Self::TaskProcessing(_) => &EventType::TaskProcessing,
            Self::TaskSuccess(_) => &EventType::TaskSuccess,
            Self::TaskFailure(_) => &EventType::TaskFailure,
            Self::Other { event_type, .. } => event_type,
        }
    }

    /// Returns the priority, which follows from the payload.
    pub fn priority(&self) -> Priority {
        match self {
            Self::ImageCreate(payload)
            | Self::ImagePrepare(payload)
            | Self::ImageUpload(payload)
            | Self::ImageActivate(payload)
            | Self::ImageUpdate(payload) => payload.priority(),
            Self::ImageSend(priority, _) | Self::Other { priority, .. } => *priority,
            Self::ImageDelete(payload) => payload.priority(),
            Self::TaskRun(payload) | Self::TaskProcessing(payload) => payload.priority(),
            Self::TaskSuccess(payload) => payload.priority(),
            Self::TaskFailure(payload) => payload.priority(),
        }
    }
}

/// The payload of an event: facts if the operation succeeded, a text if it did not.
///
/// The variant determines the priority. Facts convert with `into()`: `image.into()`.
///
/// # Examples
///
/// ```
/// use notify_core::Priority;
/// use notify_core::event::{DeletedImage, Payload};
/// use uuid::Uuid;
///
/// let facts: Payload<DeletedImage> = DeletedImage::Id(Uuid::nil()).into();
/// assert_eq!(facts.priority(), Priority::Info);
///
/// // `Debug` shows a payload as it leaves the process: without credentials.
/// let failed: Payload<DeletedImage> = Payload::Error("at rbd://user:secret@host/pool".into());
/// assert_eq!(format!("{failed:?}"), r#"Error("at rbd://***@host/pool")"#);
/// ```
#[derive(Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Payload<T> {
    /// The operation succeeded: its facts.
    Info(T),
    /// The operation succeeded with reservations: a text that names them.
    Warn(String),
    /// The operation failed: a text that gives the reason.
    Error(String),
}

impl<T> Payload<T> {
    /// Returns the priority that this variant stands for.
    pub fn priority(&self) -> Priority {
        match self {
            Self::Info(_) => Priority::Info,
            Self::Warn(_) => Priority::Warn,
            Self::Error(_) => Priority::Error,
        }
    }
}

/// Shows a text as it leaves the process: without credentials.
impl<T: fmt::Debug> fmt::Debug for Payload<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Info(facts) => f.debug_tuple("Info").field(facts).finish(),
            Self::Warn(text) => write!(f, "Warn({})", redacted_json(text.as_str())),
            Self::Error(text) => write!(f, "Error({})", redacted_json(text.as_str())),
        }
    }
}

/// Turns facts into the payload of an operation that succeeded.
impl<T> From<T> for Payload<T> {
    fn from(facts: T) -> Self {
        Self::Info(facts)
    }
}

/// The payload of a notification, with the event type and the priority that belong to it.
///
/// A program constructs [`Constructed`](Self::Constructed), and reading returns [`Read`](Self::Read).
///
/// # Examples
///
/// ```
/// use notify_core::event::{NotificationPayload, Payload};
/// use notify_core::{Event, EventType, Notification};
///
/// # fn main() -> notify_core::Result<()> {
/// let event = Event::ImageUpload(Payload::Error("storage is full".into()));
/// assert!(matches!(event.into(), NotificationPayload::Constructed(_)));
///
/// let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"host1",
///     "event_type":"image.upload","priority":"ERROR","timestamp":"2026-11-22 12:00:00.123456",
///     "payload":"storage is full"}"#;
/// let payload = Notification::decode(line)?.payload;
/// assert!(matches!(payload, NotificationPayload::Read(_)));
/// assert_eq!(*payload.event_type(), EventType::ImageUpload);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a program that emits constructs events")]
pub enum NotificationPayload {
    /// An event that a program constructed. `payloads` selects its shape.
    Constructed(Event),
    /// An event that was read. Encoding writes its payload again, in the shape that it had.
    Read(ReadEvent),
}

impl NotificationPayload {
    /// Returns the event type.
    pub fn event_type(&self) -> &EventType {
        match self {
            Self::Constructed(event) => event.event_type(),
            Self::Read(event) => event.event_type(),
        }
    }

    /// Returns the priority.
    pub fn priority(&self) -> Priority {
        match self {
            Self::Constructed(event) => event.priority(),
            Self::Read(event) => event.priority(),
        }
    }

    /// Borrows the payload: in one style for the encoder, without a style for serde.
    pub(crate) fn view(&self, style: Option<PayloadStyle>) -> PayloadView<'_> {
        match self {
            Self::Constructed(event) => PayloadView::Constructed(event, style),
            Self::Read(event) if style.is_some() => PayloadView::Text(event.view()),
            Self::Read(event) => PayloadView::Read(event.view()),
        }
    }
}

impl From<Event> for NotificationPayload {
    fn from(event: Event) -> Self {
        Self::Constructed(event)
    }
}

impl From<ReadEvent> for NotificationPayload {
    fn from(event: ReadEvent) -> Self {
        Self::Read(event)
    }
}

/// A borrowed payload, for the encoder and for serde.
#[derive(Clone, Copy)]
pub(crate) enum PayloadView<'a> {
    /// A payload that a program constructed, in one style. Without a style, a deleted image keeps all its
    /// facts.
    Constructed(&'a Event, Option<PayloadStyle>),
    /// A payload as it was read, for the encoder. It serializes itself as bytes.
    Text(ReadEventView<'a>),
    /// A payload as it was read, for serde.
    Read(ReadEventView<'a>),
}

impl PayloadView<'_> {
    /// Returns the event type.
    pub(crate) fn event_type(&self) -> &EventType {
        match self {
            Self::Constructed(event, _) => event.event_type(),
            Self::Text(event) | Self::Read(event) => event.event_type,
        }
    }

    /// Returns the priority.
    pub(crate) fn priority(&self) -> Priority {
        match self {
            Self::Constructed(event, _) => event.priority(),
            Self::Text(event) | Self::Read(event) => event.priority,
        }
    }
}

impl Serialize for PayloadView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use Payload::Info;
        let (event, style) = match self {
            Self::Text(event) => {
                return serializer.serialize_bytes(event.payload.get().as_bytes());
            }
            Self::Read(event) => return event.payload.serialize(serializer),
            Self::Constructed(event, style) => (event, style),
        };
        match (style, event) {
            (
                Some(PayloadStyle::Documented),
                Event::ImageDelete(Info(DeletedImage::Full(image))),
            ) => image.id.serialize(serializer),
            (
                Some(PayloadStyle::Glance),
                Event::TaskRun(Info(task))
                | Event::TaskProcessing(Info(task))
                | Event::TaskSuccess(Info(TaskSuccess { task, .. }))
                | Event::TaskFailure(Info(TaskFailure { task, .. })),
            ) => GlanceTask::new(task).serialize(serializer),
            (
                _,
                Event::ImageCreate(payload)
                | Event::ImagePrepare(payload)
                | Event::ImageUpload(payload)
                | Event::ImageActivate(payload)
                | Event::ImageUpdate(payload),
            ) => payload.serialize(serializer),
            (_, Event::ImageSend(_, facts)) => facts.serialize(serializer),
            (_, Event::ImageDelete(payload)) => payload.serialize(serializer),
            (_, Event::TaskRun(payload) | Event::TaskProcessing(payload)) => {
                payload.serialize(serializer)
            }
            (_, Event::TaskSuccess(payload)) => payload.serialize(serializer),
            (_, Event::TaskFailure(payload)) => payload.serialize(serializer),
            (_, Event::Other { payload, .. }) => payload.serialize(serializer),
        }
    }
}
