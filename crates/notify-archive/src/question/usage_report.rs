//! Reports that count events and bytes by group: [`UsageReport`].

use std::collections::BTreeMap;

use notify_core::event::EventGlob;
use notify_core::{EventType, Priority};
use time::OffsetDateTime;

use super::answer_table::{AnswerCell, AnswerTable};
use super::calendar::Calendar;
use super::project_names::ProjectNames;
use crate::record::event_record::EventRecord;

/// A report about transfers, failures, deletions or activity, by group.
///
/// It takes records in any order and keeps one row of numbers per group. Sums are exact integers.
///
/// # Examples
///
/// ```
/// use notify_archive::question::{Calendar, ReportGroup, ProjectNames, UsageKind, UsageReport};
///
/// let report = UsageReport::new(UsageKind::Transfers, ReportGroup::Project, Calendar::utc());
/// let answer = report.finish(&ProjectNames::default());
/// assert_eq!(answer.columns, ["project", "downloads", "incomplete", "bytes_sent"]);
/// ```
#[derive(Clone, Debug)]
pub struct UsageReport {
    kind: UsageKind,
    grouping: ReportGroup,
    calendar: Calendar,
    groups: BTreeMap<String, Vec<u128>>,
}

/// Events of one event type and priority, of one group, and within one day.
pub(crate) struct UsageCount<'a> {
    pub(crate) event_type: EventType,
    pub(crate) priority: Priority,
    /// The time of one of the events.
    pub(crate) time: OffsetDateTime,
    /// The project, the image or the region, if the report groups by it.
    pub(crate) key: Option<&'a str>,
    pub(crate) events: u64,
    pub(crate) bytes: u128,
}

/// The subject of a [`UsageReport`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UsageKind {
    /// Downloads: `image.send`. The project is the receiver's.
    Transfers,
    /// Failures: events at `ERROR` or `CRITICAL`, and `task.failure`. The project is the owner.
    Failures,
    /// Deletions: `image.delete` at `INFO`. The project is the owner.
    Deletions,
    /// All events of images and tasks. The project is the owner.
    Activity,
}

/// The groups of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReportGroup {
    /// The project's id.
    Project,
    /// The image's or the task's id.
    Image,
    /// The region of the source.
    Region,
    /// The day of the event in the calendar's time zone.
    Day,
    /// The month of the event in the calendar's time zone.
    Month,
}

impl UsageReport {
    /// Creates an empty report.
    pub fn new(kind: UsageKind, grouping: ReportGroup, calendar: Calendar) -> Self {
        Self { kind, grouping, calendar, groups: BTreeMap::new() }
    }

    /// Counts a record, if the report is about its event.
    pub fn add(&mut self, record: &EventRecord) {
        let project = match self.kind {
            UsageKind::Transfers => &record.receiver,
            _ => &record.owner,
        };
        let key = match self.grouping {
            ReportGroup::Project => project,
            ReportGroup::Image => &record.subject,
            ReportGroup::Region => &record.arrival.region,
            ReportGroup::Day | ReportGroup::Month => &None,
        };
        let bytes = match self.kind {
            UsageKind::Transfers => record.bytes_sent,
            UsageKind::Deletions => record.size,
            UsageKind::Failures | UsageKind::Activity => None,
        };
        self.add_count(&UsageCount {
            event_type: record.event_type.clone(),
            priority: record.priority,
            time: record.timestamp,
            key: key.as_deref(),
            events: 1,
            bytes: bytes.unwrap_or_default().into(),
        });
    }

    /// Adds events of one kind and one group, if the report is about them.
    pub(crate) fn add_count(&mut self, count: &UsageCount<'_>) {
        let Some(column) = self.kind.column_of(&count.event_type, count.priority) else { return };
        let in_time;
        let key = match self.grouping {
            ReportGroup::Day => {
                in_time = self.calendar.day(count.time);
                Some(in_time.as_str())
            }
            ReportGroup::Month => {
                in_time = self.calendar.month(count.time);
                Some(in_time.as_str())
            }
            ReportGroup::Project | ReportGroup::Image | ReportGroup::Region => count.key,
        };
        let key = key.unwrap_or(UNKNOWN);
        if !self.groups.contains_key(key) {
            self.groups.insert(key.to_owned(), vec![0; self.kind.columns().len()]);
        }
        let Some(numbers) = self.groups.get_mut(key) else { return };
        numbers[column] += u128::from(count.events);
        if let (true, Some(sum)) = (self.kind.has_bytes(), numbers.last_mut()) {
            *sum += count.bytes;
        }
    }

