//! The tables of the archive's files, and the migrations from every earlier version.

use std::path::Path;

use rusqlite::Connection;

use super::seen_numbers;
use crate::error::{ArchiveError, ArchiveErrorKind, Result, shown};

/// A kind of file: its identification and its migrations. Migration N leads from version N to N + 1.
pub(crate) struct FileSchema {
    /// The number that identifies the kind in the file's header.
    application_id: i32,
    migrations: &'static [Migration],
}

/// A step from one version to the next.
struct Migration {
    tables: &'static str,
    /// Fills new tables from the rows of the file.
    fill: fn(&Connection) -> rusqlite::Result<()>,
}

impl Migration {
    const fn new(tables: &'static str) -> Self {
        Self { tables, fill: |_| Ok(()) }
    }

    fn run(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.execute_batch(self.tables)?;
        (self.fill)(connection)
    }
}

impl FileSchema {
    /// Creates or migrates the tables of a file that is open for writing.
    ///
    /// # Errors
    ///
    /// Returns an error if the file is of another program or of a newer version.
    pub(crate) fn prepare(&self, path: &Path, connection: &mut Connection) -> Result<()> {
        let is_new = self.version(path, connection)? == 0;
        let sqlite = |error| ArchiveError::sqlite(path, error);
        let transaction = connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(sqlite)?;
        // Another process may have migrated while this one waited.
        let version = self.version(path, &transaction)?;
        if (1..self.migrations.len()).contains(&version) {
            let (name, latest) = (shown(path), self.migrations.len());
            tracing::warn!(
                "bringing `{name}` to version {latest}, which may take minutes: earlier programs refuse it then"
            );
        }
        for migration in self.migrations.iter().skip(version) {
            migration.run(&transaction).map_err(sqlite)?;
        }
        if version < self.migrations.len() {
            let latest = i64::try_from(self.migrations.len()).unwrap_or(i64::MAX);
            transaction.pragma_update(None, "user_version", latest).map_err(sqlite)?;
            if is_new {
                transaction
                    .pragma_update(None, "application_id", self.application_id)
                    .map_err(sqlite)?;
            }
        }
        transaction.commit().map_err(sqlite)
    }

    /// Checks that a file that is open for reading has a version that this program reads: all since the first.
    ///
    /// # Errors
    ///
    /// Returns an error if the file is of another program, of a newer version, or empty.
    pub(crate) fn check(&self, path: &Path, connection: &Connection) -> Result<()> {
        if self.version(path, connection)? > 0 {
            return Ok(());
        }
        Err(ArchiveError::new(
            ArchiveErrorKind::Corrupt,
            format!("`{}` has no tables: an import or the service makes them", shown(path)),
        ))
    }

    /// Returns the version of a file. A new file has version 0.
    fn version(&self, path: &Path, connection: &Connection) -> Result<usize> {
        let number = |name: &str| {
            connection
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                .map_err(|error| ArchiveError::sqlite(path, error))
        };
        let (version, id) = (number("user_version")?, number("application_id")?);
        if (version != 0 || id != 0) && id != i64::from(self.application_id) {
            let message = format!("`{}` is no file of an archive", shown(path));
            return Err(ArchiveError::new(ArchiveErrorKind::NotAnArchive, message));
        }
        match usize::try_from(version) {
            Ok(version) if version <= self.migrations.len() => Ok(version),
            _ => Err(ArchiveError::new(
                ArchiveErrorKind::NewerSchema,
                format!(
                    "`{}` has version {version}, newer than this program's {}: use the newer program",
                    shown(path),
                    self.migrations.len()
                ),
            )),
        }
    }

    /// Returns the tables and indexes of a version as SQL.
    pub(crate) fn expected_tables(&self, version: usize) -> rusqlite::Result<Vec<String>> {
        let connection = Connection::open_in_memory()?;
        self.migrations
            .iter()
            .take(version)
            .try_for_each(|migration| migration.run(&connection))?;
        tables(&connection)
    }
}

/// Returns the tables and indexes of a file as SQL.
pub(crate) fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT type || ' ' || name || ' ' || tbl_name || ' ' || ifnull(sql, '') FROM sqlite_schema ORDER BY 1",
    )?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// The files of events.
