//! The verification of an archive: every row, index and count.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Connection;

use super::archive::Archive;
use super::archive_writer::{CONTROL_FILE, LOCK_FILE};
use super::control_file;
use super::event_file::{self, unreadable_checksum};
use super::event_row::{StoredColumns, TextInterner, all_columns, blob, body_of, text};
use super::file_name::FileName;
use super::file_version::{NUMBERS_VERSION, version_of};
use super::row_checksum::content_hash;
use super::schema::{CONTROL, EVENTS, FileSchema, tables};
use super::seen_numbers;
use crate::error::Result;

/// The result of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct VerificationReport {
    /// The number of files.
    pub files: u64,
    /// The number of notifications that are whole.
    pub events: u64,
    /// The number of notifications whose content was erased.
    pub erased: u64,
    /// The number of notifications whose id an earlier one in the same file has, at any time.
    pub reused: u64,
    /// The number of unreadable messages.
    pub unreadable: u64,
    /// The problems. An archive without problems has none.
    pub problems: Vec<ArchiveProblem>,
}

/// One problem of an archive: the file and the finding.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ArchiveProblem {
    /// The name of the file.
    pub file: String,
    /// The finding.
    pub finding: String,
}

impl Archive {
    /// Reads every row, compares it with its checksum, and checks the structure of every file.
    ///
    /// # Errors
    ///
    /// Returns an error if the directory or the control file cannot be read. A problem in a file is no
    /// error: it is in the report.
    pub fn verify(&self) -> Result<VerificationReport> {
        // A kept file has pages in memory, which may be good while those on the disk are not.
        self.kept.close();
        let mut report = VerificationReport::default();
        let expected =
            control_file::files(&self.control).map_err(|error| self.control_error(error))?;
        let damaged = check_structure(&self.control, &CONTROL).and_then(|()| {
            control_file::damaged_rows(&self.control).map_err(|error| error.to_string())
        });
        match damaged {
            Ok(0) => {}
            Ok(rows) => report.problem(CONTROL_FILE, format!("{rows} rows are damaged")),
            Err(finding) => report.problem(CONTROL_FILE, finding),
        }
        let files = self.files()?;
        for missing in expected.keys().filter(|name| !files.contains(name)) {
            report.problem(&missing.to_string(), "the file is missing".to_owned());
        }
        let mut counted = BTreeMap::new();
        for name in files {
            report.files += 1;
            let file = match self.open_file(name) {
                Ok((_, file)) => file,
                Err(error) => {
                    report.problem(&name.to_string(), error.to_string());
                    continue;
                }
            };
            let verified = check_structure(&file, &EVENTS)
                .and_then(|()| report.verify_rows(&file).map_err(|error| error.to_string()));
            match verified {
                Ok(0) => {}
                Ok(rows) => report.problem(&name.to_string(), format!("{rows} rows are damaged")),
                Err(finding) => report.problem(&name.to_string(), finding),
            }
            let counts = event_file::counts(&file).unwrap_or_default();
            let (events, unreadable) = expected.get(&name).copied().unwrap_or_default();
            if counts.events < events || counts.unreadable < unreadable {
                let missing =
                    (events - counts.events).max(0) + (unreadable - counts.unreadable).max(0);
                report.problem(
                    &name.to_string(),
                    format!("{missing} rows that were stored are missing"),
                );
            }
            counted.insert(name, (counts.events, counts.unreadable));
        }
        if !self.records(&counted)? {
            report.problem(CONTROL_FILE, BEHIND.to_owned());
        }
        Ok(report)
    }

