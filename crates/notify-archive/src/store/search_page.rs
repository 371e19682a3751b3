//! Pages of events, the newest first: [`Archive::search`].
//!
//! SQLite applies every part of the filter and reads in short parts. So a page is one short read for the
//! writer, and a search that finds little returns at its deadline with the place from which it continues.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use notify_core::event::EventGlob;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params_from_iter};

use super::archive::{Archive, damaged, deadline_error, indexes};
use super::event_file::PageIndex;
use super::event_row::{RecordDetail, StoredColumns, TextInterner, microseconds};
use super::file_name::FileName;
use crate::error::Result;
use crate::question::event_filter::EventFilter;
use crate::record::event_record::EventRecord;
use crate::record::image_ids::is_uuid;

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
    /// An id in the filter's images stands for itself, a name for every image that was created with it. A name
    /// that no image was created with matches the events that show it.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, or if the deadline passes before the search makes any
    /// progress.
    pub fn search(&self, filter: &EventFilter, request: &SearchRequest) -> Result<SearchPage> {
        let deadline = Instant::now() + request.deadline;
        let limit = request.limit.max(1);
        let mut filter = filter.clone();
        let has_ids = self.resolve_images(&mut filter, deadline)?;
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
            file.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || Instant::now() >= deadline));
            // One more event tells whether there is a next page.
            let room = limit + 1 - page.records.len();
            let scan = FileScan { file: &file, filter: &filter, has_ids, room, deadline };
            let part = scan.read(start).map_err(|error| damaged(&path, error))?;
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

    /// Replaces names of images by the ids of the images that were created with them. Returns `false` if one of
    /// them stands for itself, because no image has it as its id or was created with it.
    fn resolve_images(&self, filter: &mut EventFilter, deadline: Instant) -> Result<bool> {
        let (mut images, names): (Vec<_>, Vec<_>) =
            filter.images.drain(..).partition(|image| is_uuid(image));
        let mut has_ids = true;
        for name in names {
            let ids = self.known_ids(&name, deadline)?;
            if ids.is_empty() {
                has_ids = false;
                images.push(name);
            }
            images.extend(ids);
        }
        images.sort();
        images.dedup();
        filter.images = images;
        Ok(has_ids)
    }
}

/// The time in microseconds and the number of a row.
type RowPlace = (i64, i64);

