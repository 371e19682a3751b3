//! The writer of an archive: [`ArchiveWriter`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Instant;

use notify_core::listener::durable_file::create_directory;
use time::OffsetDateTime;

use super::archive_batch::{AppendOutcome, ArchiveBatch};
use super::clock_watch::ClockWatch;
use super::connection::{WriteConnection, create, sync_directory};
use super::control_file::{self, ControlChanges, ImportPosition};
use super::event_file::{self, FileBatch, FileReach};
use super::file_name::{FileName, file_names};
use super::schema::{CONTROL, EVENTS};
use crate::error::{ArchiveError, ArchiveErrorKind, Result, shown};
use crate::question::storage_report::CatalogueImage;
use crate::record::event_record::EventRecord;

/// The one writer of an archive.
///
/// # Contract
///
/// [`append`](Self::append) returns `Ok` only after every touched file is committed and synced. The caller
/// may then acknowledge the batch. After an error it must not: it appends the same batch again. What was
/// stored before the error is recognised by its id and content and is not stored twice. The writer goes on
/// by itself when the cause of the error is gone.
///
/// All calls wait for the disk, so call them on a thread that may block.
///
/// # Examples
///
/// ```
/// use notify_archive::record::RecordReader;
/// use notify_archive::store::{ArchiveBatch, ArchiveWriter};
///
/// let dir = tempfile::tempdir().unwrap();
/// let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"image.host1",
///     "event_type":"image.delete","priority":"INFO","timestamp":"2025-11-24 12:00:00.123456",
///     "payload":{"id":"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d","owner":"web"}}"#;
/// let record = RecordReader::new("file").read(line).unwrap();
/// let batch = ArchiveBatch { records: vec![record], ..ArchiveBatch::default() };
///
/// let mut writer = ArchiveWriter::open(dir.path())?;
/// assert_eq!(writer.append(&batch)?.stored, 1);
/// // A redelivery is recognised.
/// assert_eq!(writer.append(&batch)?.copies, 1);
/// # Ok::<_, notify_archive::ArchiveError>(())
/// ```
#[derive(Debug)]
pub struct ArchiveWriter {
    pub(crate) directory: PathBuf,
    /// The open files, the one used last at the end.
    open: Vec<(FileName, WriteConnection, (i64, i64))>,
    control: Option<WriteConnection>,
    /// The files that the archive has.
    pub(crate) names: BTreeSet<FileName>,
    /// The damaged files that look-ups of copies pass over, which the log names once.
    pub(super) damaged: BTreeSet<FileName>,
    /// The reaches of files since they were used last, each with the identity of its file.
    pub(super) reaches: BTreeMap<FileName, ((u64, u64), FileReach)>,
    clock: ClockWatch,
    /// Whether the clock jumped, and the control file does not know it yet.
    has_jumped: bool,
    /// Whether the control file has what an earlier writer left undone.
    is_recovered: bool,
    /// The lock of the directory, for as long as the writer lives.
    _lock: File,
}

