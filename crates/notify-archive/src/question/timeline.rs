//! The life of one image or task: [`Timeline`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use notify_core::{EventType, Priority};
use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};

use super::actor::{ActorFinding, AuditTrail};
use super::payload_changes::{PayloadChange, changes, payload_object};
use crate::record::audit_facts::AuditFacts;
use crate::record::event_record::EventRecord;
use crate::record::image_ids::is_uuid;

/// The question for every event of an image or task, by its id or by the image's name.
///
/// It takes records in any order. A name can belong to several images: the answer holds all of them.
///
/// # Examples
///
/// ```
/// use notify_archive::question::Timeline;
///
/// let timeline = Timeline::new("debian-12");
/// assert!(timeline.finish().entries.is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Timeline {
    selector: Arc<str>,
    ids: BTreeSet<Arc<str>>,
    /// The records that the answer shows.
    records: Vec<EventRecord>,
    /// The audited requests. The answer shows few of their records, so only those keep their bodies.
    trail: AuditTrail,
    /// Records that may belong to the answer, until all ids are known.
    undecided: VecDeque<EventRecord>,
    left_out: u64,
}

/// The answer of a [`Timeline`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TimelineAnswer {
    /// The ids of the images or of the task.
    pub ids: Vec<Arc<str>>,
    /// The events in the order of their times.
    pub entries: Vec<TimelineEntry>,
    /// Sentences about unusual things.
    pub anomalies: Vec<String>,
}

/// One event of a timeline.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TimelineEntry {
    /// The event.
    pub record: EventRecord,
    /// The time since the event before, of the same image.
    pub since_last: Option<Duration>,
    /// The actor.
    pub actor: ActorFinding,
    /// The changes since the event before that shows the image.
    pub changes: Vec<PayloadChange>,
    /// A sentence about the event: bytes and receiver, the text of an error, a refused request.
    pub note: Option<String>,
    /// Whether the event names no image and only its sender and time suggest that it belongs here.
    pub is_possibly_related: bool,
}

impl Timeline {
    /// Creates the question for an id or a name.
    pub fn new(selector: &str) -> Self {
        let selector: Arc<str> = selector.into();
        Self {
            ids: BTreeSet::from([Arc::clone(&selector)]),
            selector,
            records: Vec::new(),
            trail: AuditTrail::default(),
            undecided: VecDeque::new(),
            left_out: 0,
        }
    }

    /// Takes a record, if it can belong to the answer.
    ///
    /// Keeps at most 200 000 records until it knows whether they belong to the name.
    pub fn add(&mut self, record: &EventRecord) {
        if let Some(subject) = &record.subject {
            if record.name.as_ref() == Some(&self.selector) && record.is_image() {
                self.ids.insert(Arc::clone(subject));
            }
            if self.ids.contains(subject) {
                self.keep(record.clone());
                return;
            }
        }
        let is_undecided = match &record.subject {
            None => is_failed_upload(record),
            // An id has no other names; only failures that name no image can still belong to it.
            Some(_) if is_uuid(&self.selector) => false,
            Some(_) => record.is_image() || is_useful_audit(record),
        };
        if !is_undecided {
            return;
        }
        if self.undecided.len() == MOST_UNDECIDED {
            self.undecided.pop_front();
            self.left_out += 1;
        }
        self.undecided.push_back(record.clone());
    }

