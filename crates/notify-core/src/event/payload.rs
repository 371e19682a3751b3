//! An event with its payload, and the forms in which both are written.

use std::fmt;

use serde_json::Value;

use super::event_type::EventType;
use super::image::{DeletedImage, Image, ImageSend};
use super::priority::Priority;
use super::task::{Task, TaskFailure, TaskSuccess};
use crate::codec::json_tree::JsonTree;
use crate::codec::json_writer::{JsonWriter, WriteJson, redacted_json};

/// Something that happened to an image or a task.
///
/// Exhaustive on purpose: the catalogue is closed by a document, and a `match` over it is how routing
/// and tests prove that they cover everything.
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
    /// See [`EventType::ImageSend`]. Every priority carries the same facts.
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
}

impl Event {
    /// What happened.
    pub fn event_type(&self) -> EventType {
        match self {
            Self::ImageCreate(_) => EventType::ImageCreate,
            Self::ImagePrepare(_) => EventType::ImagePrepare,
            Self::ImageUpload(_) => EventType::ImageUpload,
            Self::ImageActivate(_) => EventType::ImageActivate,
            Self::ImageSend(..) => EventType::ImageSend,
            Self::ImageUpdate(_) => EventType::ImageUpdate,
            Self::ImageDelete(_) => EventType::ImageDelete,
            Self::TaskRun(_) => EventType::TaskRun,
            Self::TaskProcessing(_) => EventType::TaskProcessing,
            Self::TaskSuccess(_) => EventType::TaskSuccess,
            Self::TaskFailure(_) => EventType::TaskFailure,
        }
    }

    /// How urgent it is.
    pub fn priority(&self) -> Priority {
        match self {
            Self::ImageCreate(payload)
            | Self::ImagePrepare(payload)
            | Self::ImageUpload(payload)
            | Self::ImageActivate(payload)
            | Self::ImageUpdate(payload) => payload.priority(),
            Self::ImageSend(priority, _) => *priority,
            Self::ImageDelete(payload) => payload.priority(),
            Self::TaskRun(payload) | Self::TaskProcessing(payload) => payload.priority(),
            Self::TaskSuccess(payload) => payload.priority(),
            Self::TaskFailure(payload) => payload.priority(),
        }
    }
}

/// What a notification carries: facts when it went well, a text when it did not.
#[derive(Clone, PartialEq)]
pub enum Payload<T> {
    /// It went well, and these are the facts.
    Info(T),
    /// It went well with reservations: the text says which.
    Warn(String),
    /// It failed: the text says why.
    Error(String),
}

impl<T> Payload<T> {
    /// How urgent it is.
    pub fn priority(&self) -> Priority {
        match self {
            Self::Info(_) => Priority::Info,
            Self::Warn(_) => Priority::Warn,
            Self::Error(_) => Priority::Error,
        }
    }
}

/// Shows texts as they leave: without credentials.
impl<T: fmt::Debug> fmt::Debug for Payload<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Info(facts) => f.debug_tuple("Info").field(facts).finish(),
            Self::Warn(text) => write!(f, "Warn({})", redacted_json(text.as_str())),
            Self::Error(text) => write!(f, "Error({})", redacted_json(text.as_str())),
        }
    }
}

impl<T> From<T> for Payload<T> {
    fn from(facts: T) -> Self {
        Self::Info(facts)
    }
}

/// The three attributes of a notification that say what happened: its event type, its priority and
/// its payload.
#[derive(Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly every body is an event")]
pub enum Body {
    /// In the documented shape.
    Event(Event),
    /// Well-formed, but not in the documented shape: kept as it was read, and written again
    /// unchanged but for redaction. Most often a task as Glance's own code sends it.
    AsRead {
        /// What happened.
        event_type: EventType,
        /// How urgent it is.
        priority: Priority,
        /// The payload as it was read.
        payload: Value,
    },
}

impl Body {
    /// What happened.
    pub fn event_type(&self) -> EventType {
        match self {
            Self::Event(event) => event.event_type(),
            Self::AsRead { event_type, .. } => *event_type,
        }
    }

    /// How urgent it is.
    pub fn priority(&self) -> Priority {
        match self {
            Self::Event(event) => event.priority(),
            Self::AsRead { priority, .. } => *priority,
        }
    }
}

/// Shows payloads as they leave: without secrets.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Self::AsRead { event_type, priority, payload } => {
                let payload = redacted_json(&JsonTree::payload(*event_type, payload));
                write!(f, "AsRead({event_type} {priority} {payload})")
            }
        }
    }
}

impl From<Event> for Body {
    fn from(event: Event) -> Self {
        Self::Event(event)
    }
}

/// The payload of an event, or of what was read.
pub(crate) enum PayloadView<'a> {
    Event(&'a Event),
    AsRead(EventType, &'a Value),
}

impl WriteJson for PayloadView<'_> {
    fn write(&self, w: &mut JsonWriter) {
        let event = match *self {
            Self::Event(event) => event,
            Self::AsRead(event_type, payload) => {
                return JsonTree::payload(event_type, payload).write(w);
            }
        };
        match event {
            Event::ImageCreate(payload)
            | Event::ImagePrepare(payload)
            | Event::ImageUpload(payload)
            | Event::ImageActivate(payload)
            | Event::ImageUpdate(payload) => payload.write(w),
            Event::ImageSend(_, facts) => facts.write(w),
            Event::ImageDelete(payload) => payload.write(w),
            Event::TaskRun(payload) | Event::TaskProcessing(payload) => payload.write(w),
            Event::TaskSuccess(payload) => payload.write(w),
            Event::TaskFailure(payload) => payload.write(w),
        }
    }
}

impl<T: WriteJson> WriteJson for Payload<T> {
    fn write(&self, w: &mut JsonWriter) {
        match self {
            Self::Info(facts) => facts.write(w),
            Self::Warn(text) | Self::Error(text) => text.as_str().write(w),
        }
    }
}