impl ArchiveWriter {
    /// Opens an archive for writing, and creates the directory if it does not exist.
    ///
    /// On a full disk, the writer opens too, so that [`retain`](Self::retain) can make room. Its other calls return
    /// the error until there is room.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`ArchiveErrorKind::Locked`] if another process writes to the archive,
    /// and another one if the directory cannot be used.
    pub fn open(directory: &Path) -> Result<Self> {
        let io = |error| ArchiveError::io("create", directory, error);
        create_directory(directory).map_err(io)?;
        let directory = &fs::canonicalize(directory).map_err(io)?;
        let path = directory.join(LOCK_FILE);
        let lock = create(&path).and_then(|_| OpenOptions::new().write(true).open(&path));
        let lock = lock.map_err(|error| ArchiveError::io("create", &path, error))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => ArchiveError::new(
                ArchiveErrorKind::Locked,
                format!(
                    "another process writes to the archive `{}`: stop it first",
                    shown(directory)
                ),
            ),
            fs::TryLockError::Error(error) => ArchiveError::io("lock", &path, error),
        })?;
        let mut writer = Self {
            directory: directory.clone(),
            open: Vec::new(),
            control: None,
            names: BTreeSet::new(),
            damaged: BTreeSet::new(),
            reaches: BTreeMap::new(),
            clock: ClockWatch::default(),
            has_jumped: false,
            is_recovered: false,
            _lock: lock,
        };
        writer.names = file_names(directory)?.into_iter().collect();
        match writer.recover() {
            // The retention needs a writer, and may be what makes the room.
            Err(error) if error.may_need_room() => {}
            recovered => recovered?,
        }
        Ok(writer)
    }

    /// Stores a batch. Returns after every touched file is committed and synced.
    ///
    /// # Errors
    ///
    /// Returns a named error, such as [`ArchiveErrorKind::DiskFull`]. Parts of the batch may be stored; the
    /// caller appends the whole batch again.
    pub fn append(&mut self, batch: &ArchiveBatch) -> Result<AppendOutcome> {
        let now = OffsetDateTime::now_utc();
        self.watch_clock(Instant::now(), now)?;
        self.append_at(batch, now)
    }

    /// Stores a batch at a given time.
    pub(crate) fn append_at(
        &mut self,
        batch: &ArchiveBatch,
        now: OffsetDateTime,
    ) -> Result<AppendOutcome> {
        let mut files: BTreeMap<FileName, FileBatch<'_>> = BTreeMap::new();
        let mut outcome = AppendOutcome::default();
        let file_of = |record: &EventRecord| {
            FileName::of_event(record.timestamp, record.arrival.received_at, now)
        };
        let names: Vec<_> = batch.records.iter().map(file_of).collect();
        let others = self.other_files_with(&batch.records, &names, now)?;
        for ((record, name), other) in batch.records.iter().zip(names).zip(others) {
            match other {
                Some(other) => files.entry(other).or_default().copies.push(record),
                None => files.entry(name).or_default().records.push(record),
            }
        }
        for message in &batch.unreadable {
            let name = FileName::undated(message.received_at);
            files.entry(name).or_default().unreadable.push(message);
        }
        let mut changes = ControlChanges { seen: Some(now), ..ControlChanges::default() };
        changes.position =
            batch.position.as_ref().map(|(source, position)| (source.as_str(), position));
        for (name, part) in files {
            let (part, counts) = self.insert(name, &part)?;
            outcome.stored += part.stored;
            outcome.copies += part.copies;
            outcome.reused += part.reused;
            outcome.unreadable += part.unreadable;
            changes.files.insert(name, counts);
        }
        self.write_control(|control| control_file::write(control, &changes))?;
        if outcome.stored + outcome.unreadable == 0 {
            // No number of rows covers this change.
            self.settle_control()?;
        }
        Ok(outcome)
    }

    /// Records that a source is attached and bound from now on.
    ///
    /// # Errors
    ///
    /// Returns an error if the control file cannot be written.
    pub fn attach(&mut self, source: &str, now: OffsetDateTime) -> Result<()> {
        self.watch_clock(Instant::now(), OffsetDateTime::now_utc())?;
        self.write_control(|control| control_file::attach(control, source, now))?;
        self.settle_control()
    }

    /// Records that a source is detached from now on, for a reason such as `binding lost`.
    ///
    /// # Errors
    ///
    /// Returns an error if the control file cannot be written.
    pub fn detach(&mut self, source: &str, now: OffsetDateTime, reason: &str) -> Result<()> {
        // A sleep ends what the source covers before the loss that is noticed after it.
        self.watch_clock(Instant::now(), OffsetDateTime::now_utc())?;
        self.write_control(|control| control_file::detach(control, source, now, reason))?;
        self.settle_control()
    }

    /// Ends what the sources cover at the last time before a jump of the clock, and begins anew after it.
    fn watch_clock(&mut self, monotonic: Instant, now: OffsetDateTime) -> Result<()> {
        if self.clock.jumped(monotonic, now) {
            tracing::warn!(
                "the clock was set, or the machine slept: the archive covers nothing between"
            );
            self.has_jumped = true;
        }
        if self.has_jumped {
            self.write_control(|control| control_file::attach_all_anew(control, now))?;
            self.settle_control()?;
            self.has_jumped = false;
        }
        Ok(())
    }

    /// Returns the position up to which a source is stored.
    ///
    /// # Errors
    ///
    /// Returns an error if the control file cannot be read.
    pub fn position(&mut self, source: &str) -> Result<Option<ImportPosition>> {
        let control = self.control()?;
        control_file::position(&control.sqlite, source).map_err(|error| control.error(error))
    }

    /// Replaces the baseline by a catalogue of images.
    ///
    /// # Errors
    ///
    /// Returns an error if the control file cannot be written.
    pub fn set_baseline(&mut self, images: &[CatalogueImage]) -> Result<()> {
        self.write_control(|control| control_file::write_baseline(control, images))?;
        self.settle_control()
    }

    /// Inserts into one file. Returns the numbers of rows that the file has afterwards.
    fn insert(
        &mut self,
        name: FileName,
        batch: &FileBatch<'_>,
    ) -> Result<(AppendOutcome, (i64, i64))> {
        let (file, counts) = self.file(name)?;
        let inserted = event_file::insert(file, batch).map_err(|error| file.error(error));
        // The commit counts only if the path still leads to the file that has it.
        match inserted.and_then(|outcome| file.check_place().map(|()| outcome)) {
            Ok(outcome) => {
                let added = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
                counts.0 += added(outcome.stored);
                counts.1 += added(outcome.unreadable);
                Ok((outcome, *counts))
            }
            Err(error) => {
                // Whatever the cause was, the next call begins with a new connection.
                self.open.retain(|(open, ..)| *open != name);
                Err(error)
            }
        }
    }

    /// Returns an open file and its numbers of rows. Opens it if necessary.
    pub(crate) fn file(
        &mut self,
        name: FileName,
    ) -> Result<(&mut WriteConnection, &mut (i64, i64))> {
        // The caller may change the file.
        self.reaches.remove(&name);
        if let Some(index) = self.open.iter().position(|(open, ..)| *open == name) {
            let entry = self.open.remove(index);
            self.open.push(entry);
        } else {
            let file = WriteConnection::open(&self.directory.join(name.to_string()), &EVENTS)?;
            let counts = event_file::counts(&file.sqlite).map_err(|error| file.error(error))?;
            if self.open.len() == MOST_OPEN {
                self.open.remove(0);
            }
            self.open.push((name, file, (counts.events, counts.unreadable)));
            self.names.insert(name);
        }
        match self.open.last_mut() {
            Some((_, file, counts)) => Ok((file, counts)),
            None => Err(ArchiveError::new(ArchiveErrorKind::Io, "no file is open")),
        }
    }

    /// Closes a file, so that it can be removed.
    pub(crate) fn close(&mut self, name: FileName) {
        self.open.retain(|(open, ..)| *open != name);
    }

    /// Writes to the control file, after what an earlier writer left undone.
    pub(crate) fn write_control<T>(
        &mut self,
        write: impl FnOnce(&mut rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.recover()?;
        self.change_control(write)
    }

    /// Writes to the control file, also if what an earlier writer left undone finds no room.
    pub(super) fn change_control<T>(
        &mut self,
        write: impl FnOnce(&mut rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let control = self.control()?;
        let written = write(&mut control.sqlite).map_err(|error| control.error(error));
        let checked = written.and_then(|value| control.check_place().map(|()| value));
        if checked.is_err() {
            self.control = None;
        }
        checked
    }

    /// Records what an earlier writer left undone, once.
    fn recover(&mut self) -> Result<()> {
        if self.is_recovered {
            return Ok(());
        }
        self.reconcile()?;
        // No source is attached yet: the next batch must not lengthen what a killed writer left open.
        let now = OffsetDateTime::now_utc();
        if self.change_control(|control| control_file::close_all(control, now))? {
            self.settle_control()?;
        }
        self.is_recovered = true;
        Ok(())
    }

    /// Records the rows of files whose last batch a crash interrupted before the control file had it.
    fn reconcile(&mut self) -> Result<()> {
        let control = self.control()?;
        let known = control_file::files(&control.sqlite).map_err(|error| control.error(error))?;
        let mut changes = ControlChanges::default();
        for name in self.names.clone() {
            // A file has its error when a batch needs it. It must not keep the others away.
            let counts = match self.file(name) {
                Ok((_, counts)) => *counts,
                Err(error) if error.kind() == ArchiveErrorKind::Corrupt => continue,
                Err(error) => {
                    tracing::warn!("notifications of this file cannot be stored: {error}");
                    continue;
                }
            };
            let (events, unreadable) = known.get(&name).copied().unwrap_or_default();
            // A row that is missing stays missing: `verify` reports it.
            if counts.0 > events || counts.1 > unreadable {
                changes.files.insert(name, (counts.0.max(events), counts.1.max(unreadable)));
            }
        }
        if changes.files.is_empty() {
            return Ok(());
        }
        self.change_control(|control| control_file::write(control, &changes))
    }

    /// Moves a change that no number of rows covers from the control file's log into the file: a damaged log
    /// would lose it unnoticed.
    pub(crate) fn settle_control(&mut self) -> Result<()> {
        let control = self.control()?;
        control.settle().map_err(|error| control.error(error))
    }

    /// Returns the control file. Opens it if necessary.
    pub(crate) fn control(&mut self) -> Result<&mut WriteConnection> {
        let control = if let Some(control) = self.control.take() {
            control
        } else {
            let path = self.directory.join(CONTROL_FILE);
            let control = WriteConnection::open(&path, &CONTROL)?;
            sync_directory(&path)?;
            control
        };
        Ok(self.control.insert(control))
    }
}

/// The name of the control file.
pub(crate) const CONTROL_FILE: &str = "control.sqlite";
/// The name of the file whose lock the writer holds.
pub(crate) const LOCK_FILE: &str = "archive.lock";
/// The most event files that are open at a time.
const MOST_OPEN: usize = 8;

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::super::archive::Archive;
    use super::super::erasure::EraseSelector;
    use super::*;
    use crate::question::coverage::AttachedInterval;
    use crate::record::record_reader::RecordReader;

    fn batch(numbers: std::ops::Range<u32>) -> ArchiveBatch {
        let record = |number: u32| {
            let line = format!(
                r#"{{"message_id":"00000000-0000-4000-8000-{number:012x}","publisher_id":"image.h",
                "event_type":"image.update","priority":"INFO","timestamp":"2025-11-24 12:00:00",
                "payload":{{"id":"i","name":"{}"}}}}"#,
                format!("{number:x}").repeat(300),
            );
            RecordReader::new("test").read(line.as_bytes()).unwrap()
        };
        ArchiveBatch { records: numbers.map(record).collect(), ..ArchiveBatch::default() }
    }

    /// A full disk has a name. Nothing of the batch is half stored, and the same batch is stored when there
    /// is room.
    #[test]
    fn a_full_disk_is_named_and_the_writer_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        assert_eq!(writer.append(&batch(0..1)).unwrap().stored, 1);
        let name: FileName = "2025-11.sqlite".parse().unwrap();
        for _ in 0..3 {
            let (file, _) = writer.file(name).unwrap();
            let pages: i64 =
                file.sqlite.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
            // SQLite reports this bound as it does a full disk.
            file.sqlite.pragma_update(None, "max_page_count", pages + 2).unwrap();
            let error = writer.append(&batch(0..500)).unwrap_err();
            assert_eq!(error.kind(), ArchiveErrorKind::DiskFull, "{error}");
            assert!(error.is_transient() && error.to_string().contains("no space left on device"));
            let (_, counts) = writer.file(name).unwrap();
            assert_eq!(counts.0, 1, "the whole batch was rolled back");
        }
        // A new connection has no such bound.
        writer.close(name);
        let outcome = writer.append(&batch(0..500)).unwrap();
        assert_eq!((outcome.stored, outcome.copies), (499, 1));
    }

    /// An import of many years keeps a bounded number of files open.
    #[test]
    fn the_number_of_open_files_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        let mut months = batch(0..40);
        for (month, record) in months.records.iter_mut().enumerate() {
            record.timestamp -= time::Duration::days(31) * i32::try_from(month).unwrap();
        }
        assert_eq!(writer.append(&months).unwrap().stored, 40);
        assert_eq!(writer.open.len(), MOST_OPEN);
        assert!(writer.names.len() >= 39);
        assert_eq!(writer.append(&months).unwrap().copies, 40);
    }

    /// A notification is recognised in each of many undated files.
    #[test]
    fn copies_are_recognised_in_more_undated_files_than_may_be_open() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        let mut records = batch(0..20);
        for (month, record) in (1_i32..).zip(&mut records.records) {
            record.arrival.received_at = Some(record.timestamp + time::Duration::days(31) * month);
        }
        assert_eq!(writer.append(&records).unwrap().stored, 20);
        assert!(writer.names.iter().filter(|name| name.is_undated()).count() > MOST_OPEN);
        for record in &mut records.records {
            record.arrival.received_at = Some(record.timestamp);
        }
        assert_eq!(writer.append(&records).unwrap().copies, 20);
    }

    /// A batch opens no undated file that can have none of its records, however many there are.
    #[test]
    fn undated_files_of_other_times_stay_closed() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        let mut undated = batch(0..20);
        for (month, record) in (1_i32..).zip(&mut undated.records) {
            record.arrival.received_at = Some(record.timestamp + time::Duration::days(31) * month);
        }
        assert_eq!(writer.append(&undated).unwrap().stored, 20);
        let mut other = batch(20..21);
        other.records[0].timestamp -= time::Duration::DAY;
        // The first look reads the times of the events of each file.
        assert_eq!(writer.append(&other).unwrap().stored, 1);
        writer.open.clear();
        assert_eq!(writer.append(&other).unwrap().copies, 1);
        let open: Vec<_> = writer.open.iter().map(|(name, ..)| name.to_string()).collect();
        assert_eq!(open, ["2025-11.sqlite"]);
    }

    /// An erased notification is recognised by its id, whatever its time is.
    #[test]
    fn erased_ids_are_recognised_in_undated_files_at_any_time() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        let mut records = batch(0..1);
        let timestamp = records.records[0].timestamp;
        records.records[0].arrival.received_at = Some(timestamp + time::Duration::days(31));
        assert_eq!(writer.append(&records).unwrap().stored, 1);
        let selector = EraseSelector::User("image.h".into());
        writer.erase(&selector, "request 17", OffsetDateTime::now_utc()).unwrap();
        // Another batch reads the times of the file's events.
        assert_eq!(writer.append(&batch(1..2)).unwrap().stored, 1);
        records.records[0].arrival.received_at = None;
        records.records[0].timestamp -= time::Duration::DAY;
        assert_eq!(writer.append(&records).unwrap().copies, 1);
    }

    /// While the machine sleeps, the archive covers nothing; a clock that was ahead for a while claims no time to
    /// come.
    #[test]
    fn nothing_is_covered_between_jumps_of_the_clock() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        let now = OffsetDateTime::now_utc();
        let (begin, ahead) = (now - Duration::hours(8), now + Duration::days(3650));
        writer.attach("north", begin).unwrap();
        writer.clock.jumped(Instant::now(), begin);
        let empty = ArchiveBatch::default();
        writer.append(&empty).unwrap();
        writer.append(&empty).unwrap();
        writer.watch_clock(Instant::now(), ahead).unwrap();
        writer.append_at(&empty, ahead + Duration::seconds(9)).unwrap();
        writer.append(&empty).unwrap();
        let attached = |directory| Archive::open(directory).unwrap().attached().unwrap();
        let intervals = attached(directory.path());
        let covered: Vec<_> = intervals["north"]
            .iter()
            .map(|it| (it.attached_at, it.detached_at.unwrap() - it.attached_at < Duration::MINUTE))
            .collect();
        assert_eq!(covered.len(), 4, "{covered:?}");
        assert!(covered.iter().all(|(_, is_short)| *is_short), "{covered:?}");
        assert!(covered[3].0 < now + Duration::MINUTE, "{covered:?}");
        // A kill while the clock is ahead.
        writer.watch_clock(Instant::now(), ahead).unwrap();
        drop(writer);
        drop(ArchiveWriter::open(directory.path()).unwrap());
        let intervals = attached(directory.path());
        let last = intervals["north"].last().unwrap();
        assert_eq!(last.detached_at, Some(last.attached_at));
    }

    /// A source that is lost after a sleep is covered until the machine fell asleep, and not until the loss; also if
    /// the control file cannot be written at first.
    #[test]
    fn a_loss_that_is_noticed_after_a_sleep_covers_no_sleep() {
        for is_failing in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let mut writer = ArchiveWriter::open(directory.path()).unwrap();
            let now = OffsetDateTime::now_utc();
            let evening = now - Duration::hours(8);
            writer.attach("north", evening).unwrap();
            writer.append_at(&ArchiveBatch::default(), evening + Duration::MINUTE).unwrap();
            writer.clock = ClockWatch::default();
            writer.clock.jumped(Instant::now(), evening + Duration::MINUTE);
            if is_failing {
                let control = writer.control().unwrap();
                control.sqlite.pragma_update(None, "query_only", true).unwrap();
                writer.detach("north", now, "connection lost").unwrap_err();
            }
            writer.detach("north", now, "connection lost").unwrap();
            let intervals = Archive::open(directory.path()).unwrap().attached().unwrap();
            let covered = |it: &AttachedInterval| it.detached_at.unwrap() - it.attached_at;
            let covered: Duration = intervals["north"].iter().map(covered).sum();
            assert!(covered < Duration::HOUR, "{:?}", intervals["north"]);
        }
    }
}
