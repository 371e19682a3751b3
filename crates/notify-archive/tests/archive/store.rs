//! The store: each notification once, the same bodies, and named errors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use notify_archive::question::EventFilter;
use notify_archive::record::RecordReader;
use notify_archive::store::{
    ArchiveBatch, ImportPosition, ReadScope, RecordDetail, RetentionPolicy, UnreadableContent,
};
use notify_archive::{Archive, ArchiveErrorKind, ArchiveWriter, EventRecord};
use notify_core::Context;
use notify_core::codec::Sequence;
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::generator::{events, starts};
use crate::samples::{day, read_all, sample};

/// The context and the sequence of a notification come back from the archive.
#[test]
fn keeps_context_and_sequence() {
    let directory = tempfile::tempdir().unwrap();
    let mut record = read_all(&day()).remove(0);
    let context = Context::builder()
        .traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .tracestate("congo=t61rcWkgMzE");
    let context = context.request_id("req-1").user("bob").project("web");
    record.context = context.build().unwrap();
    record.sequence = Some(Sequence::new(Uuid::from_u128(7), "notifications.info", 42));
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let batch = ArchiveBatch { records: vec![record.clone()], ..ArchiveBatch::default() };
    writer.append(&batch).unwrap();
    let stored = read(directory.path());
    assert_eq!((&stored[0].context, &stored[0].sequence), (&record.context, &record.sequence));
    assert_eq!(stored, [record]);
}

/// Everything, with bodies and undated events.
pub(crate) const ALL: ReadScope = ReadScope {
    detail: RecordDetail::Bodies,
    undated: true,
    deadline: std::time::Duration::from_secs(60),
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Batches of any size, redelivered in any order, across restarts and month ends: the archive holds each
    /// notification once, and a reused id with another content beside the first.
    #[test]
    fn the_archive_holds_each_notification_once(
        (start, events) in starts().prop_flat_map(|start| (Just(start), events(start))),
        deliveries in prop::collection::vec((0_usize..60, 1_usize..20, any::<bool>()), 1..12),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        let mut expected = BTreeSet::new();
        // Half of the ids, so that ids are reused.
        let records: Vec<_> = events.iter().enumerate().map(|(i, event)| event.record(i / 2)).collect();
        for (from, length, restarts) in deliveries {
            let part: Vec<_> = records.iter().skip(from).take(length).cloned().collect();
            let before = expected.len();
            expected.extend(part.iter().map(|record| (record.message_id, record.body.clone())));
            let outcome = writer.append(&ArchiveBatch { records: part.clone(), ..ArchiveBatch::default() });
            let outcome = outcome.unwrap();
            prop_assert_eq!(outcome.stored, (expected.len() - before) as u64);
            prop_assert_eq!(outcome.stored + outcome.copies, part.len() as u64);
            if restarts {
                drop(writer);
                writer = ArchiveWriter::open(directory.path()).unwrap();
            }
        }
        let stored = read(directory.path());
        prop_assert_eq!(stored.len(), expected.len());
        let found: BTreeSet<_> = stored.iter().map(|r| (r.message_id, r.body.clone())).collect();
        prop_assert_eq!(found, expected);
        let report = Archive::open(directory.path()).unwrap().verify().unwrap();
        prop_assert_eq!(&report.problems, &[]);
        prop_assert!(start.year() > 2000);
    }
}

/// An id that is used again for another content is kept, flagged and counted; `verify` also counts uses at
/// another time.
#[test]
fn reused_ids_are_kept_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let mut records = read_all(&day());
    records.truncate(4);
    records[1].message_id = records[0].message_id;
    records[1].timestamp = records[0].timestamp;
    records[2].message_id = records[0].message_id;
    let batch = ArchiveBatch { records, ..ArchiveBatch::default() };
    let outcome = writer.append(&batch).unwrap();
    assert_eq!((outcome.stored, outcome.copies, outcome.reused), (4, 0, 1));
    assert_eq!(writer.append(&batch).unwrap().copies, 4);
    let report = Archive::open(directory.path()).unwrap().verify().unwrap();
    assert_eq!((report.events, report.reused), (4, 2));
}

