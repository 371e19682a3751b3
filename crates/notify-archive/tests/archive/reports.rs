//! Every report against a naive computation over the raw events, time zones and month ends included.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use notify_archive::question::{
    AnswerCell, AnswerTable, Calendar, CatalogueImage, EventFilter, ProjectNames, ReportGroup,
    StorageReport, UsageKind, UsageReport,
};
use notify_archive::store::ArchiveBatch;
use notify_archive::{Archive, ArchiveWriter};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use time::OffsetDateTime;

use crate::generator::{RawEvent, SLOT, events, starts, zones};

/// The numbers of each group.
type Groups = BTreeMap<String, Vec<u128>>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Counts and bytes of every group are those that a loop over the raw events finds, for every kind of
    /// report and every grouping, within a half-open interval.
    #[test]
    fn counts_and_bytes_equal_a_naive_computation(
        (start, events) in starts().prop_flat_map(|start| (Just(start), events(start))),
        zone in zones(),
        kind in prop::sample::select(vec![
            UsageKind::Transfers, UsageKind::Failures, UsageKind::Deletions, UsageKind::Activity,
        ]),
        by in prop::sample::select(GROUPINGS.to_vec()),
        since in 0_i32..200,
        length in 1_i32..300,
        glob in prop::sample::select(vec!["*", "image.send", "image.*d*"]),
    ) {
        let filter = EventFilter {
            events: vec![glob.parse().unwrap()],
            since: Some(start + SLOT * since),
            until: Some(start + SLOT * (since + length)),
            ..EventFilter::default()
        };
        let mut report = UsageReport::new(kind, by, Calendar::new(zone).unwrap());
        for (number, event) in events.iter().enumerate() {
            let record = event.record(number);
            if filter.accepts(&record) {
                report.add(&record);
            }
        }
        let answer = report.finish(&ProjectNames::default());
        prop_assert_eq!(&answer, &counted_by_the_archive(&events, &filter, kind, by, zone));
        let inside = |event: &&RawEvent| {
            let is_wanted = match glob {
                "*" => true,
                "image.send" => event.event_type == glob,
                _ => event.event_type["image.".len()..].contains('d'),
            };
            is_wanted
                && event.time >= start + SLOT * since
                && event.time < start + SLOT * (since + length)
        };
        let mut expected = Groups::new();
        for event in events.iter().filter(inside) {
            let Some((column, bytes)) = naive_column(kind, event) else { continue };
            let width = answer.columns.len() - 1;
            let numbers = expected.entry(key(by, event, kind, zone)).or_insert(vec![0; width]);
            numbers[column] += 1;
            numbers[width - 1] += u128::from(bytes);
        }
        prop_assert_eq!(numbers(&answer.rows), expected);
        let sums = numbers(std::slice::from_ref(&answer.totals));
        for (index, sum) in sums["total"].iter().enumerate() {
            let rows = numbers(&answer.rows);
            prop_assert_eq!(*sum, rows.values().map(|row| row[index]).sum::<u128>());
        }
    }

    /// The stored byte-microseconds are the sum over quarters of an hour of the bytes at their begin.
    #[test]
    fn storage_equals_a_naive_integration(
        (start, events) in starts().prop_flat_map(|start| (Just(start), events(start))),
        zone in zones(),
        by in prop::sample::select(GROUPINGS.to_vec()),
        since in 0_i32..200,
        length in 1_i32..300,
    ) {
        // Two changes at one time have no order that a loop could know.
        let mut times = BTreeSet::new();
        let events: Vec<_> =
            events.into_iter().filter(|event| times.insert((event.image, event.time))).collect();
        let mut report = StorageReport::new(by, Calendar::new(zone).unwrap());
        for (number, event) in events.iter().enumerate() {
            report.add(&event.record(number));
        }
        let answer = report.finish(
            start + SLOT * since..start + SLOT * (since + length),
            &ProjectNames::default(),
        );
        let mut expected: BTreeMap<String, u128> = BTreeMap::new();
        for slot in since..since + length {
            let time = start + SLOT * slot;
            for image in 0..4 {
                let Some((event, bytes)) = naive_state(&events, image, time) else { continue };
                let slot_event = RawEvent { time, ..event };
                let key = key(by, &slot_event, UsageKind::Deletions, zone);
                let product = u128::from(bytes) * SLOT.whole_microseconds().unsigned_abs();
                *expected.entry(key).or_default() += product;
            }
        }
        let found: BTreeMap<_, _> = answer.rows.iter().map(|row| match (&row[0], &row[2]) {
            (AnswerCell::Text(key), AnswerCell::GibHours(product)) => (key.clone(), *product),
            other => panic!("{other:?}"),
        }).collect();
        prop_assert_eq!(&found, &expected);
        let total = AnswerCell::GibHours(expected.values().sum());
        prop_assert_eq!(&answer.totals[2], &total);
    }
}

