//! The report of stored bytes over time: [`StorageReport`].

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use notify_core::{EventType, Priority};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::answer_table::{AnswerCell, AnswerTable};
use super::calendar::Calendar;
use super::project_names::ProjectNames;
use super::region_split::by_region;
use super::usage_report::{ReportGroup, UNKNOWN};
use crate::record::event_record::{EventRecord, FIRST_NOTIFICATION};

/// A report of the bytes that images occupied, and for how long.
///
/// An image counts from the first event that shows it `active` with a size, until it is deleted. The report
/// takes records in any order and keeps the changes of each image. One id in two regions is two images.
///
/// # Examples
///
/// ```
/// use notify_archive::question::{Calendar, CatalogueImage, ReportGroup, ProjectNames, StorageReport};
/// use time::{Duration, OffsetDateTime};
///
/// let start = OffsetDateTime::UNIX_EPOCH;
/// let mut report = StorageReport::new(ReportGroup::Project, Calendar::utc());
/// report.add_baseline(&CatalogueImage {
///     id: "1".into(),
///     name: None,
///     owner: Some("web".into()),
///     status: "active".into(),
///     size: Some(1024 * 1024 * 1024),
///     created_at: start,
/// });
/// let answer = report.finish(start..start + Duration::hours(2), &ProjectNames::default());
/// assert_eq!(answer.rows[0][2].text(), "2.000");
/// ```
#[derive(Clone, Debug)]
pub struct StorageReport {
    grouping: ReportGroup,
    calendar: Calendar,
    images: HashMap<Arc<str>, ImageHistory>,
    has_baseline: bool,
    /// The owners that the answer is about. Empty for all.
    projects: Vec<String>,
}

/// An image of the catalogue, as Glance's API lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueImage {
    /// The id.
    pub id: String,
    /// The name.
    #[serde(default)]
    pub name: Option<String>,
    /// The id of the project that owns the image.
    #[serde(default)]
    pub owner: Option<String>,
    /// The status. Only `active` and `deactivated` images occupy the store.
    pub status: String,
    /// The size in bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// The creation time.
    #[serde(with = "crate::wire_time")]
    pub created_at: OffsetDateTime,
}

/// The changes of one image.
#[derive(Clone, Debug, Default)]
struct ImageHistory {
    changes: Vec<StorageChange>,
    baseline: Option<StorageChange>,
}

/// The state of an image from a time on.
#[derive(Clone, Debug)]
struct StorageChange {
    time: OffsetDateTime,
    /// The occupied bytes, or `None` if the event does not tell.
    size: Option<u64>,
    is_deleted: bool,
    /// Whether the event shows the arrival of the data.
    is_upload: bool,
    owner: Option<Arc<str>>,
    region: Option<Arc<str>>,
}

/// The numbers of one group.
#[derive(Clone, Copy, Debug, Default)]
struct StorageSums {
    images: u128,
    byte_microseconds: u128,
    bytes_at_end: u128,
}

impl StorageReport {
    /// Creates an empty report.
    pub fn new(grouping: ReportGroup, calendar: Calendar) -> Self {
        let (images, projects) = (HashMap::new(), Vec::new());
        Self { grouping, calendar, images, has_baseline: false, projects }
    }

    /// Restricts the answer to the time that images belonged to these projects. An empty list stands for all.
    ///
    /// Give the report the events of all projects: an event of the next owner ends the time of the one before.
    #[must_use]
    pub fn of_projects(self, projects: Vec<String>) -> Self {
        Self { projects, ..self }
    }

    /// Takes an image of the catalogue. Its events take precedence.
    pub fn add_baseline(&mut self, image: &CatalogueImage) {
        self.has_baseline = true;
        if !occupies(&image.status) {
            return;
        }
        self.images.entry(image.id.as_str().into()).or_default().baseline = Some(StorageChange {
            time: image.created_at,
            size: image.size,
            is_deleted: false,
            is_upload: false,
            owner: image.owner.as_deref().map(Arc::from),
            region: None,
        });
    }

