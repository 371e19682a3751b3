//! Reading: Glance's own notifications, the output of the encoder, foreign shapes and limits.

use crate::fixtures::{event, notification, typed};
use notify_conformance::samples;
use notify_core::codec::{
    Encoding, Envelope, NotificationInput, PayloadStyle, Problems, SizeLimits, serde_json,
};
use notify_core::event::{Payload, TaskStatus};
use notify_core::redact::Redact;
use notify_core::{
    Error, ErrorKind, Event, EventType, Message, Notification, Outcome, Priority, Result,
};
use serde_json::{Value, json};

/// Reads a line within the default limits.
pub(crate) fn read(json: &str) -> Result<NotificationInput, Problems> {
    NotificationInput::decode(json.as_bytes(), &SizeLimits::default())
}

/// Notifications of Glance's code of 2013 come out with every field they had. An absent field may come
/// out as null, or with the value that follows from another field.
#[test]
fn glance_2013_notifications_survive_field_for_field() {
    let encoding = Encoding { payloads: PayloadStyle::Glance, ..Encoding::default() };
    let mut lines = 0;
    for (line, body) in samples::GLANCE_2013.lines().zip(samples::glance_2013()) {
        let sent: Value = serde_json::from_str(line).unwrap();
        let message = notification(body).encode(&encoding).unwrap();
        let written: Value = serde_json::from_slice(message.body()).unwrap();
        assert_eq!(written["event_type"], sent["event_type"]);
        assert_eq!(written["priority"], sent["priority"]);
        match (&sent["payload"], &written["payload"]) {
            (Value::Object(sent), Value::Object(written)) => {
                for (key, value) in sent {
                    assert_eq!(&written[key], value, "{key} of {line}");
                }
                for (key, value) in written {
                    let derived = key == "visibility";
                    assert!(
                        sent.contains_key(key) || value.is_null() || derived,
                        "{key} of {line}"
                    );
                }
            }
            (sent, written) => assert_eq!(written, sent),
        }
        lines += 1;
    }
    assert_eq!(lines, 32);
}

/// The encoder and the reader agree, for every event at every priority.
#[test]
fn reads_back_every_event_it_writes() {
    for event_type in EventType::DOCUMENTED {
        for &priority in Priority::DOCUMENTED {
            let mut event = event(event_type, priority);
            if let Event::ImageDelete(Payload::Info(deleted)) = &mut event {
                *deleted = crate::fixtures::image().id.into();
            }
            let sent = notification(event);
            let encoding = Encoding { redact: Redact::Off, ..Encoding::default() };
            let message = sent.encode(&encoding).unwrap();
            assert_eq!(typed(Notification::decode(message.body()).unwrap()), sent);
        }
    }
}

/// A well-formed payload in another shape than the documented one comes out unchanged.
#[test]
fn keeps_foreign_shapes_unchanged() {
    let image = json!({
        "id": "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d", "name": null, "status": "queued",
        "created_at": "2012-05-16T15:27:36Z", "updated_at": "2012-05-16T15:27:36Z",
        "min_disk": 0, "min_ram": 0, "protected": false, "checksum": null, "owner": null,
        "disk_format": null, "container_format": null, "size": null, "visibility": "private",
        "properties": {}, "tags": [],
    });
    let with = |key: &str, value: Value| {
        let mut image = image.clone();
        image[key] = value;
        image
    };
    let without = |key: &str| {
        let mut image = image.clone();
        image.as_object_mut().unwrap().remove(key);
        image
    };
    let task = json!({ "id": "aaaaaaaa-bd1f-41c5-90ee-81afedb1d58d", "type": "import" });
    for (event_type, payload) in [
        ("image.create", with("created_at", json!("2012-05-16T15:27:36.5Z"))),
        ("image.create", with("created_at", json!("2012-05-16T15:27:36"))),
        ("image.create", with("id", json!("C80A1A6C-BD1F-41C5-90EE-81AFEDB1D58D"))),
        ("image.create", with("properties", json!({ "kernel_id": null }))),
        ("image.create", with("is_public", json!(true))),
        ("image.create", with("deleted", json!(true))),
        ("image.create", without("tags")),
        ("image.delete", with("deleted", json!(false))),
        ("image.send", json!({ "image_id": image["id"], "bytes_sent": 1, "extra": [1.5, -7] })),
        ("task.success", task.clone()),
        ("task.run", json!({ "id": task["id"], "input": { "n": 18_446_744_073_709_551_615_u64 } })),
    ] {
        let line = json!({ "event_type": event_type, "priority": "INFO", "payload": payload });
        let Ok(NotificationInput::Event(event)) = read(&line.to_string()) else { panic!("{line}") };
        let message = notification(event).encode(&Encoding::default()).unwrap();
        let written: Value = serde_json::from_slice(message.body()).unwrap();
        assert_eq!(written["payload"], payload);
    }
}

