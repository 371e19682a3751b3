//! The erasure of content: by image, project or user.

use rusqlite::{Connection, params};
use time::OffsetDateTime;

use super::archive_writer::ArchiveWriter;
use super::control_file::{self, erasure_checksum};
use super::event_file::unreadable_checksum;
use super::event_row::{COLUMNS, StoredColumns, body_of, microseconds};
use super::seen_numbers;
use crate::error::{ArchiveError, ArchiveErrorKind, Result};

/// The content to erase, by an id that occurs in it.
///
/// # Examples
///
/// ```
/// use notify_archive::store::EraseSelector;
///
/// let selector = EraseSelector::Project("c0ffee00c0ffee00c0ffee00c0ffee00".into());
/// assert_eq!(selector.id(), "c0ffee00c0ffee00c0ffee00c0ffee00");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EraseSelector {
    /// Everything that mentions the image with this id.
    Image(String),
    /// Everything that mentions the project with this id.
    Project(String),
    /// Everything that mentions the user with this id.
    User(String),
}

/// The result of an erasure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErasureOutcome {
    /// The number of notifications whose content is gone.
    pub events: u64,
    /// The number of unreadable messages whose content is gone.
    pub unreadable: u64,
    /// The number of images of the baseline that are gone.
    pub baseline: u64,
}

impl EraseSelector {
    /// Returns the id.
    pub fn id(&self) -> &str {
        match self {
            Self::Image(id) | Self::Project(id) | Self::User(id) => id,
        }
    }

    /// Returns the kind of the id in words.
    fn kind(&self) -> &'static str {
        match self {
            Self::Image(_) => "image",
            Self::Project(_) => "project",
            Self::User(_) => "user",
        }
    }
}

impl ArchiveWriter {
    /// Erases the content of every notification, unreadable message and catalogue entry that mentions an
    /// id, from rows, free pages and write-ahead logs. A source whose name contains the id has another name
    /// afterwards, and no position.
    ///
    /// The id, the time and the hash of each notification remain, so that a replay does not bring it
    /// back. Erasure does not reach backups, exports, spools and dead letters.
    ///
    /// # Errors
    ///
    /// Returns an error if the id is shorter than four characters, if the reason is empty or contains the
    /// id, or if a file cannot be written. Run it again after an error: it continues.
    pub fn erase(
        &mut self,
        selector: &EraseSelector,
        reason: &str,
        now: OffsetDateTime,
    ) -> Result<ErasureOutcome> {
        let id = selector.id();
        let invalid = |message: &str| Err(ArchiveError::new(ArchiveErrorKind::Invalid, message));
        if id.len() < SHORTEST_ID {
            return invalid(
                "the id is too short and would match unrelated notifications: give the whole id",
            );
        }
        if reason.trim().is_empty() || reason.contains(id) {
            return invalid(
                "give a reason that does not contain the id: the archive keeps the reason",
            );
        }
        let mut outcome = ErasureOutcome::default();
        for name in self.names.clone() {
            let (file, _) = self.file(name)?;
            let erased =
                erase_in(&mut file.sqlite, id, reason).map_err(|error| file.error(error))?;
            let is_new = erased != (0, 0, 0);
            // A reader may have kept an earlier erasure of this file from emptying the log.
            let ended = if is_new { rewrite(&file.sqlite) } else { empty_log(&file.sqlite) };
            ended.map_err(|error| file.error(error))?;
            outcome.events += erased.0;
            outcome.unreadable += erased.1;
        }
        outcome.baseline =
            self.write_control(|control| erase_control(control, selector, reason, &outcome, now))?;
        self.settle_control()?;
        let control = self.control()?;
        rewrite(&control.sqlite).map_err(|error| control.error(error))?;
        Ok(outcome)
    }
}

