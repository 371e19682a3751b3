//! The care of an archive: verification, backup and erasure.

use std::fs;
use std::path::Path;

use notify_archive::question::{
    Calendar, EventFilter, ProjectNames, ReportGroup, UsageKind, UsageReport, read_catalogue,
};
use notify_archive::store::{ArchiveBatch, EraseSelector, UnreadableContent, read_gaps};
use notify_archive::{Archive, ArchiveErrorKind, ArchiveWriter, EventRecord};
use notify_core::codec::Sequence;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::samples::{day, read_all};
use crate::store::{ALL, read};

const DATA: &str = "c0ffee00c0ffee00c0ffee00c0ffee00";
/// The size of a frame of a write-ahead log: its header and a page.
const FRAME_BYTES: usize = 24 + 4096;

/// A bit that flips in a file is noticed by `verify`, or it changes no answer: in files at rest, and in the
/// write-ahead logs that a killed writer leaves.
#[test]
fn a_flipped_bit_is_noticed_or_changes_no_answer() {
    let directory = tempfile::tempdir().unwrap();
    let (at_rest, killed) = (directory.path().join("at-rest"), directory.path().join("killed"));
    drop(fill(&at_rest));
    let writer = directory.path().join("writer");
    let open_writer = fill(&writer);
    copy_files(&writer, &killed);
    let runner = &mut TestRunner::deterministic();
    for original in [&at_rest, &killed] {
        let answers = answers_of(original).unwrap();
        let files: Vec<_> =
            fs::read_dir(original).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let (mut noticed, mut harmless) = (0, 0);
        for round in 0..300 {
            let copy = directory.path().join("copy");
            copy_files(original, &copy);
            let path = copy.join(&files[round % files.len()]);
            let mut bytes = fs::read(&path).unwrap();
            if !bytes.is_empty() {
                let (byte, bit) = (0..bytes.len(), 0..8_u8).new_tree(runner).unwrap().current();
                bytes[byte] ^= 1 << bit;
                fs::write(&path, bytes).unwrap();
                let verified = Archive::open(&copy).and_then(|archive| archive.verify());
                if verified.is_ok_and(|report| report.problems.is_empty()) {
                    assert!(
                        answers_of(&copy).unwrap() == answers,
                        "bit {bit} of byte {byte} of {path:?}"
                    );
                    harmless += 1;
                } else {
                    noticed += 1;
                }
            }
            fs::remove_dir_all(&copy).unwrap();
        }
        // Most of a small file is free space, whose bits mean nothing.
        assert!(noticed >= 20 && harmless > 0, "{noticed} noticed, {harmless} harmless");
    }
    drop(open_writer);
}

/// A log that loses its end loses no batch of copies unnoticed: positions and coverage leave it at once, because no
/// number of rows covers them.
#[test]
fn a_log_that_loses_its_end_is_noticed_or_changes_no_answer() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    let mut writer = fill(&original);
    let now = OffsetDateTime::now_utc();
    writer.attach("rabbit", now).unwrap();
    for part in [&read_all(&day())[..50], &[]] {
        let copies = ArchiveBatch { records: part.to_vec(), ..ArchiveBatch::default() };
        assert_eq!(writer.append(&copies).unwrap().stored, 0);
    }
    // The writer is killed here.
    let killed = directory.path().join("killed");
    copy_files(&original, &killed);
    let answers = answers_of(&killed).unwrap();
    let mut logs = 0;
    for entry in fs::read_dir(&killed).unwrap() {
        let name = entry.unwrap().file_name();
        let length = fs::metadata(killed.join(&name)).unwrap().len();
        if !name.to_string_lossy().ends_with("-wal") {
            continue;
        }
        logs += 1;
        for cut in (0..length).step_by(FRAME_BYTES) {
            let copy = directory.path().join("copy");
            copy_files(&killed, &copy);
            let log = fs::OpenOptions::new().write(true).open(copy.join(&name)).unwrap();
            log.set_len(cut).unwrap();
            let verified = Archive::open(&copy).and_then(|archive| archive.verify());
            if verified.is_ok_and(|report| report.problems.is_empty()) {
                assert!(answers_of(&copy).unwrap() == answers, "{name:?} cut at {cut}");
            }
            fs::remove_dir_all(&copy).unwrap();
        }
    }
    assert!(logs >= 2);
    drop(writer);
}

