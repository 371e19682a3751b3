//! The contents of an archive beside its answers: files, sources, unreadable messages, single notifications.
//!
//! Every call here is cheap, whatever the size of the archive: it reads the control file or one index. The look-up
//! of an id has a deadline, because it reads the index of every file.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::time::Duration;

use rusqlite::Row;
use time::OffsetDateTime;
use uuid::Uuid;

use super::archive::{Archive, check_deadline, deadline_error, end_of};
use super::connection::{interrupt_at, is_interrupted};
use super::control_file;
use super::event_row::{StoredColumns, TextInterner, all_columns, body_of, time_of};
use super::file_name::FileName;
use crate::error::{ArchiveError, Result};
use crate::question::coverage::AttachedInterval;
use crate::record::event_record::EventRecord;

/// The size of one file of an archive, as of its last batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileSummary {
    /// The name of the file.
    pub name: FileName,
    /// The number of events.
    pub events: u64,
    /// The number of unreadable messages.
    pub unreadable: u64,
    /// The size in bytes, without the write-ahead log.
    pub bytes: u64,
}

/// A message that holds no notification, as the archive keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnreadableEntry {
    /// The time of the reception.
    pub received_at: OffsetDateTime,
    /// The name of the source.
    pub source: Option<String>,
    /// The reason, which repeats nothing of the message.
    pub reason: String,
    /// The length of the message in bytes.
    pub length: u64,
}

impl Archive {
    /// Returns the sizes of all files in their order. It trusts the recorded numbers and counts no row.
    ///
    /// # Errors
    ///
    /// Returns an error if the control file or the directory cannot be read.
    pub fn file_summaries(&self) -> Result<Vec<FileSummary>> {
        let recorded = control_file::files(&self.control).map_err(|e| self.control_error(e))?;
        let summary = |name: FileName| {
            let path = self.directory.join(name.to_string());
            let metadata =
                fs::metadata(&path).map_err(|error| ArchiveError::io("read", &path, error))?;
            let (events, unreadable) = recorded.get(&name).copied().unwrap_or_default();
            Ok(FileSummary {
                name,
                events: events.unsigned_abs(),
                unreadable: unreadable.unsigned_abs(),
                bytes: metadata.len(),
            })
        };
        self.files()?.into_iter().map(summary).collect()
    }

    /// Returns the intervals in which each source was attached. One that is still attached ends at the time at
    /// which it was last seen.
    ///
    /// # Errors
    ///
    /// Returns an error if the control file cannot be read.
    pub fn attached(&self) -> Result<BTreeMap<String, Vec<AttachedInterval>>> {
        control_file::attached(&self.control).map_err(|error| self.control_error(error))
    }

    /// Returns the time that the archive knows: from the first event to the last one, or to the time at which a source
    /// was last seen. Without events that have plausible times, it begins when the first source was attached.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read.
    pub fn known_span(&self) -> Result<Option<Range<OffsetDateTime>>> {
        let attached = self.attached()?;
        let intervals = || attached.values().flatten();
        let first = intervals().map(|interval| interval.attached_at).min();
        let seen = intervals().filter_map(|interval| interval.detached_at).max();
        Ok(match (self.span()?, first.zip(seen)) {
            (Some(events), Some((_, seen))) => Some(events.start..events.end.max(seen)),
            (None, Some((first, seen))) => Some(first..seen),
            (events, None) => events,
        })
    }

