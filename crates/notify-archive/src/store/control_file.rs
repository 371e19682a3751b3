//! The control file: positions of imports, coverage, the baseline, and the number of rows of each file.
//!
//! Its transaction is the last of each batch. A position therefore never lies ahead of the events.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use time::OffsetDateTime;

use super::event_row::{microseconds, time_of};
use super::file_name::FileName;
use super::row_checksum::{RowChecksum, content_hash};
use crate::question::coverage::AttachedInterval;
use crate::question::storage_report::CatalogueImage;

/// The position up to which a file was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportPosition {
    /// The hash of the file's first line and of the line before `offset`. It tells the file from a rotated one,
    /// and from one that was written anew with the same first line.
    pub head: [u8; 16],
    /// The position behind the last line that is stored, in bytes.
    pub offset: u64,
    /// The number of that line.
    pub line: u64,
}

impl ImportPosition {
    /// Creates the position behind `last_line`, which includes its line end.
    ///
    /// `first_line` is the hash of the file's first line.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_archive::store::{ImportPosition, content_hash};
    ///
    /// let first_line = content_hash(b"first\n");
    /// let position = ImportPosition::behind(first_line, b"last\n", 11, 2);
    /// assert_ne!(position, ImportPosition::behind(first_line, b"late\n", 11, 2));
    /// ```
    pub fn behind(first_line: [u8; 16], last_line: &[u8], offset: u64, line: u64) -> Self {
        let head = content_hash(&[&first_line[..], last_line].concat());
        Self { head, offset, line }
    }
}

/// The changes of one batch to the control file.
#[derive(Debug, Default)]
pub(crate) struct ControlChanges<'a> {
    pub(crate) position: Option<(&'a str, &'a ImportPosition)>,
    /// The rows that each file has after the batch.
    pub(crate) files: BTreeMap<FileName, (i64, i64)>,
    /// The attached sources that delivered the batch, and the time of it.
    pub(crate) seen: Option<OffsetDateTime>,
}

/// Writes the changes of one batch.
pub(crate) fn write(
    connection: &mut Connection,
    changes: &ControlChanges<'_>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    if let Some((source, position)) = changes.position {
        let (offset, line) = (stored(position.offset), stored(position.line));
        let checksum = position_checksum(source, &position.head, offset, line);
        transaction.execute(
            "INSERT OR REPLACE INTO position (source, head, offset, line, checksum) VALUES (?, ?, ?, ?, ?)",
            params![source, position.head.as_slice(), offset, line, checksum],
        )?;
    }
    for (name, (events, unreadable)) in &changes.files {
        let name = name.to_string();
        let checksum = file_checksum(&name, *events, *unreadable);
        transaction.execute(
            "INSERT OR REPLACE INTO file (name, events, unreadable, checksum) VALUES (?, ?, ?, ?)",
            params![name, events, unreadable, checksum],
        )?;
    }
    if let Some(seen) = changes.seen {
        touch(&transaction, microseconds(seen))?;
    }
    transaction.commit()
}

/// Records that the attached sources are attached at `now`.
fn touch(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    let mut open = connection.prepare_cached(
        "SELECT seq, source, attached_at FROM attached WHERE detached_at IS NULL",
    )?;
    let open = open.query_map([], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
    })?;
    for row in open.collect::<rusqlite::Result<Vec<_>>>()? {
        let (seq, source, attached_at) = row;
        let seen_until = now.max(attached_at);
        let checksum = attached_checksum(&source, attached_at, seen_until, None, None);
        connection.execute(
            "UPDATE attached SET seen_until = ?, checksum = ? WHERE seq = ?",
            params![seen_until, checksum, seq],
        )?;
    }
    Ok(())
}

/// Records that a source is attached from `now` on. Closes an interval that a crash left open, at the last
/// time at which the source was seen.
pub(crate) fn attach(
    connection: &mut Connection,
    source: &str,
    now: OffsetDateTime,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    attach_anew(&transaction, source, microseconds(now), "the archive stopped")?;
    transaction.commit()
}

/// Records that the attached sources are attached from `now` on, and since an unknown time not before: the clock was
/// set, or the machine slept.
pub(crate) fn attach_all_anew(
    connection: &mut Connection,
    now: OffsetDateTime,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for source in open_sources(&transaction)? {
        let reason = "the clock was set or the machine slept";
        attach_anew(&transaction, &source, microseconds(now), reason)?;
    }
    transaction.commit()
}

/// Closes the open interval of a source at the last time at which it was seen, and opens one at `now`.
fn attach_anew(
    connection: &Connection,
    source: &str,
    now: i64,
    reason: &str,
) -> rusqlite::Result<()> {
    close(connection, source, LastSeen::Before(now), reason)?;
    let checksum = attached_checksum(source, now, now, None, None);
    connection.execute(
        "INSERT INTO attached (source, attached_at, seen_until, checksum) VALUES (?, ?, ?, ?)",
        params![source, now, now, checksum],
    )?;
    // A connection that is cut once a minute makes half a million a year.
    connection.execute(
        "DELETE FROM attached WHERE seq <= (SELECT max(seq) FROM attached) - ? AND detached_at IS NOT NULL",
        [MOST_INTERVALS],
    )?;
    Ok(())
}

