//! Notifications that OpenStack wrote, and the questions on the day of a small cloud.

use std::path::Path;

use notify_archive::EventRecord;
use notify_archive::question::{StuckKind, StuckReport, Timeline};
use notify_archive::record::{RecordLines, RecordReader};
use time::Duration;

/// Every line that Glance's own code wrote is a record, in all three forms.
#[test]
fn reads_the_notifications_of_glance() {
    let v1 = read_all(&sample("openstack-2026/glance-v1.jsonl"));
    assert_eq!(v1.len(), 140);
    let v2 = read_all(&sample("openstack-2026/glance-v2.jsonl"));
    let ids = |records: &[EventRecord]| records.iter().map(|r| r.message_id).collect::<Vec<_>>();
    assert_eq!(ids(&v1), ids(&v2));
    // The driver `messaging` marks values of Python's own types, and `messagingv2` does not.
    let is_marked =
        |record: &EventRecord| String::from_utf8_lossy(&record.body).contains("__type__");
    let differ = v1.iter().zip(&v2).filter(|(one, two)| !is_marked(one) && one.body != two.body);
    assert_eq!(differ.count(), 0, "the envelope makes no difference");
    let failed =
        v1.iter().filter(|r| r.event_type.as_str() == "image.upload" && r.subject.is_none());
    assert_eq!(failed.count(), 3, "three texts of Glance's errors name no image");
}

/// The upload that never ends, the import that never ends, and the image that the scrubber forgot are stuck;
/// nothing that ended is.
#[test]
fn finds_the_stuck_upload_of_the_day() {
    let records = read_all(&day());
    let mut report = StuckReport::default();
    for record in &records {
        report.add(record);
    }
    let now = records.last().unwrap().timestamp;
    let items = report.finish(now, Duration::HOUR);
    let found: Vec<_> =
        items.iter().map(|item| (item.kind, item.name.as_deref().unwrap())).collect();
    assert_eq!(
        found,
        [
            (StuckKind::Importing, "rawhide"),
            (StuckKind::PrepareWithoutUpload, "training-set-4"),
            (StuckKind::PendingDelete, "debian-11"),
        ]
    );
    // The failure without an id comes from the same host after the upload began.
    assert_eq!(items[1].possibly_related_failures, 1);
    assert!(items[1].next_step.contains("glance-api.log on glance2"), "{}", items[1].next_step);
}

/// A timeline shows all images of a name, and says that an image from Ceph has no upload.
#[test]
fn timelines_of_the_day_hold_every_event() {
    let records = read_all(&day());
    let ask = |selector: &str| {
        let mut timeline = Timeline::new(selector);
        for record in &records {
            timeline.add(record);
        }
        timeline.finish()
    };
    let rebuilt = ask("web-base");
    assert_eq!(rebuilt.ids.len(), 3);
    assert!(rebuilt.anomalies.contains(&"3 images have this name".to_owned()));
    let ceph = ask("db1-snapshot");
    assert!(ceph.anomalies[0].contains("active without an upload"), "{:?}", ceph.anomalies);
    let debian = ask("debian-12");
    let by_id = ask(&debian.ids[0]);
    assert_eq!(debian.entries.len(), by_id.entries.len());
    let sent = debian.entries.iter().filter_map(|entry| entry.note.as_deref());
    assert_eq!(sent.filter(|note| note.contains("bytes")).count(), 4);
    let failed = ask("ubuntu-24.04");
    let related: Vec<_> = failed.entries.iter().filter(|entry| entry.is_possibly_related).collect();
    assert_eq!(related.len(), 1, "the text without an id may belong to it");
    let changed: Vec<_> =
        debian.entries.iter().flat_map(|entry| &entry.changes).map(|c| c.key.as_str()).collect();
    assert!(changed.contains(&"properties.os_version") && changed.contains(&"visibility"));
}

/// Returns the records in the lines of a text.
pub(crate) fn read_all(text: &str) -> Vec<EventRecord> {
    let mut lines = RecordLines::new(text.as_bytes(), RecordReader::new("sample"));
    let mut records = Vec::new();
    while let Some(line) = lines.next_line().unwrap() {
        records
            .push(line.record.unwrap_or_else(|problem| panic!("line {}: {problem}", line.number)));
    }
    records
}

/// Returns a file of `tests/samples`.
pub(crate) fn sample(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join("tests/samples").join(name)).unwrap()
}

/// Returns the day of a small cloud.
pub(crate) fn day() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join("docs/samples/cloud-day.jsonl")).unwrap()
}
