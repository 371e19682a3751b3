//! The numbers of notifications that a file has seen: the table `seen_numbers`, one row per range.
//!
//! The rows belong to the transaction of the events, so both are stored or neither. A number stays seen when
//! its event is erased or comes again. No code here decides what is a gap.

use std::collections::BTreeMap;

use notify_core::codec::Sequence;
use rusqlite::{Connection, Row, params};

use super::event_row::{blob, text};
use super::file_name::MOST_SKEW;
use super::row_checksum::RowChecksum;

/// Consecutive numbers of one lane of one run of a publisher, which all arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenRange {
    pub(crate) run: RunId,
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// The times of the notifications with the first and the last number, in microseconds.
    pub(crate) first_at: i64,
    pub(crate) last_at: i64,
    /// The sender of the last number; empty for an unreadable message and after an erasure.
    pub(crate) publisher: String,
    /// The source of the last number.
    pub(crate) source: Option<String>,
}

/// A lane of a run of a publisher.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RunId {
    pub(crate) epoch: [u8; 16],
    pub(crate) lane: String,
}

/// The numbers of one batch, before they reach the table.
#[derive(Debug, Default)]
pub(crate) struct NumberBatch(BTreeMap<RunId, Vec<SeenRange>>);

impl SeenRange {
    /// Returns the range of one number, or `None` if the table has no room for the number.
    pub(crate) fn of(
        sequence: &Sequence,
        at: i64,
        publisher: &str,
        source: Option<&str>,
    ) -> Option<Self> {
        let number = i64::try_from(sequence.number()).ok()?;
        Some(Self {
            run: RunId { epoch: sequence.epoch().into_bytes(), lane: sequence.lane().to_owned() },
            first: number,
            last: number,
            first_at: at,
            last_at: at,
            publisher: publisher.to_owned(),
            source: source.map(str::to_owned),
        })
    }

    /// Returns the place in the order of the table.
    pub(crate) fn place(&self) -> (&RunId, i64) {
        (&self.run, self.first)
    }

    /// Adds a range of the same run that overlaps or touches this one.
    pub(crate) fn absorb(&mut self, other: Self) {
        if other.first < self.first {
            (self.first, self.first_at) = (other.first, other.first_at);
        }
        if other.last > self.last {
            (self.last, self.last_at) = (other.last, other.last_at);
            (self.publisher, self.source) = (other.publisher, other.source);
        }
    }

    /// Returns `true` if a range that begins at or after this one overlaps or touches it.
    pub(crate) fn reaches(&self, next: &Self) -> bool {
        next.first <= self.last.saturating_add(1)
    }

    /// Returns the checksum of the row.
    fn checksum(&self) -> i64 {
        let sum = RowChecksum::new("seen_numbers").bytes(Some(&self.run.epoch));
        let sum = sum.text(Some(&self.run.lane)).number(Some(self.first)).number(Some(self.last));
        let sum = sum.number(Some(self.first_at)).number(Some(self.last_at));
        sum.text(Some(&self.publisher)).text(self.source.as_deref()).finish()
    }

    /// Returns the range of a row that was selected with [`RANGE_COLUMNS`].
    fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let epoch = blob(row, 0)?.and_then(|epoch| epoch.try_into().ok());
        let required = |index| text(row, index).map(Option::unwrap_or_default);
        Ok(Self {
            run: RunId {
                epoch: epoch.ok_or(rusqlite::Error::InvalidQuery)?,
                lane: required(1)?.to_owned(),
            },
            first: row.get(2)?,
            last: row.get(3)?,
            first_at: row.get(4)?,
            last_at: row.get(5)?,
            publisher: required(6)?.to_owned(),
            source: text(row, 7)?.map(str::to_owned),
        })
    }
}

