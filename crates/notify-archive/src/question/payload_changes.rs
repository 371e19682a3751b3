//! The differences between two states of an image: [`PayloadChange`].

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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

/// Returns the payload of a body, if it is an object.
pub(crate) fn payload_object(body: &[u8]) -> Option<Map<String, Value>> {
    /// The payload of a body.
    #[derive(Deserialize)]
    struct ObjectPayload {
        payload: Map<String, Value>,
    }
    Some(serde_json::from_slice::<ObjectPayload>(body).ok()?.payload)
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
    use super::*;

    /// Properties are compared one by one; order of tags and the time of the change are no change.
    #[test]
    fn lists_only_real_changes() {
        let before = serde_json::json!({"status": "queued", "tags": ["a", "b"], "updated_at": 1,
            "properties": {"os": "x", "old": "1"}, "size": null});
        let after = serde_json::json!({"status": "active", "tags": ["b", "a"], "updated_at": 2,
            "properties": {"os": "y", "new": "2"}, "size": 5, "os_glance_failed_import": []});
        let (Value::Object(before), Value::Object(after)) = (before, after) else { panic!() };
        let mut keys: Vec<_> =
            changes(&before, &after).into_iter().map(|change| change.key).collect();
        keys.sort();
        assert_eq!(keys, ["properties.new", "properties.old", "properties.os", "size", "status"]);
    }
}
