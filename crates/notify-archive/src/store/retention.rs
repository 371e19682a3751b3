//! The retention: whole files are removed by age or size.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use rusqlite::params;
use time::{Duration, OffsetDateTime};

use super::archive_writer::ArchiveWriter;
use super::connection::{
    has_log, log_of, open_for_reading, open_without_log, remove_file, remove_log, sync_directory,
};
use super::event_file;
use super::event_row::microseconds;
use super::file_name::FileName;
use super::gap_reading::RangeMerge;
use super::schema::EVENTS;
use super::seen_numbers::{RunId, SeenRange, add_range};
use crate::error::{ArchiveError, ArchiveErrorKind, Result};

/// The bounds of an archive. A bound that is `None` removes nothing.
///
/// # Examples
///
/// ```
/// use notify_archive::store::RetentionPolicy;
/// use time::Duration;
///
/// let policy = RetentionPolicy { max_age: Some(Duration::days(400)), max_bytes: None };
/// assert_ne!(policy, RetentionPolicy::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// The age from which a month's file is removed: the month must have ended, and the newest reception
    /// in the file must be that old too.
    pub max_age: Option<Duration>,
    /// The size of all files in bytes above which the oldest are removed. The newest file always stays.
    pub max_bytes: Option<u64>,
}

impl ArchiveWriter {
    /// Removes the files that a policy no longer allows. Returns their names.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be looked at or removed. Files removed before it stay removed. By age, a
    /// damaged file is not removed and is no error: `verify` reports it. By age, nothing is removed if no file with
    /// plausible times would stay: the clock may be wrong.
    pub fn retain(
        &mut self,
        policy: RetentionPolicy,
        now: OffsetDateTime,
    ) -> Result<Vec<FileName>> {
        // The oldest first, whether dated or not.
        let mut names: Vec<_> = self.names.iter().copied().collect();
        let mut removed = Vec::new();
        if let Some(age) = policy.max_age {
            let oldest = now.saturating_sub(age);
            for name in self.files_older_than(oldest, &names)? {
                self.remove(name)?;
                removed.push(name);
            }
            names.retain(|name| !removed.contains(name));
        }
        if let Some(most) = policy.max_bytes {
            let size = |name: &FileName| size_of(&self.directory.join(name.to_string()));
            let mut total: u64 = names.iter().map(size).sum();
            let sizes: Vec<_> = names.iter().map(|name| (*name, size(name))).collect();
            let removable = sizes.len().saturating_sub(1);
            for (name, size) in sizes.into_iter().take(removable) {
                if total <= most {
                    break;
                }
                self.remove(name)?;
                removed.push(name);
                total -= size;
            }
        }
        // Last: the files above may make the room for it.
        self.finish_removals()?;
        Ok(removed)
    }

    /// Returns the files that ended and received nothing since a time, or none if every dated file would go: then
    /// the clock may be wrong.
    fn files_older_than(
        &mut self,
        oldest: OffsetDateTime,
        names: &[FileName],
    ) -> Result<Vec<FileName>> {
        let (mut old, mut has_young) = (Vec::new(), false);
        for name in names.iter().copied() {
            // The newest reception takes a look at all rows of a file: first leave out those that are too young.
            let is_old = name.ends_before(oldest)
                && match self.newest_reception(name) {
                    // A damaged file stays. It must not keep the others from being removed, or from growing.
                    Err(error) if error.kind() == ArchiveErrorKind::Corrupt => continue,
                    newest => newest?.is_none_or(|newest| newest < microseconds(oldest)),
                };
            if is_old {
                old.push(name);
            } else {
                // What arrives after a jump of the clock is undated: it does not vouch for the clock.
                has_young |= !name.is_undated();
            }
        }
        if !has_young && !old.is_empty() {
            tracing::error!(
                "removed no file by age: none with plausible times is younger than {}. Check the clock of this \
                 machine; if it is right, remove old files with `--max-bytes`",
                oldest.date()
            );
            old.clear();
        }
        Ok(old)
    }

    /// Returns the time of the newest reception in a file, in microseconds.
    fn newest_reception(&mut self, name: FileName) -> Result<Option<i64>> {
        let path = self.directory.join(name.to_string());
        match self.file(name) {
            Ok((file, _)) => {
                event_file::newest_reception(&file.sqlite).map_err(|error| file.error(error))
            }
            // A full disk may have no room for the index of the log. Without a log, the file has all rows.
            Err(error) if error.may_need_room() && !has_log(&path) => {
                let file = open_for_reading(&path, &EVENTS)?;
                let newest = event_file::newest_reception(&file);
                newest.map_err(|error| ArchiveError::sqlite(&path, error))
            }
            Err(error) => Err(error),
        }
    }