    /// Returns `true` if the control file records all rows that were counted. Waits for a running writer to
    /// finish its batch, at most two seconds.
    fn records(&self, counted: &BTreeMap<FileName, (i64, i64)>) -> Result<bool> {
        // Without a writer, there is no batch to wait for.
        let has_writer = std::fs::File::open(self.directory.join(LOCK_FILE))
            .is_ok_and(|lock| lock.try_lock_shared().is_err());
        let attempts = if has_writer { 10 } else { 1 };
        for attempt in 1..=attempts {
            let recorded =
                control_file::files(&self.control).map_err(|error| self.control_error(error))?;
            let has = |(name, counts): (&FileName, &(i64, i64))| {
                let (events, unreadable) = recorded.get(name).copied().unwrap_or_default();
                counts.0 <= events && counts.1 <= unreadable
            };
            if counted.iter().all(has) {
                return Ok(true);
            }
            if attempt < attempts {
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        Ok(false)
    }
}

impl VerificationReport {
    /// Reads all rows of a file. Returns the number of damaged ones.
    fn verify_rows(&mut self, file: &Connection) -> rusqlite::Result<u64> {
        let mut damaged = 0;
        let mut select = file.prepare(&format!("SELECT {} FROM event", all_columns(file)?))?;
        let mut rows = select.query([])?;
        let mut interner = TextInterner::default();
        while let Some(row) = rows.next()? {
            match is_whole(row, &mut interner) {
                Ok(Some(is_erased)) => {
                    self.events += u64::from(!is_erased);
                    self.erased += u64::from(is_erased);
                }
                Ok(None) | Err(_) => damaged += 1,
            }
        }
        let mut select = file.prepare(
            "SELECT hash, received_at, source, reason, length, content, checksum FROM unreadable",
        )?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            match unreadable_is_whole(row) {
                Ok(true) => self.unreadable += 1,
                _ => damaged += 1,
            }
        }
        if version_of(file)? >= NUMBERS_VERSION {
            damaged += seen_numbers::damaged_rows(file)?;
        }
        self.reused += reused_ids(file)?;
        Ok(damaged)
    }

    fn problem(&mut self, file: &str, finding: String) {
        self.problems.push(ArchiveProblem { file: file.to_owned(), finding });
    }
}

/// Returns the number of notifications whose id an earlier row has.
fn reused_ids(file: &Connection) -> rusqlite::Result<u64> {
    // SQLite sorts the ids of a large file on the disk instead of in memory.
    file.pragma_update(None, "temp_store", "FILE")?;
    let mut select = file.prepare("SELECT message_id FROM event ORDER BY message_id")?;
    let mut rows = select.query([])?;
    let (mut previous, mut reused) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let id = blob(row, 0)?.unwrap_or_default();
        reused += u64::from(id == previous);
        id.clone_into(&mut previous);
    }
    Ok(reused)
}

/// Returns whether the content of a row was erased, or `None` if its checksum or its body does not fit.
fn is_whole(
    row: &rusqlite::Row<'_>,
    interner: &mut TextInterner,
) -> rusqlite::Result<Option<bool>> {
    let columns = StoredColumns::of(row)?;
    let checksum: i64 = row.get(29)?;
    if columns.checksum() != checksum {
        return Ok(None);
    }
    if columns.erased.is_some() {
        return Ok(blob(row, 28)?.is_none().then_some(true));
    }
    let body = body_of(row)?.filter(|body| content_hash(body) == columns.hash);
    let Some(body) = body else { return Ok(None) };
    Ok(columns.record(body.into(), interner).map(|_| false))
}

/// Returns `true` if the checksum of an unreadable message fits.
fn unreadable_is_whole(row: &rusqlite::Row<'_>) -> rusqlite::Result<bool> {
    let reason = text(row, 3)?.unwrap_or_default();
    let hash = blob(row, 0)?.unwrap_or_default();
    let sum =
        unreadable_checksum(hash, row.get(1)?, text(row, 2)?, reason, row.get(4)?, blob(row, 5)?);
    Ok(sum == row.get::<_, i64>(6)?)
}

/// The finding of a control file that lacks the last batches.
const BEHIND: &str = "the last batches are not recorded: the writer was killed, or the file lost its end. The \
                      next import records them";

/// Checks that a file has the expected tables, and that its pages and indexes agree.
fn check_structure(connection: &Connection, schema: &FileSchema) -> Result<(), String> {
    let expected = || schema.expected_tables(version_of(connection)?);
    let is_expected = || Ok::<_, rusqlite::Error>(tables(connection)? == expected()?);
    if !is_expected().map_err(|error| error.to_string())? {
        return Err("the tables are not those of an archive".to_owned());
    }
    let check = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    let finding = connection.query_row("PRAGMA integrity_check(1)", [], check);
    match finding.as_deref() {
        Ok("ok") => Ok(()),
        Ok(finding) => Err(finding.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