/// A search of one file.
struct FileScan<'a> {
    file: &'a Connection,
    filter: &'a EventFilter,
    /// Whether the images of the filter are ids.
    has_ids: bool,
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
        let by_time = [PageIndex::Time].to_vec();
        for index in if self.has_ids { indexes(self.filter) } else { by_time } {
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
        let query = IndexQuery::new(index, self.filter, self.has_ids);
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

/// The statements that find the rows of a filter in one index.
struct IndexQuery {
    /// The index, and the condition of its rows.
    source: String,
    /// The other conditions.
    conditions: String,
    parameters: Vec<Value>,
    index_parameters: usize,
    since: i64,
}

impl IndexQuery {
    fn new(index: &PageIndex, filter: &EventFilter, has_ids: bool) -> Self {
        let (source, value) = match index {
            PageIndex::Time => ("event INDEXED BY event_ts WHERE 1", None),
            PageIndex::EventType(name) => {
                ("event INDEXED BY event_type WHERE event_type = ?", Some(name))
            }
            PageIndex::Subject(id) => {
                ("event INDEXED BY event_subject WHERE subject = ?", Some(id))
            }
        };
        let mut query = Self {
            source: source.to_owned(),
            conditions: String::new(),
            parameters: value.map(|value| Value::Text(value.clone())).into_iter().collect(),
            index_parameters: usize::from(value.is_some()),
            since: filter.since.map_or(i64::MIN, microseconds),
        };
        if !matches!(index, PageIndex::EventType(_)) {
            let patterns = filter.events.iter().map(sqlite_pattern);
            query.add_any(&["event_type GLOB ?"], patterns);
        }
        query.add_any(&["priority = ?"], filter.priorities.iter().map(|p| p.as_str().to_owned()));
        if !has_ids {
            query.add_any(&["subject = ?", "name = ?"], filter.images.iter().cloned());
        }
        let projects = filter.projects.iter().cloned();
        query.add_any(&["owner = ?", "receiver = ?", "actor_project = ?"], projects);
        query
    }

    /// Adds a condition that holds if one of `tests` holds for one of the values. Without a value, adds none.
    fn add_any(&mut self, tests: &[&str], values: impl Iterator<Item = String>) {
        let values: Vec<_> = values.collect();
        if values.is_empty() {
            return;
        }
        let mut parts = Vec::new();
        for value in values {
            for test in tests {
                parts.push(*test);
                self.parameters.push(Value::Text(value.clone()));
            }
        }
        self.conditions.extend([" AND (", &parts.join(" OR "), ")"]);
    }

    /// Reads the rows before `start`. If other conditions than the index decide, looks at `part_rows` rows at
    /// most and returns the place behind them, or `None` if there are no more.
    fn read_part(
        &self,
        file: &Connection,
        start: RowPlace,
        part_rows: usize,
        room: usize,
        add: &mut dyn FnMut(RowPlace, EventRecord),
        interner: &mut TextInterner,
    ) -> rusqlite::Result<Option<RowPlace>> {
        let floor = match self.conditions.as_str() {
            "" => None,
            _ => self.floor(file, start, part_rows)?,
        };
        let mut statement = file.prepare_cached(&format!(
            "SELECT {}, seq FROM {} {} AND (ts, seq) < (?, ?) AND (ts, seq) >= (?, ?) AND erased IS NULL \
             ORDER BY ts DESC, seq DESC LIMIT ?",
            RecordDetail::Facts.columns(file)?,
            self.source,
            self.conditions
        ))?;
        let seq = statement.column_count() - 1;
        let lowest = floor.unwrap_or((self.since, i64::MIN));
        let places = [start.0, start.1, lowest.0, lowest.1].map(Value::Integer);
        let room = Value::Integer(i64::try_from(room).unwrap_or(i64::MAX));
        let parameters = self.parameters.iter().chain(&places).chain([&room]);
        let mut rows = statement.query(params_from_iter(parameters))?;
        while let Some(row) = rows.next()? {
            let (place, record) = record_of(row, seq, interner)?;
            add(place, record);
        }
        Ok(floor)
    }

    /// Returns the place that lies `rows` rows of the index before `start`, or `None` if there are fewer. It
    /// reads the index only.
    fn floor(
        &self,
        file: &Connection,
        start: RowPlace,
        rows: usize,
    ) -> rusqlite::Result<Option<RowPlace>> {
        let mut statement = file.prepare_cached(&format!(
            "SELECT ts, seq FROM {} AND (ts, seq) < (?, ?) AND ts >= ? ORDER BY ts DESC, seq DESC \
             LIMIT 1 OFFSET ?",
            self.source
        ))?;
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let places = [start.0, start.1, self.since, rows].map(Value::Integer);
        let parameters = self.parameters[..self.index_parameters].iter().chain(&places);
        let place = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        statement.query_row(params_from_iter(parameters), place).optional()
    }
}

/// Returns the record of a row, and its place.
fn record_of(
    row: &Row<'_>,
    seq: usize,
    interner: &mut TextInterner,
) -> rusqlite::Result<(RowPlace, EventRecord)> {
    let columns = StoredColumns::of(row)?;
    let place = (columns.ts, row.get(seq)?);
    let record = columns.record([].into(), interner).ok_or(rusqlite::Error::InvalidQuery)?;
    Ok((place, record))
}

/// Returns a pattern for SQLite's operator `GLOB`, in which `[` has a meaning too.
fn sqlite_pattern(glob: &EventGlob) -> String {
    glob.as_str().replace('[', "[[]")
}

/// Returns `true` if SQLite ended a statement at the deadline of the archive.
fn is_interrupted(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted)
}

/// The steps of SQLite's machine between two looks at the clock, some ten microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 1000;
/// The rows that a search looks at first.
const FIRST_PART: usize = 1024;
/// The most rows that it looks at in one read.
const LONGEST_PART: usize = 64 * 1024;