impl NumberBatch {
    /// Adds a number that arrived with a notification.
    pub(crate) fn add(&mut self, range: Option<SeenRange>) {
        let Some(range) = range else { return };
        let run = self.0.entry(range.run.clone()).or_default();
        match run.last_mut() {
            // Most numbers come in their order.
            Some(last) if last.last.checked_add(1) == Some(range.first) => last.absorb(range),
            _ => run.push(range),
        }
    }

    /// Adds the numbers to a file. Returns whether the file did not have them all.
    pub(crate) fn store(self, transaction: &Connection) -> rusqlite::Result<bool> {
        let mut has_news = false;
        for (_, mut ranges) in self.0 {
            ranges.sort_unstable_by_key(|range| range.first);
            let mut ranges = ranges.into_iter();
            let Some(mut whole) = ranges.next() else { continue };
            for range in ranges {
                if whole.reaches(&range) {
                    whole.absorb(range);
                } else {
                    has_news |= add_range(transaction, std::mem::replace(&mut whole, range))?;
                }
            }
            has_news |= add_range(transaction, whole)?;
        }
        Ok(has_news)
    }
}

/// Adds a range to a file, joined with those that it overlaps or touches. Returns whether it is new.
pub(crate) fn add_range(transaction: &Connection, mut range: SeenRange) -> rusqlite::Result<bool> {
    let mut absorbed = Vec::new();
    {
        let mut select = transaction.prepare_cached(&format!(
            "SELECT {RANGE_COLUMNS} FROM seen_numbers WHERE epoch = ? AND lane = ? AND first <= ? \
             ORDER BY first DESC"
        ))?;
        let (epoch, lane) = (range.run.epoch, range.run.lane.as_str());
        let mut rows = select.query(params![epoch, lane, range.last.saturating_add(1)])?;
        while let Some(row) = rows.next()? {
            let known = SeenRange::of_row(row)?;
            if known.first <= range.first && known.last >= range.last {
                return Ok(false);
            }
            if known.last < range.first.saturating_sub(1) {
                break;
            }
            absorbed.push(known);
        }
    }
    for known in absorbed {
        let (first, run) = (known.first, known.run.clone());
        range.absorb(known);
        if first != range.first {
            let mut delete = transaction.prepare_cached(
                "DELETE FROM seen_numbers WHERE epoch = ? AND lane = ? AND first = ?",
            )?;
            delete.execute(params![run.epoch, run.lane, first])?;
        }
    }
    write_range(transaction, &range)?;
    Ok(true)
}

/// Writes a row, in place of the one with the same begin.
fn write_range(transaction: &Connection, range: &SeenRange) -> rusqlite::Result<()> {
    let mut write = transaction.prepare_cached(&format!(
        "INSERT INTO seen_numbers ({RANGE_COLUMNS}, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (epoch, lane, first) DO UPDATE SET last = excluded.last, first_at = excluded.first_at, \
         last_at = excluded.last_at, publisher = excluded.publisher, source = excluded.source, \
         checksum = excluded.checksum"
    ))?;
    write.execute(params![
        range.run.epoch,
        range.run.lane,
        range.first,
        range.last,
        range.first_at,
        range.last_at,
        range.publisher,
        range.source,
        range.checksum(),
    ])?;
    Ok(())
}

/// Returns at most `limit` ranges of a file behind another one, in their order.
pub(crate) fn read_ranges(
    connection: &Connection,
    after: Option<&SeenRange>,
    limit: usize,
) -> rusqlite::Result<Vec<SeenRange>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {RANGE_COLUMNS} FROM seen_numbers WHERE (epoch, lane, first) > (?, ?, ?) \
         ORDER BY epoch, lane, first LIMIT {limit}"
    ))?;
    // An empty epoch comes before all others.
    let (epoch, lane, first) = match after {
        Some(range) => (&range.run.epoch[..], range.run.lane.as_str(), range.first),
        None => (&[][..], "", 0),
    };
    let ranges = select.query_map(params![epoch, lane, first], SeenRange::of_row)?;
    ranges.collect()
}

