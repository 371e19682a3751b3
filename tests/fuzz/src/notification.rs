//! A notification as it arrives: bare, inside oslo.messaging's envelope, or encoded twice.

use glance_notify::codec::serde_json::{self, Value, json};
use glance_notify::codec::{Encoding, NotificationInput, PayloadStyle, Problems, SizeLimits};
use glance_notify::config::Redact;
use glance_notify::event::EventType;
use glance_notify::time::OffsetDateTime;
use glance_notify::uuid::Uuid;
use glance_notify::{ErrorKind, Notification};

use crate::shown::{SECRET, check_error, check_harmless, check_secretless, text};

/// A line of input, or what a broker gave.
pub fn notification(bytes: &[u8]) {
    if holds_secret(bytes) {
        return;
    }
    check_read(bytes);
    check_limits(bytes);
    let Some(text) = text(bytes) else { return };
    // Who reads from a broker unpacks the envelope first; a reader who forgot is told so.
    let enveloped = json!({ "oslo.version": "2.0", "oslo.message": text }).to_string();
    assert!(NotificationInput::read(enveloped.as_bytes(), &SizeLimits::default()).is_err());
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    check_planted(&value, &[SHOWN]);
    check_planted(&value, &[SHOWN, TYPED]);
    let mut inner = unpacked(&value);
    for _ in 0..MOST_ENVELOPES {
        let Some(text) = inner.filter(|text| !holds_secret(text.as_bytes())) else { break };
        check_read(text.as_bytes());
        inner = serde_json::from_str(&text).ok().as_ref().and_then(unpacked);
    }
}

/// Whether the secret is in the input already, escaped perhaps.
fn holds_secret(bytes: &[u8]) -> bool {
    let decoded = serde_json::from_slice::<Value>(bytes).unwrap_or_default().to_string();
    decoded.contains(SECRET) || String::from_utf8_lossy(bytes).contains(SECRET)
}

/// What an envelope holds, or what was encoded twice.
fn unpacked(value: &Value) -> Option<String> {
    value.get("oslo.message").unwrap_or(value).as_str().map(str::to_owned)
}

/// What is read is written as it was; what is not is told harmlessly.
fn check_read(bytes: &[u8]) {
    match NotificationInput::read(bytes, &SizeLimits::default()) {
        Ok(input) => check_written(&stamped(input)),
        Err(problems) => check_problems(&problems),
    }
}

fn stamped(input: NotificationInput) -> Notification {
    match input {
        NotificationInput::Notification(notification) => notification,
        NotificationInput::Body(body) => Notification {
            message_id: Uuid::nil(),
            publisher_id: "host".into(),
            timestamp: OffsetDateTime::UNIX_EPOCH,
            body,
        },
    }
}

fn check_written(notification: &Notification) {
    let mut expected = notification.clone();
    let nanosecond = expected.timestamp.nanosecond() / 1000 * 1000;
    expected.timestamp =
        expected.timestamp.replace_nanosecond(nanosecond).unwrap_or(expected.timestamp);
    let Some(line) = line(notification, Redact::Off) else { return };
    assert_eq!(Notification::from_json(line.as_bytes()).ok(), Some(expected), "{line}");
    for redact in [Redact::Secrets, Redact::Strict] {
        // Null stands where nothing did, so only from the second time on it is word for word the same.
        let Some(once) = self::line(notification, redact) else { continue };
        let Some(twice) = again(&once, redact) else { continue };
        let thrice = again(&twice, redact).unwrap_or_default();
        assert!(thrice == twice || thrice.len() < twice.len(), "masked again: {once}");
    }
}

/// A line as it is written after it was read.
fn again(line: &str, redact: Redact) -> Option<String> {
    match Notification::from_json(line.as_bytes()) {
        Ok(notification) => self::line(&notification, redact),
        Err(error) => panic!("what was written is not read: {error}\n{line}"),
    }
}

/// A notification as it leaves, in the style in which it is written whole; `None` if it is too large.
fn line(notification: &Notification, redact: Redact) -> Option<String> {
    let payloads = match notification.body.event_type() {
        EventType::ImageDelete => PayloadStyle::Glance,
        _ => PayloadStyle::Documented,
    };
    let encoding = Encoding { payloads, redact, ..Encoding::default() };
    let message = match notification.encode(&encoding) {
        Ok(message) => message,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
            check_error(&error);
            return None;
        }
    };
    assert!(message.body().len() <= encoding.limits.bytes);
    let Ok(line) = std::str::from_utf8(message.body()) else { panic!("not UTF-8") };
    check_harmless(line);
    let oslo: Value = serde_json::from_slice(&message.oslo_v2()).unwrap_or_default();
    assert_eq!(oslo["oslo.message"].as_str(), Some(line));
    Some(line.to_owned())
}

fn check_problems(problems: &Problems) {
    assert!(problems.iter().next().is_some());
    check_error(problems);
    for problem in problems.iter() {
        check_error(&problem.expected);
        check_error(&problem.found);
        check_harmless(&problem.to_string());
    }
}

/// What is read within limits is within them.
fn check_limits(bytes: &[u8]) {
    let limits = SizeLimits { depth: 4, keys: 24, bytes: 1024 };
    if let Err(problems) = NotificationInput::read(bytes, &limits) {
        return check_problems(&problems);
    }
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    assert!(bytes.len() <= limits.bytes);
    assert!(depth(&value) <= limits.depth && keys(&value) <= limits.keys, "{value}");
}

fn depth(value: &Value) -> usize {
    children(value).map(depth).max().unwrap_or(0)
        + usize::from(value.is_object() || value.is_array())
}

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

/// What comes of a notification with secrets in it, but at `not_in`, shows none.
fn check_planted(value: &Value, not_in: &[&[&str]]) {
    let mut value = value.clone();
    match value.get_mut("payload") {
        Some(Value::Object(payload)) => {
            let texts = payload.iter_mut();
            for (key, value) in texts.filter(|(key, _)| !not_in.concat().contains(&key.as_str())) {
                plant(key, value);
            }
        }
        // The id of a deleted image is repeated.
        Some(Value::String(text)) if text.len() != UUID_CHARS => text.push_str(&url()),
        _ => {}
    }
    match NotificationInput::read(value.to_string().as_bytes(), &SizeLimits::default()) {
        Err(problems) => check_problems(&problems),
        Ok(input) => {
            check_secretless(&format!("{input:?}"));
            let notification = stamped(input);
            for redact in [Redact::Secrets, Redact::Strict] {
                for payloads in [PayloadStyle::Documented, PayloadStyle::Glance] {
                    let encoding = Encoding { payloads, redact, ..Encoding::default() };
                    if let Ok(message) = notification.encode(&encoding) {
                        check_secretless(&String::from_utf8_lossy(message.body()));
                        check_secretless(&format!("{message:?}"));
                    }
                }
            }
        }
    }
}

/// Puts the secret where secrets are: into every text as a URL, and under every key that says so.
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
const SHOWN: &[&str] = &["id", "image_id", "status", "task_id", "visibility"];
/// The keys of a payload whose texts are of a kind.
const TYPED: &[&str] = &["created_at", "deleted_at", "destination_ip", "expires_at", "updated_at"];
const UUID_CHARS: usize = 36;
/// How often a notification is unpacked that was packed again and again.
const MOST_ENVELOPES: usize = 4;