/// A record comes back with every fact, and its body byte by byte: replaying an archive gives back the same
/// bodies, for everything that OpenStack's own code wrote.
#[test]
fn replaying_an_archive_gives_back_the_same_bodies() {
    let directory = tempfile::tempdir().unwrap();
    let mut records = Vec::new();
    for name in
        ["glance-v1.jsonl", "audit.log", "nova-v2.jsonl", "cinder-v1.jsonl", "oslo-v1.jsonl"]
    {
        records.extend(read_all(&sample(&format!("openstack-2026/{name}"))));
    }
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let batch = ArchiveBatch { records: records.clone(), ..ArchiveBatch::default() };
    let outcome = writer.append(&batch).unwrap();
    assert_eq!(outcome.stored + outcome.copies, records.len() as u64);
    let stored: BTreeMap<_, _> = read(directory.path())
        .into_iter()
        .map(|record| ((record.message_id, record.body.clone()), record))
        .collect();
    for record in &records {
        let found = &stored[&(record.message_id, record.body.clone())];
        assert_eq!(found, record);
        // The body is a notification again, and stores as the same one.
        let again = RecordReader::new("sample").read(&found.body).unwrap();
        assert_eq!(again.body, record.body);
    }
    assert_eq!(writer.append(&batch).unwrap().stored, 0);
}

/// Readers see whole batches while the writer goes on, and a filter finds what a scan finds.
#[test]
fn readers_and_the_writer_do_not_wait_for_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let records = read_all(&day());
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let archive = Archive::open(directory.path()).unwrap();
    for chunk in records.chunks(10) {
        let mut seen = 0;
        archive.read(&EventFilter::default(), ALL, |_| seen += 1).unwrap();
        assert_eq!(seen % 10, 0);
        writer
            .append(&ArchiveBatch { records: chunk.to_vec(), ..ArchiveBatch::default() })
            .unwrap();
    }
    let filters = [
        EventFilter { images: vec!["debian-12".into()], ..EventFilter::default() },
        EventFilter { events: vec!["image.send".parse().unwrap()], ..EventFilter::default() },
        EventFilter { events: vec!["audit.*".parse().unwrap()], ..EventFilter::default() },
        EventFilter {
            since: Some(records[20].timestamp),
            until: Some(records[50].timestamp),
            ..EventFilter::default()
        },
    ];
    for filter in filters {
        let mut found = Vec::new();
        archive.read(&filter, ALL, |record| found.push(record.message_id)).unwrap();
        let mut naive = filter.clone();
        for record in &records {
            naive.learn(record);
        }
        let expected: Vec<_> =
            records.iter().filter(|r| naive.accepts(r)).map(|r| r.message_id).collect();
        assert!(!expected.is_empty());
        assert_eq!(found.iter().collect::<BTreeSet<_>>(), expected.iter().collect());
        assert_eq!(found.len(), expected.len());
    }
    // The second half of the day has no creation of this image: its name is found all the same.
    let late = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::open(late.path()).unwrap();
    writer
        .append(&ArchiveBatch { records: records[60..].to_vec(), ..ArchiveBatch::default() })
        .unwrap();
    let filter = EventFilter { images: vec!["debian-12".into()], ..EventFilter::default() };
    let mut found = 0;
    Archive::open(late.path()).unwrap().read(&filter, ALL, |_| found += 1).unwrap();
    assert!(found > 3, "{found} events");
    let mut seen = 0;
    let read = archive.read_while(&EventFilter::default(), ALL, |_| {
        seen += 1;
        std::ops::ControlFlow::Break(())
    });
    read.unwrap();
    assert_eq!(seen, 1);
    let deadline = std::time::Duration::ZERO;
    let error =
        archive.read(&EventFilter::default(), ReadScope { deadline, ..ALL }, |_| {}).unwrap_err();
    assert_eq!(error.kind(), ArchiveErrorKind::DeadlineExceeded);
}

