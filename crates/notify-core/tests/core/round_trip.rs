//! Round trips: the reader returns every event that the encoder writes, and the encoder always writes
//! one line.
//!
//! proptest generates the events, with arbitrary Unicode in every text.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::fixtures::{notification, text, typed};
use notify_core::codec::{Encoding, PayloadStyle, serde_json};
use notify_core::event::{
    DeletedImage, Image, ImageSend, ImageStatus, NotificationPayload, Payload, ReadEvent, Task,
    TaskFailure, TaskStatus, TaskSuccess, Visibility,
};
use notify_core::redact::{Redact, printable};
use notify_core::{Event, EventType, Notification, Priority};
use proptest::prelude::*;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

/// Returns any UUID.
fn id() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

/// Returns any whole second from the year 1 to the year 9999.
fn seconds() -> impl Strategy<Value = OffsetDateTime> {
    (-62_135_596_800..=253_402_300_799_i64)
        .prop_map(|seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap())
}

/// Returns any optional text.
fn words() -> impl Strategy<Value = Option<String>> {
    prop::option::of(any::<String>())
}

/// Returns any JSON value that survives a round trip: numbers fit 64 bits.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-9e18..9e18_f64).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Returns any object with keys that are longer than every known key.
fn map() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("[a-z_]{12,20}", value(), 0..5)
        .prop_map(|map| map.into_iter().collect())
}

/// Returns any image.
fn image() -> impl Strategy<Value = Image> {
    let texts = (words(), words(), words(), words(), words());
    let numbers = (any::<u64>(), any::<u64>(), any::<Option<u64>>(), any::<Option<u64>>());
    let rest = (
        prop::sample::select(Visibility::ALL),
        prop::collection::btree_map(any::<String>(), any::<String>(), 0..5),
        prop::collection::vec(any::<String>(), 0..5),
        map(),
        any::<bool>(),
        prop::option::of(seconds()),
    );
    let known = (id(), prop::sample::select(ImageStatus::ALL), seconds(), seconds());
    (known, texts, numbers, rest).prop_map(
        |((id, status, created_at, updated_at), texts, numbers, rest)| {
            let mut image = Image::new(id, status, created_at);
            image.updated_at = updated_at;
            (image.name, image.checksum, image.owner, image.disk_format, image.container_format) =
                texts;
            (image.min_disk, image.min_ram, image.size, image.virtual_size) = numbers;
            let properties: BTreeMap<_, _>;
            (
                image.visibility,
                properties,
                image.tags,
                image.other,
                image.protected,
                image.deleted_at,
            ) = rest;
            image.properties = properties;
            image
        },
    )
}

/// Returns any task.
fn task() -> impl Strategy<Value = Task> {
    let statuses = prop::sample::select(TaskStatus::ALL);
    let times = (seconds(), seconds(), prop::option::of(seconds()));
    (id(), any::<String>(), words(), statuses, prop::option::of(map()), times).prop_map(
        |(id, task_type, owner, status, task_input, (created_at, updated_at, expires_at))| {
            let mut task = Task::new(id, task_type, status, created_at);
            (task.owner, task.task_input) = (owner, task_input);
            (task.updated_at, task.expires_at) = (updated_at, expires_at);
            task
        },
    )
}

/// Returns any sending of an image.
fn sent() -> impl Strategy<Value = ImageSend> {
    let address = prop::option::of(any::<IpAddr>());
    (id(), any::<u64>(), words(), words(), words(), address).prop_map(
        |(id, bytes, owner, tenant, user, address)| {
            let mut sent = ImageSend::new(id, bytes);
            sent.destination_ip = address;
            (sent.owner_id, sent.receiver_tenant_id, sent.receiver_user_id) = (owner, tenant, user);
            sent
        },
    )
}

/// Returns any payload, mostly with facts.
fn payload<T: std::fmt::Debug>(
    info: impl Strategy<Value = T>,
) -> impl Strategy<Value = Payload<T>> {
    prop_oneof![
        3 => info.prop_map(Payload::Info),
        1 => any::<String>().prop_map(Payload::Warn),
        1 => any::<String>().prop_map(Payload::Error),
    ]
}

