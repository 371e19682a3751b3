//! The page `/health`: sources, their coverage, lag and gaps, the archive's files, and unreadable messages.

use std::collections::BTreeMap;
use std::ops::Range;

use askama::Template;
use axum::http::StatusCode;
use glance_notify::time::{Duration, OffsetDateTime};
use notify_archive::question::{Coverage, EventFilter, LaneGaps, LaneName, NumberGap};
use notify_archive::record::EventRecord;
use notify_archive::store::{FileSummary, SearchRequest, UnreadableEntry};

use super::archive_overview::{ArchiveOverview, missing};
use super::drawing::WIDTHS;
use super::drawing::coverage_strip::CoverageStrip;
use super::interval_form::IntervalForm;
use super::page_error::PageError;
use super::page_frame::PageFrame;
use super::page_request::{PageContent, PageRequest, PageTime};
use super::page_text::PageText;
use super::units::{grouped, shown_duration};
use crate::units::short_bytes;

/// The page.
#[derive(Template)]
#[template(path = "health.html")]
struct HealthTemplate {
    frame: PageFrame,
    form: IntervalForm,
    from: PageTime,
    to: PageTime,
    sources: Vec<SourceHealth>,
    gaps: Vec<GapLine>,
    more_gaps: usize,
    looked_at: String,
    missing: Vec<MissingLine>,
    missing_count: String,
    files: Vec<FileLine>,
    unreadable: Vec<UnreadableLine>,
    unreadable_count: u64,
}

/// A source.
struct SourceHealth {
    name: PageText,
    /// The share of the interval in which it was attached, or nothing for imported files.
    share: Option<String>,
    is_complete: bool,
    last_seen: Option<PageTime>,
    newest_event: Option<PageTime>,
    lag: Option<String>,
    gap_count: usize,
    strips: Vec<CoverageStrip>,
}

/// A blind time.
struct GapLine {
    source: PageText,
    start: PageTime,
    end: PageTime,
    duration: String,
    reason: PageText,
}

/// The missing notifications of a lane.
struct MissingLine {
    publisher: PageText,
    lane: PageText,
    source: PageText,
    notifications: String,
    gaps: String,
    /// The latest gaps, each with its numbers and times.
    latest: Vec<MissingRange>,
}

/// Missing notifications between two numbers that arrived.
struct MissingRange {
    after: u64,
    before: u64,
    start: PageTime,
    end: PageTime,
}

/// A file of the archive.
struct FileLine {
    name: String,
    events: String,
    unreadable: String,
    size: String,
}

/// A message that is no notification.
struct UnreadableLine {
    received: PageTime,
    source: PageText,
    reason: PageText,
    length: String,
}

/// The newest events of a source, among those that the page looks at.
#[derive(Default)]
struct SourceTraffic {
    newest: Option<OffsetDateTime>,
    lags: Vec<Duration>,
}

/// Makes the page.
pub(super) fn health(request: &PageRequest<'_>) -> Result<PageContent, PageError> {
    PageError::check(&request.selection)?;
    let archive = request.archive()?;
    let overview = ArchiveOverview::read(&archive)?;
    let mut interval = overview.interval(&request.selection.filter);
    if request.selection.filter.since.is_none() {
        interval.start = interval.start.max(interval.end.saturating_sub(WINDOW));
    }
    let search = SearchRequest {
        limit: NEWEST_EVENTS,
        deadline: request.site.deadline,
        ..SearchRequest::default()
    };
    let newest = archive.search(&EventFilter::default(), &search)?.records;
    let missing = missing(request, &archive, &interval)?;
    let coverage = overview.coverage(&interval);
    let gaps: Vec<_> = coverage.iter().flat_map(|coverage| gaps(request, coverage)).collect();
    let unreadable = archive.unreadable(MOST_LINES)?;
    let sentences = overview.sentences_with(request, &missing, &interval, false);
    let template = HealthTemplate {
        frame: request.frame("Health").coverage(&sentences),
        form: IntervalForm::new(request, &[]),
        from: request.time(interval.start),
        to: request.time(interval.end),
        sources: sources(request, &overview, &coverage, traffic(&newest)),
        more_gaps: gaps.len().saturating_sub(MOST_LINES),
        gaps: gaps.into_iter().rev().take(MOST_LINES).collect(),
        looked_at: grouped(newest.len()),
        missing_count: grouped(missing.missing),
        missing: missing
            .lanes
            .iter()
            .take(MOST_LINES)
            .map(|(lane, gaps)| MissingLine::new(request, lane, gaps))
            .collect(),
        files: overview.files.iter().rev().map(FileLine::new).collect(),
        unreadable: unreadable.iter().map(|m| UnreadableLine::new(request, m)).collect(),
        unreadable_count: overview.counts().2,
    };
    PageContent::page(StatusCode::OK, &template)
}

