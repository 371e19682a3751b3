//! The numbers that are missing in archives: exactly those that never arrived.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration as Deadline;

use notify_archive::question::{Calendar, EventFilter, GapReport};
use notify_archive::record::RecordReader;
use notify_archive::store::{
    ArchiveBatch, EraseSelector, RetentionPolicy, UnreadableContent, read_gaps,
};
use notify_archive::{Archive, ArchiveWriter, EventRecord};
use notify_core::codec::Sequence;
use notify_core::listener::SequenceGaps;
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// One numbered notification of the property test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NumberedEvent {
    epoch: u128,
    lane: &'static str,
    number: u64,
}

impl NumberedEvent {
    /// Returns the record. Numbers and times grow together, 25 numbers a month; some clocks are far off.
    fn record(self) -> EventRecord {
        let Self { epoch, lane, number } = self;
        let line = format!(
            r#"{{"message_id":"00000000-0000-4000-8000-{epoch:02x}{:02x}{number:08x}",
            "publisher_id":"image.host{epoch}","event_type":"image.update","priority":"INFO",
            "timestamp":"2025-11-24 12:00:00","payload":{{"id":"image-{number:04}-{epoch}"}}}}"#,
            lane.len(),
        );
        let mut record = RecordReader::new("rabbit").read(line.as_bytes()).unwrap();
        let sent = start() + Duration::hours(29) * i32::try_from(number).unwrap();
        record.arrival.received_at = Some(sent);
        let is_off = number % 11 == 5;
        record.timestamp = if is_off { sent - Duration::days(400) } else { sent };
        record.sequence = Some(self.sequence());
        record
    }

    fn sequence(self) -> Sequence {
        Sequence::new(Uuid::from_u128(self.epoch), self.lane, self.number)
    }
}

/// Returns runs of two publishers, one of which forked: their lanes have numbers of their own.
fn all_numbers() -> Vec<NumberedEvent> {
    let lanes = [(1, "notifications.info"), (1, "notifications.error"), (2, "notifications.info")];
    let run = |(epoch, lane)| (1..=100).map(move |number| NumberedEvent { epoch, lane, number });
    lanes.into_iter().flat_map(run).collect()
}

/// Returns the missing numbers that a report names. It must name all, so a lane may have few gaps.
fn named(report: &GapReport) -> BTreeSet<(u128, String, u64)> {
    let mut named = BTreeSet::new();
    for (lane, gaps) in &report.lanes {
        assert!(!lane.publisher_id.is_empty() && lane.source.as_deref() == Some("rabbit"));
        for gap in &gaps.latest {
            let numbers = gap.after + 1..gap.before;
            assert_eq!(numbers.end - numbers.start, gap.missing());
            named.extend(numbers.map(|n| (gap.epoch.as_u128(), lane.lane.clone(), n)));
        }
    }
    assert_eq!(report.missing, named.len() as u64);
    named
}