/// Two writers on one directory would not know of each other's positions.
#[test]
fn a_second_writer_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let first = ArchiveWriter::open(directory.path()).unwrap();
    let error = ArchiveWriter::open(directory.path()).unwrap_err();
    assert_eq!(error.kind(), ArchiveErrorKind::Locked);
    assert!(error.to_string().contains("stop it first"));
    drop(first);
    ArchiveWriter::open(directory.path()).unwrap();
}

/// Nothing is acknowledged that went to a file without a name, and the next call stores it again.
#[test]
fn a_removed_file_is_noticed_and_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let records = read_all(&day());
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let batch =
        |part: &[EventRecord]| ArchiveBatch { records: part.to_vec(), ..ArchiveBatch::default() };
    writer.append(&batch(&records[..10])).unwrap();
    fs::remove_file(directory.path().join("2026-11.sqlite")).unwrap();
    let error = writer.append(&batch(&records[10..20])).unwrap_err();
    assert_eq!(error.kind(), ArchiveErrorKind::FileRemoved);
    assert!(error.is_transient());
    assert_eq!(writer.append(&batch(&records[10..20])).unwrap().stored, 10);
    let report = Archive::open(directory.path()).unwrap().verify().unwrap();
    assert_eq!(report.problems, [], "the file has what it should have since it was made again");
}

/// A month that is restored under a running writer does not get back what its log held: not with the next batch,
/// and not after a restart.
#[test]
fn a_restored_file_does_not_meet_the_old_log() {
    let records = read_all(&day());
    let batch =
        |part: &[EventRecord]| ArchiveBatch { records: part.to_vec(), ..ArchiveBatch::default() };
    for restarts in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let [path, backup] = ["archive", "backup"].map(|name| directory.path().join(name));
        let mut writer = ArchiveWriter::open(&path).unwrap();
        writer.append(&batch(&records[..10])).unwrap();
        Archive::open(&path).unwrap().backup(&backup).unwrap();
        writer.append(&batch(&records[10..20])).unwrap();
        fs::rename(backup.join("2026-11.sqlite"), path.join("2026-11.sqlite")).unwrap();
        if restarts {
            drop(writer);
            writer = ArchiveWriter::open(&path).unwrap();
        } else {
            let error = writer.append(&batch(&records[20..30])).unwrap_err();
            assert_eq!(error.kind(), ArchiveErrorKind::FileRemoved);
        }
        assert_eq!(writer.append(&batch(&records[20..30])).unwrap().stored, 10);
        assert_eq!(read(&path).len(), 20);
    }
}

/// A damaged file has a named error, and the writer goes on when it is moved away.
#[test]
fn a_damaged_file_is_named_and_can_be_moved_away() {
    let directory = tempfile::tempdir().unwrap();
    let records = read_all(&day());
    let batch = ArchiveBatch { records, ..ArchiveBatch::default() };
    let path = directory.path().join("2026-11.sqlite");
    fs::create_dir_all(directory.path()).unwrap();
    fs::write(&path, [b'x'; 8192]).unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    for _ in 0..2 {
        let error = writer.append(&batch).unwrap_err();
        assert_eq!(error.kind(), ArchiveErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("2026-11.sqlite"));
    }
    fs::rename(&path, directory.path().join("away")).unwrap();
    assert_eq!(writer.append(&batch).unwrap().stored, 101);
}

