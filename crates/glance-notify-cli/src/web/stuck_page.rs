//! The page `/stuck`: outcomes that are missing, failed tasks and failed uploads, each with the next step.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::Instant;

use askama::Template;
use axum::http::StatusCode;
use glance_notify::event::{EventType, Priority};
use glance_notify::time::{Duration, OffsetDateTime};
use notify_archive::Archive;
use notify_archive::question::{EventFilter, StuckItem, StuckReport};
use notify_archive::record::EventRecord;
use notify_archive::store::{ReadScope, RecordDetail};

use super::archive_overview::ArchiveOverview;
use super::interval_form::IntervalForm;
use super::page_error::PageError;
use super::page_frame::PageFrame;
use super::page_query::PageParameter;
use super::page_request::{JSON_PATH, PageContent, PageRequest, PageTime, SEARCH_PATH};
use super::page_text::PageText;
use super::units::shown_duration;

/// The page.
#[derive(Template)]
#[template(path = "stuck.html")]
struct StuckTemplate {
    frame: PageFrame,
    form: IntervalForm,
    /// The age in minutes from which an outcome is missing.
    older_than: String,
    /// The begin of the interval, and the time at which the outcomes are missing.
    from: PageTime,
    now: PageTime,
    stuck: Vec<StuckLine>,
    more_stuck: usize,
    failures: Vec<FailureLine>,
    more_failures: usize,
    failed_tasks_url: String,
    failed_uploads_url: String,
}

/// A missing outcome.
struct StuckLine {
    state: &'static str,
    since: PageTime,
    age: String,
    id: PageText,
    name: PageText,
    url: Option<String>,
    owner: PageText,
    next_step: PageText,
}

/// A failure.
struct FailureLine {
    time: PageTime,
    what: PageText,
    id: PageText,
    url: Option<String>,
    owner: PageText,
    text: PageText,
    next_step: String,
    json_url: String,
}

/// Makes the page.
pub(super) fn stuck(request: &PageRequest<'_>) -> Result<PageContent, PageError> {
    PageError::check(&request.selection)?;
    let end = Instant::now() + request.site.deadline;
    let selection = &request.selection;
    let archive = request.archive()?;
    let overview = ArchiveOverview::read(&archive)?;
    let Range { mut start, end: now } = overview.interval(&selection.filter);
    if selection.filter.since.is_none() {
        start = start.max(now.saturating_sub(WINDOW));
    }
    // The last event itself belongs to the window.
    let interval = start..now.saturating_add(Duration::MICROSECOND);
    let items = stuck_items(&archive, &interval, end, selection.older_than)?;
    let (failures, failure_count) = failed(&archive, &interval, end)?;
    let sentences = overview.sentences(request, &archive, &(start..now), false)?;
    let failed_query = |event_type: EventType| {
        let query = request.query.without(&NOT_IN_FAILURES);
        query.with(PageParameter::Event, event_type.as_str())
    };
    let template = StuckTemplate {
        frame: request.frame("Stuck and failed").coverage(&sentences),
        form: IntervalForm::new(request, &[PageParameter::OlderThan]),
        older_than: selection.older_than.whole_minutes().to_string(),
        from: request.time(start),
        now: request.time(now),
        more_stuck: items.len().saturating_sub(MOST_LINES),
        stuck: items.iter().take(MOST_LINES).map(|i| StuckLine::new(request, i, now)).collect(),
        failures: failures.iter().map(|record| FailureLine::new(request, record)).collect(),
        more_failures: failure_count.saturating_sub(failures.len()),
        // Glance sends `task.failure` at INFO.
        failed_tasks_url: failed_query(EventType::TaskFailure).url(SEARCH_PATH),
        failed_uploads_url: failed_query(EventType::ImageUpload)
            .with(PageParameter::Priority, Priority::Error.as_str())
            .and(PageParameter::Priority, Priority::Critical.as_str())
            .url(SEARCH_PATH),
    };
    PageContent::page(StatusCode::OK, &template)
}

/// Returns the missing outcomes of lives with an event in the interval.
///
/// The first look sees the interval only. A second one, at the whole life, keeps those that are really stuck.
fn stuck_items(
    archive: &Archive,
    interval: &Range<OffsetDateTime>,
    end: Instant,
    older_than: Duration,
) -> Result<Vec<StuckItem>, PageError> {
    let filter = EventFilter {
        events: LIFE_EVENTS.iter().filter_map(|name| name.parse().ok()).collect(),
        since: Some(interval.start),
        until: Some(interval.end),
        ..EventFilter::default()
    };
    let mut report = StuckReport::default();
    archive.read(&filter, scope(RecordDetail::Facts, end), |record| report.add(record))?;
    let mut items = Vec::new();
    let mut seen = report.finish(interval.end, older_than);
    // One id may be stuck in several regions.
    let mut ids = HashSet::new();
    seen.retain(|item| ids.insert(item.id.clone()));
    // A read opens every file of the archive.
    for seen in seen.chunks(LIVES_AT_ONCE) {
        let mut lives = StuckReport::default();
        let filter = EventFilter {
            images: seen.iter().map(|item| item.id.clone()).collect(),
            until: Some(interval.end),
            ..EventFilter::default()
        };
        archive.read(&filter, scope(RecordDetail::Facts, end), |record| lives.add(record))?;
        let mut wholes: HashMap<_, Vec<_>> = HashMap::new();
        for whole in lives.finish(interval.end, older_than) {
            wholes.entry(whole.id.clone()).or_default().push(whole);
        }
        for item in seen {
            let wholes = wholes.remove(&item.id).unwrap_or_default();
            items.extend(wholes.into_iter().map(|mut whole| {
                // Texts that name no image are not part of a life.
                whole.possibly_related_failures = item.possibly_related_failures;
                whole
            }));
        }
    }
    Ok(items)
}

