//! One file of events: inserting batches, and reading pages.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};
use time::OffsetDateTime;

use super::archive_batch::{AppendOutcome, UnreadableContent};
use super::connection::WriteConnection;
use super::event_row::{
    EventRow, RecordDetail, StoredColumns, TextInterner, body_of, insert_sql, microseconds, time_of,
};
use super::row_checksum::{RowChecksum, content_hash};
use super::seen_numbers::{NumberBatch, SeenRange, sent_at};
use crate::record::event_record::EventRecord;

/// The part of a batch that one file gets.
#[derive(Debug, Default)]
pub(crate) struct FileBatch<'a> {
    pub(crate) records: Vec<&'a EventRecord>,
    /// Records that the file has already. Their numbers may be new.
    pub(crate) copies: Vec<&'a EventRecord>,
    pub(crate) unreadable: Vec<&'a UnreadableContent>,
}

/// Inserts a part of a batch in one transaction.
///
/// A record that is there already is left out, also one whose content was erased. An id that comes with another
/// content is kept, and flagged if the time is the same too: the index of ids begins with the time, so a look for
/// the id alone would read all of it for each record. All numbers count as seen, those of copies too: a replayed
/// notification has none, and its original may come later.
pub(crate) fn insert(
    file: &mut WriteConnection,
    batch: &FileBatch<'_>,
) -> rusqlite::Result<AppendOutcome> {
    let transaction =
        file.sqlite.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let copies = batch.copies.len() as u64;
    let mut outcome = AppendOutcome { copies, ..AppendOutcome::default() };
    let has_new_numbers;
    {
        let mut known = transaction.prepare_cached(KNOWN)?;
        let mut insert = transaction.prepare_cached(&insert_sql())?;
        for record in &batch.records {
            let row = EventRow::new(record);
            let (mut is_copy, mut is_reused) = (false, false);
            let mut others = known
                .query(params![record.message_id.as_bytes(), microseconds(record.timestamp)])?;
            while let Some(other) = others.next()? {
                let hash: Vec<u8> = other.get(0)?;
                // An erased id stays erased, whatever comes with it.
                is_copy |= hash == row.hash || other.get::<_, bool>(1)?;
                is_reused = true;
            }
            drop(others);
            if is_copy {
                outcome.copies += 1;
            } else {
                row.insert(&mut insert, is_reused)?;
                outcome.stored += 1;
                outcome.reused += u64::from(is_reused);
            }
        }
        let mut keep = transaction.prepare_cached(INSERT_UNREADABLE)?;
        for message in &batch.unreadable {
            let is_new = keep_unreadable(&mut keep, message)? > 0;
            outcome.unreadable += u64::from(is_new);
            outcome.copies += u64::from(!is_new);
        }
        has_new_numbers = batch.numbers().store(&transaction)?;
    }
    transaction.commit()?;
    if has_new_numbers && outcome.stored + outcome.unreadable == 0 {
        // No number of rows covers this change: a damaged log would lose it unnoticed.
        file.settle()?;
    }
    Ok(outcome)
}

impl FileBatch<'_> {
    /// Returns the numbers of all messages.
    fn numbers(&self) -> NumberBatch {
        let mut numbers = NumberBatch::default();
        for record in self.records.iter().chain(&self.copies) {
            let Some(sequence) = &record.sequence else { continue };
            let (ts, source) = (microseconds(record.timestamp), record.arrival.source.as_deref());
            let at = sent_at(ts, record.arrival.received_at.map(microseconds));
            numbers.add(SeenRange::of(sequence, at, &record.publisher_id, source));
        }
        for message in &self.unreadable {
            let Some(sequence) = &message.sequence else { continue };
            let at = microseconds(message.received_at);
            numbers.add(SeenRange::of(sequence, at, "", Some(&message.source)));
        }
        numbers
    }
}

/// Inserts an unreadable message with the beginning of its bytes, and returns the number of new rows: none if the
/// file has the message already.
fn keep_unreadable(
    statement: &mut rusqlite::Statement<'_>,
    message: &UnreadableContent,
) -> rusqlite::Result<usize> {
    let received_at = microseconds(message.received_at);
    let hash = unreadable_hash(message, received_at);
    let length = i64::try_from(message.length).unwrap_or(i64::MAX);
    let content = &message.content[..message.content.len().min(MOST_UNREADABLE_BYTES)];
    let checksum = unreadable_checksum(
        &hash,
        received_at,
        Some(&message.source),
        &message.reason,
        length,
        Some(content),
    );
    statement.execute(params![
        hash.as_slice(),
        received_at,
        message.source,
        message.reason,
        length,
        content,
        checksum
    ])
}

