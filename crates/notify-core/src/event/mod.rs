//! The events of an image service: their types, priorities and payloads.
//!
//! Glance's notification specification says which events exist and what their payloads hold. Where
//! Glance's code differs from its specification, `docs/decisions.md` says which of the two this crate
//! follows.
//!
//! The types here only describe events. [`codec`](crate::codec) reads and writes them as JSON, and
//! [`redact`](crate::redact) removes credentials on the way.

pub(crate) mod event_glob;
pub(crate) mod event_type;
mod event_wire;
mod facts;
pub(crate) mod image;
pub(crate) mod image_send;
mod image_wire;
#[cfg(feature = "schema")]
mod json_schema;
pub(crate) mod payload;
mod payload_problem;
pub(crate) mod priority;
pub(crate) mod read_event;
pub(crate) mod task;
mod task_wire;
pub(crate) mod words;

pub use event_glob::EventGlob;
pub use event_type::{EventName, EventType};
pub use facts::EventFacts;
pub use image::{DeletedImage, Image, ImageStatus, Visibility};
pub use image_send::ImageSend;
#[cfg(feature = "schema")]
pub use json_schema::json_schema;
pub use payload::{Event, NotificationPayload, Payload};
pub use priority::Priority;
pub use read_event::ReadEvent;
pub use task::{Task, TaskFailure, TaskStatus, TaskSuccess};