fn gaps(directory: &Path, filter: &EventFilter) -> GapReport {
    let archives = [Archive::open(directory).unwrap()];
    read_gaps(&archives, filter, Deadline::from_secs(60)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// An archive that is given all notifications but k random interior ones names exactly those k: in any order,
    /// in batches of any size, with copies and with replays without numbers, across months and implausible
    /// times, and after erasures. Retention adds none.
    #[test]
    fn names_exactly_the_missing_numbers(
        missing in prop::collection::btree_set((0_usize..3, 2_u64..100), 0..5),
        order in Just(all_numbers()).prop_shuffle(),
        copies in prop::collection::vec(0_usize..300, 0..40),
        batch in 1_usize..80,
        erased in 1_u64..100,
        months in 0_i64..5,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = ArchiveWriter::open(directory.path()).unwrap();
        let lanes = all_numbers();
        let is_missing = |one: &NumberedEvent| {
            missing.iter().any(|(lane, number)| {
                let run = lanes[lane * 100];
                (run.epoch, run.lane, *number) == (one.epoch, one.lane, one.number)
            })
        };
        let mut records: Vec<_> =
            order.iter().filter(|one| !is_missing(one)).map(|one| one.record()).collect();
        for copy in copies {
            let mut again = records[copy % records.len()].clone();
            // A replay has no number, and may come before its original.
            let is_replay = copy % 2 == 0;
            if is_replay {
                again.sequence = None;
            }
            // It comes when the original counts as undated, or no longer does.
            let late = Duration::days(i64::try_from(copy).unwrap() % 7);
            again.arrival.received_at = again.arrival.received_at.map(|time| time + late);
            records.insert(copy % records.len(), again);
        }
        for part in records.chunks(batch) {
            writer.append(&ArchiveBatch { records: part.to_vec(), ..ArchiveBatch::default() }).unwrap();
        }
        let expected: BTreeSet<_> = lanes
            .iter()
            .filter(|one| is_missing(one))
            .map(|one| (one.epoch, one.lane.to_owned(), one.number))
            .collect();
        let all = EventFilter::default();
        prop_assert_eq!(&named(&gaps(directory.path(), &all)), &expected);

        // The listener's own count says the same.
        let mut counted = SequenceGaps::default();
        records.iter().filter_map(|record| record.sequence.as_ref()).for_each(|sequence| {
            counted.add(sequence);
        });
        prop_assert_eq!(counted.missing(), expected.len() as u64);

        let selector = EraseSelector::Image(format!("image-{erased:04}"));
        writer.erase(&selector, "request 17", start()).unwrap();
        prop_assert_eq!(&named(&gaps(directory.path(), &all)), &expected);

        let now = start() + Duration::days(31) * i32::try_from(months).unwrap();
        let policy = RetentionPolicy { max_age: Some(Duration::ZERO), max_bytes: None };
        writer.retain(policy, now).unwrap();
        let left = named(&gaps(directory.path(), &all));
        prop_assert!(left.is_subset(&expected), "{left:?} of {expected:?}");
        let ends = ends_of_runs(directory.path());
        let still_inside = |(epoch, lane, number): &&(u128, String, u64)| {
            ends.get(&(*epoch, lane.clone())).is_some_and(|(low, high)| low < number && number < high)
        };
        let inside: BTreeSet<_> = expected.iter().filter(still_inside).cloned().collect();
        prop_assert!(left.is_superset(&inside), "{left:?} without some of {inside:?}");
        drop(writer);
        let report = Archive::open(directory.path()).unwrap().verify().unwrap();
        prop_assert_eq!(&report.problems, &[]);
    }
}

/// Returns the first and the last number of each run whose events are left in the archive.
fn ends_of_runs(directory: &Path) -> BTreeMap<(u128, String), (u64, u64)> {
    let mut ends = BTreeMap::new();
    for record in crate::store::read(directory) {
        let Some(sequence) = &record.sequence else { continue };
        let run = (sequence.epoch().as_u128(), sequence.lane().to_owned());
        let (low, high) = ends.entry(run).or_insert((u64::MAX, 0));
        *low = sequence.number().min(*low);
        *high = sequence.number().max(*high);
    }
    ends
}

/// A month that retention removes from between others leaves no gap, and the reports still name the
/// numbers that it lacked.
#[test]
fn a_month_removed_between_others_leaves_no_gap() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let lane = "notifications.info";
    let mut records: Vec<_> =
        (1..=90).map(|number| NumberedEvent { epoch: 1, lane, number }.record()).collect();
    records.remove(39);
    // The first numbers come last, as from a spool: their file stays.
    for record in &mut records[..20] {
        record.arrival.received_at = Some(start() + Duration::days(300));
        record.timestamp = start() + Duration::days(299);
    }
    let batch = ArchiveBatch { records, ..ArchiveBatch::default() };
    writer.append(&batch).unwrap();
    let before = gaps(directory.path(), &EventFilter::default());
    assert_eq!((before.missing, before.gaps), (1, 1));
    let policy = RetentionPolicy { max_age: Some(Duration::ZERO), max_bytes: None };
    let removed = writer.retain(policy, start() + Duration::days(80)).unwrap();
    assert!(removed.len() >= 2, "{removed:?}");
    let after = gaps(directory.path(), &EventFilter::default());
    assert_eq!(named(&after), named(&before));
}

/// The first month of a run leaves no gap behind a number of it that another file has too.
#[test]
fn a_removed_month_that_overlaps_another_leaves_no_gap() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let lane = "notifications.info";
    let event = |number| NumberedEvent { epoch: 1, lane, number };
    let mut records: Vec<_> = (1..=60).map(|number| event(number).record()).collect();
    let mut again = event(60).record();
    again.sequence = Some(event(20).sequence());
    records.push(again);
    // The clock is right.
    for record in &mut records {
        record.timestamp = record.arrival.received_at.unwrap();
    }
    writer.append(&ArchiveBatch { records, ..ArchiveBatch::default() }).unwrap();
    let policy = RetentionPolicy { max_age: Some(Duration::ZERO), max_bytes: None };
    let removed = writer.retain(policy, start() + Duration::days(31)).unwrap();
    assert_eq!(removed.len(), 1, "{removed:?}");
    assert_eq!(gaps(directory.path(), &EventFilter::default()).missing, 0);
}