/// Erases in one file. Returns the numbers of events, of unreadable messages, and of ranges of numbers that
/// named the id. The numbers of erased events stay known, so that they do not seem to be missing.
fn erase_in(
    connection: &mut Connection,
    id: &str,
    reason: &str,
) -> rusqlite::Result<(u64, u64, usize)> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let (mut events, mut messages) = (Vec::new(), Vec::new());
    {
        let mut select = transaction
            .prepare(&format!("SELECT {COLUMNS}, seq FROM event WHERE erased IS NULL"))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let columns = StoredColumns::of(row)?;
            let body = body_of(row)?.unwrap_or_default();
            let mentions = |text: Option<&str>| text.is_some_and(|text| text.contains(id));
            let texts = columns.facts.into_iter().chain(columns.context).chain(columns.trace);
            let names = [Some(columns.publisher), columns.source, columns.region, columns.lane];
            let mut texts = texts.chain(names);
            if contains(&body, id.as_bytes()) || texts.any(mentions) {
                let blank = StoredColumns {
                    skew: None,
                    event_type: ERASED,
                    priority: "",
                    publisher: "",
                    service: None,
                    source: None,
                    region: None,
                    facts: [None; 6],
                    bytes: None,
                    size: None,
                    context: [None; 3],
                    trace: [None; 2],
                    epoch: None,
                    lane: None,
                    number: None,
                    erased: Some(reason),
                    ..columns
                };
                events.push((row.get::<_, i64>("seq")?, blank.checksum()));
            }
        }
        let mut select = transaction.prepare(
            "SELECT seq, hash, received_at, source, reason, length, content FROM unreadable \
             WHERE content IS NOT NULL",
        )?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let (hash, content): (Vec<u8>, Vec<u8>) = (row.get(1)?, row.get(6)?);
            let source: Option<String> = row.get(3)?;
            if contains(&content, id.as_bytes()) || source.is_some_and(|source| source.contains(id))
            {
                let (received_at, why): (i64, String) = (row.get(2)?, row.get(4)?);
                let checksum =
                    unreadable_checksum(&hash, received_at, None, &why, row.get(5)?, None);
                messages.push((row.get::<_, i64>(0)?, checksum));
            }
        }
    }
    for (seq, checksum) in &events {
        transaction.execute(BLANK_EVENT, params![ERASED, reason, checksum, seq])?;
    }
    for (seq, checksum) in &messages {
        let blank =
            "UPDATE unreadable SET source = NULL, content = NULL, checksum = ? WHERE seq = ?";
        transaction.execute(blank, params![checksum, seq])?;
    }
    let ranges = seen_numbers::erase_names(&transaction, id)?;
    transaction.commit()?;
    Ok((events.len() as u64, messages.len() as u64, ranges))
}

/// Erases in the control file, and records the erasure without the id. Returns the number of images.
fn erase_control(
    control: &mut Connection,
    selector: &EraseSelector,
    reason: &str,
    outcome: &ErasureOutcome,
    now: OffsetDateTime,
) -> rusqlite::Result<u64> {
    let transaction = control.transaction()?;
    let images = transaction.execute(
        "DELETE FROM baseline WHERE instr(image, ?1) OR instr(content, ?1)",
        [selector.id()],
    )?;
    control_file::erase_names(&transaction, selector.id(), ERASED)?;
    let (now, kind) = (microseconds(now), selector.kind());
    let events = i64::try_from(outcome.events).unwrap_or(i64::MAX);
    let checksum = erasure_checksum(now, kind, reason, events);
    transaction.execute(
        "INSERT INTO erasure (erased_at, kind, reason, events, checksum) VALUES (?, ?, ?, ?, ?)",
        params![now, kind, reason, events, checksum],
    )?;
    transaction.commit()?;
    Ok(images as u64)
}

/// Writes a file anew without its free pages, and empties its log.
fn rewrite(connection: &Connection) -> rusqlite::Result<()> {
    // The new file may be larger than the memory.
    connection.pragma_update(None, "temp_store", "FILE")?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.execute_batch("VACUUM")?;
    empty_log(connection)
}

/// Moves the log into its file and empties it.
fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    let is_busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if is_busy {
        // A reader still uses the log, which has the old content.
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            Some("a reader is open: close it and run the erasure again".to_owned()),
        ));
    }
    Ok(())
}

/// Returns `true` if `bytes` contain `part`.
fn contains(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}

/// The event type of an erased notification.
pub(crate) const ERASED: &str = "erased";

/// The shortest id that can be erased.
const SHORTEST_ID: usize = 4;

const BLANK_EVENT: &str = "UPDATE event SET skew = NULL, event_type = ?1, priority = '', publisher = '', \
    service = NULL, source = NULL, region = NULL, subject = NULL, name = NULL, status = NULL, owner = NULL, \
    receiver = NULL, receiver_user = NULL, bytes = NULL, size = NULL, request_id = NULL, actor = NULL, \
    actor_project = NULL, traceparent = NULL, tracestate = NULL, epoch = NULL, lane = NULL, number = NULL, erased = ?2, encoding = 0, body = NULL, \
    checksum = ?3 WHERE seq = ?4";

