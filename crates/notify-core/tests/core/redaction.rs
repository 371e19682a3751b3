//! Redaction: a planted secret appears in no encoding, no error and no `Debug`.
//!
//! The keys and texts that hold a secret come from `notify_testbed::secrets`. The unit tests of the
//! redaction rules use the same samples, and show that each rule is needed for one of them.

use std::fmt::Write as _;

use crate::fixtures::{event, image, notification, task, text};
use notify_core::codec::{
    Encoding, Envelope, NotificationInput, PayloadStyle, SizeLimits, serde_json,
};
use notify_core::event::{
    ImageSend, NotificationPayload, Payload, ReadEvent, TaskFailure, TaskStatus, TaskSuccess,
};
use notify_core::redact::Redact;
use notify_core::{Error, Event, EventType, Notification, Priority};
use notify_testbed::secrets::{self, MASKED_KEYS, REMOVED_KEYS, SECRET};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// Returns any key whose value is a secret.
fn keys() -> impl Strategy<Value = &'static str> {
    prop::sample::select([MASKED_KEYS, REMOVED_KEYS].concat())
}

/// Returns any text that holds a credential or a signature.
fn texts() -> impl Strategy<Value = String> {
    prop::sample::select(secrets::texts())
}

/// Every envelope that a destination can ask for.
const ENVELOPES: [Envelope; 4] =
    [Envelope::Bare, Envelope::Oslo2, Envelope::CloudEvents, Envelope::CloudEventsBinary];

/// The number of places in which `plant` can put a text.
const PLACES: usize = 12;

/// Returns an event with `text` at one place of a payload, or under `key`.
fn plant(place: usize, text: &str, key: &str) -> Event {
    let nested = || -> Map<String, Value> {
        crate::fixtures::map(json!({ "deep": [{ "er": { (key): text, "n": [text] } }], (text): 1 }))
    };
    let mut image = image();
    let mut task = task(TaskStatus::Success);
    match place {
        0 => drop(image.properties.insert(key.into(), text.into())),
        1 => drop(image.properties.insert("note".into(), text.into())),
        2 => image.name = Some(text.into()),
        3 => image.tags.push(text.into()),
        4 => image.other = nested(),
        5 => drop(image.other.insert(key.into(), json!({ "any": text }))),
        6 => return Event::ImageUpload(Payload::Error(text.into())),
        7 => return Event::TaskRun(Payload::Warn(text.into())),
        8 => return Event::TaskFailure(TaskFailure::new(task, text).into()),
        9 => return Event::TaskSuccess(TaskSuccess::new(task, nested()).into()),
        10 => {
            task.task_input = Some(nested());
            return Event::TaskRun(task.into());
        }
        _ => {
            let mut sent = ImageSend::new(image.id, 1);
            sent.receiver_user_id = Some(text.into());
            return Event::ImageSend(Priority::Info, sent);
        }
    }
    Event::ImageCreate(image.into())
}

proptest! {
    /// The promise of redaction, at every place, in both payload styles, envelopes and policies.
    #[test]
    fn a_planted_secret_appears_nowhere(
        secret in "[A-Za-z0-9]{12}",
        place in 0..PLACES,
        key in keys(),
        template in texts(),
        strict in any::<bool>(),
        glance in any::<bool>(),
    ) {
        let redact = if strict { Redact::Strict } else { Redact::Secrets };
        let payloads = if glance { PayloadStyle::Glance } else { PayloadStyle::Documented };
        let encoding = Encoding { redact, payloads, ..Encoding::default() };
        let text = template.replace(SECRET, &secret);
        let sent = notification(plant(place, &text, key));
        let message = sent.encode(&encoding).unwrap();
        // Reading and encoding again redacts again, and changes nothing that is redacted already.
        let again = Notification::decode(message.body()).unwrap();
        let twice = again.encode(&encoding).unwrap();
        prop_assert_eq!(crate::fixtures::text(&twice), crate::fixtures::text(&message));
        let as_read = Notification {
            payload: NotificationPayload::Read(ReadEvent::new(
                sent.event_type().clone(),
                sent.priority(),
                encoded_payload(&sent),
            )),
            ..sent.clone()
        };
        let debug = format!("{sent:?} {again:?} {as_read:?}");
        prop_assert!(!debug.contains(&secret), "{}", debug);
        for message in [message, again.encode(&encoding).unwrap(), as_read.encode(&encoding).unwrap()] {
            prop_assert!(!crate::fixtures::text(&message).contains(&secret), "{}", crate::fixtures::text(&message));
            for envelope in ENVELOPES {
                let body = String::from_utf8_lossy(&envelope.wrap(&message)).into_owned();
                prop_assert!(!body.contains(&secret), "{}", body);
                let mut headers = envelope.attributes(&message);
                prop_assert!(!headers.any(|(_, value)| value.contains(&secret)));
            }
            let debug = format!("{message:?}");
            prop_assert!(!debug.contains(&secret));
        }
    }

    /// A secret key hides a string, a list and an object.
    #[test]
    fn a_secret_key_hides_any_value(
        secret in "[A-Za-z0-9]{12}",
        key in keys(),
        shape in 0..3_usize,
    ) {
        let value = match shape {
            0 => json!(secret),
            1 => json!([secret, { "x": secret }]),
            _ => json!({ "user": "u", "value": secret }),
        };
        let mut task = task(TaskStatus::Pending);
        task.task_input = Some(crate::fixtures::map(json!({ (key): value })));
        let message = notification(Event::TaskRun(task.into())).encode(&Encoding::default());
        prop_assert!(!crate::fixtures::text(&message.unwrap()).contains(&secret));
    }

    /// Problems name keys, types and words of a vocabulary, and repeat no other value of the payload.
    #[test]
    fn read_errors_repeat_no_value(secret in "[A-Za-z0-9]{12}", at in 0..6_usize) {
        let key = ["name", "size", "created_at", "tags", "properties", "protected"][at];
        let wrong = if key == "name" { json!([secret]) } else { json!(secret) };
        let line = json!({
            "event_type": "image.create", "priority": "INFO",
            "payload": { "id": image().id, "status": "queued", (key): wrong },
        });
        let input = NotificationInput::decode(line.to_string().as_bytes(), &SizeLimits::default());
        let Ok(NotificationInput::Event(event)) = input else { panic!("{input:?}") };
        let error = event.to_event().unwrap_err();
        let shown = format!("{error} {error:?} {:?}", Error::from(error.clone()));
        prop_assert!(!shown.contains(&secret));
    }
}