    /// Returns the columns of the archive that hold the key of a group and the bytes of an event, in SQL.
    #[cfg(feature = "store")]
    pub(crate) fn counted_columns(&self) -> (&'static str, &'static str) {
        let key = match (self.grouping, self.kind) {
            (ReportGroup::Project, UsageKind::Transfers) => "receiver",
            (ReportGroup::Project, _) => "owner",
            (ReportGroup::Image, _) => "subject",
            (ReportGroup::Region, _) => "region",
            (ReportGroup::Day | ReportGroup::Month, _) => "NULL",
        };
        let bytes = match self.kind {
            UsageKind::Transfers => "bytes",
            UsageKind::Deletions => "size",
            UsageKind::Failures | UsageKind::Activity => "0",
        };
        (key, bytes)
    }

    /// Returns the calendar.
    #[cfg(feature = "store")]
    pub(crate) fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Returns the answer, with one row per group in the order of the groups' keys.
    pub fn finish(&self, names: &ProjectNames) -> AnswerTable {
        let columns = self.kind.columns();
        let cell = |index: usize, number: u128| match columns[index] {
            name if name.starts_with("bytes") => AnswerCell::Bytes(number),
            _ => AnswerCell::Count(number),
        };
        let row = |label: AnswerCell, numbers: &[u128]| {
            let cells = numbers.iter().enumerate().map(|(index, number)| cell(index, *number));
            std::iter::once(label).chain(cells).collect()
        };
        let rows = self.groups.iter().map(|(key, numbers)| {
            let label = match self.grouping {
                ReportGroup::Project => names.shown(key),
                _ => key,
            };
            row(AnswerCell::Text(label.to_owned()), numbers)
        });
        let mut sums = vec![0; columns.len()];
        for numbers in self.groups.values() {
            sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
        }
        AnswerTable {
            rows: rows.collect(),
            totals: row(AnswerCell::Text("total".to_owned()), &sums),
            columns: std::iter::once(self.grouping.column())
                .chain(columns.iter().copied())
                .collect(),
            notes: self.kind.notes().iter().map(|note| (*note).to_owned()).collect(),
        }
    }
}

impl UsageKind {
    /// Returns the event types that the report is about, or none if it is about many.
    pub fn events(self) -> Vec<EventGlob> {
        let exact = |event_type: EventType| event_type.as_str().parse().into_iter();
        match self {
            Self::Transfers => exact(EventType::ImageSend).collect(),
            Self::Deletions => exact(EventType::ImageDelete).collect(),
            Self::Failures | Self::Activity => Vec::new(),
        }
    }

    /// Returns the names of the columns behind the group.
    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Transfers => &["downloads", "incomplete", "bytes_sent"],
            Self::Failures => &["uploads", "downloads", "tasks", "others"],
            Self::Deletions => &["images", "bytes_deleted"],
            Self::Activity => {
                &["created", "uploaded", "updated", "downloaded", "deleted", "tasks", "others"]
            }
        }
    }

    /// Returns `true` if the last column holds bytes.
    fn has_bytes(self) -> bool {
        matches!(self, Self::Transfers | Self::Deletions)
    }

    /// Returns the column that counts an event, or `None` if the report is not about it.
    fn column_of(self, event_type: &EventType, priority: Priority) -> Option<usize> {
        let is_failure = matches!(priority, Priority::Error | Priority::Critical);
        let is_task = event_type.group() == "task";
        let is_ours = is_task || event_type.group() == "image";
        match self {
            Self::Transfers => {
                (*event_type == EventType::ImageSend).then_some(usize::from(is_failure))
            }
            Self::Failures => {
                let is_failure = is_failure || *event_type == EventType::TaskFailure;
                (is_failure && is_ours).then_some(match event_type {
                    EventType::ImageUpload => 0,
                    EventType::ImageSend => 1,
                    _ if is_task => 2,
                    _ => 3,
                })
            }
            Self::Deletions => (*event_type == EventType::ImageDelete && !is_failure).then_some(0),
            Self::Activity => is_ours.then_some(match event_type {
                EventType::ImageCreate => 0,
                EventType::ImageUpload => 1,
                EventType::ImageUpdate => 2,
                EventType::ImageSend => 3,
                EventType::ImageDelete => 4,
                _ if is_task => 5,
                _ => 6,
            }),
        }
    }

    /// Returns sentences about the limits of the numbers.
    fn notes(self) -> &'static [&'static str] {
        match self {
            Self::Transfers => &[
                "Bytes are a lower bound: Nova reads images in Ceph without Glance, and a client that \
                 disconnects early causes no event.",
            ],
            Self::Failures => &[
                "A failed task names no reason. An upload whose client disconnects causes no event: see \
                 `report stuck`.",
            ],
            Self::Deletions => {
                &["The project is the owner of the image, not the actor: ask `who`."]
            }
            Self::Activity => &["The project is the owner of the image or task, not the actor."],
        }
    }
}

impl ReportGroup {
    /// Returns the name of the first column.
    pub(crate) fn column(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Image => "image",
            Self::Region => "region",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// The group of records that lack the fact.
pub(crate) const UNKNOWN: &str = "unknown";
