//! The event types: the eleven names that Glance's notification specification defines.

use super::words::words;

words! {
    /// The name of an event. The specification closes the list: there are eleven.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::EventType;
    ///
    /// let event_type: EventType = "image.upload".parse()?;
    /// assert_eq!(event_type, EventType::ImageUpload);
    /// assert_eq!(event_type.as_str(), "image.upload");
    /// assert_eq!(EventType::ALL.len(), 11);
    ///
    /// let error = "image.explode".parse::<EventType>().unwrap_err();
    /// assert!(error.to_string().starts_with("unknown event type \"image.explode\", expected "));
    /// # Ok::<_, notify_core::Error>(())
    /// ```
    pub enum EventType as "event type" {
        /// The image's record exists. Its data may follow later.
        ImageCreate = "image.create",
        /// The upload of the image's data to the store begins.
        ImagePrepare = "image.prepare",
        /// The upload of the image's data has completed. At `ERROR`, it has failed.
        ImageUpload = "image.upload",
        /// The image's status became `active`: the location of its data is known.
        ImageActivate = "image.activate",
        /// Glance has sent the image's data to a consumer. At `ERROR`, it has sent a part.
        ImageSend = "image.send",
        /// The image's record has changed.
        ImageUpdate = "image.update",
        /// The image's record is gone, or marked as deleted.
        ImageDelete = "image.delete",
        /// The executor has picked up the task.
        TaskRun = "task.run",
        /// Glance has handed the task over to the executor.
        TaskProcessing = "task.processing",
        /// The task has succeeded.
        TaskSuccess = "task.success",
        /// The task has failed.
        TaskFailure = "task.failure",
    }
}

impl EventType {
    /// Returns the part before the dot: `image` or `task`.
    ///
    /// Glance's option `disabled_notifications` disables a whole group by this name.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::EventType;
    ///
    /// assert_eq!(EventType::TaskFailure.group(), "task");
    /// ```
    pub fn group(self) -> &'static str {
        match self {
            Self::TaskRun | Self::TaskProcessing | Self::TaskSuccess | Self::TaskFailure => "task",
            _ => "image",
        }
    }
}
