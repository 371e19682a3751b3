//! The missing numbers of archives: [`read_gaps`].
//!
//! Each file knows the ranges of numbers that it has seen. A run of a publisher can have its numbers in
//! several files, so the ranges of all files are read side by side, in the order of their numbers.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;
use uuid::Uuid;

use super::archive::{Archive, check_deadline, end_of};
use super::event_row::{microseconds, time_of};
use super::file_version::{NUMBERS_VERSION, version_of};
use super::seen_numbers::{SeenRange, ranges_of_events, read_ranges};
use crate::error::{ArchiveError, Result};
use crate::question::event_filter::EventFilter;
use crate::question::gap_report::{GapReport, LaneName, NumberGap};

/// Returns the missing numbers of archives that an answer is drawn from together.
///
/// A number that one of the archives has seen is not missing. Erased events count as seen, and so do those
/// that the retention removed. Of the filter, only the times matter: a gap belongs to the interval if it lies
/// in it or reaches into it.
///
/// Time and memory depend on the numbers of runs and gaps, and not on the number of events.
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
/// use notify_archive::question::EventFilter;
/// use notify_archive::store::read_gaps;
/// use notify_archive::{Archive, ArchiveWriter};
///
/// let dir = tempfile::tempdir().unwrap();
/// drop(ArchiveWriter::open(dir.path())?);
/// let archives = [Archive::open(dir.path())?];
/// let gaps = read_gaps(&archives, &EventFilter::default(), Duration::from_secs(60))?;
/// assert_eq!((gaps.missing, gaps.has_numbers), (0, false));
/// # Ok::<_, notify_archive::ArchiveError>(())
/// ```
pub fn read_gaps(
    archives: &[Archive],
    filter: &EventFilter,
    deadline: Duration,
) -> Result<GapReport> {
    let deadline = end_of(deadline);
    let mut files = Vec::new();
    for archive in archives {
        for name in archive.files()? {
            files.push(archive.open_file(name)?);
        }
    }
    let mut ranges = RangeMerge::open(files)?;
    let mut report = GapReport::default();
    let mut last: Option<SeenRange> = None;
    while let Some((_, range)) = ranges.next()? {
        check_deadline(deadline)?;
        report.has_numbers = true;
        match last.as_mut().filter(|last| last.run == range.run) {
            Some(last) if last.reaches(&range) => last.absorb(range),
            Some(last) => {
                if let Some((lane, gap)) = gap_between(last, &range, filter) {
                    report.add(lane, gap);
                }
                *last = range;
            }
            None => last = Some(range),
        }
    }
    Ok(report)
}

/// Returns the gap between two ranges of a run, if it touches the interval of the filter.
fn gap_between(
    last: &SeenRange,
    next: &SeenRange,
    filter: &EventFilter,
) -> Option<(LaneName, NumberGap)> {
    let start = last.last_at.min(next.first_at);
    let end = last.last_at.max(next.first_at);
    let is_before = filter.since.is_some_and(|since| end < microseconds(since));
    let is_behind = filter.until.is_some_and(|until| start >= microseconds(until));
    if is_before || is_behind {
        return None;
    }
    // The sender of an unreadable message is not known.
    let named = if last.publisher.is_empty() { next } else { last };
    let lane = LaneName {
        publisher_id: named.publisher.clone(),
        lane: last.run.lane.clone(),
        source: named.source.clone(),
    };
    let gap = NumberGap {
        epoch: Uuid::from_bytes(last.run.epoch),
        after: last.last.unsigned_abs(),
        before: next.first.unsigned_abs(),
        times: time_of(start)?..time_of(end)?,
    };
    Some((lane, gap))
}

/// The ranges of several files, in the order of run and number.
pub(crate) struct RangeMerge(Vec<FileRanges>);

/// The ranges of one file, read page by page in one view of it.
struct FileRanges {
    path: PathBuf,
    file: Connection,
    page: VecDeque<SeenRange>,
    is_last_page: bool,
}

impl RangeMerge {
    /// Begins to read open files with their paths.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read.
    pub(crate) fn open(files: Vec<(PathBuf, Connection)>) -> Result<Self> {
        // A writer commits the files of a batch in their order. The views are taken in the opposite order, so
        // that a batch that is stored meanwhile shows no later number without the earlier ones.
        let mut merged = Vec::new();
        for (path, file) in files.into_iter().rev() {
            merged.push(FileRanges::open(path, file)?);
        }
        merged.reverse();
        Ok(Self(merged))
    }

    /// Returns the next range, with the index of its file.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<(usize, SeenRange)>> {
        let fronts = self.0.iter().enumerate();
        let fronts = fronts.filter_map(|(index, file)| Some((index, file.page.front()?)));
        let first = fronts.min_by_key(|(_, range)| range.place());
        let Some((index, _)) = first else { return Ok(None) };
        Ok(self.0[index].take()?.map(|range| (index, range)))
    }
}

impl FileRanges {
    fn open(path: PathBuf, file: Connection) -> Result<Self> {
        let read = || {
            // Without one view for all pages, a range that grows meanwhile would leave a gap.
            file.execute_batch("BEGIN")?;
            let mut page = VecDeque::new();
            let is_old = version_of(&file)? < NUMBERS_VERSION;
            if is_old {
                ranges_of_events(&file, |range| {
                    page.push_back(range);
                    Ok(())
                })?;
            } else {
                page.extend(read_ranges(&file, None, PAGE_RANGES)?);
            }
            let is_last_page = is_old || page.len() < PAGE_RANGES;
            Ok((page, is_last_page))
        };
        let (page, is_last_page) = read().map_err(|error| ArchiveError::sqlite(&path, error))?;
        Ok(Self { path, file, page, is_last_page })
    }

    /// Takes the first range, and reads the next page behind the last.
    fn take(&mut self) -> Result<Option<SeenRange>> {
        let Some(range) = self.page.pop_front() else { return Ok(None) };
        if self.page.is_empty() && !self.is_last_page {
            let next = read_ranges(&self.file, Some(&range), PAGE_RANGES);
            self.page = next.map_err(|error| ArchiveError::sqlite(&self.path, error))?.into();
            self.is_last_page = self.page.len() < PAGE_RANGES;
        }
        Ok(Some(range))
    }
}

/// The ranges that one read takes from a file.
const PAGE_RANGES: usize = 1024;