    /// Returns the answer.
    pub fn finish(mut self) -> TimelineAnswer {
        let undecided = std::mem::take(&mut self.undecided);
        let (known, loose): (Vec<_>, Vec<_>) =
            undecided.into_iter().partition(|record| record.subject.is_some());
        for record in known {
            if record.subject.as_ref().is_some_and(|id| self.ids.contains(id)) {
                self.keep(record);
            }
        }
        self.records.sort_by_key(|record| (record.timestamp, record.message_id));
        let related = related_failures(&self.records, loose);
        let trail = self.trail;
        let mut answer = TimelineAnswer::default();
        let mut lives: BTreeMap<Arc<str>, ImageLife> = BTreeMap::new();
        let mut records = self.records;
        let first_related = records.len();
        records.extend(related);
        let mut order: Vec<_> = (0..records.len()).collect();
        order.sort_by_key(|index| (records[*index].timestamp, records[*index].message_id));
        for index in order {
            let record = &records[index];
            let is_possibly_related = index >= first_related;
            let id = record.subject.clone().unwrap_or_default();
            let life = lives.entry(id).or_default();
            answer.entries.push(TimelineEntry {
                since_last: life.last_time.map(|last| record.timestamp - last),
                actor: trail.actor_of(record),
                changes: if is_possibly_related { Vec::new() } else { life.advance(record) },
                note: note_of(record),
                is_possibly_related,
                record: record.clone(),
            });
        }
        lives.retain(|id, _| !id.is_empty());
        for (id, life) in &lives {
            answer.anomalies.extend(life.anomalies(id));
        }
        if lives.len() > 1 {
            answer.anomalies.push(format!("{} images have this name", lives.len()));
        }
        if self.left_out > 0 {
            answer.anomalies.push(format!(
                "{} events could not be looked at twice: ask for the id instead of the name",
                self.left_out
            ));
        }
        answer.ids = lives.into_keys().collect();
        answer
    }

    /// Takes a record that belongs to the answer. Of audit events, the answer shows only refused requests.
    fn keep(&mut self, record: EventRecord) {
        if record.is_audit() {
            let Some(facts) = AuditFacts::of(&record.body) else { return };
            let is_refused = facts.is_refused();
            self.trail.add_request(&record, facts);
            if !is_refused {
                return;
            }
        }
        self.records.push(record);
    }
}

/// The state of one image while its timeline is read.
#[derive(Default)]
struct ImageLife {
    last_time: Option<OffsetDateTime>,
    payload: Option<Map<String, Value>>,
    is_active: bool,
    was_uploaded: bool,
    active_without_upload: bool,
    open_upload: Option<OffsetDateTime>,
    checksum: Option<Value>,
    content_changes: u32,
    deleted_at: Option<OffsetDateTime>,
    events_after_delete: u32,
    failed_uploads: u32,
    incomplete_downloads: u32,
    regions: BTreeSet<Arc<str>>,
}

impl ImageLife {
    /// Takes the next event. Returns the changes since the one before.
    fn advance(&mut self, record: &EventRecord) -> Vec<PayloadChange> {
        self.last_time = Some(record.timestamp);
        self.regions.extend(record.arrival.region.clone());
        let is_error = record.priority == Priority::Error;
        if self.deleted_at.is_some() && record.is_image() {
            self.events_after_delete += 1;
        }
        match &record.event_type {
            EventType::ImagePrepare => self.open_upload = Some(record.timestamp),
            EventType::ImageUpload => {
                self.open_upload = None;
                self.was_uploaded |= !is_error;
                self.failed_uploads += u32::from(is_error);
            }
            EventType::ImageActivate => self.open_upload = None,
            EventType::ImageSend => self.incomplete_downloads += u32::from(is_error),
            EventType::ImageDelete if !is_error => {
                self.deleted_at = self.deleted_at.or(Some(record.timestamp));
                self.open_upload = None;
            }
            _ => {}
        }
        if record.status.as_deref() == Some("active") && record.is_image() {
            self.active_without_upload |= !self.is_active && !self.was_uploaded;
            self.is_active = true;
            self.open_upload = None;
        }
        let shows_state = record.event_type != EventType::ImageSend
            && !record.event_type.as_str().starts_with("image.member.")
            && !record.is_audit();
        let Some(payload) = payload_object(record).filter(|_| shows_state) else {
            return Vec::new();
        };
        let checksum = payload.get("checksum").filter(|value| value.is_string()).cloned();
        if let (Some(old), Some(new)) = (&self.checksum, &checksum) {
            self.content_changes += u32::from(old != new);
        }
        self.checksum = checksum.or(self.checksum.take());
        let before = self.payload.replace(payload);
        match (&before, &self.payload) {
            (Some(before), Some(after)) => changes(before, after),
            _ => Vec::new(),
        }
    }