/// Puts a secret into every text, and under a secret key into every object, at every depth.
fn plant_everywhere(value: &mut Value) {
    match value {
        Value::String(text) => text.push_str(" at https://u:planted@host/?sig=planted"),
        Value::Array(items) => items.iter_mut().for_each(plant_everywhere),
        Value::Object(map) => {
            map.values_mut().for_each(plant_everywhere);
            for key in MASKED_KEYS.iter().chain(REMOVED_KEYS) {
                map.insert((*key).to_owned(), json!({ "any": ["planted", { "x": "planted" }] }));
            }
        }
        _ => {}
    }
}

/// Every event type, at every priority, in every envelope that is read: the keys of oslo.messaging and the
/// prefix of a log hold secrets too.
#[test]
fn a_planted_secret_leaves_in_no_event_and_no_envelope() {
    let others = ["image.member.create", "compute.instance.create.end", "audit.http.request"];
    let others = others.map(|name| EventType::new(name).unwrap());
    let mut read = 0;
    for event_type in EventType::DOCUMENTED.iter().chain(&others) {
        for &priority in Priority::DOCUMENTED {
            let off = Encoding { redact: Redact::Off, ..Encoding::default() };
            let clean = notification(event(event_type, priority)).encode(&off).unwrap();
            let mut value: Value = serde_json::from_slice(clean.body()).unwrap();
            plant_everywhere(&mut value["payload"]);
            value["_context_auth_token"] = json!("planted");
            let bare = value.to_string();
            let prefix = "2026-11-22 12:54:26.539 7 INFO oslo.messaging.notification.x [planted]";
            for line in [
                json!({ "oslo.version": "2.0", "oslo.message": bare }).to_string(),
                json!({ "name": "oslo.messaging.notification.x", "message": bare }).to_string(),
                cloud_event(&value).to_string(),
                format!("{prefix} {bare}"),
                bare,
            ] {
                let notification = Notification::decode(line.as_bytes()).unwrap();
                let mut shown = format!("{notification:?}");
                for redact in [Redact::Secrets, Redact::Strict] {
                    let encoding = Encoding { redact, ..Encoding::default() };
                    let message = notification.encode(&encoding).unwrap();
                    for envelope in ENVELOPES {
                        shown += &String::from_utf8_lossy(&envelope.wrap(&message));
                        write!(shown, "{:?}", envelope.attributes(&message).collect::<Vec<_>>())
                            .unwrap();
                    }
                    write!(shown, "{message:?}").unwrap();
                }
                assert!(!shown.contains("planted"), "{shown}");
                assert!(text(&notification.encode(&off).unwrap()).contains("planted"));
                read += 1;
            }
        }
    }
    assert_eq!(read, 14 * 3 * 5);
}

/// Returns a notification with these attributes as a CloudEvent, with a planted extension.
fn cloud_event(notification: &Value) -> Value {
    let event_type = notification["event_type"].as_str().unwrap();
    json!({
        "specversion": "1.0", "id": notification["message_id"], "source": "h", "auth": "planted",
        "type": format!("org.openstack.{event_type}"), "time": notification["timestamp"],
        "priority": notification["priority"], "data": notification["payload"],
    })
}

/// Returns the payload of a notification as JSON, without redaction.
fn encoded_payload(notification: &Notification) -> Box<RawValue> {
    let encoding = Encoding { redact: Redact::Off, ..Encoding::default() };
    let message = notification.encode(&encoding).unwrap();
    let NotificationPayload::Read(event) = Notification::decode(message.body()).unwrap().payload
    else {
        panic!("what was read is not constructed");
    };
    event.payload().to_owned()
}

/// Shows that the test of planted secrets can fail: without redaction every one of them appears.
#[test]
fn without_redaction_every_planted_secret_appears() {
    let encoding = Encoding { redact: Redact::Off, ..Encoding::default() };
    for place in 0..PLACES {
        let event = plant(place, "https://u:planted@host", "password");
        let message = notification(event).encode(&encoding).unwrap();
        assert!(text(&message).contains("planted"), "{place}");
    }
}

/// Redaction changes nothing in the payload of an image without secrets.
#[test]
fn leaves_harmless_values_unchanged() {
    for event_type in EventType::DOCUMENTED {
        if event_type.group() == "image" {
            let sent = notification(event(event_type, Priority::Info));
            let off = Encoding { redact: Redact::Off, ..Encoding::default() };
            let plain = sent.encode(&off).unwrap();
            assert_eq!(text(&sent.encode(&Encoding::default()).unwrap()), text(&plain));
        }
    }
}
