//! The event types: one word on the wire for each thing that can happen.

use super::words::words;

words! {
    /// What happened. Eleven values, closed by the specification.
    pub enum EventType as "event type" {
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
