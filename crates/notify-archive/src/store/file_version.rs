//! The versions of the files of events, for readers of earlier ones.

use rusqlite::Connection;

/// The version since which files of events have traces and the numbers that they have seen.
pub(crate) const NUMBERS_VERSION: usize = 3;

/// Returns the version of a file that was checked when it was opened.
pub(crate) fn version_of(connection: &Connection) -> rusqlite::Result<usize> {
    let version =
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?;
    Ok(usize::try_from(version).unwrap_or_default())
}