/// A damaged file of undated events keeps no batch away that does not belong in it: a file that is no database, and
/// one with a damaged row.
#[test]
fn a_damaged_undated_file_keeps_no_other_events_away() {
    let directory = tempfile::tempdir().unwrap();
    let damaged = directory.path().join("undated-2026-01.sqlite");
    fs::write(&damaged, [b'x'; 8192]).unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let records = read_all(&day());
    let mut undated = records[..1].to_vec();
    undated[0].arrival.received_at = Some(undated[0].timestamp - Duration::days(100));
    let undated = ArchiveBatch { records: undated, ..ArchiveBatch::default() };
    assert_eq!(writer.append(&undated).unwrap().stored, 1);
    drop(writer);
    let file = directory.path().join("undated-2026-08.sqlite");
    let file = rusqlite::Connection::open(file).unwrap();
    assert_eq!(file.execute("UPDATE event SET hash = 'damaged'", []).unwrap(), 1);
    drop(file);

    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let batch = ArchiveBatch { records, ..ArchiveBatch::default() };
    assert_eq!(writer.append(&batch).unwrap().stored, 101);
    assert_eq!(writer.append(&batch).unwrap().copies, 101);

    // A batch that belongs in the damaged file is not reported as stored.
    let unreadable = UnreadableContent {
        source: "f".into(),
        received_at: OffsetDateTime::from_unix_timestamp(1_768_000_000).unwrap(),
        reason: "not JSON".into(),
        length: 3,
        content: b"x y".to_vec(),
        sequence: None,
    };
    let batch = ArchiveBatch { unreadable: vec![unreadable], ..ArchiveBatch::default() };
    let error = writer.append(&batch).unwrap_err();
    assert_eq!(error.kind(), ArchiveErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("undated-2026-01.sqlite"));
    fs::rename(&damaged, directory.path().join("away")).unwrap();
    assert_eq!(writer.append(&batch).unwrap().unreadable, 1);
}

/// A position is never ahead of the events, and unreadable messages are kept once with their reason.
#[test]
fn positions_and_unreadable_messages_are_stored_with_the_batch() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let position = ImportPosition { head: [7; 16], offset: 100, line: 3 };
    let message = UnreadableContent {
        source: "f".into(),
        received_at: OffsetDateTime::now_utc(),
        reason: "not JSON".into(),
        length: 3,
        content: b"x\0y".to_vec(),
        sequence: None,
    };
    let batch = ArchiveBatch {
        records: read_all(&day()),
        unreadable: vec![message],
        position: Some(("f".into(), position.clone())),
    };
    assert_eq!(writer.append(&batch).unwrap().unreadable, 1);
    assert_eq!(writer.append(&batch).unwrap().unreadable, 0);
    drop(writer);
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    assert_eq!(writer.position("f").unwrap(), Some(position));
    assert_eq!(writer.position("g").unwrap(), None);
    let archive = Archive::open(directory.path()).unwrap();
    assert_eq!(archive.counts().unwrap(), (101, 0, 1));
    assert_eq!(archive.verify().unwrap().problems, []);
}

/// Each message of a batch counts once, as stored, as a copy or as unreadable. Equal unreadable messages are kept once,
/// and the others are copies.
#[test]
fn every_message_of_a_batch_is_counted_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let message = |content: &str| UnreadableContent {
        source: "rabbit".into(),
        received_at: OffsetDateTime::now_utc(),
        reason: "no event_type".into(),
        length: content.len() as u64,
        content: content.as_bytes().to_vec(),
        sequence: None,
    };
    let mut records = read_all(&day());
    records.truncate(3);
    records.push(records[0].clone());
    let unreadable = Vec::from(["{}", "{}", "[]", "{}"].map(message));
    let batch = ArchiveBatch { records, unreadable, position: None };
    let mut counted = || {
        let outcome = writer.append(&batch).unwrap();
        assert_eq!(outcome.stored + outcome.copies + outcome.unreadable, 8);
        (outcome.stored, outcome.copies, outcome.unreadable)
    };
    assert_eq!(counted(), (3, 3, 2));
    assert_eq!(counted(), (0, 8, 0));
    let archive = Archive::open(directory.path()).unwrap();
    assert_eq!(archive.counts().unwrap(), (3, 0, 2));
    assert_eq!(archive.verify().unwrap().problems, []);
}