/// An image of the catalogue counts from its upload if the events show it, and else from its creation.
#[test]
fn an_image_of_the_catalogue_counts_from_its_upload() {
    let start = OffsetDateTime::from_unix_timestamp(1_798_588_800).unwrap();
    for (event_type, slots) in [("image.upload", 4), ("image.activate", 4), ("image.update", 8)] {
        let event = RawEvent {
            time: start + SLOT * 4,
            event_type,
            priority: "INFO",
            image: 1,
            owner: Some(0),
            receiver: None,
            bytes: 1 << 30,
            active: true,
        };
        let mut report = StorageReport::new(ReportGroup::Image, Calendar::utc());
        report.add_baseline(&CatalogueImage {
            id: event.image_id(),
            name: None,
            owner: None,
            status: "active".into(),
            size: Some(event.bytes),
            created_at: start,
        });
        report.add(&event.record(0));
        let answer = report.finish(start..start + SLOT * 8, &ProjectNames::default());
        let time = SLOT.whole_microseconds().unsigned_abs() * slots;
        assert_eq!(answer.rows[0][2], AnswerCell::GibHours(time << 30), "{event_type}");
    }
}

/// A mirrored image occupies the store of each region until its deletion there. An event without a region belongs to
/// the only region of its image.
#[test]
fn one_id_in_two_regions_is_two_images() {
    let start = OffsetDateTime::from_unix_timestamp(1_798_588_800).unwrap();
    let sums = |regions: [Option<&str>; 3]| {
        let mut report = StorageReport::new(ReportGroup::Image, Calendar::utc());
        let events = [(0, "image.upload"), (2, "image.upload"), (4, "image.delete")];
        for (number, ((slot, event_type), region)) in events.into_iter().zip(regions).enumerate() {
            let event = RawEvent {
                time: start + SLOT * slot,
                event_type,
                priority: "INFO",
                image: 1,
                owner: Some(0),
                receiver: None,
                bytes: 1,
                active: true,
            };
            let mut record = event.record(number);
            record.arrival.region = region.map(Into::into);
            report.add(&record);
        }
        let answer = report.finish(start..start + SLOT * 10, &ProjectNames::default());
        answer.totals[2].clone()
    };
    let slots = |count| AnswerCell::GibHours(SLOT.whole_microseconds().unsigned_abs() * count);
    // Four slots in the north, and eight in the south.
    assert_eq!(sums([Some("north"), Some("south"), Some("north")]), slots(12));
    assert_eq!(sums([None, Some("south"), Some("south")]), slots(4));
    assert_eq!(sums([Some("north"), Some("north"), None]), slots(4));
    assert_eq!(sums([None, None, None]), slots(4));
}

/// The numbers of an answer do not depend on the order of the records.
#[test]
fn a_report_does_not_depend_on_the_order() {
    let runner = &mut proptest::test_runner::TestRunner::deterministic();
    let start = OffsetDateTime::from_unix_timestamp(1_798_588_800).unwrap();
    for _ in 0..20 {
        let events = events(start).new_tree(runner).unwrap().current();
        let mut answers = Vec::new();
        for reversed in [false, true] {
            let mut report =
                UsageReport::new(UsageKind::Activity, ReportGroup::Image, Calendar::utc());
            let mut records: Vec<_> = events.iter().enumerate().map(|(i, e)| e.record(i)).collect();
            if reversed {
                records.reverse();
            }
            for record in &records {
                report.add(record);
            }
            answers.push(report.finish(&ProjectNames::default()));
        }
        assert_eq!(answers[0], answers[1]);
    }
}