    /// Removes one file with its log.
    fn remove(&mut self, name: FileName) -> Result<()> {
        let numbers = match self.numbers_to_hand_over(name) {
            // A damaged file must not keep the others from being removed.
            Err(error) if error.kind() == ArchiveErrorKind::Corrupt => BTreeMap::new(),
            numbers => numbers?,
        };
        self.close(name);
        let path = self.directory.join(name.to_string());
        match self.record_removal(name, &numbers) {
            // Only the file itself makes room for the record. Under its other name it stays as an empty file until
            // the record is written, so that a crash leaves no count of a file that verification misses. Numbers
            // between those of other files are rare: a crash right here loses them, and they seem to be missing.
            Err(error) if error.may_need_room() => {
                remove_log(&path)?;
                fs::rename(&path, self.emptied(name))
                    .map_err(|error| ArchiveError::io("rename", &path, error))?;
                self.names.remove(&name);
                sync_directory(&path)?;
                return self.finish_removal(name, &numbers);
            }
            recorded => recorded?,
        }
        remove_log(&path)?;
        remove_file(&path)?;
        // Not earlier: after an error, the next attempt looks at the file again.
        self.names.remove(&name);
        sync_directory(&path)
    }

    /// Hands over numbers, and removes the count of a file, so that verification does not miss the file.
    fn record_removal(&mut self, name: FileName, numbers: &HandedNumbers) -> Result<()> {
        match self.hand_over(numbers) {
            Err(error) if error.kind() == ArchiveErrorKind::Corrupt => {}
            handed => handed?,
        }
        self.change_control(|control| {
            control.execute("DELETE FROM file WHERE name = ?", params![name.to_string()])
        })?;
        Ok(())
    }

    /// Finishes the removals of files that were emptied before their removal was recorded.
    fn finish_removals(&mut self) -> Result<()> {
        let io = |error| ArchiveError::io("read", &self.directory, error);
        let mut emptied = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(EMPTIED));
            emptied.extend(name.and_then(|name| name.parse::<FileName>().ok()));
        }
        emptied.into_iter().try_for_each(|name| self.finish_removal(name, &BTreeMap::new()))
    }

    /// Empties a file that has its other name already, records its removal, and removes it.
    fn finish_removal(&mut self, name: FileName, numbers: &HandedNumbers) -> Result<()> {
        let path = self.emptied(name);
        // A reader that has the file open would keep the blocks of a removed file.
        let emptied = OpenOptions::new().write(true).open(&path).and_then(|file| {
            file.set_len(0)?;
            file.sync_all()
        });
        emptied.map_err(|error| ArchiveError::io("empty", &path, error))?;
        // Late notifications may have begun a new file of the name, with a count of its own.
        if !self.names.contains(&name) {
            self.record_removal(name, numbers)?;
        }
        remove_file(&path)?;
        sync_directory(&path)
    }

    /// Returns the path of a file whose removal is not recorded yet.
    fn emptied(&self, name: FileName) -> PathBuf {
        self.directory.join(format!("{name}{EMPTIED}"))
    }
}

/// The numbers of a removed file that go into other files.
type HandedNumbers = BTreeMap<FileName, Vec<SeenRange>>;

impl ArchiveWriter {
    /// Returns the numbers that a file has seen between those of other files, each with one of these files: without
    /// the file, they must not seem to be missing.
    fn numbers_to_hand_over(&self, name: FileName) -> Result<HandedNumbers> {
        let names: Vec<_> = self.names.iter().copied().collect();
        let mut files = Vec::new();
        for name in &names {
            let path = self.directory.join(name.to_string());
            let file = match open_for_reading(&path, &EVENTS) {
                // A full disk may have no room for the index of the log. The few numbers in the log may then seem to
                // be missing.
                Err(error) if error.may_need_room() => open_without_log(&path, &EVENTS)?,
                file => file?,
            };
            files.push((path, file));
        }
        let mut ranges = RangeMerge::open(files)?;
        // Those behind the begin of a range of another file, whose run may go on in another file.
        let (mut lower, mut between) = (None::<RunId>, Vec::new());
        // The last one before all other files.
        let mut leading = None::<SeenRange>;
        let mut handed = HandedNumbers::new();
        while let Some((index, range)) = ranges.next()? {
            let is_same_run = lower.as_ref() == Some(&range.run);
            if names[index] != name {
                if is_same_run && !between.is_empty() {
                    handed.entry(names[index]).or_default().append(&mut between);
                }
                between.clear();
                let goes_on =
                    |leading: &SeenRange| leading.run == range.run && leading.last > range.last;
                between.extend(leading.take().filter(goes_on));
                lower = Some(range.run);
            } else if is_same_run {
                between.push(range);
            } else {
                leading = Some(range);
            }
        }
        Ok(handed)
    }

