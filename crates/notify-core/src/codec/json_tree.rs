//! Free JSON in payloads, written through the redaction policy.
//!
//! Typed fields have known keys. Everything here has keys from outside, so the policy judges each key,
//! and [`Redact::Strict`] also judges the place of each value.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::json_writer::{JsonWriter, WriteJson, write_scalar};
use crate::event::event_type::EventType;
use crate::redact::policy::Redact;
use crate::redact::rules::{KeyRule, MASK};

/// Writes the properties of an image.
impl WriteJson for BTreeMap<String, String> {
    fn write(&self, w: &mut JsonWriter) {
        w.object(|w| {
            for (key, text) in self {
                entry(key, true, w, |w| text.as_str().write(w));
            }
        });
    }
}

/// Writes, masks or omits an entry, as the policy decides by its key. Null needs no mask.
fn entry(key: &str, has_value: bool, w: &mut JsonWriter, value: impl FnOnce(&mut JsonWriter)) {
    match w.redact.key(key) {
        KeyRule::Mask if has_value => {
            w.key(key);
            w.string(MASK);
        }
        KeyRule::Keep | KeyRule::Mask => {
            w.key(key);
            value(w);
        }
        KeyRule::Remove => {}
    }
}

/// A borrowed tree of JSON at a place in a payload.
#[derive(Clone, Copy)]
pub(crate) struct JsonTree<'a> {
    node: JsonNode<'a>,
    place: PayloadPlace,
}

/// The root of a tree.
#[derive(Clone, Copy)]
enum JsonNode<'a> {
    Value(&'a Value),
    Map(&'a Map<String, Value>),
}

/// The place of a value in a payload, which decides whether [`Redact::Strict`] shows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PayloadPlace {
    /// The payload of a task event, or one of its own keys.
    Task,
    /// The map `task_input`.
    TaskInput,
    /// The map `task_input.image_properties`.
    ImageProperties,
    /// A value of `task_input` that is never secret: a format or the image's name.
    Harmless,
    /// Any other place inside `task_input`.
    Inside,
    /// Any place outside `task_input`.
    Elsewhere,
}

impl PayloadPlace {
    /// Returns the place of the payload of an event.
    pub(crate) fn of(event_type: &EventType) -> Self {
        if event_type.group() == "task" { Self::Task } else { Self::Elsewhere }
    }

    /// Returns the place of the value under `key`.
    pub(crate) fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Task, "task_input" | "input") => Self::TaskInput,
            (Self::TaskInput, "import_from_format")
            | (Self::ImageProperties, "name" | "disk_format" | "container_format") => {
                Self::Harmless
            }
            (Self::TaskInput, "image_properties") => Self::ImageProperties,
            (Self::Task | Self::Elsewhere, _) => Self::Elsewhere,
            _ => Self::Inside,
        }
    }

    /// Returns the place of the items of a list. Inside `task_input`, no list is harmless.
    pub(crate) fn in_list(self) -> Self {
        if matches!(self, Self::Task | Self::Elsewhere) { Self::Elsewhere } else { Self::Inside }
    }

    /// Returns `true` if the strict policy shows scalars at this place.
    pub(crate) fn shows_scalars(self) -> bool {
        matches!(self, Self::Task | Self::Harmless | Self::Elsewhere)
    }
}

impl<'a> JsonTree<'a> {
    /// Creates a tree outside any task input.
    pub(crate) fn map(map: &'a Map<String, Value>) -> Self {
        Self { node: JsonNode::Map(map), place: PayloadPlace::Elsewhere }
    }

    /// Creates the tree of a task's input.
    pub(crate) fn task_input(map: &'a Map<String, Value>) -> Self {
        Self { node: JsonNode::Map(map), place: PayloadPlace::TaskInput }
    }

    /// Creates the tree of a payload of any shape.
    pub(crate) fn payload(event_type: &EventType, payload: &'a Value) -> Self {
        Self { node: JsonNode::Value(payload), place: PayloadPlace::of(event_type) }
    }

    /// Writes the entries of a map, except those with the keys `without`. Writes nothing if the root is
    /// not a map.
    pub(crate) fn write_entries(&self, w: &mut JsonWriter, without: &[&str]) {
        let (JsonNode::Map(map) | JsonNode::Value(Value::Object(map))) = self.node else { return };
        for (key, value) in map.iter().filter(|(key, _)| !without.contains(&key.as_str())) {
            let child = Self { node: JsonNode::Value(value), place: self.place.below(key) };
            entry(key, !value.is_null(), w, |w| child.write(w));
        }
    }
}

impl WriteJson for JsonTree<'_> {
    fn write(&self, w: &mut JsonWriter) {
        match self.node {
            JsonNode::Map(_) | JsonNode::Value(Value::Object(_)) => {
                w.object(|w| self.write_entries(w, &[]));
            }
            JsonNode::Value(Value::Array(items)) => {
                let place = self.place.in_list();
                w.list(|w| {
                    for item in items {
                        w.bytes.push(b',');
                        Self { node: JsonNode::Value(item), place }.write(w);
                    }
                });
            }
            JsonNode::Value(value) => {
                let hidden = w.redact == Redact::Strict && !self.place.shows_scalars();
                if hidden && !value.is_null() {
                    w.string(MASK);
                } else {
                    write_scalar(value, w);
                }
            }
        }
    }
}

/// Describes a tree as any object.
#[cfg(feature = "schema")]
impl schemars::JsonSchema for JsonTree<'_> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "JsonTree".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Map::<String, Value>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The strict policy masks numbers and strings of `task_input`, also in lists and deeper objects.
    #[test]
    fn strict_shows_only_the_image_name_and_formats() {
        let input = serde_json::json!({
            "import_from": "http://plain", "import_from_format": "qcow2", "retries": 3, "none": null,
            "image_properties": { "name": "n", "disk_format": "raw", "note": "x", "deep": { "name": "y" } },
            "list": ["a", { "name": "b" }],
        });
        let mut w = JsonWriter { redact: Redact::Strict, ..JsonWriter::default() };
        JsonTree::task_input(input.as_object().unwrap()).write(&mut w);
        assert_eq!(
            serde_json::from_slice::<Value>(&w.bytes).unwrap(),
            serde_json::json!({
                "import_from": "***", "import_from_format": "qcow2", "retries": "***", "none": null,
                "image_properties": {
                    "name": "n", "disk_format": "raw", "note": "***", "deep": { "name": "***" }
                },
                "list": ["***", { "name": "***" }],
            })
        );
    }
}
