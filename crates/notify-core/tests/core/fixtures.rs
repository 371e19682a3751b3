//! Sample events for tests: every event type at every priority, with every optional field set.
//!
//! Times and ids are constants, so that snapshots stay the same.

use std::borrow::Borrow;

use notify_core::codec::serde_json;
use notify_core::event::{
    Image, ImageSend, ImageStatus, NotificationPayload, Payload, Task, TaskFailure, TaskStatus,
    TaskSuccess, Visibility,
};
use notify_core::{Event, EventType, Message, Notification, Priority};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

/// Returns a time some seconds after a fixed one in 2026.
pub(crate) fn time(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_795_348_800 + seconds).unwrap()
}

/// Parses a UUID.
pub(crate) fn uuid(text: &str) -> Uuid {
    text.parse().unwrap()
}

/// Returns an active image with every optional field.
pub(crate) fn image() -> Image {
    let mut image =
        Image::new(uuid("c80a1a6c-bd1f-41c5-90ee-81afedb1d58d"), ImageStatus::Active, time(0));
    image.name = Some("debian-12 “bookworm”".into());
    image.updated_at = time(3600);
    image.min_disk = 10;
    image.min_ram = 512;
    image.protected = true;
    image.checksum = Some("ca425b88f047ce8ec45ee90e813ada91".into());
    image.owner = Some("6838eb7b6ded434a882cb344c77fe8df".into());
    image.disk_format = Some("qcow2".into());
    image.container_format = Some("bare".into());
    image.size = Some(3_221_225_472);
    image.virtual_size = Some(10_737_418_240);
    image.visibility = Visibility::Public;
    image.properties.insert("os_distro".into(), "debian".into());
    image.tags = vec!["stable".into(), "x86".into()];
    image.other = map(json!({ "os_glance_failed_import": ["ceph"], "backend": "fast" }));
    image
}

/// Returns a task with every optional field, and with planted secrets in its input.
pub(crate) fn task(status: TaskStatus) -> Task {
    let id = uuid("aaaaaaaa-bd1f-41c5-90ee-81afedb1d58d");
    let mut task = Task::new(id, "import", status, time(0));
    task.owner = Some("6838eb7b6ded434a882cb344c77fe8df".into());
    task.task_input = Some(map(json!({
        "import_from": "https://user:hunter2@images.example/debian.qcow2?sig=hunter3",
        "import_from_format": "qcow2",
        "image_properties": { "name": "debian", "disk_format": "qcow2" }
    })));
    task.expires_at = Some(time(172_800));
    task.updated_at = time(60);
    task
}

/// Returns `info` at `INFO`, and a text at the other priorities.
fn payload<T>(priority: Priority, info: T) -> Payload<T> {
    match priority {
        Priority::Info => Payload::Info(info),
        Priority::Warn => Payload::Warn("the store is slow".into()),
        Priority::Error => Payload::Error("Image storage media is full: no space".into()),
        other => panic!("no documented payload has the priority {other}"),
    }
}

/// Returns a sample of one event type at one priority.
pub(crate) fn event(event_type: impl Borrow<EventType>, priority: Priority) -> Event {
    match event_type.borrow() {
        EventType::ImageCreate => Event::ImageCreate(payload(priority, image())),
        EventType::ImagePrepare => Event::ImagePrepare(payload(priority, image())),
        EventType::ImageUpload => Event::ImageUpload(payload(priority, image())),
        EventType::ImageActivate => Event::ImageActivate(payload(priority, image())),
        EventType::ImageUpdate => Event::ImageUpdate(payload(priority, image())),
        EventType::ImageDelete => {
            let mut image = image();
            image.status = ImageStatus::Deleted;
            image.deleted_at = Some(time(7200));
            Event::ImageDelete(payload(priority, image.into()))
        }
        EventType::ImageSend => {
            let mut sent = ImageSend::new(image().id, 3_221_225_472);
            sent.owner_id = image().owner;
            sent.receiver_tenant_id = Some("2c014f3255eb467d8fcb4bd706012f81".into());
            sent.receiver_user_id = Some("54492ba0f4df4e4ebe6227f4d76b29cf".into());
            sent.destination_ip = Some("192.0.2.7".parse().unwrap());
            Event::ImageSend(priority, sent)
        }
        EventType::TaskRun => Event::TaskRun(payload(priority, task(TaskStatus::Pending))),
        EventType::TaskProcessing => {
            Event::TaskProcessing(payload(priority, task(TaskStatus::Processing)))
        }
        EventType::TaskSuccess => {
            let result = map(json!({ "image_id": image().id }));
            let done = TaskSuccess::new(task(TaskStatus::Success), result);
            Event::TaskSuccess(payload(priority, done))
        }
        EventType::TaskFailure => {
            let failed = TaskFailure::new(task(TaskStatus::Failure), "checksum mismatch");
            Event::TaskFailure(payload(priority, failed))
        }
        other @ EventType::Other(_) => Event::Other {
            event_type: other.clone(),
            priority,
            payload: json!({ "image_id": image().id, "member_id": "0123", "status": "pending" }),
        },
    }
}

/// Returns `payload` with fixed id, publisher and timestamp.
pub(crate) fn notification(payload: impl Into<NotificationPayload>) -> Notification {
    Notification {
        message_id: uuid("6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11"),
        publisher_id: "image.host1".into(),
        timestamp: time(0) + time::Duration::microseconds(123_456),
        payload: payload.into(),
    }
}

/// Returns the object that a JSON value is.
pub(crate) fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("expected a JSON object, got {other}"),
    }
}

/// Returns a message's body as text.
pub(crate) fn text(message: &Message) -> &str {
    std::str::from_utf8(message.body()).unwrap()
}

/// Returns the notification with its event in the typed form.
pub(crate) fn typed(notification: Notification) -> Notification {
    let payload = notification.payload.to_event().unwrap().into();
    Notification { payload, ..notification }
}