/// The newest intervals that the file keeps, of all sources.
const MOST_INTERVALS: i64 = 100_000;

/// Records that a source is detached since `now`, for a reason.
pub(crate) fn detach(
    connection: &mut Connection,
    source: &str,
    now: OffsetDateTime,
    reason: &str,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    close(&transaction, source, LastSeen::At(microseconds(now)), reason)?;
    transaction.commit()
}

/// Closes the intervals that an earlier writer left open, each at the last time at which its source was seen. Returns
/// whether there were any.
pub(crate) fn close_all(
    connection: &mut Connection,
    now: OffsetDateTime,
) -> rusqlite::Result<bool> {
    let transaction = connection.transaction()?;
    let sources = open_sources(&transaction)?;
    for source in &sources {
        close(&transaction, source, LastSeen::Before(microseconds(now)), "the archive stopped")?;
    }
    transaction.commit()?;
    Ok(!sources.is_empty())
}

/// Returns the sources with an open interval.
fn open_sources(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare("SELECT source FROM attached WHERE detached_at IS NULL")?;
    let sources = select.query_map([], |row| row.get(0))?;
    sources.collect()
}

/// The last time at which a source was seen, in microseconds.
#[derive(Clone, Copy)]
enum LastSeen {
    /// This time.
    At(i64),
    /// The recorded one, but none after this time: the clock may have been ahead.
    Before(i64),
}

/// Closes the open interval of a source.
fn close(
    connection: &Connection,
    source: &str,
    end: LastSeen,
    reason: &str,
) -> rusqlite::Result<()> {
    let open = connection
        .query_row(
            "SELECT seq, attached_at, seen_until FROM attached WHERE source = ? AND detached_at IS NULL",
            [source],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)),
        )
        .optional()?;
    let Some((seq, attached_at, seen_until)) = open else { return Ok(()) };
    // A clock that went back does not make an interval end before its begin.
    let end = match end {
        LastSeen::At(end) => end,
        LastSeen::Before(now) => seen_until.min(now),
    };
    let end = end.max(attached_at);
    let checksum = attached_checksum(source, attached_at, seen_until, Some(end), Some(reason));
    connection.execute(
        "UPDATE attached SET detached_at = ?, reason = ?, checksum = ? WHERE seq = ?",
        params![end, reason, checksum, seq],
    )?;
    Ok(())
}

/// Returns the position of a source.
pub(crate) fn position(
    connection: &Connection,
    source: &str,
) -> rusqlite::Result<Option<ImportPosition>> {
    let sql = "SELECT head, offset, line FROM position WHERE source = ?";
    let read = |row: &Row<'_>| {
        let head: Vec<u8> = row.get(0)?;
        let unsigned = |number: i64| u64::try_from(number).unwrap_or_default();
        Ok(ImportPosition {
            head: head.try_into().unwrap_or_default(),
            offset: unsigned(row.get(1)?),
            line: unsigned(row.get(2)?),
        })
    };
    connection.query_row(sql, [source], read).optional()
}

/// Returns the attached intervals of each source. An open one is attached until it was last seen.
pub(crate) fn attached(
    connection: &Connection,
) -> rusqlite::Result<BTreeMap<String, Vec<AttachedInterval>>> {
    let mut statement = connection.prepare(
        "SELECT source, attached_at, seen_until, detached_at, reason FROM attached ORDER BY seq",
    )?;
    let mut rows = statement.query([])?;
    let mut sources: BTreeMap<String, Vec<AttachedInterval>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (seen_until, detached_at): (i64, Option<i64>) = (row.get(2)?, row.get(3)?);
        let time = |microseconds| time_of(microseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        sources.entry(row.get(0)?).or_default().push(AttachedInterval {
            attached_at: time(row.get(1)?),
            detached_at: Some(time(detached_at.unwrap_or(seen_until))),
            reason: row.get(4)?,
        });
    }
    Ok(sources)
}

/// Replaces an id in the names of sources and in the reasons of their ends. The positions of such sources go.
pub(crate) fn erase_names(
    connection: &Connection,
    id: &str,
    replacement: &str,
) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM position WHERE instr(source, ?)", [id])?;
    let mut select = connection.prepare(
        "SELECT seq, source, attached_at, seen_until, detached_at, reason FROM attached \
         WHERE instr(source, ?1) OR instr(coalesce(reason, ''), ?1)",
    )?;
    let mut rows = select.query([id])?;
    while let Some(row) = rows.next()? {
        let (seq, source, reason): (i64, String, Option<String>) =
            (row.get(0)?, row.get(1)?, row.get(5)?);
        let (source, reason) =
            (source.replace(id, replacement), reason.map(|reason| reason.replace(id, replacement)));
        let reason = reason.as_deref();
        let checksum = attached_checksum(&source, row.get(2)?, row.get(3)?, row.get(4)?, reason);
        connection.execute(
            "UPDATE attached SET source = ?, reason = ?, checksum = ? WHERE seq = ?",
            params![source, reason, checksum, seq],
        )?;
    }
    Ok(())
}

