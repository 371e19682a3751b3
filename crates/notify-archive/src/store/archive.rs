//! The reader of an archive: [`Archive`].

use std::fs;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use notify_core::event::EventGlob;
use notify_core::listener::durable_file::create_directory;
use rusqlite::Connection;
use time::OffsetDateTime;

use super::archive_writer::CONTROL_FILE;
use super::connection::{create, open_for_reading, sync_directory};
use super::control_file;
use super::event_file::{self, PageIndex};
use super::event_row::{RecordDetail, TextInterner, microseconds};
use super::file_name::{FileName, file_names};
use super::kept_file::KeptFile;
use super::schema::{CONTROL, EVENTS};
use crate::error::{ArchiveError, ArchiveErrorKind, Result, shown};
use crate::question::coverage::Coverage;
use crate::question::event_filter::EventFilter;
use crate::question::storage_report::CatalogueImage;
use crate::record::event_record::EventRecord;

/// An archive that is open for reading.
///
/// Any number of readers may be open beside the writer. They read in short pages, so that they neither
/// block it nor keep its files from shrinking.
///
/// # Examples
///
/// ```
/// use notify_archive::question::EventFilter;
/// use notify_archive::store::{Archive, ArchiveWriter, ReadScope};
///
/// let dir = tempfile::tempdir().unwrap();
/// drop(ArchiveWriter::open(dir.path())?);
/// let archive = Archive::open(dir.path())?;
/// let mut events = 0;
/// archive.read(&EventFilter::default(), ReadScope::default(), |_| events += 1)?;
/// assert_eq!(events, 0);
/// # Ok::<_, notify_archive::ArchiveError>(())
/// ```
#[derive(Debug)]
pub struct Archive {
    pub(crate) directory: PathBuf,
    pub(crate) control: Connection,
    pub(crate) kept: KeptFile,
}

/// The parts of an archive that a question needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadScope {
    /// The parts of each record. Default: [`RecordDetail::Facts`].
    pub detail: RecordDetail,
    /// Whether to read events with implausible times too. Default: no.
    pub undated: bool,
    /// The time after which reading ends with an error. Default: ten minutes.
    pub deadline: Duration,
}

impl Default for ReadScope {
    fn default() -> Self {
        Self { detail: RecordDetail::default(), undated: false, deadline: Duration::from_secs(600) }
    }
}

