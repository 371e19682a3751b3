//! The form on the wire: every event at every priority, in both payload styles and every envelope.
//!
//! The snapshots pin every byte, so that a change of the wire format shows up in a review. The JSON
//! Schema must agree with them.

use std::fmt::Write as _;

use crate::fixtures::{event, notification, text};
use notify_core::codec::{Encoding, PayloadStyle};
use notify_core::{EventType, Priority};

/// Returns one event type on the wire, at every priority, in every style and envelope.
fn wire_of(event_type: &EventType) -> String {
    let mut wire = String::new();
    for payloads in [PayloadStyle::Documented, PayloadStyle::Glance] {
        let encoding = Encoding { payloads, ..Encoding::default() };
        for &priority in Priority::DOCUMENTED {
            let message = notification(event(event_type, priority)).encode(&encoding).unwrap();
            let oslo = String::from_utf8(message.oslo_v2()).unwrap();
            writeln!(wire, "{payloads:?} {priority}").unwrap();
            writeln!(wire, "bare:     {}", text(&message)).unwrap();
            writeln!(wire, "oslo-2.0: {oslo}").unwrap();
            let cloud_event = String::from_utf8(message.cloud_event().to_json()).unwrap();
            writeln!(wire, "cloudevents: {cloud_event}\n").unwrap();
        }
    }
    wire
}

/// No refactoring changes a byte on the wire.
#[test]
fn every_event_on_the_wire() {
    for event_type in EventType::DOCUMENTED {
        insta::assert_snapshot!(event_type.as_str(), wire_of(event_type));
    }
}

/// The envelope has two keys, and no `_unique_id`.
#[test]
fn the_oslo_envelope_holds_the_body_as_a_string() {
    for event_type in EventType::DOCUMENTED {
        let message =
            notification(event(event_type, Priority::Info)).encode(&Encoding::default()).unwrap();
        let envelope: serde_json::Value = serde_json::from_slice(&message.oslo_v2()).unwrap();
        assert_eq!(envelope["oslo.version"], "2.0");
        assert_eq!(envelope["oslo.message"].as_str().unwrap(), text(&message));
        assert_eq!(envelope.as_object().unwrap().len(), 2);
    }
}

/// The schema accepts the output of the encoder, and tells event types apart.
#[cfg(feature = "schema")]
#[test]
fn every_event_matches_only_its_own_schema() {
    let all = jsonschema::validator_for(&notify_core::event::json_schema(None)).unwrap();
    for event_type in EventType::DOCUMENTED {
        let own =
            jsonschema::validator_for(&notify_core::event::json_schema(Some(event_type))).unwrap();
        for other in EventType::DOCUMENTED {
            for payloads in [PayloadStyle::Documented, PayloadStyle::Glance] {
                for &priority in Priority::DOCUMENTED {
                    let encoding = Encoding { payloads, ..Encoding::default() };
                    let message = notification(event(other, priority)).encode(&encoding).unwrap();
                    let value = serde_json::from_slice(message.body()).unwrap();
                    let error = all.validate(&value).err().map(|error| error.to_string());
                    assert_eq!(error, None, "{}", text(&message));
                    assert_eq!(own.is_valid(&value), other == event_type, "{}", text(&message));
                }
            }
        }
    }
}

/// The schema is not so loose that it accepts everything.
#[cfg(feature = "schema")]
#[test]
fn the_schema_rejects_wrong_values() {
    let schema = jsonschema::validator_for(&notify_core::event::json_schema(None)).unwrap();
    let good = notification(event(EventType::ImageCreate, Priority::Info));
    let good = good.encode(&Encoding::default()).unwrap();
    let good: serde_json::Value = serde_json::from_slice(good.body()).unwrap();
    assert!(schema.is_valid(&good));
    for (pointer, wrong) in [
        ("/payload/size", serde_json::json!(-1)),
        ("/payload/status", serde_json::json!("unknown")),
        ("/payload/created_at", serde_json::json!("yesterday")),
        ("/payload", serde_json::json!("text")),
        ("/priority", serde_json::json!("WARN")),
        ("/timestamp", serde_json::json!("2026-11-22T12:00:00Z")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = wrong;
        assert!(!schema.is_valid(&bad), "{pointer}");
    }
}
