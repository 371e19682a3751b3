//! The pages `/transfers` and `/storage`: usage by project and by month, each with a chart.

use std::ops::Range;
use std::time::Instant;

use askama::Template;
use axum::http::StatusCode;
use glance_notify::time::OffsetDateTime;
use notify_archive::Archive;
use notify_archive::question::{
    AnswerCell, AnswerTable, Calendar, EventFilter, ReportGroup, StorageReport, UsageKind,
    UsageReport,
};
use notify_archive::store::{ReadScope, RecordDetail};

use super::archive_overview::ArchiveOverview;
use super::drawing::WIDTHS;
use super::drawing::bar_chart::{BarChart, ChartValue};
use super::drawing::column_chart::ColumnChart;
use super::interval_form::IntervalForm;
use super::page_error::PageError;
use super::page_frame::PageFrame;
use super::page_request::{PageContent, PageRequest};
use super::page_text::PageText;
use super::units::grouped;
use crate::units::short_bytes;

/// The page.
#[derive(Template)]
#[template(path = "usage.html")]
struct UsageTemplate {
    frame: PageFrame,
    title: &'static str,
    introduction: &'static str,
    form: IntervalForm,
    from: PageText,
    to: PageText,
    total: String,
    project_charts: Vec<BarChart>,
    month_charts: Vec<ColumnChart>,
    projects: UsageTable,
    months: UsageTable,
    notes: Vec<PageText>,
}

/// A report as a table.
struct UsageTable {
    caption: &'static str,
    columns: Vec<ColumnHead>,
    rows: Vec<Vec<CellText>>,
    totals: Vec<CellText>,
    more_rows: usize,
}

/// The head of a column.
struct ColumnHead {
    name: String,
    is_number: bool,
}

/// A cell with its exact value.
struct CellText {
    text: PageText,
    exact: Option<String>,
    is_number: bool,
}

/// A report about usage, in words.
struct UsageSubject {
    title: &'static str,
    introduction: &'static str,
    /// The column that the charts show.
    drawn: &'static str,
    /// What the charts show, in words.
    unit: &'static str,
}

/// Makes the page of downloads.
pub(super) fn transfers(request: &PageRequest<'_>) -> Result<PageContent, PageError> {
    PageError::check(&request.selection)?;
    let end = Instant::now() + request.site.deadline;
    let (archive, overview, interval) = selected(request)?;
    let calendar = &request.selection.calendar;
    let filter = EventFilter {
        events: UsageKind::Transfers.events(),
        since: Some(interval.start),
        // Without an end, the last event itself belongs to the interval.
        until: request.selection.filter.until,
        ..EventFilter::default()
    };
    let answer = |group| {
        let mut report = UsageReport::new(UsageKind::Transfers, group, calendar.clone());
        let deadline = end.saturating_duration_since(Instant::now());
        archive.count_usage(&filter, deadline, &mut report)?;
        Ok::<_, PageError>(report.finish(&request.site.names))
    };
    let answers = [answer(ReportGroup::Project)?, answer(ReportGroup::Month)?];
    let sentences = overview.sentences(request, &archive, &interval, false)?;
    usage(request, &sentences, &interval, answers, &TRANSFERS)
}

/// Makes the page of stored bytes.
pub(super) fn storage(request: &PageRequest<'_>) -> Result<PageContent, PageError> {
    PageError::check(&request.selection)?;
    let (archive, overview, interval) = selected(request)?;
    let calendar = &request.selection.calendar;
    let new = |group| StorageReport::new(group, calendar.clone());
    let (mut by_project, mut by_month) = (new(ReportGroup::Project), new(ReportGroup::Month));
    for image in archive.baseline()? {
        by_project.add_baseline(&image);
        by_month.add_baseline(&image);
    }
    let filter = EventFilter {
        events: STORAGE_EVENTS.iter().filter_map(|name| name.parse().ok()).collect(),
        // Events before the interval tell what occupied the store at its begin.
        until: request.selection.filter.until,
        ..EventFilter::default()
    };
    let scope =
        ReadScope { detail: RecordDetail::Usage, undated: false, deadline: request.site.deadline };
    archive.read(&filter, scope, |record| {
        by_project.add(record);
        by_month.add(record);
    })?;
    let answers = [
        by_project.finish(interval.clone(), &request.site.names),
        by_month.finish(interval.clone(), &request.site.names),
    ];
    let sentences = overview.sentences(request, &archive, &interval, false)?;
    usage(request, &sentences, &interval, answers, &STORAGE)
}

