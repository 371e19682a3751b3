//! The rows of a filter in one index, the newest first: [`IndexQuery`].

use notify_core::event::EventGlob;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params_from_iter};

use super::event_file::PageIndex;
use super::event_row::{RecordDetail, StoredColumns, TextInterner, microseconds};
use crate::question::event_filter::EventFilter;
use crate::record::event_record::EventRecord;

/// The time in microseconds and the number of a row.
pub(crate) type RowPlace = (i64, i64);

/// The statements that find the rows of a filter in one index.
pub(crate) struct IndexQuery {
    /// The index, and the condition of its rows.
    source: String,
    /// The other conditions.
    conditions: String,
    parameters: Vec<Value>,
    index_parameters: usize,
    since: i64,
}

impl IndexQuery {
    pub(crate) fn new(index: &PageIndex, filter: &EventFilter) -> Self {
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
    pub(crate) fn read_part(
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
        let columns = RecordDetail::Facts.columns(file)?;
        let mut statement = file.prepare_cached(&self.part_sql(&columns))?;
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

    /// Returns the statement that reads a part.
    fn part_sql(&self, columns: &str) -> String {
        format!(
            "SELECT {columns}, seq FROM {} {} AND (ts, seq) < (?, ?) AND (ts, seq) >= (?, ?) \
             AND erased IS NULL ORDER BY ts DESC, seq DESC LIMIT ?",
            self.source, self.conditions
        )
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

#[cfg(test)]
mod tests {
    use super::super::event_row::COLUMNS;
    use super::super::schema::plan_of;
    use super::*;

    /// The search for an image reads the events of that image only, and none for an image that does not exist.
    /// No search sorts.
    #[test]
    fn a_search_reads_one_index_in_its_order() {
        let filter = EventFilter { projects: vec!["web".into()], ..EventFilter::default() };
        for (index, step) in [
            (PageIndex::Subject("i".into()), "event_subject (subject=? AND ts>? AND ts<?)"),
            (PageIndex::EventType("t".into()), "event_type (event_type=? AND ts>? AND ts<?)"),
            (PageIndex::Time, "event_ts (ts>? AND ts<?)"),
        ] {
            let query = IndexQuery::new(&index, &filter);
            let places = [1, 1, 0, 0, 50].map(Value::Integer);
            let parameters = query.parameters.iter().chain(&places);
            let plan = plan_of(&query.part_sql(COLUMNS), params_from_iter(parameters));
            assert_eq!(plan, [format!("SEARCH event USING INDEX {step}")]);
        }
    }
}
