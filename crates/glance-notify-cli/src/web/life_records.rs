//! The records of one life at which a page looks: [`LifeRecords`].
//!
//! It bounds them by kind. It must not show anything.

use std::collections::{HashMap, VecDeque};

use glance_notify::event::EventType;
use glance_notify::time::OffsetDateTime;
use notify_archive::question::Timeline;
use notify_archive::record::{AuditFacts, EventRecord, RequestEffect};

/// The records of a life, bounded by kind, so that many records of one kind displace none of another.
///
/// Any user can send requests about an image, also after its deletion. Refused requests and reads therefore displace no
/// evidence for the deletion or for another change.
#[derive(Default)]
pub(super) struct LifeRecords {
    downloads: KeptRecords,
    events: KeptRecords,
    /// Failures that name no image.
    failures: KeptRecords,
    /// Audit events of refused requests, which the timeline shows.
    refusals: KeptRecords,
    /// Audit events of requests that can have caused an event.
    evidence: HashMap<RequestEffect, EvidenceRecords>,
    /// The bytes of all downloads.
    pub(super) bytes: u128,
    /// The time of the first of all downloads and events.
    pub(super) first: Option<OffsetDateTime>,
    /// The time of the last of all downloads and events.
    pub(super) last: Option<OffsetDateTime>,
}

/// The oldest and the newest records of a kind. The timeline gets the oldest at once.
#[derive(Default)]
struct KeptRecords {
    /// The number of all records.
    count: usize,
    newest: VecDeque<EventRecord>,
}

/// The audit events of successful requests with one effect.
#[derive(Default)]
struct EvidenceRecords {
    records: KeptRecords,
    /// The requests without a response yet, with their audit ids, the oldest first.
    open: VecDeque<(String, EventRecord)>,
    /// Whether a request left `open` before its response.
    is_open_cut: bool,
    /// Whether a request is missing whose response says that it succeeded.
    lacks_request: bool,
}

impl LifeRecords {
    /// Takes the next record, the oldest first.
    pub(super) fn add(&mut self, record: &EventRecord, timeline: &mut Timeline) {
        if record.is_audit() {
            self.add_audit(record, timeline);
            return;
        }
        if record.subject.is_none() {
            self.failures.add(record, timeline);
            return;
        }
        self.first = self.first.into_iter().chain([record.timestamp]).min();
        self.last = self.last.max(Some(record.timestamp));
        if record.event_type == EventType::ImageSend {
            self.bytes += u128::from(record.bytes_sent.unwrap_or_default());
            self.downloads.add(record, timeline);
        } else {
            self.events.add(record, timeline);
        }
    }

    /// Takes an audit event, if it is evidence or the timeline shows it.
    fn add_audit(&mut self, record: &EventRecord, timeline: &mut Timeline) {
        let Some(facts) = AuditFacts::of(&record.body) else { return };
        if facts.is_refused() {
            self.refusals.add(record, timeline);
        }
        if let Some(effect) = facts.effect() {
            self.evidence.entry(effect).or_default().add(record, facts, timeline);
        }
    }

    /// Gives the newest records to the timeline.
    pub(super) fn add_newest(&mut self, timeline: &mut Timeline) {
        let evidence = self.evidence.values_mut().map(|evidence| &mut evidence.records);
        let kinds = [&mut self.events, &mut self.downloads, &mut self.failures, &mut self.refusals];
        for kind in kinds.into_iter().chain(evidence) {
            for record in kind.newest.drain(..) {
                timeline.add(&record);
            }
        }
    }

    /// Returns the number of all downloads.
    pub(super) fn download_count(&self) -> usize {
        self.downloads.count
    }

    /// Returns the number of records that the timeline does not get. Evidence does not count: no page shows it.
    pub(super) fn left_out(&self) -> usize {
        let kinds = [&self.events, &self.downloads, &self.failures, &self.refusals];
        kinds.into_iter().map(KeptRecords::left_out).sum()
    }

    /// Returns `true` if the timeline does not get all audit events that can name the actor of such an event.
    pub(super) fn lacks_evidence(&self, event_type: &EventType) -> bool {
        let evidence =
            RequestEffect::of_event(event_type).and_then(|effect| self.evidence.get(&effect));
        evidence.is_some_and(|evidence| evidence.lacks_request || evidence.records.left_out() > 0)
    }
}

impl KeptRecords {
    fn add(&mut self, record: &EventRecord, timeline: &mut Timeline) {
        self.count += 1;
        // The list of events begins with the oldest, without a hole.
        if self.count <= MOST_LINES {
            timeline.add(record);
            return;
        }
        if self.newest.len() == MOST_RECORDS - MOST_LINES {
            self.newest.pop_front();
        }
        self.newest.push_back(record.clone());
    }

    /// Returns the number of records that the timeline does not get.
    fn left_out(&self) -> usize {
        self.count.saturating_sub(MOST_RECORDS)
    }
}

impl EvidenceRecords {
    /// Takes an audit event. A request waits for its response: it is evidence only if it succeeded.
    fn add(&mut self, record: &EventRecord, facts: AuditFacts, timeline: &mut Timeline) {
        if facts.outcome == "pending" {
            if let Some(id) = facts.id {
                self.begin(id, record);
            }
            return;
        }
        let request = facts.id.as_deref().and_then(|id| self.end(id));
        if facts.outcome == "success" {
            self.lacks_request |= request.is_none() && self.is_open_cut;
            for record in request.iter().chain([record]) {
                self.records.add(record, timeline);
            }
        }
    }

    /// Keeps a request until its response comes.
    fn begin(&mut self, id: String, record: &EventRecord) {
        if self.open.len() == MOST_OPEN {
            self.open.pop_front();
            self.is_open_cut = true;
        }
        self.open.push_back((id, record.clone()));
    }

    /// Returns the request that a response ends.
    fn end(&mut self, id: &str) -> Option<EventRecord> {
        // Most requests end soon, so theirs is one of the newest.
        let place = self.open.iter().rposition(|(open, _)| open == id)?;
        self.open.remove(place).map(|(_, record)| record)
    }
}

/// The most records of a kind at which a page looks: the oldest [`MOST_LINES`] and the newest.
const MOST_RECORDS: usize = 5000;
/// The most lines of a table, and the most events of a drawing.
pub(super) const MOST_LINES: usize = 300;
/// The most requests of one effect that wait for their responses.
const MOST_OPEN: usize = 1000;