/// Returns the answer that the archive counts by itself.
fn counted_by_the_archive(
    events: &[RawEvent],
    filter: &EventFilter,
    kind: UsageKind,
    by: ReportGroup,
    zone: &str,
) -> AnswerTable {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let record = |(number, event): (usize, &RawEvent)| {
        let mut record = event.record(number);
        // Without a reception, an event of the future would be undated.
        record.arrival.received_at = Some(record.timestamp);
        record
    };
    let records = events.iter().enumerate().map(record).collect();
    writer.append(&ArchiveBatch { records, ..ArchiveBatch::default() }).unwrap();
    let mut report = UsageReport::new(kind, by, Calendar::new(zone).unwrap());
    let archive = Archive::open(directory.path()).unwrap();
    archive.count_usage(filter, std::time::Duration::from_secs(60), &mut report).unwrap();
    report.finish(&ProjectNames::default())
}

/// Returns the state of an image at a time: its last change and its bytes.
fn naive_state(events: &[RawEvent], image: u8, time: OffsetDateTime) -> Option<(RawEvent, u64)> {
    let mut own: Vec<_> = events
        .iter()
        .filter(|event| event.image == image && event.time <= time && event.priority == "INFO")
        .filter(|event| match event.event_type {
            "image.delete" => true,
            "image.upload" | "image.activate" | "image.update" => event.active,
            _ => false,
        })
        .collect();
    own.sort_by_key(|event| event.time);
    if own.iter().any(|event| event.event_type == "image.delete") {
        return None;
    }
    own.last().map(|event| ((*event).clone(), event.bytes))
}

/// Returns the column that counts an event, and its bytes.
fn naive_column(kind: UsageKind, event: &RawEvent) -> Option<(usize, u64)> {
    let failed = event.priority == "ERROR";
    let place = |list: &[&str]| list.iter().position(|name| *name == event.event_type);
    match kind {
        UsageKind::Transfers if event.event_type == "image.send" => {
            Some((usize::from(failed), event.bytes))
        }
        UsageKind::Failures if failed => Some((place(&["image.upload", "image.send"])?, 0)),
        UsageKind::Deletions if event.event_type == "image.delete" => Some((0, event.bytes)),
        UsageKind::Activity => {
            let names =
                ["image.create", "image.upload", "image.update", "image.send", "image.delete"];
            Some((place(&names).unwrap_or(6), 0))
        }
        _ => None,
    }
}

/// Returns the group of an event.
fn key(by: ReportGroup, event: &RawEvent, kind: UsageKind, zone: &str) -> String {
    let timestamp = Timestamp::from_second(event.time.unix_timestamp()).unwrap();
    let date = timestamp.to_zoned(TimeZone::get(zone).unwrap()).date();
    let is_text = event.priority == "ERROR" && event.event_type != "image.send";
    let project = match kind {
        UsageKind::Transfers => event.receiver,
        // A text names no owner.
        _ if is_text => None,
        _ => event.owner,
    };
    match by {
        ReportGroup::Project => RawEvent::project(project).unwrap_or("unknown".into()),
        ReportGroup::Image => event.image_id(),
        ReportGroup::Region => "r1".into(),
        ReportGroup::Day => format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()),
        ReportGroup::Month => format!("{:04}-{:02}", date.year(), date.month()),
        other => panic!("{other:?}"),
    }
}

/// Returns the numbers of an answer's rows.
fn numbers(rows: &[Vec<AnswerCell>]) -> Groups {
    let number = |cell: &AnswerCell| match cell {
        AnswerCell::Count(number) | AnswerCell::Bytes(number) => *number,
        other => panic!("{other:?}"),
    };
    rows.iter().map(|row| (row[0].text(), row[1..].iter().map(number).collect())).collect()
}

const GROUPINGS: [ReportGroup; 5] = [
    ReportGroup::Project,
    ReportGroup::Image,
    ReportGroup::Region,
    ReportGroup::Day,
    ReportGroup::Month,
];
