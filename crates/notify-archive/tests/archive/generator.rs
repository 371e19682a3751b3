//! Random events of images, at times that are multiples of a quarter of an hour.

use notify_archive::EventRecord;
use notify_archive::record::RecordReader;
use proptest::prelude::*;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

/// The length between two possible times of events. All time zones change at multiples of it.
pub(crate) const SLOT: Duration = Duration::minutes(15);

/// One random event: everything that a naive computation needs.
#[derive(Clone, Debug)]
pub(crate) struct RawEvent {
    pub(crate) time: OffsetDateTime,
    pub(crate) event_type: &'static str,
    pub(crate) priority: &'static str,
    pub(crate) image: u8,
    pub(crate) owner: Option<u8>,
    pub(crate) receiver: Option<u8>,
    pub(crate) bytes: u64,
    pub(crate) active: bool,
}

impl RawEvent {
    /// Returns the id of the image.
    pub(crate) fn image_id(&self) -> String {
        format!("00000000-0000-4000-8000-0000000000{:02x}", self.image)
    }

    /// Returns the id of a project.
    pub(crate) fn project(project: Option<u8>) -> Option<String> {
        project.map(|number| format!("project-{number}"))
    }

    /// Returns the notification as a line of JSON. `number` makes its id.
    pub(crate) fn line(&self, number: usize) -> String {
        let owner = Self::project(self.owner);
        let payload = match (self.event_type, self.priority) {
            ("image.send", _) => json!({"image_id": self.image_id(), "bytes_sent": self.bytes,
                "owner_id": owner, "receiver_tenant_id": Self::project(self.receiver),
                "receiver_user_id": "user"}),
            (_, "ERROR") => {
                Value::String(format!("Cannot save data for image {}", self.image_id()))
            }
            _ => json!({"id": self.image_id(), "name": "n", "owner": owner, "size": self.bytes,
                "status": if self.active { "active" } else { "saving" }, "checksum": null}),
        };
        let time = self.time.date().to_string()
            + " "
            + &format!("{:02}:{:02}:00", self.time.hour(), self.time.minute());
        json!({"message_id": format!("00000000-0000-4000-9000-{number:012x}"), "publisher_id": "image.h",
            "event_type": self.event_type, "priority": self.priority, "timestamp": time,
            "payload": payload})
        .to_string()
    }

    /// Returns the record.
    pub(crate) fn record(&self, number: usize) -> EventRecord {
        RecordReader::new("test").region("r1").read(self.line(number).as_bytes()).unwrap()
    }
}

/// Returns events of a few images around the given begin, in any order.
pub(crate) fn events(start: OffsetDateTime) -> impl Strategy<Value = Vec<RawEvent>> {
    let types = prop::sample::select(vec![
        ("image.create", "INFO"),
        ("image.upload", "INFO"),
        ("image.upload", "ERROR"),
        ("image.activate", "INFO"),
        ("image.update", "INFO"),
        ("image.send", "INFO"),
        ("image.send", "ERROR"),
        ("image.delete", "INFO"),
    ]);
    let project = || prop::option::weighted(0.9, 0_u8..3);
    // Also sizes whose sum exceeds 64 bits.
    let bytes = prop_oneof![0_u64..1 << 40, Just(i64::MAX.unsigned_abs())];
    let event = (0_i64..400, types, 0_u8..4, project(), project(), bytes, any::<bool>());
    let event = event.prop_map(
        move |(slot, (event_type, priority), image, owner, receiver, bytes, active)| {
            let time = start + SLOT * i32::try_from(slot).unwrap();
            RawEvent { time, event_type, priority, image, owner, receiver, bytes, active }
        },
    );
    prop::collection::vec(event, 0..60)
}

/// Returns times shortly before the end of a month, a year, and both changes of a clock.
pub(crate) fn starts() -> impl Strategy<Value = OffsetDateTime> {
    let seconds = prop::sample::select(vec![
        1_774_656_000, // 2026-03-28: Europe's clocks change on 29 March
        1_792_800_000, // 2026-10-24: Europe's clocks change on 25 October
        1_798_588_800, // 2026-12-30
        1_709_078_400, // 2024-02-28, a leap year
    ]);
    seconds.prop_map(|seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap())
}

/// Returns names of time zones: with clock changes, with quarters of an hour, and far from UTC.
pub(crate) fn zones() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "Asia/Kathmandu",
        "Pacific/Kiritimati",
        "America/St_Johns",
    ])
}