/// Opens the archive, and returns the interval of the page: the last twelve months, if the viewer names no begin.
fn selected(
    request: &PageRequest<'_>,
) -> Result<(Archive, ArchiveOverview, Range<OffsetDateTime>), PageError> {
    let archive = request.archive()?;
    let overview = ArchiveOverview::read(&archive)?;
    let asked = overview.interval(&request.selection.filter);
    let mut interval = StorageReport::plausible(asked, OffsetDateTime::now_utc());
    if request.selection.filter.since.is_none() {
        let year = a_year_before(&request.selection.calendar, interval.end);
        interval.start = interval.start.max(year).min(interval.end);
    }
    Ok((archive, overview, interval))
}

/// Returns the begin of the month eleven months before the month of a time.
fn a_year_before(calendar: &Calendar, time: OffsetDateTime) -> OffsetDateTime {
    let month = calendar.month(time);
    let parts = month.split_once('-').and_then(|(y, m)| Some((y.parse().ok()?, m.parse().ok()?)));
    let (year, month): (i32, i32) = parts.unwrap_or((1970, 1));
    let (year, month) = if month == 12 { (year, 1) } else { (year - 1, month + 1) };
    let start = calendar.interval(&format!("{year:04}-{month:02}"));
    start.map_or(time, |interval| interval.start)
}

/// Makes a page of two answers: by project, and by month.
fn usage(
    request: &PageRequest<'_>,
    sentences: &[String],
    interval: &Range<OffsetDateTime>,
    answers: [AnswerTable; 2],
    subject: &UsageSubject,
) -> Result<PageContent, PageError> {
    let [mut projects, months] = answers;
    let calendar = &request.selection.calendar;
    let drawn = projects.columns.iter().position(|name| *name == subject.drawn).unwrap_or_default();
    projects.rows.sort_by(|a, b| amount(&b[drawn]).total_cmp(&amount(&a[drawn])));
    let largest = projects.rows.iter().take(MOST_BARS);
    let by_project: Vec<_> = largest.map(|row| chart_value(row, drawn)).collect();
    let shown_projects = format!("{} by project, the largest {}", subject.unit, by_project.len());
    let (by_month, shown_months) = newest_months(&months, drawn, subject.unit);
    let total = projects.totals.get(drawn).map(|cell| cell_text(cell).text.to_string());
    let template = UsageTemplate {
        frame: request.frame(subject.title).coverage(sentences),
        title: subject.title,
        introduction: subject.introduction,
        form: IntervalForm::new(request, &[]),
        from: PageText::new(&calendar.shown(interval.start)),
        to: PageText::new(&calendar.shown(interval.end)),
        total: total.unwrap_or_default(),
        project_charts: WIDTHS.map(|w| BarChart::new(&by_project, &shown_projects, w)).into(),
        month_charts: WIDTHS.map(|w| ColumnChart::new(&by_month, &shown_months, w)).into(),
        notes: projects.notes.iter().map(|note| PageText::up_to(note, 600)).collect(),
        projects: UsageTable::new("By project", &projects),
        months: UsageTable::new("By month", &months),
    };
    PageContent::page(StatusCode::OK, &template)
}

impl UsageTable {
    fn new(caption: &'static str, table: &AnswerTable) -> Self {
        let head = |(index, name): (usize, &&'static str)| ColumnHead {
            name: name.replace('_', " ").replace("gib hours", "GiB-hours"),
            is_number: index > 0,
        };
        let cells = |row: &Vec<AnswerCell>| row.iter().map(cell_text).collect();
        Self {
            caption,
            columns: table.columns.iter().enumerate().map(head).collect(),
            rows: table.rows.iter().take(MOST_ROWS).map(cells).collect(),
            totals: table.totals.iter().map(cell_text).collect(),
            more_rows: table.rows.len().saturating_sub(MOST_ROWS),
        }
    }
}