    /// Takes a record, if it shows the state of an image.
    pub fn add(&mut self, record: &EventRecord) {
        let shows_state = matches!(
            record.event_type,
            EventType::ImageUpload
                | EventType::ImageActivate
                | EventType::ImageUpdate
                | EventType::ImageDelete
        );
        let Some(subject) = record.subject.as_ref() else { return };
        if !shows_state || record.priority != Priority::Info {
            return;
        }
        let is_deleted = record.event_type == EventType::ImageDelete;
        let is_upload =
            matches!(record.event_type, EventType::ImageUpload | EventType::ImageActivate);
        let is_active = record.status.as_deref().is_some_and(occupies);
        if !is_deleted && !is_active {
            return;
        }
        self.images.entry(Arc::clone(subject)).or_default().changes.push(StorageChange {
            time: record.timestamp,
            size: record.size,
            is_deleted,
            is_upload,
            owner: record.owner.clone(),
            region: record.arrival.region.clone(),
        });
    }

    /// Returns the part of an interval that notifications can tell about: from 2010, when Glance sent its first
    /// one, to `now`: an image occupies nothing yet in the future, where an event of a clock that is ahead may lie.
    pub fn plausible(
        interval: Range<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Range<OffsetDateTime> {
        let end = interval.end.min(now);
        interval.start.max(FIRST_NOTIFICATION).min(end)..end
    }

    /// Returns the answer for a half-open interval. Bound it with [`plausible`](Self::plausible) first.
    ///
    /// Groups by project, image and region have one row each. Groups by day and month split every image
    /// at the bounds of the calendar's time zone.
    pub fn finish(mut self, interval: Range<OffsetDateTime>, names: &ProjectNames) -> AnswerTable {
        let mut groups: BTreeMap<String, StorageSums> = BTreeMap::new();
        let images = std::mem::take(&mut self.images).into_iter();
        let lives = images.flat_map(|(id, history)| {
            history.by_region().into_iter().map(move |life| (Arc::clone(&id), life))
        });
        for (id, mut history) in lives {
            let mut counted = std::collections::BTreeSet::new();
            for (stay, bytes, change) in history.stays(&interval) {
                let owns = |project: &String| change.owner.as_deref() == Some(project.as_str());
                if !self.projects.is_empty() && !self.projects.iter().any(owns) {
                    continue;
                }
                let is_end = stay.end == interval.end;
                for (key, part) in parts(self.grouping, &self.calendar, &id, change, stay) {
                    let duration = (part.end - part.start).whole_microseconds().unsigned_abs();
                    let sums = groups.entry(key.clone()).or_default();
                    sums.byte_microseconds += u128::from(bytes) * duration;
                    if is_end && part.end == interval.end {
                        sums.bytes_at_end += u128::from(bytes);
                    }
                    if counted.insert(key) {
                        sums.images += 1;
                    }
                }
            }
        }
        self.table(&groups, names)
    }

    fn table(&self, groups: &BTreeMap<String, StorageSums>, names: &ProjectNames) -> AnswerTable {
        let row = |label: &str, sums: &StorageSums| {
            vec![
                AnswerCell::Text(label.to_owned()),
                AnswerCell::Count(sums.images),
                AnswerCell::GibHours(sums.byte_microseconds),
                AnswerCell::Bytes(sums.bytes_at_end),
            ]
        };
        let mut total = StorageSums::default();
        for sums in groups.values() {
            total.byte_microseconds += sums.byte_microseconds;
            total.bytes_at_end += sums.bytes_at_end;
        }
        let mut totals = row("total", &total);
        // An image can be in several groups.
        totals[1] = AnswerCell::Missing;
        let rows = groups.iter().map(|(key, sums)| match self.grouping {
            ReportGroup::Project => row(names.shown(key), sums),
            _ => row(key, sums),
        });
        let mut notes = vec![
            "GiB-hours are rounded half up to three decimals; JSON has the exact byte-microseconds. Copies \
             in several stores are not visible."
                .to_owned(),
        ];
        if !self.has_baseline {
            notes.push(
                "Images that were uploaded before the first event are missing: give the catalogue with \
                 `--baseline`, or store it with `archive baseline`."
                    .to_owned(),
            );
        }
        AnswerTable {
            columns: vec![self.grouping.column(), "images", "gib_hours", "bytes_at_end"],
            rows: rows.collect(),
            totals,
            notes,
        }
    }
}

impl ImageHistory {
    /// Returns the history in each region. The catalogue has no regions: its image is that of the first event.
    fn by_region(self) -> Vec<Self> {
        let of_changes = |changes| Self { changes, baseline: None };
        let lives = by_region(self.changes, |change| change.region.as_ref());
        let mut lives: Vec<_> = lives.into_iter().map(of_changes).collect();
        let first = |life: &&mut Self| life.changes.iter().map(|change| change.time).min();
        if let Some(life) = lives.iter_mut().min_by_key(first) {
            life.baseline = self.baseline;
        }
        lives
    }

