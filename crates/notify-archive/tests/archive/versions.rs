//! Files of earlier versions: readers read them as they are, and the writer migrates them.
//!
//! The files of version 2 were written by the program of that version. Version 1 differs from it in indexes only, and
//! version 3 from version 4.

use std::fs;
use std::path::Path;

use notify_archive::question::{Calendar, EventFilter};
use notify_archive::store::{SearchRequest, read_gaps};
use notify_archive::{Archive, ArchiveWriter};
use rusqlite::Connection;

use crate::store::read;

/// An archive of each earlier version answers before and after the writer migrates it, and the answers are the
/// same: records, contexts, searches, gaps, verification.
#[test]
fn archives_of_earlier_versions_are_read_and_migrated() {
    for version in [1, 2, 3] {
        let directory = tempfile::tempdir().unwrap();
        make(directory.path(), version);
        let before = answers(directory.path());
        assert_eq!(version_of(directory.path()), version, "a reader changes nothing");
        drop(ArchiveWriter::open(directory.path()).unwrap());
        assert_eq!(version_of(directory.path()), 4);
        assert_eq!(answers(directory.path()), before);
    }
}

/// A backup of an archive that is not migrated is one too.
#[test]
fn an_archive_of_an_earlier_version_can_be_copied() {
    let directory = tempfile::tempdir().unwrap();
    let (old, copy) = (directory.path().join("old"), directory.path().join("copy"));
    fs::create_dir(&old).unwrap();
    make(&old, 2);
    Archive::open(&old).unwrap().backup(&copy).unwrap();
    assert_eq!(answers(&copy), answers(&old));
}

/// Returns what an archive says, as one text.
fn answers(directory: &Path) -> String {
    let archives = [Archive::open(directory).unwrap()];
    let [archive] = &archives;
    assert_eq!(archive.verify().unwrap().problems, []);
    let records = read(directory);
    assert_eq!(records.len(), 7);
    assert_eq!(records[0].context.request_id(), Some("req-1"));
    assert_eq!(records[0].context.traceparent(), None);
    let found = archive.search(&EventFilter::default(), &SearchRequest::default()).unwrap();
    assert_eq!(found.records.len(), 7);
    let filter = EventFilter { images: vec!["debian-12".to_owned()], ..EventFilter::default() };
    let named = archive.search(&filter, &SearchRequest::default()).unwrap();
    assert_eq!(named.records, found.records);
    let deadline = std::time::Duration::from_secs(60);
    let by_id = archive.notifications(records[3].message_id, 2, deadline).unwrap();
    assert_eq!(by_id, (records[3..4].to_vec(), 0));
    let gaps = read_gaps(&archives, &EventFilter::default(), deadline).unwrap();
    // Number 4 never came. Number 6 was erased with its event by a program that kept no ranges.
    assert_eq!(
        gaps.sentences(&Calendar::utc()),
        ["1 notification of `image.host1`, lane `notifications.info`, from rabbit is missing: \
          1 between 3 and 5 (2025-11-24T12:00:02Z to 2025-11-24T12:00:03Z)"],
    );
    let coverage = archive.coverage(None).unwrap();
    format!("{records:?}{found:?}{gaps:?}{coverage:?}{:?}", archive.counts().unwrap())
}

/// Makes an archive of an earlier version.
fn make(directory: &Path, version: i64) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archive/fixtures/version-2");
    for name in ["2025-11", "undated-2025-11", "control"] {
        let file = Connection::open(directory.join(format!("{name}.sqlite"))).unwrap();
        let sql = fs::read_to_string(fixtures.join(format!("{name}.sql"))).unwrap();
        file.execute_batch(&sql).unwrap();
        if version == 1 && name != "control" {
            file.execute_batch(
                "DROP INDEX event_id; DROP INDEX event_erased; PRAGMA user_version = 1;
                 CREATE UNIQUE INDEX event_id ON event (message_id, hash);",
            )
            .unwrap();
        }
    }
    if version == 3 {
        let events = ["2025-11", "undated-2025-11"].map(|name| format!("{name}.sqlite"));
        let index_of_names = |name: &String| {
            let file = Connection::open(directory.join(name)).unwrap();
            let sql = "SELECT sql FROM sqlite_schema WHERE name = 'event_name'";
            file.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap()
        };
        let earlier = events.each_ref().map(index_of_names);
        drop(ArchiveWriter::open(directory).unwrap());
        for (name, index) in events.iter().zip(earlier) {
            let file = Connection::open(directory.join(name)).unwrap();
            let sql = format!("DROP INDEX event_name; {index}; PRAGMA user_version = 3;");
            file.execute_batch(&sql).unwrap();
        }
    }
}

fn version_of(directory: &Path) -> i64 {
    let file = Connection::open(directory.join("2025-11.sqlite")).unwrap();
    file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}
