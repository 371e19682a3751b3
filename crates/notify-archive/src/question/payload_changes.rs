//! The differences between two states of an image: [`PayloadChange`].

use serde::Serialize;
use serde_json::{Map, Value};

use crate::record::event_record::EventRecord;

/// One difference between the payloads of two events of the same image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PayloadChange {
    /// The key, such as `visibility` or `properties.os_distro`.
    pub key: String,
    /// The value before. `None` if the key was absent.
    pub before: Option<Value>,
    /// The value after. `None` if the key is absent.
    pub after: Option<Value>,
}

/// Returns the payload of a record, if it is an object.
pub(crate) fn payload_object(record: &EventRecord) -> Option<Map<String, Value>> {
    match record.payload()? {
        Value::Object(payload) => Some(payload),
        _ => None,
    }
}

/// Returns the differences between two payloads, without the time of the change.
pub(crate) fn changes(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Vec<PayloadChange> {
    let mut changes = Vec::new();
    compare("", before, after, &mut changes);
    changes
}

/// Compares two objects. Looks one level into `properties`.
fn compare(
    prefix: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    changes: &mut Vec<PayloadChange>,
) {
    let new_keys = after.keys().filter(|key| !before.contains_key(*key));
    for key in before.keys().chain(new_keys) {
        let (old, new) = (before.get(key), after.get(key));
        let is_noise = prefix.is_empty() && matches!(key.as_str(), "updated_at" | "backend");
        // Glance adds these lists only to some events.
        let is_partial = key.starts_with("os_glance_") && (old.is_none() || new.is_none());
        if old == new || is_noise || is_partial {
            continue;
        }
        match (old, new) {
            (Some(Value::Object(old)), Some(Value::Object(new))) if prefix.is_empty() => {
                compare(&format!("{key}."), old, new, changes);
            }
            (Some(Value::Array(old)), Some(Value::Array(new))) if same_items(old, new) => {}
            _ => changes.push(PayloadChange {
                key: format!("{prefix}{key}"),
                before: old.cloned(),
                after: new.cloned(),
            }),
        }
    }
}

/// Returns `true` if two lists hold the same items. Glance sends tags in no defined order.
fn same_items(old: &[Value], new: &[Value]) -> bool {
    old.len() == new.len() && old.iter().all(|item| new.contains(item))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::question::timeline::Timeline;
    use crate::record::record_reader::RecordReader;

    /// Properties are compared one by one; order of tags and the time of the change are no change.
    #[test]
    fn lists_only_real_changes() {
        let before = json!({"status": "queued", "tags": ["a", "b"], "updated_at": 1,
            "properties": {"os": "x", "old": "1"}, "size": null});
        let after = json!({"status": "active", "tags": ["b", "a"], "updated_at": 2,
            "properties": {"os": "y", "new": "2"}, "size": 5, "os_glance_failed_import": []});
        let (Value::Object(before), Value::Object(after)) = (before, after) else { panic!() };
        let mut keys: Vec<_> =
            changes(&before, &after).into_iter().map(|change| change.key).collect();
        keys.sort();
        assert_eq!(keys, ["properties.new", "properties.old", "properties.os", "size", "status"]);
    }

    /// Half a surrogate pair and a number out of range hide neither a change beside them, such as that of the data,
    /// nor the text around them.
    #[test]
    fn values_that_rust_lacks_hide_no_change() {
        const ID: &str = "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d";
        let mut timeline = Timeline::new(ID);
        let events = [
            ("image.upload", "INFO", format!(r#"{{"id":"{ID}","checksum":"aa"}}"#)),
            (
                "image.update",
                "INFO",
                format!(r#"{{"id":"{ID}","checksum":"bb","os":"x\udce9","weight":1e999}}"#),
            ),
            ("image.upload", "ERROR", format!(r#""no {ID}: /var/lib/caf\udce9""#)),
        ];
        for (number, (event_type, priority, payload)) in events.iter().enumerate() {
            let line = format!(
                r#"{{"message_id":"00000000-0000-4000-8000-00000000000{number}","publisher_id":"h",
                "event_type":"{event_type}","priority":"{priority}",
                "timestamp":"2026-11-24 12:00:0{number}","payload":{payload}}}"#
            );
            timeline.add(&RecordReader::new("test").read(line.as_bytes()).unwrap());
        }
        let answer = timeline.finish();
        let changes = answer.entries[1].changes.iter();
        let changes: Vec<_> =
            changes.map(|change| (change.key.as_str(), change.after.clone())).collect();
        let expected =
            [("checksum", json!("bb")), ("os", json!("x\u{fffd}")), ("weight", json!(f64::MAX))];
        assert_eq!(changes, expected.map(|(key, after)| (key, Some(after))));
        assert_eq!(
            answer.anomalies,
            [
                format!("{ID}: 1 failed upload"),
                format!("{ID}: 1 change of the data after the upload"),
            ]
        );
        let text = format!("no {ID}: /var/lib/caf\u{fffd}");
        assert_eq!(answer.entries[2].note, Some(text));
    }
}