/// Returns any event with the payload style that writes all of it.
pub(crate) fn event() -> impl Strategy<Value = (Event, PayloadStyle)> {
    let documented = prop_oneof![
        payload(image()).prop_map(Event::ImageCreate),
        payload(image()).prop_map(Event::ImagePrepare),
        payload(image()).prop_map(Event::ImageUpload),
        payload(image()).prop_map(Event::ImageActivate),
        payload(image()).prop_map(Event::ImageUpdate),
        payload(id().prop_map(DeletedImage::Id)).prop_map(Event::ImageDelete),
        (prop::sample::select(Priority::DOCUMENTED), sent())
            .prop_map(|(p, sent)| Event::ImageSend(p, sent)),
        payload(task()).prop_map(Event::TaskRun),
        payload(task()).prop_map(Event::TaskProcessing),
        payload((task(), map()).prop_map(|(task, result)| TaskSuccess::new(task, result)))
            .prop_map(Event::TaskSuccess),
        payload((task(), any::<String>()).prop_map(|(task, why)| TaskFailure::new(task, why)))
            .prop_map(Event::TaskFailure),
    ];
    let whole = image().prop_map(DeletedImage::from);
    prop_oneof![
        11 => documented.prop_map(|event| (event, PayloadStyle::Documented)),
        1 => payload(whole).prop_map(|payload| (Event::ImageDelete(payload), PayloadStyle::Glance)),
    ]
}

proptest! {
    /// Decoding is the inverse of encoding, as long as redaction removes nothing.
    #[test]
    fn decodes_every_event_it_encodes((event, payloads) in event(), publisher in any::<String>()) {
        let sent = Notification { publisher_id: publisher.into(), ..notification(event) };
        let encoding = Encoding { redact: Redact::Off, payloads, ..Encoding::default() };
        let message = sent.encode(&encoding).unwrap();
        prop_assert_eq!(typed(Notification::decode(message.body()).unwrap()), sent);
    }

    /// serde reads every event that it writes, in every type, and loses nothing.
    #[test]
    fn serde_reads_every_event_it_writes((event, payloads) in event(), value in value()) {
        let json = serde_json::to_string(&event).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Event>(&json).unwrap(), &event);
        let sent = notification(event);
        let json = serde_json::to_string(&sent).unwrap();
        let read: Notification = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&typed(read.clone()), &sent);
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), json);
        // Both forms have the same content, except that serde keeps the facts of a deleted image.
        let encoding = Encoding { redact: Redact::Off, payloads, ..Encoding::default() };
        let encoded: Value = serde_json::from_slice(sent.encode(&encoding).unwrap().body()).unwrap();
        prop_assert_eq!(serde_json::to_value(&sent).unwrap(), encoded);
        let event_type = EventType::new("compute.instance.exists").unwrap();
        let other = Event::Other { event_type, priority: Priority::Audit, payload: value };
        let json = serde_json::to_string(&other).unwrap();
        prop_assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), other);
    }

    /// A body is one line even for a reader that splits on Unicode line separators, and holds nothing
    /// that changes the state of a terminal.
    #[test]
    fn one_notification_is_one_harmless_line((event, payloads) in event(), redacted in any::<bool>()) {
        let redact = if redacted { Redact::Secrets } else { Redact::Off };
        let encoding = Encoding { redact, payloads, ..Encoding::default() };
        let message = notification(event).encode(&encoding).unwrap();
        let line = text(&message);
        prop_assert_eq!(printable(line, usize::MAX).to_string(), line);
        let oslo: Value = serde_json::from_slice(&message.oslo_v2()).unwrap();
        prop_assert_eq!(oslo["oslo.message"].as_str(), Some(line));
    }

    /// A notification that was read is written again unchanged, whatever its event type, priority and payload. Writing it
    /// with redaction twice is the same as once, and every form is one harmless line.
    #[test]
    fn read_notifications_are_written_again_unchanged(
        event_type in "[!-~]{1,255}".prop_filter("no URL", |name| !name.contains("://")),
        priority in prop::sample::select(Priority::ALL),
        payload in value(),
    ) {
        let event_type = EventType::new(&event_type).unwrap();
        let json = serde_json::value::to_raw_value(&payload).unwrap();
        let sent = notification(NotificationPayload::Read(ReadEvent::new(event_type, priority, json)));
        let off = Encoding { redact: Redact::Off, ..Encoding::default() };
        let message = sent.encode(&off).unwrap();
        let read = Notification::decode(&message.oslo_v2()).unwrap();
        let written: Value = serde_json::from_slice(message.body()).unwrap();
        prop_assert_eq!(&written["payload"], &payload);
        prop_assert_eq!((read.event_type(), read.priority()), (sent.event_type(), priority));
        let rewritten = read.encode(&off).unwrap();
        prop_assert_eq!(rewritten.body(), message.body());
        let once = read.encode(&Encoding::default()).unwrap();
        let again = Notification::decode(once.body()).unwrap();
        let twice = again.encode(&Encoding::default()).unwrap();
        prop_assert_eq!(twice.body(), once.body());
        prop_assert_eq!(printable(text(&once), usize::MAX).to_string(), text(&once));
    }

    /// Random bytes are never a notification, and never a reason to panic.
    #[test]
    fn rejects_random_bytes_without_panicking(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Notification::decode(&bytes).is_err());
    }
}