/// Returns the hash that identifies an unreadable message.
///
/// Without the whole content, two messages may look the same: their numbers or their times of reception tell them
/// apart. A redelivery without a number is then stored again, because losing a message would be worse.
fn unreadable_hash(message: &UnreadableContent, received_at: i64) -> [u8; 16] {
    if message.content.len() as u64 >= message.length {
        return content_hash(&message.content);
    }
    let identity = RowChecksum::new("incomplete")
        .bytes(Some(&message.content))
        .bytes(Some(&message.length.to_le_bytes()))
        .text(Some(&message.source));
    let identity = match &message.sequence {
        Some(sequence) => identity
            .bytes(Some(sequence.epoch().as_bytes()))
            .text(Some(sequence.lane()))
            .bytes(Some(&sequence.number().to_le_bytes())),
        None => identity.number(Some(received_at)),
    };
    identity.hash()
}

/// Returns the checksum of a row of the table `unreadable`.
pub(crate) fn unreadable_checksum(
    hash: &[u8],
    received_at: i64,
    source: Option<&str>,
    reason: &str,
    length: i64,
    content: Option<&[u8]>,
) -> i64 {
    RowChecksum::new("unreadable")
        .bytes(Some(hash))
        .number(Some(received_at))
        .text(source)
        .text(Some(reason))
        .number(Some(length))
        .bytes(content)
        .finish()
}

/// Returns `true` if the file has a record with this id and content, or with this id and erased content.
pub(crate) fn has(connection: &Connection, record: &EventRecord) -> rusqlite::Result<bool> {
    let mut known = connection.prepare_cached(KNOWN)?;
    let mut rows =
        known.query(params![record.message_id.as_bytes(), microseconds(record.timestamp)])?;
    while let Some(row) = rows.next()? {
        if row.get::<_, bool>(1)? || row.get::<_, Vec<u8>>(0)? == content_hash(&record.body) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The records that a file may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileReach {
    /// The times of the first and the last event, in microseconds.
    times: Option<(i64, i64)>,
    /// Whether the content of an event was erased. Its id is known at any time.
    has_erased: bool,
}

impl FileReach {
    /// Returns `false` for a record that [`has`] does not find.
    pub(crate) fn may_have(&self, record: &EventRecord) -> bool {
        let ts = microseconds(record.timestamp);
        self.has_erased || self.times.is_some_and(|(first, last)| (first..=last).contains(&ts))
    }
}

/// Returns the records that a file may have. It reads the ends of indexes only.
pub(crate) fn reach(connection: &Connection) -> rusqlite::Result<FileReach> {
    connection.prepare_cached(REACH)?.query_row([], |row| {
        let (first, last): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        Ok(FileReach { times: first.zip(last), has_erased: row.get(2)? })
    })
}

/// The rows that a page comes from. Each has an index that is sorted by time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PageIndex {
    /// All rows.
    Time,
    /// The rows of one event type.
    EventType(String),
    /// The rows of one subject.
    Subject(String),
}

impl PageIndex {
    /// Returns the condition of the rows in SQL, and the value of its parameter `?1`.
    pub(crate) fn condition(&self) -> (&'static str, &str) {
        match self {
            Self::Time => ("?1 = ''", ""),
            Self::EventType(name) => ("event_type = ?1", name),
            Self::Subject(id) => ("subject = ?1", id),
        }
    }
}

/// A place in an index, behind which the next page begins: microseconds and the row's number.
pub(crate) type PageStart = (i64, i64);

/// Calls `add` with the records of one page, in the order of time. Returns the start of the next page, or
/// `None` after the last.
///
/// A page is one short read: it neither blocks the writer nor keeps its log from shrinking.
pub(crate) fn read_page(
    connection: &Connection,
    index: &PageIndex,
    start: PageStart,
    until: i64,
    detail: RecordDetail,
    interner: &mut TextInterner,
    add: &mut dyn FnMut(EventRecord),
) -> rusqlite::Result<Option<PageStart>> {
    let (condition, value) = index.condition();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {}, seq FROM event WHERE {condition} AND (ts, seq) > (?2, ?3) AND ts < ?4 \
         ORDER BY ts, seq LIMIT {PAGE_ROWS}",
        detail.columns(connection)?
    ))?;
    let seq = statement.column_count() - 1;
    let mut rows = statement.query(params![value, start.0, start.1, until])?;
    let (mut last, mut count) = (start, 0);
    let no_body = Arc::default();
    while let Some(row) = rows.next()? {
        let columns = match detail {
            RecordDetail::Usage => StoredColumns::of_usage(row)?,
            RecordDetail::Facts | RecordDetail::Bodies => StoredColumns::of(row)?,
        };
        count += 1;
        last = (columns.ts, row.get(seq)?);
        if columns.erased.is_some() {
            continue;
        }
        let body: Arc<[u8]> = match detail {
            RecordDetail::Bodies => body_of(row)?.ok_or(rusqlite::Error::InvalidQuery)?.into(),
            RecordDetail::Usage | RecordDetail::Facts => Arc::clone(&no_body),
        };
        add(columns.record(body, interner).ok_or(rusqlite::Error::InvalidQuery)?);
    }
    Ok((count == PAGE_ROWS).then_some(last))
}

