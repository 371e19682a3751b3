//! The facts of events, in every shape that Glance has sent.

use notify_core::codec::{NotificationInput, serde_json};
use notify_core::event::{EventFacts, Payload};
use notify_core::{Event, EventType, Priority};
use serde_json::json;

use crate::fixtures::{event, image, notification};
use crate::reading::read;

/// Returns the facts of a payload that was read.
#[track_caller]
fn facts(event_type: &str, priority: &str, payload: &serde_json::Value) -> EventFacts {
    let line = json!({ "event_type": event_type, "priority": priority, "payload": payload });
    match read(&line.to_string()) {
        Ok(NotificationInput::Event(event)) => event.facts(),
        other => panic!("{line} was read as {other:?}"),
    }
}

/// The ids of 2011, deletions as a text and as an image, both spellings of tasks, errors as a text.
#[test]
fn finds_the_id_in_every_shape() {
    const ID: &str = "2df2ccf6-bc1b-4853-aab0-25fda346b3bb";
    for (event_type, priority, payload, id) in [
        ("image.upload", "INFO", json!({ "id": 1 }), Some("1")),
        ("image.delete", "INFO", json!("1"), Some("1")),
        ("image.delete", "INFO", json!(ID), Some(ID)),
        ("image.delete", "INFO", json!({ "id": ID, "deleted": true }), Some(ID)),
        ("image.delete", "INFO", json!("Forbidden to delete image"), None),
        ("image.update", "INFO", json!(format!("No image found with ID {ID}")), Some(ID)),
        (
            "image.upload",
            "ERROR",
            json!(format!("Cannot save data for image {ID}: value wrong")),
            Some(ID),
        ),
        ("image.send", "INFO", json!({ "image_id": ID, "bytes_sent": 10 }), Some(ID)),
        ("image.member.create", "INFO", json!({ "id": 6, "image_id": ID }), Some(ID)),
        ("task.run", "INFO", json!({ "id": ID, "type": "import" }), Some(ID)),
        ("task.run", "INFO", json!({ "task_id": ID, "task_type": "import" }), Some(ID)),
        ("task.create", "INFO", json!({ "id": ID, "type": "import" }), Some(ID)),
        ("image.create", "INFO", json!([ID]), None),
        ("image.create", "INFO", json!(null), None),
    ] {
        let facts = facts(event_type, priority, &payload);
        assert_eq!(facts.id.as_deref(), id, "{event_type} {payload}");
    }
}

/// A whole image of API v1, with times without a zone. Missing facts and wrong kinds are absent.
#[test]
fn reads_the_facts_of_an_image() {
    let read = facts(
        "image.upload",
        "INFO",
        &json!({
            "id": 1, "name": "precise", "status": "active", "size": 252_182_528, "owner": null,
            "is_public": true, "created_at": "2011-09-22T18:20:00", "updated_at": "2011-09-22 18:20:31.5",
            "deleted_at": null, "checksum": ["x"],
        }),
    );
    assert_eq!((read.name.as_deref(), read.status.as_deref()), (Some("precise"), Some("active")));
    assert_eq!((read.size, read.owner, read.checksum), (Some(252_182_528), None, None));
    assert_eq!(read.visibility.as_deref(), Some("public"));
    assert_eq!(read.created_at.map(time::OffsetDateTime::unix_timestamp), Some(1_316_715_600));
    assert_eq!(read.updated_at.map(time::OffsetDateTime::microsecond), Some(500_000));
    assert_eq!((read.deleted_at, read.expires_at), (None, None));
    assert_eq!(
        facts("image.update", "INFO", &json!({ "size": 21_430_272.0 })).size,
        Some(21_430_272)
    );
    assert_eq!(facts("image.update", "INFO", &json!({ "size": -1 })).size, None);
}

/// What a program constructs has the same facts, and the text of an error is its message.
#[test]
fn constructed_events_have_the_same_facts() {
    for event_type in EventType::DOCUMENTED {
        let sent = notification(event(event_type, Priority::Info)).event();
        assert!(sent.id.is_some() && (sent.status.is_some() || sent.bytes_sent.is_some()));
        assert_eq!(sent.task_type.is_some(), event_type.group() == "task");
    }
    let sent = notification(event(EventType::ImageDelete, Priority::Info)).event();
    assert_eq!((sent.name, sent.size), (image().name, image().size));
    let failed = notification(Event::ImageUpload(Payload::Error("full".into()))).event();
    assert_eq!((failed.message.as_deref(), failed.id), (Some("full"), None));
}

/// Half a surrogate pair and a number beyond a double hide no other fact.
#[test]
fn gives_every_fact_that_can_be_read() {
    let line = r#"{"event_type":"image.update","priority":"INFO","payload":{"id":"a","name":"caf\udce9",
        "size":7,"min_ram":1e999,"deep":{"id":"b","size":[8]},"\u006fwner":"p","updated_at":1e999}}"#;
    let Ok(NotificationInput::Event(event)) = read(line) else { panic!("{line}") };
    let facts = event.facts();
    assert_eq!((facts.id.as_deref(), facts.owner.as_deref()), (Some("a"), Some("p")));
    assert_eq!((facts.name.as_deref(), facts.size), (Some("caf\u{fffd}"), Some(7)));
    assert_eq!(facts.updated_at, None);
    let line = r#"{"event_type":"image.upload","priority":"ERROR","payload":"full: \ud800"}"#;
    let Ok(NotificationInput::Event(event)) = read(line) else { panic!("{line}") };
    assert_eq!(event.facts().message.as_deref(), Some("full: \u{fffd}"));
}