pub(crate) const EVENTS: FileSchema = FileSchema {
    application_id: 0x474e_4576,
    migrations: &[
        Migration::new(
            "
        CREATE TABLE event (
            seq INTEGER PRIMARY KEY,
            message_id BLOB NOT NULL,
            hash BLOB NOT NULL,
            reused INTEGER NOT NULL,
            ts INTEGER NOT NULL,
            received_at INTEGER,
            skew INTEGER,
            event_type TEXT NOT NULL,
            priority TEXT NOT NULL,
            publisher TEXT NOT NULL,
            service TEXT,
            source TEXT,
            region TEXT,
            subject TEXT,
            name TEXT,
            status TEXT,
            owner TEXT,
            receiver TEXT,
            receiver_user TEXT,
            bytes INTEGER,
            size INTEGER,
            request_id TEXT,
            actor TEXT,
            actor_project TEXT,
            epoch BLOB,
            lane TEXT,
            number INTEGER,
            erased TEXT,
            encoding INTEGER NOT NULL,
            body BLOB,
            checksum INTEGER NOT NULL
        );
        CREATE UNIQUE INDEX event_id ON event (message_id, hash);
        CREATE INDEX event_ts ON event (ts);
        CREATE INDEX event_type ON event (event_type, ts);
        CREATE INDEX event_subject ON event (subject, ts) WHERE subject IS NOT NULL;
        CREATE INDEX event_name ON event (name, subject)
            WHERE name IS NOT NULL AND event_type = 'image.create';
        CREATE TABLE unreadable (
            seq INTEGER PRIMARY KEY,
            hash BLOB NOT NULL UNIQUE,
            received_at INTEGER NOT NULL,
            source TEXT,
            reason TEXT NOT NULL,
            length INTEGER NOT NULL,
            content BLOB,
            checksum INTEGER NOT NULL
        );
    ",
        ),
        // The ids of notifications have no order. An index that begins with them touches a page of its own
        // for each, which costs more with each million of rows; the time comes first, so that neighbours share
        // pages.
        Migration::new(
            "
        DROP INDEX event_id;
        CREATE UNIQUE INDEX event_id ON event (ts, message_id, hash);
        CREATE INDEX event_erased ON event (message_id) WHERE erased IS NOT NULL;
    ",
        ),
        Migration {
            tables: "
        ALTER TABLE event ADD COLUMN traceparent TEXT;
        ALTER TABLE event ADD COLUMN tracestate TEXT;
        CREATE TABLE seen_numbers (
            epoch BLOB NOT NULL,
            lane TEXT NOT NULL,
            first INTEGER NOT NULL,
            last INTEGER NOT NULL,
            first_at INTEGER NOT NULL,
            last_at INTEGER NOT NULL,
            publisher TEXT NOT NULL,
            source TEXT,
            checksum INTEGER NOT NULL,
            PRIMARY KEY (epoch, lane, first)
        ) WITHOUT ROWID;
    ",
            fill: seen_numbers::fill,
        },
        // A rename shows a name too, and the deletion of an image that is older than the archive. Without a
        // condition on the type, the index alone answers.
        Migration::new(
            "
        DROP INDEX event_name;
        CREATE INDEX event_name ON event (name, subject) WHERE name IS NOT NULL;
    ",
        ),
    ],
};

/// The file of positions, coverage, the baseline and counts.
pub(crate) const CONTROL: FileSchema = FileSchema {
    application_id: 0x474e_4374,
    migrations: &[Migration::new(
        "
        CREATE TABLE position (
            source TEXT PRIMARY KEY,
            head BLOB NOT NULL,
            offset INTEGER NOT NULL,
            line INTEGER NOT NULL,
            checksum INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE attached (
            seq INTEGER PRIMARY KEY,
            source TEXT NOT NULL,
            attached_at INTEGER NOT NULL,
            seen_until INTEGER NOT NULL,
            detached_at INTEGER,
            reason TEXT,
            checksum INTEGER NOT NULL
        );
        CREATE TABLE baseline (
            image TEXT PRIMARY KEY,
            content TEXT NOT NULL,
            checksum INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE file (
            name TEXT PRIMARY KEY,
            events INTEGER NOT NULL,
            unreadable INTEGER NOT NULL,
            checksum INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE erasure (
            seq INTEGER PRIMARY KEY,
            erased_at INTEGER NOT NULL,
            kind TEXT NOT NULL,
            reason TEXT NOT NULL,
            events INTEGER NOT NULL,
            checksum INTEGER NOT NULL
        );
    ",
    )],
};

/// Returns the steps by which SQLite answers a statement over a file of events.
#[cfg(test)]
pub(crate) fn plan_of(sql: &str, parameters: impl rusqlite::Params) -> Vec<String> {
    let mut file = Connection::open_in_memory().unwrap();
    EVENTS.prepare(Path::new("test.sqlite"), &mut file).unwrap();
    let mut plan = file.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    plan.query_map(parameters, |row| row.get("detail")).unwrap().map(Result::unwrap).collect()
}

#[cfg(test)]
mod tests {
    use super::super::file_version::version_of;
    use super::*;

    /// A file of every earlier version becomes one of the latest, and a newer one is refused.
    #[test]
    fn migrates_from_every_earlier_version_and_refuses_newer_ones() {
        let path = Path::new("test.sqlite");
        for schema in [EVENTS, CONTROL] {
            for version in 0..=schema.migrations.len() {
                let mut connection = Connection::open_in_memory().unwrap();
                for migration in schema.migrations.iter().take(version) {
                    migration.run(&connection).unwrap();
                }
                if version > 0 {
                    let number = i64::try_from(version).unwrap();
                    connection.pragma_update(None, "user_version", number).unwrap();
                    connection
                        .pragma_update(None, "application_id", schema.application_id)
                        .unwrap();
                }
                schema.prepare(path, &mut connection).unwrap();
                schema.check(path, &connection).unwrap();
                assert_eq!(version_of(&connection).unwrap(), schema.migrations.len());
                let expected = schema.expected_tables(schema.migrations.len()).unwrap();
                assert_eq!(tables(&connection).unwrap(), expected);
            }
            let mut newer = Connection::open_in_memory().unwrap();
            schema.prepare(path, &mut newer).unwrap();
            let next = i64::try_from(schema.migrations.len() + 1).unwrap();
            newer.pragma_update(None, "user_version", next).unwrap();
            let error = schema.prepare(path, &mut newer).unwrap_err();
            assert_eq!(error.kind(), ArchiveErrorKind::NewerSchema);
            assert!(error.to_string().contains("use the newer program"));
        }
    }

    /// The database of another program is not changed.
    #[test]
    fn refuses_the_file_of_another_program() {
        let mut other = Connection::open_in_memory().unwrap();
        other.execute_batch("CREATE TABLE event (x); PRAGMA user_version = 1").unwrap();
        let error = EVENTS.prepare(Path::new("x"), &mut other).unwrap_err();
        assert_eq!(error.kind(), ArchiveErrorKind::NotAnArchive);
    }
}