/// Returns the ids that a text stands for: itself, if an event is about it, and the images that have it as their
/// name in any event.
pub(crate) fn ids_of(connection: &Connection, text: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(IDS)?;
    statement.query_map([text], |row| row.get(0))?.collect()
}

/// Returns the number of events and the number of unreadable messages. It takes a look at all of them.
pub(crate) fn counts(connection: &Connection) -> rusqlite::Result<FileCounts> {
    let counts = "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM unreadable)";
    connection.query_row(counts, [], |row| {
        Ok(FileCounts { events: row.get(0)?, unreadable: row.get(1)? })
    })
}

/// The size of a file in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileCounts {
    pub(crate) events: i64,
    pub(crate) unreadable: i64,
}

/// Returns the times of the first and the last event.
pub(crate) fn span(
    connection: &Connection,
) -> rusqlite::Result<Option<(OffsetDateTime, OffsetDateTime)>> {
    let span = "SELECT (SELECT min(ts) FROM event), (SELECT max(ts) FROM event)";
    let (first, last): (Option<i64>, Option<i64>) =
        connection.query_row(span, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(first.and_then(time_of).zip(last.and_then(time_of)))
}

/// Returns the newest reception in a file.
pub(crate) fn newest_reception(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let newest = "SELECT max(received_at) FROM (SELECT received_at FROM event UNION ALL \
                  SELECT received_at FROM unreadable)";
    Ok(connection.query_row(newest, [], |row| row.get(0)).optional()?.flatten())
}

/// The most rows of one page.
const PAGE_ROWS: usize = 4096;

/// The most bytes of an unreadable message that the archive keeps.
pub(crate) const MOST_UNREADABLE_BYTES: usize = 64 * 1024;

/// The rows that may be the same notification: those with its id and its time, and erased ones with its id.
const KNOWN: &str = "SELECT hash, erased IS NOT NULL FROM event WHERE message_id = ?1 AND ts = ?2 UNION ALL \
                     SELECT hash, 1 FROM event WHERE message_id = ?1 AND erased IS NOT NULL";
/// The times of the first and the last event, and whether an event was erased.
const REACH: &str = "SELECT (SELECT min(ts) FROM event), (SELECT max(ts) FROM event), \
                     EXISTS (SELECT 1 FROM event INDEXED BY event_erased WHERE erased IS NOT NULL)";
/// The ids that the text `?1` stands for. The `+` keeps SQLite from the index of subjects in a file of an earlier
/// version, whose index of names is of no use: a scan is faster there.
const IDS: &str = "SELECT subject FROM event WHERE name = ?1 AND +subject IS NOT NULL \
                   UNION SELECT ?1 WHERE EXISTS (SELECT 1 FROM event WHERE subject = ?1)";
const INSERT_UNREADABLE: &str = "INSERT INTO unreadable (hash, received_at, source, reason, length, content, \
                                 checksum) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";

#[cfg(test)]
mod tests {
    use super::super::schema::plan_of;
    use super::*;

    /// Names and ids of images are looked up in indexes: one that no event has takes no look at events.
    #[test]
    fn images_are_looked_up_in_indexes() {
        let plan = plan_of(IDS, ["x"]);
        let looks: Vec<_> = plan.iter().filter(|step| step.contains(" event ")).collect();
        assert_eq!(
            looks,
            [
                "SEARCH event USING COVERING INDEX event_name (name=?)",
                "SEARCH event USING COVERING INDEX event_subject (subject=?)",
            ]
        );
    }

    /// The records that a file may have are known from the ends of indexes.
    #[test]
    fn the_reach_of_a_file_is_read_from_indexes() {
        let plan = plan_of(REACH, []);
        let looks: Vec<_> = plan.iter().filter(|step| step.contains(" event ")).collect();
        assert_eq!(looks.len(), 3);
        assert!(looks.iter().all(|look| look.contains(" INDEX event_")), "{looks:?}");
    }

    /// A copy is recognised by its id and time, and by its id alone if its content was erased.
    #[test]
    fn copies_are_looked_up_in_indexes() {
        let plan = plan_of(KNOWN, params![&b"x"[..], 1]);
        let looks: Vec<_> = plan.iter().filter(|step| step.contains(" event ")).collect();
        assert_eq!(
            looks,
            [
                "SEARCH event USING INDEX event_id (ts=? AND message_id=?)",
                "SEARCH event USING INDEX event_erased (message_id=?)",
            ]
        );
    }
}