/// Returns the newest event and the lags of each source.
fn traffic(newest: &[EventRecord]) -> BTreeMap<String, SourceTraffic> {
    let mut sources: BTreeMap<String, SourceTraffic> = BTreeMap::new();
    for record in newest {
        let Some(source) = &record.arrival.source else { continue };
        let traffic = sources.entry(source.to_string()).or_default();
        traffic.newest = traffic.newest.max(Some(record.timestamp));
        traffic.lags.extend(record.arrival.received_at.map(|time| time - record.timestamp));
    }
    sources
}

/// Returns every source: those that were attached, and those of the newest events.
fn sources(
    request: &PageRequest<'_>,
    overview: &ArchiveOverview,
    coverage: &[Coverage],
    mut traffic: BTreeMap<String, SourceTraffic>,
) -> Vec<SourceHealth> {
    let calendar = &request.selection.calendar;
    let mut sources = Vec::new();
    for source in coverage {
        let traffic = traffic.remove(&source.source).unwrap_or_default();
        let attached = overview.attached.get(&source.source);
        let last_seen = attached.and_then(|all| all.iter().filter_map(|one| one.detached_at).max());
        let share = source.share();
        sources.push(SourceHealth {
            is_complete: share.is_some() && source.blind.is_empty(),
            share: share.or_else(|| Some("nothing is known about this time".to_owned())),
            last_seen: last_seen.map(|time| request.time(time)),
            gap_count: source.blind.len(),
            strips: WIDTHS.map(|width| CoverageStrip::new(source, calendar, width)).into(),
            ..SourceHealth::of_traffic(request, &source.source, traffic)
        });
    }
    let imported = traffic.into_iter();
    sources.extend(imported.map(|(name, t)| SourceHealth::of_traffic(request, &name, t)));
    sources
}

impl SourceHealth {
    fn of_traffic(request: &PageRequest<'_>, name: &str, mut traffic: SourceTraffic) -> Self {
        traffic.lags.sort_unstable();
        let median = traffic.lags.get(traffic.lags.len() / 2).copied();
        Self {
            name: PageText::new(name),
            share: None,
            is_complete: false,
            last_seen: None,
            newest_event: traffic.newest.map(|time| request.time(time)),
            lag: median.map(shown_duration),
            gap_count: 0,
            strips: Vec::new(),
        }
    }
}

impl MissingLine {
    fn new(request: &PageRequest<'_>, lane: &LaneName, gaps: &LaneGaps) -> Self {
        let range = |gap: &NumberGap| MissingRange {
            after: gap.after,
            before: gap.before,
            start: request.time(gap.times.start),
            end: request.time(gap.times.end),
        };
        Self {
            publisher: PageText::new(&lane.publisher_id),
            lane: PageText::new(&lane.lane),
            source: PageText::new(lane.source.as_deref().unwrap_or_default()),
            notifications: grouped(gaps.missing),
            gaps: grouped(gaps.gaps),
            latest: gaps.latest.iter().rev().map(range).collect(),
        }
    }
}

impl FileLine {
    fn new(file: &FileSummary) -> Self {
        Self {
            name: file.name.to_string(),
            events: grouped(file.events),
            unreadable: grouped(file.unreadable),
            size: short_bytes(file.bytes.into()),
        }
    }
}

impl UnreadableLine {
    fn new(request: &PageRequest<'_>, message: &UnreadableEntry) -> Self {
        Self {
            received: request.time(message.received_at),
            source: PageText::new(message.source.as_deref().unwrap_or_default()),
            reason: PageText::up_to(&message.reason, 600),
            length: short_bytes(message.length.into()),
        }
    }
}

/// Returns the blind times of a source.
fn gaps(request: &PageRequest<'_>, coverage: &Coverage) -> Vec<GapLine> {
    let line = |(range, reason): &(Range<OffsetDateTime>, String)| GapLine {
        source: PageText::new(&coverage.source),
        start: request.time(range.start),
        end: request.time(range.end),
        duration: shown_duration(range.end - range.start),
        reason: PageText::new(reason),
    };
    coverage.blind.iter().map(line).collect()
}

/// The time before the latest known one whose coverage the page shows, if the viewer does not say.
const WINDOW: Duration = Duration::days(30);
/// The events whose sources and lags the page looks at.
const NEWEST_EVENTS: usize = 1000;
/// The most lines of a table.
const MOST_LINES: usize = 200;