/// Calls `add` with the ranges of the stored events, in their order: for a file of a version without the
/// table.
///
/// A gap in whose time an erased event lies counts as seen: that event may have had the numbers.
pub(crate) fn ranges_of_events(
    connection: &Connection,
    mut add: impl FnMut(SeenRange) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    // SQLite sorts the numbers of a large file on the disk instead of in memory.
    connection.pragma_update(None, "temp_store", "FILE")?;
    let mut erased = connection.prepare(
        "SELECT EXISTS (SELECT 1 FROM event WHERE erased IS NOT NULL AND ts BETWEEN ? AND ?)",
    )?;
    let mut select = connection.prepare(
        "SELECT epoch, lane, number, number, ts, ts, publisher, source, received_at FROM event \
         WHERE epoch IS NOT NULL AND lane IS NOT NULL AND number IS NOT NULL ORDER BY epoch, lane, number",
    )?;
    let mut rows = select.query([])?;
    let mut whole: Option<SeenRange> = None;
    while let Some(row) = rows.next()? {
        let mut range = SeenRange::of_row(row)?;
        let at = sent_at(range.first_at, row.get(8)?);
        (range.first_at, range.last_at) = (at, at);
        let Some(last) = whole.as_mut().filter(|whole| whole.run == range.run) else {
            whole.replace(range).map_or(Ok(()), &mut add)?;
            continue;
        };
        let times = [last.last_at.min(at), last.last_at.max(at)];
        if last.reaches(&range) || erased.query_row(times, |row| row.get(0))? {
            last.absorb(range);
        } else {
            add(std::mem::replace(last, range))?;
        }
    }
    whole.map_or(Ok(()), add)
}

/// Fills the table of a file that is migrated.
pub(crate) fn fill(connection: &Connection) -> rusqlite::Result<()> {
    ranges_of_events(connection, |range| write_range(connection, &range))
}

/// Removes an id from the names in the table: a lane that holds it is forgotten, with its gaps. Returns the
/// number of changed rows.
pub(crate) fn erase_names(transaction: &Connection, id: &str) -> rusqlite::Result<usize> {
    let forgotten =
        transaction.execute("DELETE FROM seen_numbers WHERE instr(lane, ?)", params![id])?;
    let mut select = transaction.prepare(&format!(
        "SELECT {RANGE_COLUMNS} FROM seen_numbers WHERE instr(publisher, ?1) OR instr(source, ?1)"
    ))?;
    let named = select.query_map(params![id], SeenRange::of_row)?;
    let named = named.collect::<rusqlite::Result<Vec<_>>>()?;
    for range in &named {
        let nameless = SeenRange { publisher: String::new(), source: None, ..range.clone() };
        write_range(transaction, &nameless)?;
    }
    Ok(forgotten + named.len())
}

/// Returns the number of rows whose checksum does not fit.
pub(crate) fn damaged_rows(connection: &Connection) -> rusqlite::Result<u64> {
    let mut select =
        connection.prepare(&format!("SELECT {RANGE_COLUMNS}, checksum FROM seen_numbers"))?;
    let mut rows = select.query([])?;
    let mut damaged = 0;
    while let Some(row) = rows.next()? {
        let is_whole = SeenRange::of_row(row).is_ok_and(|range| {
            range.first <= range.last && row.get(8).is_ok_and(|sum: i64| sum == range.checksum())
        });
        damaged += u64::from(!is_whole);
    }
    Ok(damaged)
}

/// Returns the time at which a number counts as sent, in microseconds: the sender's, or that of the reception
/// if the sender's is implausible.
pub(crate) fn sent_at(ts: i64, received_at: Option<i64>) -> i64 {
    let most = MOST_SKEW.whole_microseconds().unsigned_abs();
    received_at.filter(|received| u128::from(ts.abs_diff(*received)) > most).unwrap_or(ts)
}

/// The columns that [`SeenRange::of_row`] expects, in this order.
const RANGE_COLUMNS: &str = "epoch, lane, first, last, first_at, last_at, publisher, source";
