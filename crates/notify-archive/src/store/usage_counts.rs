//! Reports that SQLite counts: sums per group instead of records.
//!
//! SQLite only counts and adds. [`UsageReport`] alone knows which events a report is about.

use std::ops::Range;
use std::str::FromStr as _;
use std::time::Duration;

use notify_core::{EventType, Priority};
use rusqlite::{Connection, params};
use time::OffsetDateTime;

use super::archive::{Archive, ReadScope, check_deadline, end_of, indexes};
use super::event_file::{self, PageIndex};
use super::event_row::{RecordDetail, microseconds, text};
use crate::error::{ArchiveError, Result};
use crate::question::event_filter::EventFilter;
use crate::question::usage_report::{UsageCount, UsageReport};

impl Archive {
    /// Counts the events that pass the filter in a report.
    ///
    /// The numbers are those that [`read`](Self::read) and [`UsageReport::add`] give, some times faster:
    /// SQLite counts part by part. A filter by image or project takes the way over records. Undated events are
    /// left out.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read or `deadline` passes.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use notify_archive::question::{
    ///     Calendar, EventFilter, ProjectNames, ReportGroup, UsageKind, UsageReport,
    /// };
    /// use notify_archive::{Archive, ArchiveWriter};
    ///
    /// let dir = tempfile::tempdir().unwrap();
    /// drop(ArchiveWriter::open(dir.path())?);
    /// let mut report = UsageReport::new(UsageKind::Transfers, ReportGroup::Month, Calendar::utc());
    /// let archive = Archive::open(dir.path())?;
    /// archive.count_usage(&EventFilter::default(), Duration::from_secs(60), &mut report)?;
    /// assert!(report.finish(&ProjectNames::default()).rows.is_empty());
    /// # Ok::<_, notify_archive::ArchiveError>(())
    /// ```
    pub fn count_usage(
        &self,
        filter: &EventFilter,
        deadline: Duration,
        report: &mut UsageReport,
    ) -> Result<()> {
        if !filter.images.is_empty() || !filter.projects.is_empty() {
            let scope = ReadScope { detail: RecordDetail::Usage, deadline, ..ReadScope::default() };
            return self.read(filter, scope, |record| report.add(record));
        }
        let deadline = end_of(deadline);
        for name in self.files()?.into_iter().filter(|name| !name.is_undated()) {
            if name.is_outside(filter) {
                continue;
            }
            let (path, file) = self.open_file(name)?;
            let error = |error| ArchiveError::sqlite(&path, error);
            let Some((first, last)) = event_file::span(&file).map_err(error)? else { continue };
            let end = last + time::Duration::MICROSECOND;
            let step = part_length(&file, last - first).map_err(error)?;
            let mut start = filter.since.map_or(first, |since| since.max(first));
            let end = filter.until.map_or(end, |until| until.min(end));
            while start < end {
                check_deadline(deadline)?;
                // A part lies within one day.
                let part_end = start.saturating_add(step).min(end);
                let day_end = report.calendar().end_of_day(start);
                // A calendar never stands still; this keeps the loop finite if it did.
                let part = start..if day_end > start { part_end.min(day_end) } else { part_end };
                start = part.end;
                for index in indexes(filter) {
                    count_part(&file, &index, &part, filter, report).map_err(error)?;
                }
            }
        }
        Ok(())
    }
}

/// Returns the length of a part of a file that holds some thousand events, which SQLite sorts fastest.
fn part_length(file: &Connection, span: time::Duration) -> rusqlite::Result<time::Duration> {
    // The numbers of rows have few gaps, and their maximum needs no count.
    let rows: Option<i64> = file.query_row("SELECT max(seq) FROM event", [], |row| row.get(0))?;
    let parts = i32::try_from(rows.unwrap_or_default() / PART_ROWS).unwrap_or(i32::MAX);
    Ok((span / parts.max(1)).max(time::Duration::SECOND))
}

/// Counts the events of one file in a part of one day.
fn count_part(
    file: &Connection,
    index: &PageIndex,
    part: &Range<OffsetDateTime>,
    filter: &EventFilter,
    report: &mut UsageReport,
) -> rusqlite::Result<()> {
    let (condition, value) = index.condition();
    let (key, number) = report.counted_columns();
    // A sum of 64-bit numbers can exceed 64 bits, so that SQLite adds both halves.
    let mut statement = file.prepare_cached(&format!(
        "SELECT event_type, priority, {key}, count(*), sum({number} >> 32), sum({number} & 0xffffffff) \
         FROM event WHERE {condition} AND ts >= ?2 AND ts < ?3 AND erased IS NULL \
         GROUP BY {key}, priority, event_type"
    ))?;
    let (start, end) = (microseconds(part.start), microseconds(part.end));
    let mut rows = statement.query(params![value, start, end])?;
    while let Some(row) = rows.next()? {
        let invalid = || rusqlite::Error::InvalidQuery;
        let event_type = EventType::new(text(row, 0)?.unwrap_or_default());
        let event_type = event_type.map_err(|_| invalid())?;
        let priority = Priority::from_str(text(row, 1)?.unwrap_or_default());
        let priority = priority.map_err(|_| invalid())?;
        if !filter.accepts_kind(&event_type, priority) {
            continue;
        }
        let half = |index| {
            let half: Option<i64> = row.get(index)?;
            u128::try_from(half.unwrap_or_default()).map_err(|_| invalid())
        };
        report.add_count(&UsageCount {
            event_type,
            priority,
            time: part.start,
            key: text(row, 2)?,
            events: row.get::<_, i64>(3)?.unsigned_abs(),
            bytes: (half(4)? << 32) + half(5)?,
        });
    }
    Ok(())
}

/// The events that SQLite counts at once, about.
const PART_ROWS: i64 = 4096;