/// No line from outside exhausts the memory or overflows the stack.
#[test]
fn depth_keys_and_size_are_bounded() {
    let nested = |depth: usize| {
        let open = "[".repeat(depth);
        let close = "]".repeat(depth);
        format!(
            r#"{{"event_type":"image.upload","priority":"INFO","payload":{{"x":{open}{close}}}}}"#
        )
    };
    for depth in [63, 200, 10_000] {
        let error = Error::from(read(&nested(depth)).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        assert!(error.to_string().contains("nested too deeply: the limit is 64"), "{error}");
    }
    assert!(read(&nested(62)).is_ok());

    let keys: Vec<_> = (0..4096).map(|key| format!("\"{key}\":0")).collect();
    let many = format!(
        r#"{{"event_type":"image.upload","priority":"INFO","payload":{{{}}}}}"#,
        keys.join(",")
    );
    let error = Error::from(read(&many).unwrap_err());
    assert!(error.to_string().contains("too many keys: the limit is 4096"), "{error}");

    let long = format!(
        r#"{{"event_type":"image.upload","priority":"ERROR","payload":"{}"}}"#,
        "x".repeat(1024 * 1024)
    );
    let error = Error::from(read(&long).unwrap_err());
    assert!(
        error.to_string().contains("too large: 1048637 bytes, the limit is 1048576"),
        "{error}"
    );
}

/// The largest notification that is emitted is readable in every envelope, and no larger one is.
#[test]
fn an_envelope_has_room_for_the_largest_notification() {
    let limits = SizeLimits { bytes: 64 * 1024, ..SizeLimits::default() };
    let with_quotes = |bytes: usize| {
        let failed = Event::ImageUpload(Payload::Error("\"".repeat(bytes / 2)));
        notification(failed).encode(&Encoding::default()).unwrap()
    };
    let message = with_quotes(limits.bytes - with_quotes(0).body().len());
    for envelope in [Envelope::Bare, Envelope::Oslo2, Envelope::CloudEvents] {
        let line = envelope.wrap(&message);
        assert_eq!(line.len() > limits.bytes, envelope != Envelope::Bare);
        assert!(NotificationInput::decode(&line, &limits).is_ok(), "{envelope:?}");
        let too_large = with_quotes(limits.bytes + 2);
        let problems = NotificationInput::decode(&envelope.wrap(&too_large), &limits).unwrap_err();
        assert_eq!(Error::from(problems).kind(), ErrorKind::TooLarge, "{envelope:?}");
    }
}

/// The same limits hold for an event that a program builds.
#[test]
fn depth_keys_and_size_are_bounded_when_writing() {
    let deep = (0..70).fold(json!(1), |inner, _| json!([inner]));
    let mut task = crate::fixtures::task(TaskStatus::Pending);
    task.task_input = Some(crate::fixtures::map(json!({ "x": deep })));
    let run = notification(Event::TaskRun(task.into()));
    let error = run.encode(&Encoding::default()).unwrap_err();
    assert!(error.to_string().contains("nested too deeply"), "{error}");

    let mut image = crate::fixtures::image();
    image.properties = (0..5000).map(|n| (n.to_string(), String::new())).collect();
    let error = notification(Event::ImageCreate(image.into())).encode(&Encoding::default());
    assert!(error.unwrap_err().to_string().contains("too many keys"));

    let failed = Event::ImageUpload(Payload::Error("\u{1}".repeat(200_000)));
    let error = notification(failed).encode(&Encoding::default()).unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::TooLarge, Outcome::Rejected));
}

