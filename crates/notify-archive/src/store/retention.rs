//! The retention: whole files are removed by age or size.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::params;
use time::{Duration, OffsetDateTime};

use super::archive_writer::ArchiveWriter;
use super::connection::{open_for_reading, sync_directory};
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
        let (file, _) = self.file(name)?;
        event_file::newest_reception(&file.sqlite).map_err(|error| file.error(error))
    }

    /// Removes one file with its log.
    fn remove(&mut self, name: FileName) -> Result<()> {
        match self.hand_over_numbers(name) {
            // A damaged file must not keep the others from being removed.
            Err(error) if error.kind() == ArchiveErrorKind::Corrupt => {}
            handed => handed?,
        }
        self.close(name);
        // First the count, so that verification does not miss the file.
        self.write_control(|control| {
            control.execute("DELETE FROM file WHERE name = ?", params![name.to_string()])
        })?;
        let path = self.directory.join(name.to_string());
        for ending in ["-wal", "-shm", ""] {
            let path = self.directory.join(format!("{name}{ending}"));
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(ArchiveError::io("remove", &path, error));
                }
                _ => {}
            }
        }
        // Not earlier: after an error, the next attempt looks at the file again.
        self.names.remove(&name);
        sync_directory(&path)
    }
}

impl ArchiveWriter {
    /// Writes the numbers that a file has seen between those of other files into one of these, so that they do
    /// not seem to be missing without it.
    fn hand_over_numbers(&mut self, name: FileName) -> Result<()> {
        let names: Vec<_> = self.names.iter().copied().collect();
        let mut files = Vec::new();
        for name in &names {
            let path = self.directory.join(name.to_string());
            let file = open_for_reading(&path, &EVENTS)?;
            files.push((path, file));
        }
        let mut ranges = RangeMerge::open(files)?;
        // Those behind a range of another file, whose run may go on in another file.
        let (mut lower, mut between) = (None::<RunId>, Vec::new());
        let mut handed: BTreeMap<FileName, Vec<SeenRange>> = BTreeMap::new();
        while let Some((index, range)) = ranges.next()? {
            let is_same_run = lower.as_ref() == Some(&range.run);
            if names[index] == name {
                between.extend(is_same_run.then_some(range));
            } else {
                if is_same_run && !between.is_empty() {
                    handed.entry(names[index]).or_default().append(&mut between);
                }
                between.clear();
                lower = Some(range.run);
            }
        }
        drop(ranges);
        for (name, ranges) in handed {
            let (file, _) = self.file(name)?;
            let write = || {
                let transaction = file.sqlite.unchecked_transaction()?;
                ranges
                    .into_iter()
                    .try_for_each(|range| add_range(&transaction, range).map(drop))?;
                transaction.commit()?;
                file.settle()
            };
            write().map_err(|error| file.error(error))?;
        }
        Ok(())
    }
}

/// Returns the size of a file with its log in bytes.
fn size_of(path: &Path) -> u64 {
    let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    size(path) + size(Path::new(&log))
}

#[cfg(test)]
mod tests {
    use super::super::archive_batch::ArchiveBatch;
    use super::*;
    use crate::record::event_record::EventRecord;
    use crate::record::record_reader::RecordReader;

    /// The longest age removes nothing. A file that could not be removed is removed by the next attempt.
    #[test]
    fn a_removal_that_failed_is_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        let now = OffsetDateTime::now_utc();
        let old = now - Duration::days(400);
        let records = vec![record(1, old, old), record(2, now, now)];
        writer.append(&ArchiveBatch { records, ..ArchiveBatch::default() }).unwrap();
        let name = writer.names.first().copied().unwrap();
        assert!(writer.retain(older_than(u32::MAX.into()), now).unwrap().is_empty());

        writer.control().unwrap().sqlite.pragma_update(None, "query_only", true).unwrap();
        writer.retain(older_than(30), now).unwrap_err();
        assert_eq!(writer.retain(older_than(30), now).unwrap(), [name]);
        assert!(!directory.path().join(name.to_string()).exists());
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