/// Returns the columns of the newest months, and the chart in words.
fn newest_months(months: &AnswerTable, drawn: usize, unit: &str) -> (Vec<ChartValue>, String) {
    let count = months.rows.len();
    let newest = months.rows.iter().skip(count.saturating_sub(MOST_COLUMNS));
    let words = if count > MOST_COLUMNS {
        format!("{unit} by month, the last {MOST_COLUMNS} of {count} months")
    } else {
        format!("{unit} by month")
    };
    (newest.map(|row| chart_value(row, drawn)).collect(), words)
}

/// Returns the bar of a row.
fn chart_value(row: &[AnswerCell], drawn: usize) -> ChartValue {
    let label = row.first().map(AnswerCell::text).unwrap_or_default();
    let cell = row.get(drawn).unwrap_or(&AnswerCell::Missing);
    let unit = if matches!(cell, AnswerCell::GibHours(_)) { " GiB h" } else { "" };
    ChartValue {
        label: PageText::new(&label),
        value: amount(cell),
        shown: format!("{}{unit}", cell_text(cell).text),
    }
}

/// Returns the length of a bar, for which 53 bits are enough.
#[expect(clippy::cast_precision_loss, reason = "a drawing has some hundred pixels")]
fn amount(cell: &AnswerCell) -> f64 {
    match cell {
        AnswerCell::Count(number) | AnswerCell::Bytes(number) | AnswerCell::GibHours(number) => {
            *number as f64
        }
        AnswerCell::Text(_) | AnswerCell::Missing => 0.0,
    }
}

fn cell_text(cell: &AnswerCell) -> CellText {
    let (text, exact) = match cell {
        AnswerCell::Bytes(bytes) => {
            (short_bytes(*bytes), Some(format!("{} bytes", grouped(bytes))))
        }
        AnswerCell::Count(number) => (grouped(number), None),
        AnswerCell::Missing => ("–".to_owned(), None),
        other => (other.text(), None),
    };
    let is_number = cell.is_number() || *cell == AnswerCell::Missing;
    CellText { text: PageText::new(&text), exact, is_number }
}

const TRANSFERS: UsageSubject = UsageSubject {
    title: "Transfers",
    introduction: "Downloads that Glance sent, by the receiving project.",
    drawn: "bytes_sent",
    unit: "Bytes sent",
};
const STORAGE: UsageSubject = UsageSubject {
    title: "Storage",
    introduction: "GiB-hours that active images occupied, by the owning project.",
    drawn: "gib_hours",
    unit: "GiB-hours",
};

/// The events that show what an image occupies, as `StorageReport` knows them. Each has an index.
const STORAGE_EVENTS: [&str; 4] =
    ["image.upload", "image.activate", "image.update", "image.delete"];
/// The most bars of a chart.
const MOST_BARS: usize = 12;
/// The most columns of a chart.
const MOST_COLUMNS: usize = 60;
/// The most rows of a table.
const MOST_ROWS: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    /// A chart of many years has the newest month, and says that the oldest ones are missing.
    #[test]
    fn the_newest_months_are_drawn() {
        let months = |years: Range<u32>| {
            let names = years.flat_map(|year| (1..=12).map(move |m| format!("{year}-{m:02}")));
            let mut table = AnswerTable::default();
            table.rows = names.map(|m| vec![AnswerCell::Text(m), AnswerCell::Count(1)]).collect();
            newest_months(&table, 1, "Bytes sent")
        };
        let (values, words) = months(2021..2027);
        assert_eq!(values.len(), MOST_COLUMNS);
        assert_eq!(values[0].label.as_str(), "2022-01");
        assert_eq!(values[MOST_COLUMNS - 1].label.as_str(), "2026-12");
        assert_eq!(words, "Bytes sent by month, the last 60 of 72 months");
        assert_eq!(months(2022..2027).1, "Bytes sent by month");
    }
}
