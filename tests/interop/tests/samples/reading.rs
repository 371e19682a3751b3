//! Reading of the samples.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// Returns the bodies of the driver `messaging`.
pub(crate) fn bare(service: &str) -> Vec<Map<String, Value>> {
    lines(&format!("openstack-2026/{service}-v1.jsonl")).iter().map(|line| object(line)).collect()
}

/// Returns the notifications in the envelopes of the driver `messagingv2`.
pub(crate) fn enveloped(service: &str) -> Vec<Map<String, Value>> {
    let unwrap = |line: &String| {
        let envelope = object(line);
        assert_eq!(set(envelope.keys()), set(["oslo.message", "oslo.version"]));
        assert_eq!(envelope["oslo.version"], "2.0");
        object(envelope["oslo.message"].as_str().unwrap())
    };
    lines(&format!("openstack-2026/{service}-v2.jsonl")).iter().map(unwrap).collect()
}

/// Returns the number of messages whose routing key begins with `beginning`.
pub(crate) fn wire(service: &str, beginning: &str) -> usize {
    let addresses = lines(&format!("openstack-2026/{service}-wire.jsonl"));
    let counts = addresses.iter().map(|line| object(line)).filter_map(|address| {
        let matches = address["routing_key"].as_str()?.starts_with(beginning);
        address["messages"].as_u64().filter(|_| matches)
    });
    counts.map(|count| usize::try_from(count).unwrap()).sum()
}

/// A line of a log.
pub(crate) struct LogLine {
    /// The text before the notification.
    pub(crate) prefix: String,
    pub(crate) notification: Map<String, Value>,
    /// The text after the notification: oslo.log adds the exception that is being handled.
    pub(crate) suffix: String,
}

/// Splits a line of a log.
pub(crate) fn split(line: &str) -> LogLine {
    let start = line.find("{\"message_id\"").unwrap();
    let mut values = serde_json::Deserializer::from_str(&line[start..]).into_iter();
    let notification = values.next().unwrap().unwrap();
    LogLine {
        prefix: line[..start].trim_end().to_owned(),
        notification,
        suffix: line[start + values.byte_offset()..].to_owned(),
    }
}

/// Replaces each value whose type kombu marked by the value itself.
pub(crate) fn without_types(value: &Value) -> Value {
    match value {
        Value::Object(object) if object.contains_key("__type__") => object["__value__"].clone(),
        Value::Object(object) => {
            let entries = object.iter().map(|(key, value)| (key.clone(), without_types(value)));
            Value::Object(entries.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_types).collect()),
        other => other.clone(),
    }
}

/// Returns the name of the logger that the driver `log` uses for a notification.
pub(crate) fn logger(notification: &Map<String, Value>) -> String {
    format!("oslo.messaging.notification.{}", event_type(notification))
}

/// Returns the event type of a notification.
pub(crate) fn event_type(notification: &Map<String, Value>) -> String {
    notification["event_type"].as_str().unwrap().to_owned()
}

/// Parses a JSON object.
pub(crate) fn object(text: &str) -> Map<String, Value> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => object,
        other => panic!("not an object: {other:?}: {text}"),
    }
}

/// Returns the lines of a file.
pub(crate) fn lines(file: &str) -> Vec<String> {
    let text = fs::read_to_string(path(file)).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Returns the names of the files of a directory, sorted.
pub(crate) fn names(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(path(directory)).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let mut names: Vec<_> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// Returns the path of a file below `tests/samples`.
pub(crate) fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(file)
}

/// Returns the items as a set, to compare them without their order.
pub(crate) fn set<T: ToString>(items: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}

/// The services whose files hold valid JSON.
pub(crate) const SERVICES: [&str; 5] = ["audit", "cinder", "glance", "nova", "oslo"];

/// The attributes of a notification.
pub(crate) const ATTRIBUTES: [&str; 6] =
    ["event_type", "message_id", "payload", "priority", "publisher_id", "timestamp"];
