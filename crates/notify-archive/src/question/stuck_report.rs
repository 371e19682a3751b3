//! Images and tasks without an outcome: [`StuckReport`].

use std::collections::HashMap;
use std::sync::Arc;

use notify_core::{EventType, Priority};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::region_split::by_region;
use crate::record::event_record::EventRecord;

/// A report of images and tasks whose last event is no outcome.
///
/// It claims no failure: an upload without an outcome may still run. One id in two regions is two images.
/// Give it all events up to the time of the question, in any order.
///
/// # Examples
///
/// ```
/// use notify_archive::question::StuckReport;
/// use time::{Duration, OffsetDateTime};
///
/// let items = StuckReport::default().finish(OffsetDateTime::now_utc(), Duration::HOUR);
/// assert!(items.is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct StuckReport {
    lives: HashMap<Arc<str>, Vec<LifeEvent>>,
    /// Failed uploads whose text names no image: time and publisher.
    loose_failures: Vec<(OffsetDateTime, Arc<str>)>,
}

/// An image or task without an outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StuckItem {
    /// The kind.
    pub kind: StuckKind,
    /// The id of the image or task.
    pub id: String,
    /// The name of the image.
    pub name: Option<String>,
    /// The id of the owner's project.
    pub owner: Option<String>,
    /// The region of the events.
    pub region: Option<String>,
    /// The time of the last event.
    #[serde(with = "crate::wire_time")]
    pub since: OffsetDateTime,
    /// The sender of the last event.
    pub publisher_id: String,
    /// The number of failed uploads that name no image, from the same sender since then.
    pub possibly_related_failures: usize,
    /// The place to look at next.
    pub next_step: String,
}

/// The kind of a missing outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StuckKind {
    /// The upload of data began, and neither its end nor an error was seen.
    PrepareWithoutUpload,
    /// The upload ended, and the image did not become active.
    UploadWithoutActivate,
    /// An import began, and the image did not become active.
    Importing,
    /// A task began, and neither success nor failure was seen.
    TaskWithoutEnd,
    /// The image waits for Glance's scrubber, which sends no event.
    PendingDelete,
}

/// The parts of an event that the report needs.
#[derive(Clone, Debug)]
struct LifeEvent {
    time: OffsetDateTime,
    event_type: EventType,
    priority: Priority,
    status: Option<Arc<str>>,
    name: Option<Arc<str>>,
    owner: Option<Arc<str>>,
    publisher_id: Arc<str>,
    region: Option<Arc<str>>,
}

impl StuckReport {
    /// Takes a record, if it is of an image's or a task's life.
    pub fn add(&mut self, record: &EventRecord) {
        let is_life = match &record.event_type {
            EventType::ImageSend => false,
            other => {
                record.is_task()
                    || (record.is_image() && !other.as_str().starts_with("image.member."))
            }
        };
        if !is_life {
            return;
        }
        let Some(subject) = &record.subject else {
            if record.event_type == EventType::ImageUpload && record.priority == Priority::Error {
                self.loose_failures.push((record.timestamp, Arc::clone(&record.publisher_id)));
            }
            return;
        };
        self.lives.entry(Arc::clone(subject)).or_default().push(LifeEvent {
            time: record.timestamp,
            event_type: record.event_type.clone(),
            priority: record.priority,
            status: record.status.clone(),
            name: record.name.clone(),
            owner: record.owner.clone(),
            publisher_id: Arc::clone(&record.publisher_id),
            region: record.arrival.region.clone(),
        });
    }