/// Copies the files of an archive as a crash would leave them.
fn copy_files(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Rows that a crash or a cut file lost are noticed, as is a file that is gone.
#[test]
fn missing_rows_and_files_are_noticed() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    let connection = rusqlite::Connection::open(directory.path().join("2026-11.sqlite")).unwrap();
    connection.execute("DELETE FROM event WHERE seq = 5", []).unwrap();
    drop(connection);
    let findings = |path: &Path| {
        let problems = Archive::open(path).unwrap().verify().unwrap().problems;
        problems
            .iter()
            .map(|problem| format!("{}: {}", problem.file, problem.finding))
            .collect::<Vec<_>>()
    };
    assert_eq!(findings(directory.path()), ["2026-11.sqlite: 1 rows that were stored are missing"]);
    fs::remove_file(directory.path().join("2026-11.sqlite")).unwrap();
    assert_eq!(findings(directory.path()), ["2026-11.sqlite: the file is missing"]);
}

/// A backup is an archive: it verifies, answers the same, and its writer continues.
#[test]
fn a_backup_is_an_archive() {
    let directory = tempfile::tempdir().unwrap();
    let (original, copy) = (directory.path().join("original"), directory.path().join("copy"));
    let mut writer = fill(&original);
    // While the writer is open.
    Archive::open(&original).unwrap().backup(&copy).unwrap();
    assert!(answers_of(&copy).unwrap() == answers_of(&original).unwrap());
    assert_eq!(Archive::open(&copy).unwrap().verify().unwrap().problems, []);
    let mut restored = ArchiveWriter::open(&copy).unwrap();
    let batch = ArchiveBatch { records: read_all(&day()), ..ArchiveBatch::default() };
    assert_eq!(restored.append(&batch).unwrap().copies, 101);
    assert_eq!(writer.append(&batch).unwrap().copies, 101);
    let error = Archive::open(&original).unwrap().backup(&copy).unwrap_err();
    assert_eq!(error.kind(), ArchiveErrorKind::Invalid);
}

/// Erased content is in no file of the archive, the rest answers as before, and a replay does not bring it
/// back.
#[test]
fn erased_content_is_gone_and_stays_gone() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = fill(directory.path());
    let all = read_all(&day());
    let mentions = |record: &&EventRecord| String::from_utf8_lossy(&record.body).contains(DATA);
    let rest: Vec<_> = all.iter().filter(|record| !mentions(record)).cloned().collect();
    assert!(found_in_files(directory.path(), DATA.as_bytes()));
    let now = OffsetDateTime::now_utc();
    let selector = EraseSelector::Project(DATA.into());
    let outcome = writer.erase(&selector, "request 17", now).unwrap();
    assert_eq!(outcome.events, (all.len() - rest.len()) as u64);
    assert_eq!((outcome.unreadable, outcome.baseline), (1, 1));
    let check = |what: &str| {
        assert!(!found_in_files(directory.path(), DATA.as_bytes()), "{what}");
        // The user of that project, and its images, occur in nothing else.
        assert!(!found_in_files(directory.path(), b"training-set-4"), "{what}");
        let stored = read(directory.path());
        assert_eq!(stored.len(), rest.len(), "{what}");
        let ids: Vec<_> = stored.iter().map(|record| (record.message_id, &record.body)).collect();
        assert!(rest.iter().all(|r| ids.contains(&(r.message_id, &r.body))), "{what}");
    };
    check("erased");
    assert_eq!(
        writer
            .append(&ArchiveBatch { records: all.clone(), ..ArchiveBatch::default() })
            .unwrap()
            .stored,
        0
    );
    check("replayed");
    drop(writer);
    check("closed");
    let archive = Archive::open(directory.path()).unwrap();
    let report = archive.verify().unwrap();
    assert_eq!((report.problems.as_slice(), report.erased), (&[][..], outcome.events));
    let expected = usage(rest.iter());
    let mut stored = Vec::new();
    archive.read(&EventFilter::default(), ALL, |record| stored.push(record.clone())).unwrap();
    assert_eq!(usage(stored.iter()), expected);
}