/// A gap belongs to the interval that it lies in or reaches into, and to no other.
#[test]
fn gaps_belong_to_the_asked_interval() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let lane = "notifications.info";
    let numbers = [1, 2, 6, 7, 60, 62];
    let records = numbers.map(|number| NumberedEvent { epoch: 1, lane, number }.record()).to_vec();
    let at = |index: usize| records[index].timestamp;
    let (second, sixth, seventh, last) = (at(1), at(2), at(3), at(5));
    let batch = ArchiveBatch { records: records.clone(), ..ArchiveBatch::default() };
    writer.append(&batch).unwrap();
    let missing = |since: Option<OffsetDateTime>, until: Option<OffsetDateTime>| {
        let filter = EventFilter { since, until, ..EventFilter::default() };
        let report = gaps(directory.path(), &filter);
        assert!(report.has_numbers);
        report.missing
    };
    assert_eq!(missing(None, None), 3 + 52 + 1);
    assert_eq!(missing(None, Some(second)), 0);
    assert_eq!(missing(Some(second), Some(sixth)), 3);
    let inside = second + Duration::HOUR;
    assert_eq!(missing(Some(inside), Some(inside + Duration::MINUTE)), 3);
    assert_eq!(missing(Some(seventh), None), 52 + 1);
    assert_eq!(missing(Some(last + Duration::SECOND), None), 0);
    let filter = EventFilter { until: Some(seventh), ..EventFilter::default() };
    let sentences = gaps(directory.path(), &filter).sentences(&Calendar::utc());
    assert_eq!(
        sentences,
        ["3 notifications of `image.host1`, lane `notifications.info`, from rabbit are missing: \
          3 between 2 and 6 (2025-06-03T10:00:00Z to 2025-06-08T06:00:00Z)"],
    );
}

/// The second of two archives has what the first missed: together they miss nothing.
#[test]
fn two_archives_fill_the_gaps_of_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let lane = "notifications.info";
    let fill = |name: &str, numbers: &[u64]| {
        let path = directory.path().join(name);
        let mut writer = ArchiveWriter::open(&path).unwrap();
        let record = |number: &u64| NumberedEvent { epoch: 1, lane, number: *number }.record();
        let records = numbers.iter().map(record).collect();
        writer.append(&ArchiveBatch { records, ..ArchiveBatch::default() }).unwrap();
        Archive::open(&path).unwrap()
    };
    let archives = [fill("a", &[1, 2, 6, 7, 9]), fill("b", &[1, 3, 4, 5, 7, 9])];
    let everything = EventFilter::default();
    let missing = |archives: &[Archive]| {
        read_gaps(archives, &everything, Deadline::from_secs(60)).unwrap().missing
    };
    assert_eq!((missing(&archives[..1]), missing(&archives[1..])), (4, 3));
    assert_eq!(missing(&archives), 1, "both miss the eighth");
}

/// A message that holds no notification did arrive: its number is not missing.
#[test]
fn unreadable_messages_are_not_missing() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let lane = "notifications.info";
    let records = [1, 3].map(|number| NumberedEvent { epoch: 1, lane, number }.record()).to_vec();
    let unreadable = UnreadableContent {
        source: "rabbit".into(),
        received_at: start() + Duration::hours(58),
        reason: "not JSON".into(),
        length: 4,
        content: b"half".to_vec(),
        sequence: Some(NumberedEvent { epoch: 1, lane, number: 2 }.sequence()),
    };
    let batch = ArchiveBatch { records, unreadable: vec![unreadable], position: None };
    writer.append(&batch).unwrap();
    assert_eq!(gaps(directory.path(), &EventFilter::default()).missing, 0);
}

/// The name of a sender that is erased is in no file, and its gap is still known.
#[test]
fn an_erased_publisher_leaves_its_gaps_without_a_name() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let lane = "notifications.info";
    let mut records =
        [1, 4].map(|number| NumberedEvent { epoch: 1, lane, number }.record()).to_vec();
    for record in &mut records {
        record.publisher_id = "image.hidden-host".into();
    }
    writer.append(&ArchiveBatch { records, ..ArchiveBatch::default() }).unwrap();
    writer.erase(&EraseSelector::User("hidden-host".into()), "request 17", start()).unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(11).any(|window| window == b"hidden-host"));
    }
    let report = gaps(directory.path(), &EventFilter::default());
    let sentence = report.sentences(&Calendar::utc()).remove(0);
    assert!(sentence.starts_with("2 notifications of an unknown publisher"), "{sentence}");
}

/// A number that a copy brings leaves the log at once, because no number of rows covers it.
#[test]
fn numbers_of_copies_are_settled() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let lane = "notifications.info";
    let numbered = [1, 2, 3].map(|number| NumberedEvent { epoch: 1, lane, number }.record());
    let mut records = numbered.to_vec();
    records[1].sequence = None;
    writer.append(&ArchiveBatch { records, ..ArchiveBatch::default() }).unwrap();
    assert_eq!(gaps(directory.path(), &EventFilter::default()).missing, 1);
    let batch = ArchiveBatch { records: numbered.to_vec(), ..ArchiveBatch::default() };
    assert_eq!(writer.append(&batch).unwrap().copies, 3);
    assert_eq!(gaps(directory.path(), &EventFilter::default()).missing, 0);
    let log = directory.path().join("2025-06.sqlite-wal");
    assert_eq!(std::fs::metadata(log).unwrap().len(), 0);
}

/// Returns the begin of the numbered runs: 2025-06-01.
fn start() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_748_736_000).unwrap()
}
