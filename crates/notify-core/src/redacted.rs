//! Texts, maps and trees as they leave: written through the rules of [`Redact`].

use std::collections::BTreeMap;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::EventType;
use crate::redact::{MASK, Redact, Rule};

/// A text as it leaves.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a>(pub(crate) &'a str, pub(crate) Redact);

impl<'a> Text<'a> {
    pub(crate) fn optional(text: &'a Option<String>, redact: Redact) -> Option<Self> {
        text.as_deref().map(|text| Self(text, redact))
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.1.text(self.0))
    }
}

/// A list of texts as they leave.
pub(crate) struct Texts<'a>(pub(crate) &'a [String], pub(crate) Redact);

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|text| Text(text, self.1)))
    }
}

/// A map of texts as they leave.
pub(crate) struct Properties<'a>(pub(crate) &'a BTreeMap<String, String>, pub(crate) Redact);

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(properties, redact) = *self;
        let mut map = serializer.serialize_map(None)?;
        for (key, text) in properties {
            match redact.key(key) {
                Rule::Keep => map.serialize_entry(&Text(key, redact), &Text(text, redact))?,
                Rule::Mask => map.serialize_entry(&Text(key, redact), MASK)?,
                Rule::Remove => {}
            }
        }
        map.end()
    }
}

/// A tree of JSON as it leaves.
pub(crate) struct Tree<'a> {
    node: Node<'a>,
    place: Place,
    redact: Redact,
}

#[derive(Clone, Copy)]
enum Node<'a> {
    Value(&'a Value),
    /// A map, less the keys that are written elsewhere.
    Map(&'a Map<String, Value>, &'static [&'static str]),
}

/// Where in a payload a tree stands, for what [`Redact::Strict`] lets through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Task,
    TaskInput,
    ImageProperties,
    /// A value of `task_input` that may be seen.
    Harmless,
    /// Inside `task_input`, at any other place.
    Inside,
    Elsewhere,
}

impl Place {
    fn below(self, key: &str) -> Self {
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

    fn shows_scalars(self) -> bool {
        matches!(self, Self::Task | Self::Harmless | Self::Elsewhere)
    }
}

impl<'a> Tree<'a> {
    pub(crate) fn map(map: &'a Map<String, Value>, redact: Redact) -> Self {
        Self::rest(map, &[], redact)
    }

    pub(crate) fn rest(
        map: &'a Map<String, Value>,
        without: &'static [&'static str],
        redact: Redact,
    ) -> Self {
        Self { node: Node::Map(map, without), place: Place::Elsewhere, redact }
    }

    pub(crate) fn task_input(map: &'a Map<String, Value>, redact: Redact) -> Self {
        Self { place: Place::TaskInput, ..Self::map(map, redact) }
    }

    /// A payload that is kept as it was read.
    pub(crate) fn payload(event_type: EventType, payload: &'a Value, redact: Redact) -> Self {
        let place = if event_type.group() == "task" { Place::Task } else { Place::Elsewhere };
        Self { node: Node::Value(payload), place, redact }
    }

    fn child(&self, value: &'a Value, place: Place) -> Self {
        Self { node: Node::Value(value), place, redact: self.redact }
    }
}

impl Serialize for Tree<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let redact = self.redact;
        let (map, without) = match self.node {
            Node::Map(map, without) => (map, without),
            Node::Value(Value::Object(map)) => (map, &[][..]),
            Node::Value(Value::Array(items)) => {
                // A list is no place of its own, but a list of scalars is no harmless scalar either.
                let place = if self.place.shows_scalars() { self.place } else { Place::Inside };
                let mut list = serializer.serialize_seq(None)?;
                for item in items {
                    list.serialize_element(&self.child(item, place))?;
                }
                return list.end();
            }
            Node::Value(Value::Null) => return serializer.serialize_unit(),
            Node::Value(_) if redact == Redact::Strict && !self.place.shows_scalars() => {
                return serializer.serialize_str(MASK);
            }
            Node::Value(Value::String(text)) => return Text(text, redact).serialize(serializer),
            Node::Value(scalar) => return scalar.serialize(serializer),
        };
        let mut out = serializer.serialize_map(None)?;
        for (key, value) in map {
            if without.contains(&key.as_str()) {
                continue;
            }
            let rule = if value.is_null() { Rule::Keep } else { redact.key(key) };
            match rule {
                Rule::Keep => out.serialize_entry(
                    &Text(key, redact),
                    &self.child(value, self.place.below(key)),
                )?,
                Rule::Mask => out.serialize_entry(&Text(key, redact), MASK)?,
                Rule::Remove => {}
            }
        }
        out.end()
    }
}

/// To a JSON Schema, each is what it looks like on the wire.
#[cfg(feature = "schema")]
mod json_schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator};

    use super::{BTreeMap, Map, Properties, Text, Texts, Tree, Value};

    macro_rules! schema_as {
        ($($view:ident: $wire:ty,)+) => {$(
            impl JsonSchema for $view<'_> {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($view).into()
                }

                fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                    <$wire>::json_schema(generator)
                }
            }
        )+};
    }

    schema_as! {
        Text: String,
        Texts: Vec<String>,
        Properties: BTreeMap<String, String>,
        Tree: Map<String, Value>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_shows_only_what_names_an_image() {
        let input = serde_json::json!({
            "import_from": "http://plain", "import_from_format": "qcow2", "retries": 3, "none": null,
            "image_properties": { "name": "n", "disk_format": "raw", "note": "x", "deep": { "name": "y" } },
            "list": ["a", { "name": "b" }],
        });
        let Value::Object(input) = input else { unreachable!() };
        let shown = serde_json::to_value(Tree::task_input(&input, Redact::Strict)).unwrap();
        assert_eq!(
            shown,
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