    /// Returns the notifications with this id, each with its body: none, one, or several if senders used the
    /// id for different contents; at most `limit` of them, and the number of the others. An erased notification
    /// does not count.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read or `deadline` passes.
    pub fn notifications(
        &self,
        message_id: Uuid,
        limit: usize,
        deadline: Duration,
    ) -> Result<(Vec<EventRecord>, u64)> {
        let deadline = end_of(deadline);
        let (mut records, mut left_out) = (Vec::new(), 0);
        for name in self.files()? {
            check_deadline(deadline)?;
            let (path, file) = self.open_file(name)?;
            interrupt_at(&file, deadline);
            let mut read = || {
                let id = message_id.as_bytes().as_slice();
                let mut interner = TextInterner::default();
                let room = limit.saturating_sub(records.len());
                let select = format!("{} LIMIT {room}", by_message_id(&all_columns(&file)?));
                let mut statement = file.prepare(&select)?;
                let mut rows = statement.query([id])?;
                let mut taken = 0;
                while let Some(row) = rows.next()? {
                    records.push(record_of(row, &mut interner)?);
                    taken += 1;
                }
                if records.len() >= limit {
                    let count = by_message_id("count(*)");
                    let count: i64 = file.query_row(&count, [id], |row| row.get(0))?;
                    left_out += count.unsigned_abs().saturating_sub(taken);
                }
                Ok(())
            };
            read().map_err(|error| {
                if is_interrupted(&error) {
                    deadline_error()
                } else {
                    ArchiveError::sqlite(&path, error)
                }
            })?;
        }
        Ok((records, left_out))
    }

    /// Returns the messages that hold no notification, the newest first, at most `limit` of them.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read.
    pub fn unreadable(&self, limit: usize) -> Result<Vec<UnreadableEntry>> {
        let mut messages = Vec::new();
        for name in self.files()?.into_iter().rev().filter(|name| name.is_undated()) {
            if messages.len() == limit {
                break;
            }
            let (path, file) = self.open_file(name)?;
            let mut read = || {
                // A file holds one month. Rows are numbered in the order of their reception.
                let mut statement = file.prepare(
                    "SELECT received_at, source, reason, length FROM unreadable ORDER BY seq DESC LIMIT ?",
                )?;
                let room = i64::try_from(limit - messages.len()).unwrap_or(i64::MAX);
                for message in statement.query_map([room], unreadable_of)? {
                    messages.push(message?);
                }
                Ok(())
            };
            read().map_err(|error| ArchiveError::sqlite(&path, error))?;
        }
        Ok(messages)
    }
}

/// Returns the statement that selects columns of the rows with a message id.
///
/// The index begins with the time, so that SQLite would read all rows and their bodies: it reads the index
/// instead, which is some twenty times smaller.
fn by_message_id(columns: &str) -> String {
    format!(
        "SELECT {columns} FROM event WHERE seq IN (SELECT seq FROM event INDEXED BY event_id \
         WHERE message_id = ?) AND erased IS NULL"
    )
}

/// Returns the record of a row with its body.
fn record_of(row: &Row<'_>, interner: &mut TextInterner) -> rusqlite::Result<EventRecord> {
    let body = body_of(row)?.ok_or(rusqlite::Error::InvalidQuery)?;
    let record = StoredColumns::of(row)?.record(body.into(), interner);
    record.ok_or(rusqlite::Error::InvalidQuery)
}

fn unreadable_of(row: &Row<'_>) -> rusqlite::Result<UnreadableEntry> {
    Ok(UnreadableEntry {
        received_at: time_of(row.get(0)?).ok_or(rusqlite::Error::InvalidQuery)?,
        source: row.get(1)?,
        reason: row.get(2)?,
        length: row.get::<_, i64>(3)?.unsigned_abs(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::event_row::COLUMNS;
    use super::super::schema::plan_of;
    use super::*;

    /// A notification is found by its id in the index, without a look at other rows.
    #[test]
    fn a_notification_is_found_in_the_index() {
        let plan = plan_of(&by_message_id(COLUMNS), ["x"]);
        let looks: Vec<_> = plan.iter().filter(|step| step.contains(" event ")).collect();
        let expected = [
            "SEARCH event USING INTEGER PRIMARY KEY (rowid=?)",
            "SCAN event USING COVERING INDEX event_id",
        ];
        assert_eq!(looks, expected);
    }
}
