//! A notification from outside: bare, in the envelope of oslo.messaging, as a CloudEvent, or encoded twice.

use glance_notify::codec::Message;
use glance_notify::codec::serde_json::{self, Value, json};
use glance_notify::codec::{Encoding, NotificationInput, PayloadStyle, Problems, SizeLimits};
use glance_notify::config::Redact;
use glance_notify::event::NotificationPayload;
use glance_notify::time::OffsetDateTime;
use glance_notify::uuid::Uuid;
use glance_notify::{ErrorKind, Notification};

use crate::checks::{SECRET, assert_no_secret, assert_printable, check_error, clean_text};

/// Checks the input as a notification from a line or from a broker.
pub fn notification(bytes: &[u8]) {
    if holds_secret(bytes) {
        return;
    }
    check_read(bytes);
    check_limits(bytes);
    let Some(text) = clean_text(bytes) else { return };
    // An envelope that can be read holds a notification that can be read, and is the same.
    let enveloped = json!({ "oslo.version": "2.0", "oslo.message": text }).to_string();
    if let Ok(inner) = NotificationInput::decode(enveloped.as_bytes(), &SizeLimits::default()) {
        assert_eq!(NotificationInput::decode(bytes, &SizeLimits::default()), Ok(inner));
    }
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    check_planted(&value, &[REPEATED_KEYS]);
    check_planted(&value, &[REPEATED_KEYS, TYPED_KEYS]);
    let mut inner = unpack(&value);
    for _ in 0..MAX_ENVELOPES {
        let Some(text) = inner.filter(|text| !holds_secret(text.as_bytes())) else { break };
        check_read(text.as_bytes());
        inner = serde_json::from_str(&text).ok().as_ref().and_then(unpack);
    }
}

/// Returns whether the input contains the secret already, perhaps in escaped form.
fn holds_secret(bytes: &[u8]) -> bool {
    let decoded = serde_json::from_slice::<Value>(bytes).unwrap_or_default().to_string();
    decoded.contains(SECRET) || String::from_utf8_lossy(bytes).contains(SECRET)
}

/// Returns the text inside an envelope or inside a notification that was encoded twice.
fn unpack(value: &Value) -> Option<String> {
    value.get("oslo.message").unwrap_or(value).as_str().map(str::to_owned)
}

/// Reads the input. Checks that the library writes it as it was, or that the problems are
/// printable.
fn check_read(bytes: &[u8]) {
    match NotificationInput::decode(bytes, &SizeLimits::default()) {
        Ok(input) => check_written(&stamped(input)),
        Err(problems) => check_problems(&problems),
    }
}

/// Completes the input with fixed attributes where it has none.
fn stamped(input: NotificationInput) -> Notification {
    match input {
        NotificationInput::Notification(notification) => notification,
        NotificationInput::Event(event) => Notification {
            message_id: Uuid::nil(),
            publisher_id: "host".into(),
            timestamp: OffsetDateTime::UNIX_EPOCH,
            payload: event.into(),
        },
    }
}

/// Writes the notification and reads it again: the payload is JSON-equal, and later rounds mask no more.
fn check_written(notification: &Notification) {
    let mut expected = notification.clone();
    let nanosecond = expected.timestamp.nanosecond() / 1000 * 1000;
    expected.timestamp =
        expected.timestamp.replace_nanosecond(nanosecond).unwrap_or(expected.timestamp);
    let Some(line) = line(notification, Redact::Off) else { return };
    let Ok(read) = Notification::decode(line.as_bytes()) else {
        panic!("the library cannot read its own output: {line}");
    };
    assert_eq!(payload(&read), payload(&expected), "{line}");
    expected.payload = read.payload.clone();
    assert_eq!(read, expected, "{line}");
    for redact in [Redact::Secrets, Redact::Strict] {
        let Some(once) = self::line(notification, redact) else { continue };
        let Some(twice) = again(&once, redact) else { continue };
        assert!(
            twice == once || twice.len() < once.len(),
            "redaction masked a redacted text again: {once}"
        );
    }
}

/// Returns the payload as a value, unless it holds half a surrogate pair or a huge number.
fn payload(notification: &Notification) -> Option<Value> {
    let NotificationPayload::Read(event) = &notification.payload else {
        panic!("what was read is not constructed")
    };
    serde_json::from_str(event.payload().get()).ok()
}

/// Reads a line and returns it as the library writes it again.
fn again(line: &str, redact: Redact) -> Option<String> {
    match Notification::decode(line.as_bytes()) {
        Ok(notification) => self::line(&notification, redact),
        Err(error) => panic!("the library cannot read its own output: {error}\n{line}"),
    }
}

