//! Pages of events, the newest first: [`Archive::search`].
//!
//! SQLite applies every part of the filter and reads in short parts. So a page is one short read for the
//! writer, and a search that finds little returns at its deadline with the place from which it continues.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::archive::{Archive, deadline_error, end_of, indexes};
use super::connection::{interrupt_at, interrupt_never, is_interrupted};
use super::event_file::PageIndex;
use super::event_row::{TextInterner, microseconds};
use super::file_name::FileName;
use super::index_query::{IndexQuery, RowPlace};
use crate::error::{ArchiveError, Result};
use crate::question::event_filter::EventFilter;
use crate::record::event_record::EventRecord;

/// One page of a search, the newest event first.
///
/// # Examples
///
/// ```
/// use notify_archive::question::EventFilter;
/// use notify_archive::store::{Archive, ArchiveWriter, SearchRequest};
///
/// let dir = tempfile::tempdir().unwrap();
/// drop(ArchiveWriter::open(dir.path())?);
/// let page = Archive::open(dir.path())?.search(&EventFilter::default(), &SearchRequest::default())?;
/// assert!(page.records.is_empty() && page.next.is_none());
/// # Ok::<_, notify_archive::ArchiveError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SearchPage {
    /// The events, without their bodies.
    pub records: Vec<EventRecord>,
    /// The place behind which the next page begins. `None` if there is no older event.
    pub next: Option<SearchPosition>,
    /// Whether the deadline passed before the page was full. [`next`](Self::next) says how far the search came.
    pub is_partial: bool,
}

/// The page that a search returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchRequest {
    /// The most events of the page. Default: 50.
    pub limit: usize,
    /// The place behind which the page begins: [`SearchPage::next`] of the page before. Default: the newest
    /// event.
    pub before: Option<SearchPosition>,
    /// Whether to search the events with implausible times instead of the others. Default: no.
    pub undated: bool,
    /// The time after which the page ends. Default: ten seconds.
    pub deadline: Duration,
}

/// A place between two events of an archive.
///
/// Its text is short and safe in a URL. Events that are stored later do not move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SearchPosition {
    file: FileName,
    place: RowPlace,
}

impl Default for SearchRequest {
    fn default() -> Self {
        Self { limit: 50, before: None, undated: false, deadline: Duration::from_secs(10) }
    }
}

impl fmt::Display for SearchPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.place.0, self.place.1, self.file)
    }
}

impl FromStr for SearchPosition {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut parts = text.splitn(3, '.');
        let mut number = || parts.next()?.parse::<i64>().ok();
        let place = number().zip(number());
        let file = parts.next().and_then(|name| name.parse().ok());
        let position = place.zip(file).map(|(place, file)| Self { file, place });
        position.ok_or_else(|| "expected the place of a page, as a link to it has it".to_owned())
    }
}

