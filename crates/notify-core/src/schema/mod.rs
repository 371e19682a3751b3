//! The eleven events of an image service: which there are, how urgent each can be, what each carries.
//!
//! Priority and payload cannot disagree: the payload's type carries the priority. What the events
//! mean and look like is Glance's notification specification; where Glance's own code differs,
//! `docs/decisions.md` says what is done here.

mod image;
#[cfg(feature = "schema")]
mod json_schema;
mod payload;
mod read;
mod task;
mod words;

pub use image::{DeletedImage, Image, ImageSend, Status, Visibility};
#[cfg(feature = "schema")]
pub use json_schema::json_schema;
pub use payload::{Body, Event, Payload};
pub use task::{Task, TaskFailure, TaskStatus, TaskSuccess};

pub(crate) use payload::PayloadView;
pub use read::Problem;
pub(crate) use read::{AsWord, Fields, Reader, escape, kind_of, parse_uuid};
pub(crate) use words::one_of;

words::words! {
    /// What happened. Eleven values, closed by the specification.
    pub enum EventType {
        /// The image's record exists, independent of any data.
        ImageCreate = "image.create",
        /// The upload of the image's data to the store begins.
        ImagePrepare = "image.prepare",
        /// The upload of the image's data has completed; or, as an error, has failed.
        ImageUpload = "image.upload",
        /// The image's status became `active`: the location of its data is known.
        ImageActivate = "image.activate",
        /// The image's data has been sent to a consumer; as an error, not all of it.
        ImageSend = "image.send",
        /// The image's record has changed.
        ImageUpdate = "image.update",
        /// The image's record has been deleted.
        ImageDelete = "image.delete",
        /// The task has been picked up by the executor.
        TaskRun = "task.run",
        /// The task has been sent over to the executor to begin.
        TaskProcessing = "task.processing",
        /// The task has succeeded.
        TaskSuccess = "task.success",
        /// The task has failed.
        TaskFailure = "task.failure",
    }
}

impl EventType {
    /// The part before the dot, by which Glance's `disabled_notifications` disables a whole group:
    /// `image` or `task`.
    pub fn group(self) -> &'static str {
        match self {
            Self::TaskRun | Self::TaskProcessing | Self::TaskSuccess | Self::TaskFailure => "task",
            _ => "image",
        }
    }
}

words::words! {
    /// How urgent a notification is.
    pub enum Priority {
        /// It went well.
        Info = "INFO",
        /// It went well with reservations. Glance itself never emits it.
        Warn = "WARN",
        /// It failed.
        Error = "ERROR",
    }
}

impl Priority {
    /// The priority in lower case, as it ends routing keys and the names of queues:
    /// `notifications.info`.
    pub fn lower(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}