/// Replaces the baseline.
pub(crate) fn write_baseline(
    connection: &mut Connection,
    images: &[CatalogueImage],
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute("DELETE FROM baseline", [])?;
    for image in images {
        let content = serde_json::to_string(image).unwrap_or_default();
        transaction.execute(
            "INSERT OR REPLACE INTO baseline (image, content, checksum) VALUES (?, ?, ?)",
            params![image.id, content, baseline_checksum(&image.id, &content)],
        )?;
    }
    transaction.commit()
}

/// Returns the baseline.
pub(crate) fn baseline(connection: &Connection) -> rusqlite::Result<Vec<CatalogueImage>> {
    let mut statement = connection.prepare("SELECT content FROM baseline")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let read =
        |content: String| serde_json::from_str(&content).map_err(|_| rusqlite::Error::InvalidQuery);
    rows.map(|content| content.and_then(read)).collect()
}

/// Returns the number of events and of unreadable messages that each file should have.
pub(crate) fn files(connection: &Connection) -> rusqlite::Result<BTreeMap<FileName, (i64, i64)>> {
    let mut statement = connection.prepare("SELECT name, events, unreadable FROM file")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, (row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))
    })?;
    let mut files = BTreeMap::new();
    for row in rows {
        let (name, counts) = row?;
        if let Ok(name) = name.parse() {
            files.insert(name, counts);
        }
    }
    Ok(files)
}

/// Returns the number of rows whose checksum does not fit.
pub(crate) fn damaged_rows(connection: &Connection) -> rusqlite::Result<u64> {
    let mut damaged = 0;
    let mut count = |sql: &str, checksum: fn(&Row<'_>) -> rusqlite::Result<i64>| {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let stored: i64 = row.get("checksum")?;
            damaged += u64::from(checksum(row).ok() != Some(stored));
        }
        Ok::<_, rusqlite::Error>(())
    };
    count("SELECT source, head, offset, line, checksum FROM position", |row| {
        let (source, head): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        Ok(position_checksum(&source, &head, row.get(2)?, row.get(3)?))
    })?;
    count(
        "SELECT source, attached_at, seen_until, detached_at, reason, checksum FROM attached",
        |row| {
            let (source, reason): (String, Option<String>) = (row.get(0)?, row.get(4)?);
            Ok(attached_checksum(&source, row.get(1)?, row.get(2)?, row.get(3)?, reason.as_deref()))
        },
    )?;
    count("SELECT image, content, checksum FROM baseline", |row| {
        let (image, content): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(baseline_checksum(&image, &content))
    })?;
    count("SELECT name, events, unreadable, checksum FROM file", |row| {
        let name: String = row.get(0)?;
        Ok(file_checksum(&name, row.get(1)?, row.get(2)?))
    })?;
    count("SELECT erased_at, kind, reason, events, checksum FROM erasure", |row| {
        let (kind, reason): (String, String) = (row.get(1)?, row.get(2)?);
        Ok(erasure_checksum(row.get(0)?, &kind, &reason, row.get(3)?))
    })?;
    Ok(damaged)
}

fn position_checksum(source: &str, head: &[u8], offset: i64, line: i64) -> i64 {
    let sum = RowChecksum::new("position").text(Some(source)).bytes(Some(head));
    sum.number(Some(offset)).number(Some(line)).finish()
}

fn attached_checksum(
    source: &str,
    attached_at: i64,
    seen_until: i64,
    detached_at: Option<i64>,
    reason: Option<&str>,
) -> i64 {
    let sum = RowChecksum::new("attached").text(Some(source)).number(Some(attached_at));
    sum.number(Some(seen_until)).number(detached_at).text(reason).finish()
}

fn baseline_checksum(image: &str, content: &str) -> i64 {
    RowChecksum::new("baseline").text(Some(image)).text(Some(content)).finish()
}

fn file_checksum(name: &str, events: i64, unreadable: i64) -> i64 {
    let sum = RowChecksum::new("file").text(Some(name));
    sum.number(Some(events)).number(Some(unreadable)).finish()
}

/// Returns the checksum of a row of the table `erasure`.
pub(crate) fn erasure_checksum(erased_at: i64, kind: &str, reason: &str, events: i64) -> i64 {
    let sum = RowChecksum::new("erasure").number(Some(erased_at)).text(Some(kind));
    sum.text(Some(reason)).number(Some(events)).finish()
}

fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