impl Archive {
    /// Returns one page of the events that pass the filter, the newest first.
    ///
    /// An id in the filter's images stands for itself, a name for every image that has it in any event.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, or if the deadline passes before the search makes any
    /// progress.
    pub fn search(&self, filter: &EventFilter, request: &SearchRequest) -> Result<SearchPage> {
        let deadline = end_of(request.deadline);
        let limit = request.limit.max(1);
        let mut filter = filter.clone();
        self.resolve_names_until(&mut filter, deadline)?;
        let mut page = SearchPage::default();
        let mut names = self.files()?;
        names.retain(|name| {
            let is_later = request.before.is_some_and(|before| *name > before.file);
            name.is_undated() == request.undated && !is_later && !name.is_outside(&filter)
        });
        let mut has_progress = false;
        for name in names.into_iter().rev() {
            let until = filter.until.map_or(i64::MAX, microseconds);
            let mut start = (until, i64::MIN);
            if let Some(before) = request.before.filter(|before| before.file == name) {
                start = start.min(before.place);
            }
            let (path, file) = self.open_file(name)?;
            interrupt_at(&file, deadline);
            // One more event tells whether there is a next page.
            let room = limit + 1 - page.records.len();
            let scan = FileScan { file: &file, filter: &filter, room, deadline };
            let part = scan.read(start).map_err(|error| ArchiveError::sqlite(&path, error))?;
            interrupt_never(&file);
            self.kept.keep(name, &path, file);
            let is_full = part.rows.len() == room;
            let keep = part.rows.len() - usize::from(is_full);
            // Without a row of this file on the page, the next page begins where this scan began.
            let last = keep.checked_sub(1).map_or(start, |index| part.rows[index].0);
            page.records.extend(part.rows.into_iter().take(keep).map(|(_, record)| record));
            let next = if is_full { Some(last) } else { part.reached };
            if let Some(place) = next {
                if !is_full && place == start && !has_progress {
                    return Err(deadline_error());
                }
                page.next = Some(SearchPosition { file: name, place });
                page.is_partial = !is_full;
                return Ok(page);
            }
            has_progress = true;
        }
        Ok(page)
    }
}

/// A search of one file.
struct FileScan<'a> {
    file: &'a Connection,
    filter: &'a EventFilter,
    /// The most events to find.
    room: usize,
    deadline: Instant,
}

/// The rows that a scan found, the newest first.
struct ScanResult {
    rows: Vec<(RowPlace, EventRecord)>,
    /// The place down to which the scan is complete. `None` if it is complete.
    reached: Option<RowPlace>,
}

impl FileScan<'_> {
    /// Returns the newest rows before `start`.
    fn read(&self, start: RowPlace) -> rusqlite::Result<ScanResult> {
        let mut interner = TextInterner::default();
        let mut scans = Vec::new();
        for index in indexes(self.filter) {
            scans.push(self.read_index(&index, start, &mut interner)?);
        }
        // All indexes are complete down to the place that the slowest of them reached.
        let reached = scans.iter().filter_map(|scan| scan.reached).max();
        let mut rows: Vec<_> = scans.into_iter().flat_map(|scan| scan.rows).collect();
        rows.retain(|(place, _)| reached.is_none_or(|reached| *place >= reached));
        rows.sort_unstable_by_key(|(place, _)| Reverse(*place));
        rows.truncate(self.room);
        // A full page leaves out the rows after it.
        let reached = reached.filter(|_| rows.len() < self.room);
        Ok(ScanResult { rows, reached })
    }

    /// Returns the newest rows of one index before `start`.
    fn read_index(
        &self,
        index: &PageIndex,
        mut start: RowPlace,
        interner: &mut TextInterner,
    ) -> rusqlite::Result<ScanResult> {
        let query = IndexQuery::new(index, self.filter);
        let mut rows = Vec::new();
        let mut part_rows = FIRST_PART;
        loop {
            let before = rows.len();
            let floor = query.read_part(
                self.file,
                start,
                part_rows,
                self.room - rows.len(),
                &mut |place, record| rows.push((place, record)),
                interner,
            );
            let last = rows.last().map(|(place, _)| *place);
            if rows.len() == self.room {
                return Ok(ScanResult { rows, reached: last });
            }
            let floor = match floor {
                Err(error) if is_interrupted(&error) => {
                    let reached = last.filter(|_| rows.len() > before).or(Some(start));
                    return Ok(ScanResult { rows, reached });
                }
                floor => floor?,
            };
            let Some(floor) = floor else { return Ok(ScanResult { rows, reached: None }) };
            start = floor;
            if Instant::now() >= self.deadline {
                return Ok(ScanResult { rows, reached: Some(start) });
            }
            part_rows = (part_rows * 4).min(LONGEST_PART);
        }
    }
}

/// The rows that a search looks at first.
const FIRST_PART: usize = 1024;
/// The most rows that it looks at in one read.
const LONGEST_PART: usize = 64 * 1024;