    /// Writes numbers into the files that keep them.
    fn hand_over(&mut self, numbers: &HandedNumbers) -> Result<()> {
        for (name, ranges) in numbers {
            let (file, _) = self.file(*name)?;
            let write = || {
                let transaction = file.sqlite.unchecked_transaction()?;
                ranges
                    .iter()
                    .try_for_each(|range| add_range(&transaction, range.clone()).map(drop))?;
                transaction.commit()?;
                file.settle()
            };
            if let Err(error) = write().map_err(|error| file.error(error)) {
                // As after each error, the next call begins with a new connection.
                self.close(*name);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Returns the size of a file with its log in bytes.
fn size_of(path: &Path) -> u64 {
    bytes_of(path) + bytes_of(&log_of(path))
}

fn bytes_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The ending of a file that gave its room back before its removal was recorded.
const EMPTIED: &str = ".removed";

#[cfg(test)]
mod tests {
    use super::super::archive::Archive;
    use super::super::archive_batch::ArchiveBatch;
    use super::*;
    use crate::record::event_record::EventRecord;
    use crate::record::record_reader::RecordReader;

    /// The longest age removes nothing. A file that could not be removed is removed by the next attempt.
    #[test]
    fn a_removal_that_failed_is_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::now_utc();
        let (mut writer, name) = with_an_old_file(directory.path(), now);
        assert!(writer.retain(older_than(u32::MAX.into()), now).unwrap().is_empty());

        writer.control().unwrap().sqlite.pragma_update(None, "query_only", true).unwrap();
        writer.retain(older_than(30), now).unwrap_err();
        assert_eq!(writer.retain(older_than(30), now).unwrap(), [name]);
        assert!(!directory.path().join(name.to_string()).exists());
    }

    /// A crash between the end of a file and the record of it leaves no count that verification misses for long.
    #[test]
    fn a_removal_that_a_crash_interrupted_is_finished() {
        let directory = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::now_utc();
        let (writer, name) = with_an_old_file(directory.path(), now);
        let emptied = writer.emptied(name);
        drop(writer);
        fs::rename(directory.path().join(name.to_string()), &emptied).unwrap();
        let verify = || Archive::open(directory.path()).unwrap().verify().unwrap().problems.len();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        assert_eq!(verify(), 1, "the count is there without its file");
        assert!(writer.retain(RetentionPolicy::default(), now).unwrap().is_empty());
        assert_eq!((verify(), emptied.exists()), (0, false));
    }

    /// A disk that is full at the start does not keep the writer from removing old files. With room, the writer
    /// records what a killed one left undone.
    #[test]
    fn a_writer_that_opens_on_a_full_disk_removes_files() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        let now = OffsetDateTime::now_utc();
        let old = now - Duration::days(400);
        let records = vec![record(1, old, old), record(2, now, now)];
        writer.append(&ArchiveBatch { records, ..ArchiveBatch::default() }).unwrap();
        writer.attach("north", old).unwrap();
        let name = writer.names.first().copied().unwrap();
        drop(writer);
        // SQLite cannot create the index of the control file's log, as on a full disk.
        let index = directory.path().join("control.sqlite-shm");
        std::os::unix::fs::symlink("missing/index", &index).unwrap();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        let empty = ArchiveBatch::default();
        assert!(writer.append(&empty).unwrap_err().may_need_room());
        let policy = RetentionPolicy { max_age: None, max_bytes: Some(0) };
        writer.retain(policy, now).unwrap_err();
        assert!(!directory.path().join(name.to_string()).exists());

        fs::remove_file(&index).unwrap();
        assert!(writer.retain(policy, now).unwrap().is_empty());
        assert!(!writer.emptied(name).exists());
        writer.append(&empty).unwrap();
        let archive = Archive::open(directory.path()).unwrap();
        assert_eq!(archive.verify().unwrap().problems, []);
        let interval = &archive.attached().unwrap()["north"][0];
        assert_eq!(interval.reason.as_deref(), Some("the archive stopped"));
    }

    /// A clock that jumps ahead does not empty the archive, also not after undated notifications arrived.
    #[test]
    fn a_clock_that_jumps_ahead_removes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        let now = OffsetDateTime::now_utc();
        let jumped = now + Duration::days(3650);
        for record in [record(1, now, now), record(2, now, jumped)] {
            let batch = ArchiveBatch { records: vec![record], ..ArchiveBatch::default() };
            writer.append(&batch).unwrap();
            assert!(writer.retain(older_than(90), jumped).unwrap().is_empty());
        }
        assert_eq!(writer.names.len(), 2);
    }

    /// Fills an archive with a record of today and one of 400 days ago. Returns the old record's file.
    fn with_an_old_file(directory: &Path, now: OffsetDateTime) -> (ArchiveWriter, FileName) {
        let mut writer = ArchiveWriter::open(directory).unwrap();
        let old = now - Duration::days(400);
        let records = vec![record(1, old, old), record(2, now, now)];
        writer.append(&ArchiveBatch { records, ..ArchiveBatch::default() }).unwrap();
        let name = writer.names.first().copied().unwrap();
        (writer, name)
    }

    fn older_than(days: i64) -> RetentionPolicy {
        RetentionPolicy { max_age: Some(Duration::days(days)), max_bytes: None }
    }

    fn record(id: u128, timestamp: OffsetDateTime, received: OffsetDateTime) -> EventRecord {
        let line =
            br#"{"message_id":"00000000-0000-4000-8000-000000000001","publisher_id":"image.h",
            "event_type":"image.delete","priority":"INFO","timestamp":"2025-11-24 12:00:00",
            "payload":{"id":"i"}}"#;
        let mut record = RecordReader::new("test").read(line).unwrap();
        record.message_id = uuid::Uuid::from_u128(id);
        record.timestamp = timestamp;
        record.arrival.received_at = Some(received);
        record
    }
}