/// Messages without their content are different messages. A redelivery is recognised by its number, and without one
/// by its time of reception alone.
#[test]
fn messages_that_were_too_large_are_all_stored() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let too_large = |length, seconds: i64, number: Option<u64>| UnreadableContent {
        source: "rabbit".into(),
        received_at: OffsetDateTime::from_unix_timestamp(1_795_000_000 + seconds).unwrap(),
        reason: "too large".into(),
        length,
        content: Vec::new(),
        sequence: number.map(|number| Sequence::new(Uuid::from_u128(7), "lane", number)),
    };
    let mut stored = |messages: Vec<UnreadableContent>| {
        let batch = ArchiveBatch { unreadable: messages, ..ArchiveBatch::default() };
        writer.append(&batch).unwrap().unreadable
    };
    let (five, six) = (too_large(5_000_000, 0, None), too_large(6_000_000, 0, None));
    assert_eq!(stored(vec![five.clone(), six.clone()]), 2);
    // The same batch again, after an error.
    assert_eq!(stored(vec![five, six]), 0);
    // Another message of the same length, or a redelivery: they look the same.
    assert_eq!(stored(vec![too_large(5_000_000, 1, None)]), 1);
    let numbered = |seconds, number| too_large(5_000_000, seconds, Some(number));
    assert_eq!(stored(vec![numbered(0, 1), numbered(0, 2)]), 2);
    assert_eq!(stored(vec![numbered(2, 1), numbered(2, 2)]), 0);
    let archive = Archive::open(directory.path()).unwrap();
    assert_eq!(archive.counts().unwrap(), (0, 0, 5));
    assert_eq!(archive.verify().unwrap().problems, []);
}

/// Implausible times do not decide about retention, and a late redelivery is still the same notification.
#[test]
fn undated_events_are_stored_once_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let mut records = read_all(&day());
    let received = |records: &mut Vec<EventRecord>, offset: Duration| {
        for record in records.iter_mut() {
            record.arrival.received_at = Some(record.timestamp + offset);
        }
    };
    received(&mut records, Duration::SECOND);
    let batch = |records: &[EventRecord]| ArchiveBatch {
        records: records.to_vec(),
        ..ArchiveBatch::default()
    };
    assert_eq!(writer.append(&batch(&records[..50])).unwrap().stored, 50);
    // A week later, as after an outage: the first half is known, the second half is undated.
    received(&mut records, Duration::days(7));
    let outcome = writer.append(&batch(&records)).unwrap();
    assert_eq!((outcome.stored, outcome.copies), (51, 50));
    received(&mut records, Duration::SECOND);
    assert_eq!(writer.append(&batch(&records)).unwrap().copies, 101);
    assert_eq!(Archive::open(directory.path()).unwrap().counts().unwrap(), (50, 51, 0));
}

/// Retention removes whole months, the oldest first, and never notifications that arrived lately.
#[test]
fn retention_removes_old_files() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let now = OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap();
    let names = |directory: &Path| {
        let archive = Archive::open(directory).unwrap();
        archive.files().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let day = read_all(&day());
    for months in [1, 3, 5] {
        let mut records = day.clone();
        for (index, record) in records.iter_mut().enumerate() {
            record.message_id = uuid::Uuid::from_u128(months * 1000 + index as u128);
            record.timestamp = now - Duration::days(30) * i32::try_from(months).unwrap();
            record.arrival.received_at = Some(record.timestamp);
        }
        writer.append(&ArchiveBatch { records, ..ArchiveBatch::default() }).unwrap();
    }
    assert_eq!(names(directory.path()), ["2026-06.sqlite", "2026-08.sqlite", "2026-10.sqlite"]);
    let policy = RetentionPolicy { max_age: Some(Duration::days(100)), max_bytes: None };
    let removed = writer.retain(policy, now).unwrap();
    assert_eq!(removed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["2026-06.sqlite"]);
    let policy = RetentionPolicy { max_age: None, max_bytes: Some(1) };
    writer.retain(policy, now).unwrap();
    assert_eq!(names(directory.path()), ["2026-10.sqlite"], "the newest file always stays");
    assert_eq!(Archive::open(directory.path()).unwrap().verify().unwrap().problems, []);
    let leftovers = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(leftovers.into_iter().all(|name| !name.to_string_lossy().starts_with("2026-06")));
}