    /// Returns everything whose last event is older than `older_than` at the time `now`, the oldest first.
    pub fn finish(self, now: OffsetDateTime, older_than: Duration) -> Vec<StuckItem> {
        let mut items = Vec::new();
        let lives = self.lives.into_iter().flat_map(|(id, life)| {
            let lives = by_region(life, |event| event.region.as_ref());
            lives.into_iter().map(move |life| (Arc::clone(&id), life))
        });
        for (id, mut life) in lives {
            life.sort_by_key(|event| event.time);
            let Some((kind, event)) = state_of(&life) else { continue };
            if now - event.time < older_than {
                continue;
            }
            let last = |fact: fn(&LifeEvent) -> &Option<Arc<str>>| {
                life.iter().rev().find_map(|event| fact(event).as_deref().map(str::to_owned))
            };
            let related = |(time, publisher): &&(OffsetDateTime, Arc<str>)| {
                kind == StuckKind::PrepareWithoutUpload
                    && *time >= event.time
                    && *publisher == event.publisher_id
            };
            items.push(StuckItem {
                kind,
                next_step: kind.next_step(&id, &event.publisher_id),
                name: last(|event| &event.name),
                owner: last(|event| &event.owner),
                region: last(|event| &event.region),
                since: event.time,
                publisher_id: event.publisher_id.to_string(),
                possibly_related_failures: self.loose_failures.iter().filter(related).count(),
                id: id.to_string(),
            });
        }
        items.sort_by(|a, b| (a.since, &a.id).cmp(&(b.since, &b.id)));
        items
    }
}

impl StuckKind {
    /// Returns the kind in words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::PrepareWithoutUpload => "upload began, no outcome seen",
            Self::UploadWithoutActivate => "uploaded, not seen active",
            Self::Importing => "import began, no outcome seen",
            Self::TaskWithoutEnd => "task began, no end seen",
            Self::PendingDelete => "waits for the scrubber",
        }
    }

    /// Returns the place to look at next.
    fn next_step(self, id: &str, publisher_id: &str) -> String {
        let host = publisher_id.split_once('.').map_or(publisher_id, |(_, host)| host);
        match self {
            Self::PrepareWithoutUpload | Self::UploadWithoutActivate => {
                format!(
                    "look for {id} in glance-api.log on {host}: the client may have disconnected"
                )
            }
            Self::Importing => {
                format!(
                    "look for {id} in glance-api.log on {host}, and at `openstack image task list`"
                )
            }
            Self::TaskWithoutEnd => {
                format!("look at `openstack image task show {id}` and at glance-api.log on {host}")
            }
            Self::PendingDelete => {
                format!("look whether glance-scrubber runs; it deletes {id} without an event")
            }
        }
    }
}

/// Returns the kind of the missing outcome and the event since which it is missing, if one is missing.
fn state_of(life: &[LifeEvent]) -> Option<(StuckKind, &LifeEvent)> {
    let mut state = None;
    for event in life {
        let status = event.status.as_deref().unwrap_or_default();
        state = match &event.event_type {
            EventType::TaskRun | EventType::TaskProcessing if is_ended(life) => None,
            EventType::TaskRun | EventType::TaskProcessing => {
                Some((StuckKind::TaskWithoutEnd, event))
            }
            EventType::ImagePrepare if event.priority == Priority::Info => {
                Some((StuckKind::PrepareWithoutUpload, event))
            }
            // Its data is gone, or will be.
            EventType::ImageDelete if event.priority == Priority::Info => match status {
                "pending_delete" => Some((StuckKind::PendingDelete, event)),
                _ => return None,
            },
            EventType::ImageUpload if event.priority == Priority::Error => None,
            EventType::ImageUpload if status == "active" => None,
            EventType::ImageUpload => Some((StuckKind::UploadWithoutActivate, event)),
            EventType::ImageActivate => None,
            EventType::ImageUpdate | EventType::ImageCreate => match status {
                "active" | "deactivated" | "killed" | "queued" | "deleted" => None,
                "importing" | "uploading" => match state {
                    Some((StuckKind::PrepareWithoutUpload, _)) => state,
                    _ => Some((StuckKind::Importing, event)),
                },
                "saving" => match state {
                    Some((
                        StuckKind::PrepareWithoutUpload | StuckKind::UploadWithoutActivate,
                        _,
                    )) => state,
                    _ => Some((StuckKind::PrepareWithoutUpload, event)),
                },
                "pending_delete" => Some((StuckKind::PendingDelete, event)),
                _ => state,
            },
            other if other.as_str() == "task.create" && !is_ended(life) => {
                Some((StuckKind::TaskWithoutEnd, event))
            }
            _ => state,
        };
    }
    state
}

/// Returns `true` if a task has ended. Glance can send `task.run` after `task.success`.
fn is_ended(life: &[LifeEvent]) -> bool {
    life.iter().any(|event| match &event.event_type {
        EventType::TaskSuccess | EventType::TaskFailure => true,
        other => other.as_str() == "task.delete",
    })
}
