//! CloudEvents: each one is valid by the specification's JSON Schema, and reading gives back the same
//! notification, context and sequence.

use std::borrow::Cow;

use insta::assert_snapshot;
use notify_conformance::samples;
use notify_core::codec::{
    CloudEvent, Encoding, Envelope, NotificationInput, NotificationLine, PayloadStyle, Sequence,
    SizeLimits, serde_json,
};
use notify_core::event::{NotificationPayload, ReadEvent};
use notify_core::redact::{Redact, printable};
use notify_core::source::{IncomingBody, IncomingDelivery, Position};
use notify_core::{Context, Event, EventType, Message, Notification, Priority};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixtures::{event, notification};
use crate::round_trip;

/// The schema of the specification. `tests/cloudevents/README.md` names its origin.
const SCHEMA: &str = include_str!("../cloudevents/cloudevents.json");

/// Returns the validator of CloudEvents, which also checks times and URI references.
fn validator() -> jsonschema::Validator {
    let schema = serde_json::from_str(SCHEMA).unwrap();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

/// Returns the message with every part of a context and with a sequence.
fn with_everything(message: Message) -> Message {
    let sequence = Sequence::new(Uuid::from_u128(7), "n.info", 42);
    message.with_context(samples::context()).with_sequence(sequence)
}

/// Returns the error of a CloudEvent that the specification forbids: by its schema, or by the rules for
/// the names and types of attributes that the schema does not have.
fn violation(validator: &jsonschema::Validator, json: &[u8]) -> Option<String> {
    let event: Value = serde_json::from_slice(json).unwrap();
    let is_name = |name: &str| {
        (1..=20).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let is_value = |value: &Value| {
        value.as_str().is_some_and(|text| !text.is_empty() && !text.contains(char::is_control))
    };
    let wrong = event.as_object().unwrap().iter();
    let mut wrong =
        wrong.filter(|(name, value)| *name != "data" && !(is_name(name) && is_value(value)));
    let by_schema = validator.validate(&event).err().map(|error| error.to_string());
    by_schema.or_else(|| wrong.next().map(|(name, value)| format!("{name}: {value}")))
}

/// Each event type at each priority, in each style and under each policy, and events without a type of ours.
#[test]
fn every_event_is_valid_by_the_specification() {
    let validator = validator();
    let other = Event::Other {
        event_type: EventType::new("compute.\"x\"/y").unwrap(),
        priority: Priority::Audit,
        payload: json!({ "n": [1e300, null, "\u{202e}"] }),
    };
    let documented = EventType::DOCUMENTED.iter().flat_map(|event_type| {
        Priority::DOCUMENTED.iter().map(move |&priority| event(event_type, priority))
    });
    let mut count = 0;
    for event in documented.chain([other]) {
        for payloads in [PayloadStyle::Documented, PayloadStyle::Glance] {
            for redact in [Redact::Secrets, Redact::Strict, Redact::Off] {
                let encoding = Encoding { payloads, redact, ..Encoding::default() };
                for publisher_id in ["image.host1", "", "//a:b/é ?#\n"] {
                    let sent = notification(event.clone());
                    let sent = Notification { publisher_id: publisher_id.into(), ..sent };
                    let plain = sent.encode(&encoding).unwrap();
                    for message in [plain.clone(), with_everything(plain)] {
                        let json = message.cloud_event().to_json();
                        let text = String::from_utf8_lossy(&json);
                        assert_eq!(violation(&validator, &json), None, "{text}");
                        count += 1;
                    }
                }
            }
        }
    }
    assert_eq!(count, (11 * 3 + 1) * 2 * 3 * 3 * 2);
}

/// The schema and the rules beside it are not so loose that they accept everything.
#[test]
fn the_specification_rejects_wrong_attributes() {
    let message = with_everything(
        notification(event(EventType::ImageCreate, Priority::Info))
            .encode(&Encoding::default())
            .unwrap(),
    );
    let good: Value = serde_json::from_slice(&message.cloud_event().to_json()).unwrap();
    let validator = validator();
    for (name, wrong) in [
        ("id", json!("")),
        ("source", json!("a b")),
        ("source", json!("1a:b")),
        ("type", json!(5)),
        ("time", json!("2026-11-22 12:00:00")),
        ("priority", json!("")),
        ("sequencenumber", json!(42)),
        ("Upper", json!("x")),
    ] {
        let mut bad = good.clone();
        bad[name] = wrong;
        assert_ne!(violation(&validator, bad.to_string().as_bytes()), None, "{name}");
    }
}

/// Reads a message that a broker delivers in binary mode, by the binding with this prefix.
fn received(message: &Message, prefix: &str) -> Vec<u8> {
    let body = Envelope::CloudEventsBinary.wrap(message).into_owned();
    let body = IncomingBody::Bytes(body.into());
    let mut delivery = IncomingDelivery::new(1, body, Position::new("q", 1));
    let attributes = Envelope::CloudEventsBinary.attributes(message);
    let headers: Vec<_> =
        attributes.map(|(name, value)| (format!("{prefix}{name}"), value)).collect();
    let content_type = Some(Envelope::CloudEventsBinary.content_type());
    let headers = headers.iter().map(|(name, value)| (name.as_str(), (&**value).into()));
    delivery.read_cloud_event(content_type, headers);
    let IncomingBody::Bytes(body) = delivery.body else { panic!("{delivery:?}") };
    body.to_vec()
}

proptest! {
    /// What the library writes in either mode, it reads, with everything beside the body.
    #[test]
    fn cloud_events_are_read_as_they_were_written(
        (event, payloads) in round_trip::event(),
        publisher in any::<String>(),
        (request, user, project) in ("\\PC{0,20}", "\\PC{0,20}", "\\PC{0,20}"),
        lane in "[ -~é世🖼]{1,40}",
        number in any::<u64>(),
        has_sequence in any::<bool>(),
    ) {
        let encoding = Encoding { redact: Redact::Off, payloads, ..Encoding::default() };
        let sent = Notification { publisher_id: publisher.into(), ..notification(event) };
        let context = Context::builder().request_id(request).user(user).project(project).build_valid();
        let mut message = sent.encode(&encoding).unwrap().with_context(context);
        if has_sequence {
            message = message.with_sequence(Sequence::new(Uuid::from_u128(number.into()), &lane, number));
        }
        let structured = message.cloud_event().to_json();
        let text = std::str::from_utf8(&structured).unwrap();
        prop_assert_eq!(printable(text, usize::MAX).to_string(), text);
        prop_assert_eq!(violation(&validator(), &structured), None);
        let forms = ["ce-", "cloudEvents_", "cloudEvents:"].map(|prefix| received(&message, prefix));
        for form in forms.into_iter().chain([structured]) {
            let line = NotificationLine::decode(&form, &SizeLimits::default()).unwrap();
            let NotificationInput::Notification(read) = line.input else { panic!("no envelope") };
            let again = read.encode(&encoding).unwrap();
            prop_assert_eq!(again.body(), message.body());
            prop_assert_eq!(&line.context, message.context());
            prop_assert_eq!(line.sequence.as_ref(), message.sequence());
            prop_assert_eq!(line.warnings, []);
        }
    }

    /// A payload that was read comes back JSON-equal, digit by digit, whatever its event type.
    #[test]
    fn read_payloads_survive_a_cloud_event(
        event_type in "[!-~]{1,255}".prop_filter("no URL", |name| !name.contains("://")),
        payload in round_trip::value(),
    ) {
        let event_type = EventType::new(&event_type).unwrap();
        let json = serde_json::value::to_raw_value(&payload).unwrap();
        let read = ReadEvent::new(event_type, Priority::Sample, json);
        let off = Encoding { redact: Redact::Off, ..Encoding::default() };
        let message = notification(NotificationPayload::Read(read)).encode(&off).unwrap();
        let again = Notification::decode(&message.cloud_event().to_json()).unwrap();
        let again = again.encode(&off).unwrap();
        prop_assert_eq!(again.body(), message.body());
    }
}

/// A context that holds what CloudEvents forbid gives no attribute, and a wrong one of another program is
/// passed over.
#[test]
fn forbidden_texts_are_left_out() {
    let message =
        notification(event(EventType::ImageCreate, Priority::Info)).encode(&Encoding::default());
    let message = message.unwrap();
    let sequence = Sequence::new(Uuid::from_u128(7), "a\u{1b}b", 1);
    let context = Context::builder().user("a\u{fdd0}").project("web").build().unwrap();
    let message = message.with_context(context).with_sequence(sequence);
    let names: Vec<_> = message.cloud_event().attributes().map(|(name, _)| name).collect();
    assert!(!names.contains(&"userid") && !names.contains(&"sequencelane"), "{names:?}");
    let line =
        NotificationLine::decode(&message.cloud_event().to_json(), &SizeLimits::default()).unwrap();
    assert_eq!((line.context.user(), line.context.project()), (None, Some("web")));
    assert_eq!(line.sequence, None);
}

/// A whole CloudEvent of ours, as another program may write it.
fn complete() -> Value {
    json!({
        "specversion": "1.0", "id": "6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11", "source": "image.host1",
        "type": "org.openstack.image.upload", "time": "2026-11-22T12:00:00.5+01:00",
        "priority": "error", "data": "storage is full",
    })
}

/// Spaces, the order of keys, null for an absent attribute, and the priority in lower case do not matter.
/// Attributes that no notification has are dropped with a warning.
#[test]
fn reads_cloud_events_of_other_writers() {
    let mut event = complete();
    event["datacontenttype"] = Value::Null;
    event["traceparent"] = Value::Null;
    event["userid"] = json!(5);
    event["subject"] = json!("c80a1a6c");
    let line = serde_json::to_string_pretty(&event).unwrap().replace('\n', " ");
    let read = NotificationLine::decode(line.as_bytes(), &SizeLimits::default()).unwrap();
    let NotificationInput::Notification(notification) = read.input else { panic!() };
    assert_eq!(read.context, Context::new());
    assert_eq!(read.warnings.len(), 1);
    assert_eq!(read.warnings[0].to_string(), "/subject: unknown attribute `subject`");
    let message = notification.encode(&Encoding::default()).unwrap();
    assert_eq!(
        crate::fixtures::text(&message),
        r#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"image.host1","event_type":"image.upload","priority":"ERROR","timestamp":"2026-11-22 11:00:00.500000","payload":"storage is full"}"#
    );
}

/// Each problem lies at the attribute of the CloudEvent, and the sentence says what a notification needs.
#[test]
fn names_the_problem_of_a_foreign_cloud_event() {
    let mut lines = vec![
        json!({ "specversion": "1.0", "id": "A234", "source": "/mycontext", "type": "com.example.someevent" }),
        json!({ "specversion": "0.3", "type": "org.openstack." }),
    ];
    for (name, wrong) in [
        ("specversion", json!(1.0)),
        ("source", json!("%ff")),
        ("source", json!("")),
        ("type", json!("org.openstack.a b")),
        ("time", json!("yesterday")),
        ("datacontenttype", json!("application/xml")),
        ("data_base64", json!("e30=")),
    ] {
        let mut event = complete();
        event[name] = wrong;
        if name == "data_base64" {
            event.as_object_mut().unwrap().remove("data");
        }
        lines.push(event);
    }
    let problems = lines.iter().map(|line| {
        let line = line.to_string();
        let problems = NotificationInput::decode(line.as_bytes(), &SizeLimits::default());
        let problems = problems.unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    });
    assert_snapshot!(problems.collect::<Vec<_>>().join("\n\n"));
}

/// The credentials of a URL in a publisher id are masked beside the body too.
#[test]
fn a_secret_in_a_publisher_id_leaves_in_no_envelope() {
    let sent = notification(event(EventType::ImageCreate, Priority::Info));
    let sent = Notification { publisher_id: "https://u:planted@host".into(), ..sent };
    for redact in [Redact::Secrets, Redact::Strict, Redact::Off] {
        let message = sent.encode(&Encoding { redact, ..Encoding::default() }).unwrap();
        let event: CloudEvent<'_> = message.cloud_event();
        let attributes: Vec<(_, Cow<'_, str>)> = event.attributes().collect();
        let structured = String::from_utf8(event.to_json()).unwrap();
        let shown = format!("{attributes:?} {structured} {}", message.publisher_id());
        assert_eq!(shown.contains("planted"), redact == Redact::Off, "{shown}");
    }
}
