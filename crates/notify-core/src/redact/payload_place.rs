//! Places in a notification, for policies that judge a value by its place.

use crate::event::event_type::EventType;

/// The place of a value, which decides whether [`Redact::Strict`](super::Redact::Strict) shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadPlace {
    /// The notification itself, of a task event or of another.
    Notification { of_task: bool },
    /// The payload of a task event.
    Task,
    /// The map `task_input`.
    TaskInput,
    /// The map `task_input.image_properties`.
    ImageProperties,
    /// A value of `task_input` that is never secret: a format or the image's name.
    Harmless,
    /// Any other place inside `task_input`.
    Inside,
    /// Any place outside `task_input`.
    Elsewhere,
}

impl PayloadPlace {
    /// Returns the place of a notification of this type.
    pub(crate) fn notification(event_type: &EventType) -> Self {
        Self::Notification { of_task: event_type.group() == "task" }
    }

    /// Returns the place of the value under `key`.
    pub(crate) fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Notification { of_task: true }, "payload") => Self::Task,
            (Self::Task, "task_input" | "input") => Self::TaskInput,
            (Self::TaskInput, "import_from_format")
            | (Self::ImageProperties, "name" | "disk_format" | "container_format") => {
                Self::Harmless
            }
            (Self::TaskInput, "image_properties") => Self::ImageProperties,
            (Self::Notification { .. } | Self::Task | Self::Elsewhere, _) => Self::Elsewhere,
            _ => Self::Inside,
        }
    }

    /// Returns the place of the items of a list. Inside `task_input`, no list is harmless.
    pub(crate) fn in_list(self) -> Self {
        if self.below("").shows_scalars() { Self::Elsewhere } else { Self::Inside }
    }

    /// Returns `true` if the strict policy shows scalars at this place.
    pub(crate) fn shows_scalars(self) -> bool {
        !matches!(self, Self::TaskInput | Self::ImageProperties | Self::Inside)
    }
}