/// The keys of oslo.messaging can hold a user's token, so reading ignores them.
#[test]
fn drops_the_keys_of_oslo_messaging() {
    let line = r#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h","timestamp":"2026-11-22 12:00:00.5","event_type":"image.upload","priority":"WARN","payload":"slow","_unique_id":"1","_context_auth_token":"S3"}"#;
    let notification = Notification::decode(line.as_bytes()).unwrap();
    let message = notification.encode(&Encoding::default()).unwrap();
    assert_eq!(
        crate::fixtures::text(&message),
        r#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h","event_type":"image.upload","priority":"WARN","timestamp":"2026-11-22 12:00:00.500000","payload":"slow"}"#
    );
}

/// oslo.messaging has seven priorities, takes them in any case, and other services send other events.
#[test]
fn keeps_every_event_type_and_priority() {
    for (event_type, priority, written) in [
        ("image.member.create", "info", "INFO"),
        ("compute.instance.exists", "Audit", "AUDIT"),
        ("image.upload", "CRITICAL", "CRITICAL"),
        ("task.run", "debug", "DEBUG"),
        ("meter", "sample", "SAMPLE"),
    ] {
        let line = json!({ "event_type": event_type, "priority": priority, "payload": [1, "x"] });
        let Ok(NotificationInput::Event(event)) = read(&line.to_string()) else { panic!("{line}") };
        let message = notification(event).encode(&Encoding::default()).unwrap();
        let read: Value = serde_json::from_slice(message.body()).unwrap();
        assert_eq!(read["event_type"], event_type);
        assert_eq!(read["priority"], written);
        assert_eq!(read["payload"], line["payload"]);
        let restored = Message::from_body(message.body().to_vec()).unwrap();
        assert_eq!(restored.event_type().as_str(), event_type);
    }
    let names = ["", " ", "a b", "a\n", "ä", "a://b", &"x".repeat(256)];
    assert!(names.iter().all(|name| EventType::new(name).is_err()));
    assert!(EventType::new(&"x".repeat(255)).is_ok());
}

/// A constructed event of another type is written as it is, without secrets.
#[test]
fn writes_a_constructed_event_of_another_type() {
    let event_type = EventType::new("image.member.create").unwrap();
    let payload = json!({ "image_id": "1", "auth_token": "S3" });
    let event = Event::Other { event_type, priority: Priority::Audit, payload };
    let message = notification(event).encode(&Encoding::default()).unwrap();
    let written = crate::fixtures::text(&message);
    assert!(
        written.contains(r#""event_type":"image.member.create","priority":"AUDIT""#),
        "{written}"
    );
    assert!(written.ends_with(r#""payload":{"auth_token":"***","image_id":"1"}}"#), "{written}");
}

/// An attribute that another tool added costs no notification: reading drops it and names it.
#[test]
fn reads_a_notification_with_an_attribute_of_another_tool() {
    let line = br#"{"event_type":"image.exists","priority":"INFO","payload":{"owner":"o"},"original_message_id":"x","_context_tenant":"t","a/b":1}"#;
    let limits = SizeLimits::default();
    let (input, warnings) = NotificationInput::decode_with_warnings(line, &limits).unwrap();
    assert_eq!(NotificationInput::decode(line, &limits), Ok(input));
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "/original_message_id: unknown attribute `original_message_id`",
            "/a~1b: unknown attribute `a/b`"
        ]
    );
}