impl Archive {
    /// Opens an archive.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`ArchiveErrorKind::NotAnArchive`] if the directory holds none.
    pub fn open(directory: &Path) -> Result<Self> {
        let path = directory.join(CONTROL_FILE);
        let is_file = match fs::metadata(&path) {
            Ok(metadata) => metadata.is_file(),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(ArchiveError::io("read", directory, error));
            }
            Err(_) => false,
        };
        if !is_file {
            let message = format!(
                "`{}` holds no archive: it has no `{CONTROL_FILE}`. Create one with `archive import`",
                shown(directory)
            );
            return Err(ArchiveError::new(ArchiveErrorKind::NotAnArchive, message));
        }
        let directory = fs::canonicalize(directory)
            .map_err(|error| ArchiveError::io("open", directory, error))?;
        let control = open_for_reading(&directory.join(CONTROL_FILE), &CONTROL)?;
        Ok(Self { directory, control, kept: KeptFile::default() })
    }

    /// Calls `add` with each record that passes the filter, file by file, and in each file in the order
    /// of time. Without a filter by image, all records are in the order of time.
    ///
    /// An image's name in the filter stands for every image that has it in any event: also one that was renamed.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read or the deadline passes.
    pub fn read(
        &self,
        filter: &EventFilter,
        scope: ReadScope,
        mut add: impl FnMut(&EventRecord),
    ) -> Result<()> {
        self.read_while(filter, scope, |record| {
            add(record);
            ControlFlow::Continue(())
        })
    }

    /// Reads as [`read`](Self::read) does, until `add` returns [`ControlFlow::Break`].
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read or the deadline passes.
    pub fn read_while(
        &self,
        filter: &EventFilter,
        scope: ReadScope,
        mut add: impl FnMut(&EventRecord) -> ControlFlow<()>,
    ) -> Result<()> {
        let deadline = end_of(scope.deadline);
        let mut filter = filter.clone();
        self.resolve_names_until(&mut filter, deadline)?;
        self.read_files(&filter, scope, deadline, &mut add)
    }

    /// Reads every file, for a filter whose names are resolved, until `add` breaks.
    fn read_files(
        &self,
        filter: &EventFilter,
        scope: ReadScope,
        deadline: Instant,
        add: &mut dyn FnMut(&EventRecord) -> ControlFlow<()>,
    ) -> Result<()> {
        let since = filter.since.map_or(i64::MIN, microseconds);
        let until = filter.until.map_or(i64::MAX, microseconds);
        let mut interner = TextInterner::default();
        for name in self.files()? {
            if name.is_undated() && !scope.undated || name.is_outside(filter) {
                continue;
            }
            let (path, file) = self.open_file(name)?;
            for index in indexes(filter) {
                let mut start = Some((since.saturating_sub(1), i64::MAX));
                while let Some(from) = start {
                    check_deadline(deadline)?;
                    let mut flow: ControlFlow<()> = ControlFlow::Continue(());
                    let mut page = |record: EventRecord| {
                        if flow.is_continue() && filter.accepts(&record) {
                            flow = add(&record);
                        }
                    };
                    start = event_file::read_page(
                        &file,
                        &index,
                        from,
                        until,
                        scope.detail,
                        &mut interner,
                        &mut page,
                    )
                    .map_err(|error| ArchiveError::sqlite(&path, error))?;
                    if flow.is_break() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the baseline: the catalogue that `archive baseline` stored.
    ///
    /// # Errors
    ///
    /// Returns an error if the control file cannot be read.
    pub fn baseline(&self) -> Result<Vec<CatalogueImage>> {
        control_file::baseline(&self.control).map_err(|error| self.control_error(error))
    }

    /// Returns the coverage of an interval by each source that was ever attached. Without an interval,
    /// takes the [known span](Self::known_span).
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read.
    pub fn coverage(&self, interval: Option<Range<OffsetDateTime>>) -> Result<Vec<Coverage>> {
        let sources =
            control_file::attached(&self.control).map_err(|error| self.control_error(error))?;
        let interval = match interval {
            Some(interval) => Some(interval),
            None => self.known_span()?,
        };
        let Some(interval) = interval else { return Ok(Vec::new()) };
        let coverage = |(source, attached): (&String, &Vec<_>)| {
            Coverage::of(source, attached, interval.clone())
        };
        Ok(sources.iter().map(coverage).collect())
    }

    /// Returns the times of the first and the last event, without undated ones.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read.
    pub fn span(&self) -> Result<Option<Range<OffsetDateTime>>> {
        let mut names = self.files()?;
        names.retain(|name| !name.is_undated());
        let span_of = |name: FileName| {
            let (path, file) = self.open_file(name)?;
            let span =
                event_file::span(&file).map_err(|error| ArchiveError::sqlite(&path, error))?;
            self.kept.keep(name, &path, file);
            Ok::<_, ArchiveError>(span)
        };
        // Each file has the events of its month, so the outermost files have the outermost events.
        let mut newest = None;
        while newest.is_none()
            && let Some(name) = names.pop()
        {
            newest = span_of(name)?;
        }
        let Some((mut first, last)) = newest else { return Ok(None) };
        for name in names {
            if let Some((earlier, _)) = span_of(name)? {
                first = earlier;
                break;
            }
        }
        Ok(Some(first..last))
    }

    /// Returns the numbers of dated events, undated events, and unreadable messages.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read.
    pub fn counts(&self) -> Result<(u64, u64, u64)> {
        let (mut dated, mut undated, mut unreadable) = (0, 0, 0);
        for name in self.files()? {
            let (path, file) = self.open_file(name)?;
            let counts =
                event_file::counts(&file).map_err(|error| ArchiveError::sqlite(&path, error))?;
            let sum = if name.is_undated() { &mut undated } else { &mut dated };
            *sum += counts.events.unsigned_abs();
            unreadable += counts.unreadable.unsigned_abs();
        }
        Ok((dated, undated, unreadable))
    }

    /// Copies the archive to a new directory, while the writer goes on.
    ///
    /// The copy is an archive by itself: to restore it, use its directory. It holds every batch that was
    /// stored before the call, each whole.
    ///
    /// # Errors
    ///
    /// Returns an error if the directory exists and is not empty, or cannot be written.
    pub fn backup(&self, to: &Path) -> Result<()> {
        let io = |error| ArchiveError::io("create", to, error);
        create_directory(to).map_err(io)?;
        if fs::read_dir(to).map_err(io)?.next().is_some() {
            let message =
                format!("`{}` is not empty: name a new directory for the backup", shown(to));
            return Err(ArchiveError::new(ArchiveErrorKind::Invalid, message));
        }
        // Positions first: those of the copy must not lie ahead of its events.
        copy(&self.control, &to.join(CONTROL_FILE))?;
        for name in self.files()? {
            let (_, file) = self.open_file(name)?;
            copy(&file, &to.join(name.to_string()))?;
        }
        sync_directory(&to.join(CONTROL_FILE))
    }

    /// Returns the names of the event files, in their order.
    ///
    /// # Errors
    ///
    /// Returns an error if the directory cannot be read.
    pub fn files(&self) -> Result<Vec<FileName>> {
        file_names(&self.directory)
    }

    /// Opens an event file, or takes the one that was kept.
    pub(crate) fn open_file(&self, name: FileName) -> Result<(PathBuf, Connection)> {
        let path = self.directory.join(name.to_string());
        let file = match self.kept.take(name, &path) {
            Some(file) => file,
            None => open_for_reading(&path, &EVENTS)?,
        };
        Ok((path, file))
    }

    /// Returns the error of SQLite for the control file.
    pub(crate) fn control_error(&self, error: rusqlite::Error) -> ArchiveError {
        ArchiveError::sqlite(&self.directory.join(CONTROL_FILE), error)
    }
}

/// Returns the indexes that find all records of a filter, each record once.
pub(crate) fn indexes(filter: &EventFilter) -> Vec<PageIndex> {
    let exact = |glob: &EventGlob| glob.exact().map(str::to_owned);
    let types: Option<Vec<_>> = filter.events.iter().map(exact).collect();
    if !filter.images.is_empty() {
        return filter.images.iter().cloned().map(PageIndex::Subject).collect();
    }
    match types {
        Some(mut types) if !types.is_empty() => {
            types.sort();
            types.dedup();
            types.into_iter().map(PageIndex::EventType).collect()
        }
        _ => vec![PageIndex::Time],
    }
}

/// Copies one file, as of one moment, without free pages.
fn copy(connection: &Connection, to: &Path) -> Result<()> {
    let sqlite = |error| ArchiveError::sqlite(to, error);
    let path = to.to_str().ok_or_else(|| {
        ArchiveError::new(ArchiveErrorKind::Invalid, "the name of the directory is not UTF-8")
    })?;
    // SQLite would create a file that other users may read until the copy is complete.
    create(to).map_err(|error| ArchiveError::io("create", to, error))?;
    connection.execute("VACUUM INTO ?", [path]).map_err(sqlite)?;
    let synced = fs::OpenOptions::new().write(true).open(to).and_then(|file| file.sync_all());
    synced.map_err(|error| ArchiveError::io("write", to, error))
}

/// Returns an error if the deadline has passed.
pub(crate) fn check_deadline(deadline: Instant) -> Result<()> {
    if Instant::now() < deadline { Ok(()) } else { Err(deadline_error()) }
}

/// Returns the moment a time from now, or the last one that the clock can represent nearby: a program may pass
/// [`Duration::MAX`] to wait without a deadline.
pub(crate) fn end_of(time: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    Instant::now() + time.min(LONGEST)
}

/// Returns the error of a question that takes longer than its deadline.
pub(crate) fn deadline_error() -> ArchiveError {
    let message =
        "the question took too long: narrow it with --since and --until, or ask for one image";
    ArchiveError::new(ArchiveErrorKind::DeadlineExceeded, message)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Only its owner can read a copy, also before it is complete.
    #[test]
    fn a_copy_is_private_from_its_first_byte() {
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("copy");
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        let modes = Arc::new(Mutex::new(Vec::new()));
        let (seen, path) = (Arc::clone(&modes), to.clone());
        let look = move || {
            let mode = fs::metadata(&path).map(|metadata| metadata.permissions().mode() & 0o777);
            seen.lock().unwrap().extend(mode);
            false
        };
        connection.progress_handler(1, Some(look));
        copy(&connection, &to).unwrap();
        let modes = modes.lock().unwrap();
        assert!(!modes.is_empty() && modes.iter().all(|mode| *mode == 0o600), "{modes:?}");
    }
}
