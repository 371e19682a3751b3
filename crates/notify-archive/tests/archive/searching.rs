//! Pages of events: a search finds what a scan finds, the newest first, whatever the size of its pages.

use std::time::Duration;

use notify_archive::question::EventFilter;
use notify_archive::record::RecordReader;
use notify_archive::store::{ArchiveBatch, SearchPosition, SearchRequest};
use notify_archive::{Archive, ArchiveErrorKind, ArchiveWriter, EventRecord};
use proptest::prelude::*;

use crate::generator::{RawEvent, events, starts};
use crate::samples::{day, read_all};
use crate::store::ALL;

/// Returns all pages of a search, one after the other.
fn all_pages(
    archive: &Archive,
    filter: &EventFilter,
    limit: usize,
    undated: bool,
) -> Vec<EventRecord> {
    let mut request = SearchRequest { limit, undated, ..SearchRequest::default() };
    let mut records = Vec::new();
    loop {
        let page = archive.search(filter, &request).unwrap();
        assert!(page.records.len() <= limit && !page.is_partial);
        assert!(page.next.is_none() || page.records.len() == limit);
        records.extend(page.records);
        let Some(next) = page.next else { return records };
        // A link holds the position as text.
        request.before = Some(next.to_string().parse().unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Every filter, over the end of a month, in pages of any size.
    #[test]
    fn pages_hold_what_a_scan_finds(
        (start, events) in starts().prop_flat_map(|start| (Just(start), events(start))),
        types in prop::sample::subsequence(vec!["image.send", "image.*ate", "image.upload", "im?ge.d*", "[x]*"], 0..3),
        priorities in prop::sample::subsequence(vec!["INFO", "ERROR"], 0..2),
        images in prop::collection::vec(0_u8..5, 0..3),
        named in any::<bool>(),
        projects in prop::collection::vec(0_u8..4, 0..3),
        (since, until) in (prop::option::of(0_i32..400), prop::option::of(0_i32..400)),
        limit in 1_usize..20,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        let records: Vec<_> = events.iter().enumerate().map(|(i, event)| event.record(i)).collect();
        writer.append(&ArchiveBatch { records, ..ArchiveBatch::default() }).unwrap();
        let mut filter = EventFilter {
            events: types.iter().map(|pattern| pattern.parse().unwrap()).collect(),
            priorities: priorities.iter().map(|priority| priority.parse().unwrap()).collect(),
            images: images.iter().map(|image| format!("00000000-0000-4000-8000-0000000000{image:02x}")).collect(),
            projects: projects.iter().filter_map(|project| RawEvent::project(Some(*project))).collect(),
            since: since.map(|slot| start + crate::generator::SLOT * slot),
            until: until.map(|slot| start + crate::generator::SLOT * slot),
        };
        if named {
            filter.images.push("n".to_owned());
        }
        let archive = Archive::open(directory.path()).unwrap();
        let mut expected = Vec::new();
        archive.read(&filter, ALL, |record| expected.push(record.message_id)).unwrap();
        let mut found = Vec::new();
        // The generator's times of next year are implausible.
        for undated in [false, true] {
            let records = all_pages(&archive, &filter, limit, undated);
            prop_assert!(records.is_sorted_by(|a, b| a.timestamp >= b.timestamp));
            found.extend(records.iter().map(|record| record.message_id));
        }
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }
}

/// A name stands for each image that has it in any event, in an archive as in a file: one that was created with it,
/// one that was renamed to it, and one of which only the deletion is there.
#[test]
fn a_name_stands_for_renamed_images_too() {
    let lines = [
        (1, "image.create", "debian-12"),
        (1, "image.update", "debian-12-old"),
        (2, "image.create", "debian-12-new"),
        (2, "image.update", "debian-12"),
        (3, "image.delete", "debian-12"),
        (4, "image.create", "fedora-42"),
        (1, "image.delete", "debian-12-old"),
    ];
    let records = lines.iter().enumerate().map(|(number, (image, event_type, name))| {
        let line = serde_json::json!({"message_id": format!("00000000-0000-4000-9000-{number:012x}"),
            "publisher_id": "image.h", "event_type": event_type, "priority": "INFO",
            "timestamp": format!("2025-11-24 12:00:{number:02}"),
            "payload": {"id": format!("00000000-0000-4000-8000-{image:012x}"), "name": name}});
        RecordReader::new("test").read(line.to_string().as_bytes()).unwrap()
    });
    let records: Vec<_> = records.collect();
    let directory = tempfile::tempdir().unwrap();
    let batch = ArchiveBatch { records: records.clone(), ..ArchiveBatch::default() };
    ArchiveWriter::open(directory.path()).unwrap().append(&batch).unwrap();
    let archive = Archive::open(directory.path()).unwrap();
    let filter = EventFilter { images: vec!["debian-12".to_owned()], ..EventFilter::default() };
    let mut learned = filter.clone();
    for record in &records {
        learned.learn(record);
    }
    let expected: Vec<_> =
        records.iter().filter(|r| learned.accepts(r)).map(|r| r.message_id).collect();
    assert_eq!(expected.len(), 6);
    let mut read = Vec::new();
    archive.read(&filter, ALL, |record| read.push(record.message_id)).unwrap();
    read.sort();
    assert_eq!(read, expected);
    let mut found: Vec<_> =
        all_pages(&archive, &filter, 4, false).iter().map(|record| record.message_id).collect();
    found.sort();
    assert_eq!(found, expected);
}

/// Events that arrive between two pages neither repeat nor hide others.
#[test]
fn new_events_do_not_move_the_next_page() {
    let directory = tempfile::tempdir().unwrap();
    let records = read_all(&day());
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let append = |writer: &mut ArchiveWriter, records: &[EventRecord]| {
        let batch = ArchiveBatch { records: records.to_vec(), ..ArchiveBatch::default() };
        writer.append(&batch).unwrap();
    };
    append(&mut writer, &records[..80]);
    let archive = Archive::open(directory.path()).unwrap();
    let first = archive.search(&EventFilter::default(), &SearchRequest::default()).unwrap();
    append(&mut writer, &records[80..]);
    let request = SearchRequest { before: first.next, ..SearchRequest::default() };
    let second = archive.search(&EventFilter::default(), &request).unwrap();
    let ids = |records: &[EventRecord]| records.iter().map(|r| r.message_id).collect::<Vec<_>>();
    let mut expected = ids(&records[..80]);
    expected.reverse();
    assert_eq!([ids(&first.records), ids(&second.records)].concat(), expected);
    assert_eq!(second.next, None);
}

/// A search that cannot even begin in time says how to narrow it.
#[test]
fn a_search_without_time_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let batch = ArchiveBatch { records: read_all(&day()), ..ArchiveBatch::default() };
    ArchiveWriter::open(directory.path()).unwrap().append(&batch).unwrap();
    let archive = Archive::open(directory.path()).unwrap();
    let filter = EventFilter { images: vec!["debian-12".to_owned()], ..EventFilter::default() };
    let request = SearchRequest { deadline: Duration::ZERO, ..SearchRequest::default() };
    let error = archive.search(&filter, &request).unwrap_err();
    assert_eq!(error.kind(), ArchiveErrorKind::DeadlineExceeded);
}

/// A position comes from a URL, and everything else is refused.
#[test]
fn a_position_is_read_from_its_own_text_only() {
    for text in ["1.2.2026-11.sqlite", "-1.-9.undated-2026-11.sqlite"] {
        assert_eq!(text.parse::<SearchPosition>().unwrap().to_string(), text);
    }
    for text in ["", "1", "1.2", "1.2.3", "1.2.2026-13.sqlite", "a.b.2026-11.sqlite", "1.2.../x"] {
        assert!(text.parse::<SearchPosition>().is_err(), "{text}");
    }
}

/// Everything about one notification, the files and the sources is found by index.
#[test]
fn the_inventory_lists_files_and_single_notifications() {
    let directory = tempfile::tempdir().unwrap();
    let records = read_all(&day());
    let batch = ArchiveBatch { records: records.clone(), ..ArchiveBatch::default() };
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    writer.append(&batch).unwrap();
    let start = records[0].timestamp;
    writer.attach("north", start).unwrap();
    let archive = Archive::open(directory.path()).unwrap();
    let files = archive.file_summaries().unwrap();
    assert_eq!(
        files.iter().map(|f| (f.name.to_string(), f.events)).collect::<Vec<_>>(),
        [("2026-11.sqlite".to_owned(), 101)]
    );
    assert!(files[0].bytes > 0);
    assert_eq!(archive.attached().unwrap()["north"][0].attached_at, start);
    let id = records[7].message_id;
    assert_eq!(archive.notifications(id, 1, DEADLINE).unwrap(), (vec![records[7].clone()], 0));
    assert_eq!(archive.notifications(uuid::Uuid::nil(), 1, DEADLINE).unwrap(), (vec![], 0));
    assert_eq!(archive.unreadable(10).unwrap(), []);
}

/// Of many notifications with one id, in several files, the archive reads a few and counts the others.
#[test]
fn an_id_with_many_notifications_is_read_in_part() {
    let directory = tempfile::tempdir().unwrap();
    let first = read_all(&day()).swap_remove(7);
    let record = |number: i32| {
        let mut record = first.clone();
        record.timestamp -= time::Duration::days(10) * number;
        record.body = format!("{{\"number\": {number}}}").into_bytes().into();
        record
    };
    let batch = ArchiveBatch { records: (0..9).map(record).collect(), ..ArchiveBatch::default() };
    ArchiveWriter::open(directory.path()).unwrap().append(&batch).unwrap();
    let archive = Archive::open(directory.path()).unwrap();
    assert!(archive.files().unwrap().len() > 2);
    for limit in 0..11 {
        let (read, left_out) = archive.notifications(first.message_id, limit, DEADLINE).unwrap();
        assert_eq!((read.len(), left_out), (limit.min(9), 9_u64.saturating_sub(limit as u64)));
    }
}

/// A deadline that no test reaches.
const DEADLINE: Duration = Duration::from_secs(60);