    /// Returns sentences about unusual things.
    fn anomalies(&self, id: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut count = |number: u32, one: &str, many: &str| {
            if number > 0 {
                let what = if number == 1 { one } else { many };
                found.push(format!("{id}: {number} {what}"));
            }
        };
        count(self.failed_uploads, "failed upload", "failed uploads");
        count(self.incomplete_downloads, "incomplete download", "incomplete downloads");
        count(
            self.content_changes,
            "change of the data after the upload",
            "changes of the data after the upload",
        );
        count(self.events_after_delete, "event after the deletion", "events after the deletion");
        if self.open_upload.is_some() {
            found.push(format!(
                "{id}: the upload began and no outcome was seen: ask `report stuck`"
            ));
        }
        if self.active_without_upload {
            found.push(format!(
                "{id}: active without an upload: a location was added, or the upload is not in these events"
            ));
        }
        if self.regions.len() > 1 {
            let regions: Vec<_> = self.regions.iter().map(AsRef::as_ref).collect();
            found.push(format!("{id}: the id exists in several regions: {}", regions.join(", ")));
        }
        found
    }
}

/// Returns the failed uploads without an image's id that may belong to an open upload in `records`.
fn related_failures(records: &[EventRecord], loose: Vec<EventRecord>) -> Vec<EventRecord> {
    let mut open: Vec<(&Arc<str>, OffsetDateTime, Option<OffsetDateTime>)> = Vec::new();
    for record in records {
        match record.event_type {
            EventType::ImagePrepare => open.push((&record.publisher_id, record.timestamp, None)),
            EventType::ImageUpload | EventType::ImageActivate | EventType::ImageDelete => {
                if let Some((_, _, end @ None)) = open.last_mut() {
                    *end = Some(record.timestamp);
                }
            }
            _ => {}
        }
    }
    let belongs = |record: &EventRecord| {
        open.iter().any(|(publisher, start, end)| {
            let end = end.unwrap_or(start.saturating_add(LONGEST_UPLOAD));
            **publisher == record.publisher_id && (*start..=end).contains(&record.timestamp)
        })
    };
    loose.into_iter().filter(belongs).collect()
}

/// Returns a sentence about an event, if it says more than its type.
fn note_of(record: &EventRecord) -> Option<String> {
    if record.is_audit() {
        let facts = AuditFacts::of(&record.body)?;
        return Some(format!("request refused: {} {}", facts.action, facts.request_path?));
    }
    match &record.event_type {
        EventType::ImageSend => {
            let payload = payload_object(record).unwrap_or_default();
            let address = payload.get("destination_ip").and_then(Value::as_str);
            let part = if record.priority == Priority::Error { " (incomplete)" } else { "" };
            let unknown = || Arc::from("unknown");
            Some(format!(
                "{} bytes{part} to project {}, user {}{}",
                record.bytes_sent.map_or_else(|| "unknown".to_owned(), |bytes| bytes.to_string()),
                record.receiver.clone().unwrap_or_else(unknown),
                record.receiver_user.clone().unwrap_or_else(unknown),
                address.map(|address| format!(" at {address}")).unwrap_or_default(),
            ))
        }
        other if other.as_str().starts_with("image.member.") => {
            let payload = payload_object(record)?;
            let member = payload.get("member_id").and_then(Value::as_str)?;
            let status = record.status.as_deref().unwrap_or_default();
            Some(format!("member {member} {status}").trim_end().to_owned())
        }
        _ if record.priority != Priority::Info => record.message_text(),
        _ => None,
    }
}

/// Returns `true` for a failed upload.
fn is_failed_upload(record: &EventRecord) -> bool {
    record.event_type == EventType::ImageUpload && record.priority == Priority::Error
}

/// Returns `true` for an audit event that can name an actor, or that a timeline shows.
fn is_useful_audit(record: &EventRecord) -> bool {
    record.is_audit()
        && AuditFacts::of(&record.body)
            .is_some_and(|facts| facts.effect().is_some() || facts.is_refused())
}

/// The most undecided records that a question keeps.
const MOST_UNDECIDED: usize = 200_000;

/// The longest time after the begin of an upload in which a failure may belong to it.
pub(crate) const LONGEST_UPLOAD: Duration = Duration::DAY;