    /// Returns the intervals within `interval` in which the image occupied bytes.
    fn stays(
        &mut self,
        interval: &Range<OffsetDateTime>,
    ) -> Vec<(Range<OffsetDateTime>, u64, &StorageChange)> {
        self.changes.sort_by_key(|change| (change.time, change.is_deleted));
        if let Some(baseline) = self.baseline.take() {
            // The catalogue tells the state before the first event, unless that was the upload.
            let is_before = |first: &StorageChange| !first.is_upload && baseline.time < first.time;
            if self.changes.first().is_none_or(is_before) {
                self.changes.insert(0, baseline);
            }
        }
        let mut stays = Vec::new();
        let mut size = None;
        for (index, change) in self.changes.iter().enumerate() {
            if change.is_deleted {
                // The image's data is gone; later events of this id are copies.
                break;
            }
            size = change.size.or(size);
            let end = self.changes.get(index + 1).map_or(interval.end, |next| next.time);
            let start = change.time.max(interval.start);
            let end = end.min(interval.end);
            if let Some(size) = size.filter(|_| start < end) {
                stays.push((start..end, size, change));
            }
        }
        stays
    }
}

/// Splits a stay into the groups that it belongs to.
fn parts(
    grouping: ReportGroup,
    calendar: &Calendar,
    id: &str,
    change: &StorageChange,
    stay: Range<OffsetDateTime>,
) -> Vec<(String, Range<OffsetDateTime>)> {
    let fact = |fact: Option<&str>| fact.unwrap_or(UNKNOWN).to_owned();
    match grouping {
        ReportGroup::Project => vec![(fact(change.owner.as_deref()), stay)],
        ReportGroup::Image => vec![(id.to_owned(), stay)],
        ReportGroup::Region => vec![(fact(change.region.as_deref()), stay)],
        ReportGroup::Day | ReportGroup::Month => {
            let mut parts = Vec::new();
            let mut start = stay.start;
            while start < stay.end {
                let (key, end) = match grouping {
                    ReportGroup::Day => (calendar.day(start), calendar.end_of_day(start)),
                    _ => (calendar.month(start), calendar.end_of_month(start)),
                };
                // A calendar never stands still; this keeps the loop finite if it did.
                let end = if end > start { end.min(stay.end) } else { stay.end };
                parts.push((key, start..end));
                start = end;
            }
            parts
        }
    }
}

/// Reads the catalogue of images: an answer of Glance's API to `GET /v2/images`, or a list of its images.
///
/// # Errors
///
/// Returns a text that says what the JSON should be.
pub fn read_catalogue(json: &[u8]) -> Result<Vec<CatalogueImage>, String> {
    /// The two forms of the file.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum CatalogueFile {
        Answer { images: Vec<CatalogueImage>, next: Option<String> },
        List(Vec<CatalogueImage>),
    }
    match serde_json::from_slice(json) {
        Ok(CatalogueFile::Answer { next: Some(_), .. }) => Err(INCOMPLETE.to_owned()),
        Ok(CatalogueFile::Answer { images, .. } | CatalogueFile::List(images)) => Ok(images),
        Err(_) => Err(EXPECTED.to_owned()),
    }
}

/// Returns `true` if an image of this status has data in the store.
fn occupies(status: &str) -> bool {
    matches!(status, "active" | "deactivated")
}

const EXPECTED: &str = "expected images as Glance's API lists them: `{\"images\": [{\"id\": …, \"status\": …, \
                        \"size\": …, \"owner\": …, \"created_at\": …}]}`";
const INCOMPLETE: &str =
    "the answer has a next page: fetch all pages and put their images into one list";