/// Returns the newest failures in the interval, the newest first, and the number of all.
fn failed(
    archive: &Archive,
    interval: &Range<OffsetDateTime>,
    end: Instant,
) -> Result<(Vec<EventRecord>, usize), PageError> {
    let filter = EventFilter {
        events: [EventType::TaskFailure, EventType::ImageUpload]
            .iter()
            .filter_map(|event_type| event_type.as_str().parse().ok())
            .collect(),
        since: Some(interval.start),
        until: Some(interval.end),
        ..EventFilter::default()
    };
    let (mut failures, mut count) = (Vec::new(), 0);
    archive.read(&filter, scope(RecordDetail::Bodies, end), |record| {
        let is_failure = record.event_type == EventType::TaskFailure
            || matches!(record.priority, Priority::Error | Priority::Critical);
        if is_failure {
            count += 1;
            failures.push(record.clone());
            if failures.len() == MOST_FAILURES {
                keep_newest(&mut failures);
            }
        }
    })?;
    keep_newest(&mut failures);
    Ok((failures, count))
}

/// Sorts failures, the newest first, and keeps those that the table has room for.
fn keep_newest(failures: &mut Vec<EventRecord>) {
    failures.sort_by_key(|record| std::cmp::Reverse(record.timestamp));
    failures.truncate(MOST_LINES);
}

/// Returns the scope of a read that ends in time.
fn scope(detail: RecordDetail, end: Instant) -> ReadScope {
    let deadline = end.saturating_duration_since(Instant::now());
    ReadScope { detail, undated: false, deadline }
}

impl StuckLine {
    fn new(request: &PageRequest<'_>, item: &StuckItem, now: OffsetDateTime) -> Self {
        let related = match item.possibly_related_failures {
            0 => String::new(),
            count => format!(" ({count} failed uploads there name no image and may be related)"),
        };
        let is_task = item.kind == notify_archive::question::StuckKind::TaskWithoutEnd;
        Self {
            state: item.kind.describe(),
            since: request.time(item.since),
            age: shown_duration(now - item.since),
            id: PageText::new(&item.id),
            name: PageText::new(item.name.as_deref().unwrap_or_default()),
            url: request.life_url(&item.id, is_task),
            owner: request.project(item.owner.as_deref()),
            next_step: PageText::up_to(&format!("{}{related}", item.next_step), 1000),
        }
    }
}

impl FailureLine {
    fn new(request: &PageRequest<'_>, record: &EventRecord) -> Self {
        let id = record.subject.as_deref().unwrap_or_default();
        let host = record.publisher_id.split_once('.').map_or(&*record.publisher_id, |(_, h)| h);
        let host = PageText::new(host);
        let is_task = record.is_task();
        let next_step = if is_task {
            let id = PageText::new(id);
            format!(
                "Glance sends no reason: look at `openstack image task show {id}` and at glance-api.log on {host}"
            )
        } else {
            format!("look at glance-api.log on {host} at this time, and whether its store has room")
        };
        Self {
            time: request.time(record.timestamp),
            what: PageText::new(record.event_type.as_str()),
            id: PageText::new(id),
            url: if id.is_empty() { None } else { request.life_url(id, is_task) },
            owner: request.project(record.owner.as_deref()),
            text: PageText::up_to(&record.message_text().unwrap_or_default(), 600),
            next_step,
            json_url: request.event_url(record, JSON_PATH),
        }
    }
}

/// The parameters that would hide failures of the page from a search.
const NOT_IN_FAILURES: [PageParameter; 6] = [
    PageParameter::Priority,
    PageParameter::Image,
    PageParameter::Project,
    PageParameter::Undated,
    PageParameter::Before,
    PageParameter::OlderThan,
];
/// The time before the question in which an event must lie, if the viewer does not say.
const WINDOW: Duration = Duration::days(7);
/// The most lines of a table.
const MOST_LINES: usize = 200;
/// The most failures in memory.
const MOST_FAILURES: usize = 10 * MOST_LINES;
/// The lives that are read together.
const LIVES_AT_ONCE: usize = 100;

/// The events that begin something or end it, as `StuckReport` knows them. Each has an index, unlike a pattern.
const LIFE_EVENTS: [&str; 12] = [
    "image.create",
    "image.prepare",
    "image.upload",
    "image.activate",
    "image.update",
    "image.delete",
    "task.create",
    "task.run",
    "task.processing",
    "task.success",
    "task.failure",
    "task.delete",
];