/// An erasure that would match by accident, or would keep the id in its reason, is refused.
#[test]
fn careless_erasures_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = fill(directory.path());
    let now = OffsetDateTime::now_utc();
    for (id, reason) in [("a", "r"), ("", "r"), (DATA, ""), (DATA, DATA)] {
        let error = writer.erase(&EraseSelector::User(id.into()), reason, now).unwrap_err();
        assert_eq!(error.kind(), ArchiveErrorKind::Invalid);
    }
    assert_eq!(read(directory.path()).len(), 101);
}

/// Fills an archive with the day, an unreadable message, a baseline and coverage.
fn fill(path: &Path) -> ArchiveWriter {
    let mut writer = ArchiveWriter::open(path).unwrap();
    let now = OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap();
    writer.attach("rabbit", now).unwrap();
    let image = format!(
        r#"[{{"id": "1", "owner": "{DATA}", "status": "active", "size": 5, "created_at": "2020-01-01T00:00:00Z"}}]"#
    );
    writer.set_baseline(&read_catalogue(image.as_bytes()).unwrap()).unwrap();
    let unreadable = UnreadableContent {
        source: "f".into(),
        received_at: now,
        reason: "not JSON".into(),
        length: 40,
        content: format!("half {DATA}").into_bytes(),
        sequence: None,
    };
    let mut records = read_all(&day());
    for (record, number) in records.iter_mut().zip(1..).filter(|(_, number)| number % 9 > 0) {
        let lane = if number % 2 == 0 { "notifications.info" } else { "notifications.error" };
        record.sequence = Some(Sequence::new(Uuid::from_u128(7), lane, number));
    }
    for records in records.chunks(20) {
        let batch = ArchiveBatch {
            records: records.to_vec(),
            unreadable: vec![unreadable.clone()],
            position: None,
        };
        writer.append(&batch).unwrap();
    }
    writer
}

/// Returns everything that an archive can answer, as one text.
fn answers_of(path: &Path) -> Result<String, String> {
    let archive = Archive::open(path).map_err(|error| error.to_string())?;
    let mut records = Vec::new();
    let read = archive.read(&EventFilter::default(), ALL, |record| records.push(record.clone()));
    read.map_err(|error| error.to_string())?;
    for filter in ["image.send", "image.delete"] {
        let filter =
            EventFilter { events: vec![filter.parse().unwrap()], ..EventFilter::default() };
        let read = archive.read(&filter, ALL, |record| records.push(record.clone()));
        read.map_err(|error| error.to_string())?;
    }
    let at = |second| OffsetDateTime::from_unix_timestamp(second).unwrap();
    let century = at(946_684_800)..at(4_102_444_800);
    let coverage = archive.coverage(Some(century)).map_err(|error| error.to_string())?;
    let baseline = archive.baseline().map_err(|error| error.to_string())?;
    let counts = archive.counts().map_err(|error| error.to_string())?;
    let deadline = std::time::Duration::from_secs(60);
    let gaps = read_gaps(std::slice::from_ref(&archive), &EventFilter::default(), deadline);
    let gaps = gaps.map_err(|error| error.to_string())?;
    Ok(format!("{records:?}{coverage:?}{baseline:?}{counts:?}{gaps:?}"))
}

fn usage<'a>(records: impl Iterator<Item = &'a EventRecord>) -> String {
    let mut report = UsageReport::new(UsageKind::Activity, ReportGroup::Image, Calendar::utc());
    records.for_each(|record| report.add(record));
    format!("{:?}", report.finish(&ProjectNames::default()))
}

/// Returns `true` if a file of the directory contains the bytes.
fn found_in_files(path: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(path).unwrap().any(|entry| {
        let content = fs::read(entry.unwrap().path()).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}
