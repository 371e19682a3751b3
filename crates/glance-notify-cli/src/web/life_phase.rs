//! The phases in the life of an image or task: [`LifePhase`].

use glance_notify::event::{EventType, Priority};
use notify_archive::question::TimelineEntry;

/// A phase in the life of an image or task, by the last status that an event showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LifePhase {
    /// No event showed a status.
    #[default]
    Unknown,
    /// It exists and has no data, or waits to run.
    Waiting,
    /// Data is on its way, or the task runs.
    Busy,
    /// The image can be used, or the task succeeded.
    Ready,
    /// The image exists and cannot be downloaded.
    Paused,
    /// The upload or the task failed.
    Failed,
    /// The image waits for the scrubber.
    Leaving,
    /// It is deleted.
    Gone,
}

/// The phase after an event, and the status in Glance's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LifeStatus {
    pub(super) phase: LifePhase,
    pub(super) word: String,
}

impl LifePhase {
    /// Returns the class of the phase's colour.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Unknown => "p-unknown",
            Self::Waiting => "p-waiting",
            Self::Busy => "p-busy",
            Self::Ready => "p-ready",
            Self::Paused => "p-paused",
            Self::Failed => "p-failed",
            Self::Leaving => "p-leaving",
            Self::Gone => "p-gone",
        }
    }

    fn of_status(status: &str) -> Option<Self> {
        Some(match status {
            "queued" | "pending" => Self::Waiting,
            "saving" | "importing" | "uploading" | "processing" => Self::Busy,
            "active" | "success" => Self::Ready,
            "deactivated" => Self::Paused,
            "killed" | "failure" => Self::Failed,
            "pending_delete" => Self::Leaving,
            "deleted" => Self::Gone,
            _ => return None,
        })
    }
}

impl LifeStatus {
    /// Returns the status after an event, from the status before it.
    pub(super) fn after(self, entry: &TimelineEntry) -> Self {
        let record = &entry.record;
        let is_error = matches!(record.priority, Priority::Error | Priority::Critical);
        let is_life = record.is_task()
            || (record.is_image() && !record.event_type.as_str().starts_with("image.member."));
        if entry.is_possibly_related || is_error || !is_life {
            return self;
        }
        let new = |phase, word: &str| Self { phase, word: word.to_owned() };
        let status = record.status.as_deref().unwrap_or_default();
        match &record.event_type {
            EventType::ImageSend => self,
            // The event shows the status before the deletion.
            EventType::ImageDelete if status != "pending_delete" => new(LifePhase::Gone, "deleted"),
            EventType::ImagePrepare => new(LifePhase::Busy, "saving"),
            EventType::TaskSuccess => new(LifePhase::Ready, "success"),
            EventType::TaskFailure => new(LifePhase::Failed, "failure"),
            // Glance can send `task.run` after the end.
            _ if record.is_task() && matches!(self.phase, LifePhase::Ready | LifePhase::Failed) => {
                self
            }
            _ if self.phase == LifePhase::Gone => self,
            _ => LifePhase::of_status(status).map_or(self, |phase| new(phase, status)),
        }
    }
}