/// A damaged file stays for `verify` to report. It keeps the retention from no other file.
#[test]
fn retention_passes_over_a_damaged_file() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("2026-01.sqlite"), [b'x'; 8192]).unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let now = OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap();
    let mut records = read_all(&day());
    for (index, record) in records.iter_mut().enumerate() {
        // One stays, as in an archive that grows.
        record.timestamp = now - Duration::days(if index == 0 { 0 } else { 150 });
        record.arrival.received_at = Some(record.timestamp);
    }
    writer.append(&ArchiveBatch { records, ..ArchiveBatch::default() }).unwrap();
    let policy = RetentionPolicy { max_age: Some(Duration::days(100)), max_bytes: None };
    let removed = writer.retain(policy, now).unwrap();
    assert_eq!(removed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["2026-06.sqlite"]);
    assert!(directory.path().join("2026-01.sqlite").exists());
}

/// Coverage ends where the archive was last seen, also after a crash, and says why.
#[test]
fn blind_time_is_recorded_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let at =
        |minute: i64| OffsetDateTime::from_unix_timestamp(1_795_000_000 + minute * 60).unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    writer.attach("rabbit", at(0)).unwrap();
    writer.detach("rabbit", at(10), "binding lost").unwrap();
    writer.attach("rabbit", at(14)).unwrap();
    writer.detach("rabbit", at(20), "stopped").unwrap();
    writer.attach("rabbit", at(30)).unwrap();
    drop(writer);
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    writer.attach("rabbit", at(40)).unwrap();
    let archive = Archive::open(directory.path()).unwrap();
    let coverage = archive.coverage(Some(at(0)..at(50))).unwrap();
    let minutes = |time: OffsetDateTime| (time - at(0)).whole_minutes();
    let blind: Vec<_> = coverage[0]
        .blind
        .iter()
        .map(|(range, reason)| (minutes(range.start), minutes(range.end), reason.as_str()))
        .collect();
    assert_eq!(
        blind,
        [
            (10, 14, "binding lost"),
            (20, 30, "stopped"),
            (30, 40, "the archive stopped"),
            (40, 50, "not seen since"),
        ]
    );
}

/// The time between a killed service and the next one is blind, also if the next writer stores a batch before the source
/// is attached again.
#[test]
fn the_time_after_a_killed_writer_is_blind() {
    let directory = tempfile::tempdir().unwrap();
    let at =
        |minute: i64| OffsetDateTime::from_unix_timestamp(1_795_000_000 + minute * 60).unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    writer.attach("rabbit", at(0)).unwrap();
    writer.attach("renamed", at(0)).unwrap();
    drop(writer);
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    // It is the heartbeat of a service.
    writer.append(&ArchiveBatch::default()).unwrap();
    writer.attach("rabbit", at(40)).unwrap();
    let archive = Archive::open(directory.path()).unwrap();
    let coverage = archive.coverage(Some(at(0)..at(40))).unwrap();
    assert_eq!(coverage.len(), 2);
    for source in coverage {
        let blind = (at(0)..at(40), "the archive stopped".to_owned());
        assert_eq!(source.blind, [blind], "{}", source.source);
    }
}

/// Only the owner of the archive can read it.
#[test]
fn files_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("archive");
    let mut writer = ArchiveWriter::open(&path).unwrap();
    writer.append(&ArchiveBatch { records: read_all(&day()), ..ArchiveBatch::default() }).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for entry in fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.file_name());
    }
}

/// Files that root's commands create belong to the user of the archive, who must still write to them.
#[test]
fn root_leaves_the_files_to_the_owner_of_the_archive() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let directory = tempfile::tempdir().unwrap();
    if chown(directory.path(), Some(1234), None).is_err() {
        println!("skipped: only root can give files to other users");
        return;
    }
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    writer.append(&ArchiveBatch { records: read_all(&day()), ..ArchiveBatch::default() }).unwrap();
    for entry in fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().uid(), 1234, "{:?}", entry.file_name());
    }
}

/// Returns all records of an archive, with bodies.
pub(crate) fn read(directory: &Path) -> Vec<EventRecord> {
    let mut records = Vec::new();
    let archive = Archive::open(directory).unwrap();
    archive.read(&EventFilter::default(), ALL, |record| records.push(record.clone())).unwrap();
    records
}