#[cfg(test)]
mod tests {
    use notify_core::codec::Sequence;
    use uuid::Uuid;

    use super::super::archive::Archive;
    use super::super::archive_batch::ArchiveBatch;
    use super::super::control_file::ImportPosition;
    use super::super::file_name::FileName;
    use super::*;
    use crate::record::event_record::EventRecord;
    use crate::record::record_reader::RecordReader;

    fn record() -> EventRecord {
        let line =
            br#"{"message_id":"00000000-0000-4000-8000-000000000001","publisher_id":"image.h",
            "event_type":"image.delete","priority":"INFO","timestamp":"2025-11-24 12:00:00",
            "payload":{"id":"i"}}"#;
        RecordReader::new("test").read(line).unwrap()
    }

    fn batch(record: &EventRecord) -> ArchiveBatch {
        ArchiveBatch { records: vec![record.clone()], ..ArchiveBatch::default() }
    }

    /// An id in the name of a lane is erased with the event that has it.
    #[test]
    fn an_id_in_the_name_of_a_lane_is_erased() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        let mut record = record();
        record.sequence = Some(Sequence::new(Uuid::from_u128(7), "c0ffee00.info", 3));
        writer.append(&batch(&record)).unwrap();
        let selector = EraseSelector::Project("c0ffee00".into());
        let outcome = writer.erase(&selector, "request 17", OffsetDateTime::now_utc()).unwrap();
        assert_eq!(outcome.events, 1);
    }

    /// An id in the path of an imported file is erased from what the archive knows of its sources.
    #[test]
    fn an_id_in_the_name_of_a_source_is_erased() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        let now = OffsetDateTime::now_utc();
        let source = "/exports/c0ffee00.jsonl";
        let position = ImportPosition { head: [7; 16], offset: 7, line: 1 };
        let position = Some((source.to_owned(), position));
        writer.append(&ArchiveBatch { position, ..batch(&record()) }).unwrap();
        writer.attach(source, now).unwrap();
        writer.detach(source, now, "cannot read /exports/c0ffee00.jsonl").unwrap();
        let selector = EraseSelector::Project("c0ffee00".into());
        writer.erase(&selector, "request 17", now).unwrap();
        drop(writer);
        let archive = Archive::open(directory.path()).unwrap();
        let attached = archive.attached().unwrap();
        assert_eq!(attached.keys().collect::<Vec<_>>(), ["/exports/erased.jsonl"]);
        assert!(archive.verify().unwrap().problems.is_empty());
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let content = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!contains(&content, b"c0ffee00"));
        }
    }

    /// An erasure that an open reader kept from ending continues when it runs again, also if only the numbers of a
    /// file named the id.
    #[test]
    fn an_erasure_continues_after_a_reader() {
        for is_in_event in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let mut writer = ArchiveWriter::open(directory.path()).unwrap();
            let mut record = record();
            if !is_in_event {
                writer.append(&batch(&record)).unwrap();
                record.sequence = Some(Sequence::new(Uuid::from_u128(7), "notifications.info", 3));
            }
            record.arrival.source = Some("c0ffee00".into());
            writer.append(&batch(&record)).unwrap();
            let name: FileName = "2025-11.sqlite".parse().unwrap();
            let (file, _) = writer.file(name).unwrap();
            file.settle().unwrap();
            file.sqlite.busy_timeout(std::time::Duration::ZERO).unwrap();
            let path = directory.path().join(name.to_string());
            let is_there = || contains(&std::fs::read(&path).unwrap(), b"c0ffee00");
            assert!(is_there());

            let reader = Connection::open(&path).unwrap();
            reader.execute_batch("BEGIN; SELECT count(*) FROM event;").unwrap();
            let selector = EraseSelector::Project("c0ffee00".into());
            let now = OffsetDateTime::now_utc();
            let error = writer.erase(&selector, "request 17", now).unwrap_err();
            assert_eq!(error.kind(), ArchiveErrorKind::Locked, "{error}");
            drop(reader);
            let outcome = writer.erase(&selector, "request 17", now).unwrap();
            assert_eq!(outcome.events, 0, "the first run erased the rows");
            assert!(!is_there());
        }
    }
}