/// Returns the encoded notification; `None` if it is too large.
fn line(notification: &Notification, redact: Redact) -> Option<String> {
    let encoding = Encoding { redact, ..Encoding::default() };
    let message = match notification.encode(&encoding) {
        Ok(message) => message,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
            check_error(&error);
            return None;
        }
    };
    assert!(message.body().len() <= encoding.limits.bytes);
    let Ok(line) = std::str::from_utf8(message.body()) else { panic!("the body is not UTF-8") };
    assert_printable(line);
    let oslo: Value = serde_json::from_slice(&message.oslo_v2()).unwrap_or_default();
    assert_eq!(oslo["oslo.message"].as_str(), Some(line));
    check_cloud_event(&message, &encoding);
    Some(line.to_owned())
}

/// Checks that the message is the same after it was a CloudEvent, unless that exceeds the limits.
fn check_cloud_event(message: &Message, encoding: &Encoding) {
    let cloud_event = message.cloud_event().to_json();
    assert_printable(&String::from_utf8_lossy(&cloud_event));
    match Notification::decode(&cloud_event).and_then(|read| read.encode(encoding)) {
        Ok(again) => assert!(again.body().len() <= message.body().len()),
        Err(error) => assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}"),
    }
}

/// Checks the texts of every problem.
fn check_problems(problems: &Problems) {
    assert!(problems.iter().next().is_some());
    check_error(problems);
    for problem in problems.iter() {
        check_error(&problem.expected);
        check_error(&problem.found);
        assert_printable(&problem.to_string());
    }
}

/// Reads the input with low limits, and checks that a notification exceeds none of them.
fn check_limits(bytes: &[u8]) {
    let limits = SizeLimits { depth: 4, keys: 24, bytes: 1024 };
    if let Err(problems) = NotificationInput::decode(bytes, &limits) {
        return check_problems(&problems);
    }
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    assert!(bytes.len() <= limits.bytes);
    assert!(depth(&value) <= limits.depth && keys(&value) <= limits.keys, "{value}");
}

/// Returns the number of nested objects and arrays.
fn depth(value: &Value) -> usize {
    children(value).map(depth).max().unwrap_or(0)
        + usize::from(value.is_object() || value.is_array())
}

/// Returns the number of keys in all objects.
fn keys(value: &Value) -> usize {
    value.as_object().map_or(0, serde_json::Map::len) + children(value).map(keys).sum::<usize>()
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Object(map) => Box::new(map.values()),
        Value::Array(items) => Box::new(items.iter()),
        _ => Box::new(std::iter::empty()),
    }
}

/// Plants the secret in the payload, except under the keys in `spared`, and checks that no output
/// contains it.
fn check_planted(value: &Value, spared: &[&[&str]]) {
    let mut value = value.clone();
    let key = if value.get("specversion").is_some() { "data" } else { "payload" };
    match value.get_mut(key) {
        Some(Value::Object(payload)) => {
            let texts = payload.iter_mut();
            for (key, value) in texts.filter(|(key, _)| !spared.concat().contains(&key.as_str())) {
                plant(key, value);
            }
        }
        // Errors repeat the id of a deleted image.
        Some(Value::String(text)) if text.len() != UUID_CHARS => text.push_str(&url()),
        _ => {}
    }
    match NotificationInput::decode(value.to_string().as_bytes(), &SizeLimits::default()) {
        Err(problems) => check_problems(&problems),
        Ok(input) => {
            assert_no_secret(&format!("{input:?}"));
            let notification = stamped(input);
            for redact in [Redact::Secrets, Redact::Strict] {
                for payloads in [PayloadStyle::Documented, PayloadStyle::Glance] {
                    let encoding = Encoding { payloads, redact, ..Encoding::default() };
                    if let Ok(message) = notification.encode(&encoding) {
                        assert_no_secret(&String::from_utf8_lossy(message.body()));
                        assert_no_secret(&format!("{message:?}"));
                    }
                }
            }
        }
    }
}

/// Plants the secret as the password of a URL in every text, and as the value of every secret key.
fn plant(key: &str, value: &mut Value) {
    if Redact::Secrets.hides(key) {
        *value = SECRET.into();
        return;
    }
    match value {
        Value::String(text) => text.push_str(&url()),
        Value::Array(items) => items.iter_mut().for_each(|item| plant(key, item)),
        Value::Object(map) => {
            map.iter_mut().for_each(|(key, value)| plant(key, value));
            map.insert(url(), json!([0]));
        }
        _ => {}
    }
}

fn url() -> String {
    format!(" https://user:{SECRET}@host/")
}

/// The keys of a payload whose values errors repeat.
const REPEATED_KEYS: &[&str] = &["id", "image_id", "status", "task_id", "visibility"];
/// The keys of a payload whose texts are dates or addresses.
const TYPED_KEYS: &[&str] =
    &["created_at", "deleted_at", "destination_ip", "expires_at", "updated_at"];
/// The number of characters of a UUID.
const UUID_CHARS: usize = 36;
/// The most envelopes inside each other that the target unpacks.
const MAX_ENVELOPES: usize = 4;
