//! The schema of each documented event, and the warnings of a line that can be read.
//!
//! Reading accepts a payload of any shape. The schema describes the documented shape, so it refuses some
//! lines that reading accepts: a key is missing or misspelt, or a value has another type or form.

use glance_notify::codec::serde_json::{Map, Value};
use glance_notify::codec::{Problem, SizeLimits, notification_json, parse_lossy};
use glance_notify::event::json_schema;

use super::expectation::one_of;
use super::schema_check::SchemaCheck;

/// The schemas of the documented event types, at each priority.
pub(super) struct EventSchemas {
    /// The output of `glance-notify schema`: `oneOf` lists the schemas.
    document: Value,
}

impl EventSchemas {
    /// Generates the schemas.
    pub(super) fn new() -> Self {
        Self { document: json_schema(None) }
    }

    /// Returns a warning for each value that the schema of the line's event type and priority refuses.
    ///
    /// `line` must be one that reading accepts. An event type that is not documented has no schema, and
    /// no warnings. A line without an envelope lacks no envelope: `emit` creates it.
    pub(super) fn warnings(&self, line: &[u8]) -> Vec<Problem> {
        let mut check = SchemaCheck::new(&self.document);
        let Some((notification, payload_pointer)) = notification(line) else { return Vec::new() };
        let text = |key| notification.get(key).and_then(Value::as_str).unwrap_or_default();
        let (event_type, priority) = (text("event_type"), text("priority"));
        let schemas = || self.schemas().filter(|schema| word(schema, "event_type") == event_type);
        if schemas().next().is_none() {
            return Vec::new();
        }
        if schemas().all(|schema| word(schema, "priority") != priority) {
            // Reading accepts the priority, so it is a word of a closed vocabulary, and no secret.
            check.add(Problem {
                pointer: "/priority".to_owned(),
                expected: one_of(schemas().map(|schema| format!("{:?}", word(schema, "priority")))),
                found: format!("{priority:?}"),
            });
        }
        let schema =
            schemas().find(|schema| word(schema, "priority").eq_ignore_ascii_case(priority));
        let properties = schema.and_then(|schema| schema["properties"].as_object());
        // Reading has checked the attributes themselves, and drops those of oslo.messaging.
        for (key, schema) in properties.into_iter().flatten() {
            if let Some(value) = notification.get(key) {
                let pointer = format!("/{key}");
                let pointer = if key == "payload" { payload_pointer } else { &pointer };
                check.check(schema, value, pointer);
            }
        }
        check.into_problems()
    }

    /// Returns the schemas of whole notifications.
    fn schemas(&self) -> impl Iterator<Item = &Value> {
        self.document["oneOf"].as_array().into_iter().flatten()
    }
}

/// Returns the only word that a schema accepts for an attribute.
fn word<'a>(schema: &'a Value, attribute: &str) -> &'a str {
    schema["properties"][attribute]["const"].as_str().unwrap_or_default()
}

/// Returns the notification on a line that reading accepts, and the JSON pointer of its payload.
///
/// A CloudEvent has other attributes. The schema accepts any text, also one with half a surrogate pair, and numbers of
/// any size.
fn notification(line: &[u8]) -> Option<(Map<String, Value>, &'static str)> {
    let json = notification_json(line, &SizeLimits::default())?;
    let object: Map<String, Value> = parse_lossy(json.as_bytes())?;
    if object.contains_key("specversion") && !object.contains_key("event_type") {
        return Some((facts_of_cloud_event(object), "/data"));
    }
    Some((object, "/payload"))
}

/// Returns the attributes of a notification that the event itself decides, from a CloudEvent.
fn facts_of_cloud_event(mut event: Map<String, Value>) -> Map<String, Value> {
    let name = event.get("type").and_then(Value::as_str).unwrap_or_default();
    let name = name.strip_prefix("org.openstack.").unwrap_or_default().into();
    let mut take = |key: &str| event.remove(key).unwrap_or_default();
    [("event_type", name), ("priority", take("priority")), ("payload", take("data"))]
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use glance_notify::codec::NotificationInput;
    use glance_notify::codec::serde_json::{self, json};

    use super::*;
    use crate::validate::pattern::matches;

    /// The life of one image and one task, with each event type once.
    const SAMPLES: &str = include_str!("../../samples/image-lifecycle.jsonl");

    /// Returns the sentences of the warnings of a line.
    fn warnings(line: &str) -> Vec<String> {
        let warnings = EventSchemas::new().warnings(line.as_bytes());
        warnings.iter().map(ToString::to_string).collect()
    }

    /// Calls `visit` for a schema and every schema in it.
    fn visit_schemas(schema: &Value, visit: &mut dyn FnMut(&Map<String, Value>)) {
        let Value::Object(map) = schema else { return };
        visit(map);
        for (keyword, value) in map {
            match (keyword.as_str(), value) {
                ("properties" | "$defs", Value::Object(schemas)) => {
                    for schema in schemas.values() {
                        visit_schemas(schema, visit);
                    }
                }
                ("oneOf" | "anyOf" | "allOf", Value::Array(schemas)) => {
                    for schema in schemas {
                        visit_schemas(schema, visit);
                    }
                }
                ("items" | "additionalProperties", schema) => visit_schemas(schema, visit),
                _ => {}
            }
        }
    }

    /// A keyword that the check does not know would let wrong lines pass without a warning.
    #[test]
    fn the_check_knows_every_keyword_and_pattern_of_the_schema() {
        const CHECKED: [&str; 13] = [
            "format",
            "$ref",
            "additionalProperties",
            "allOf",
            "anyOf",
            "const",
            "enum",
            "items",
            "minimum",
            "pattern",
            "properties",
            "required",
            "type",
        ];
        const ANNOTATIONS: [&str; 3] = ["$schema", "title", "description"];
        const STRUCTURE: [&str; 2] = ["oneOf", "$defs"];
        visit_schemas(&json_schema(None), &mut |schema| {
            for keyword in schema.keys().map(String::as_str) {
                let known = [&CHECKED[..], &ANNOTATIONS, &STRUCTURE].concat().contains(&keyword);
                assert!(known, "unknown keyword {keyword}");
            }
            // Only the document itself has alternatives of which exactly one must match.
            assert!(!schema.contains_key("oneOf") || schema.contains_key("$schema"));
            if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
                assert_eq!(matches(pattern, ""), Some(false), "unknown pattern {pattern}");
                let sentence =
                    super::super::expectation::expected(&json!(schema), &|schema| schema);
                assert!(sentence.starts_with("a time such as "), "{sentence}");
            }
        });
    }

    /// Returns every variation of a value: each part replaced, removed or renamed.
    fn variations(value: &Value) -> Vec<Value> {
        let replacements = || {
            [
                json!(null),
                json!(true),
                json!(-1),
                json!(1.0),
                json!(1.5),
                json!("x"),
                json!([1]),
                json!({ "k": 1 }),
            ]
        };
        let mut variations = Vec::from(replacements());
        if let Value::Object(map) = value {
            for (key, part) in map {
                let with = |part| {
                    Value::Object(map.clone().into_iter().chain([(key.clone(), part)]).collect())
                };
                variations.extend(self::variations(part).into_iter().map(with));
                let mut removed = map.clone();
                removed.remove(key);
                variations.push(Value::Object(removed.clone()));
                removed.insert(format!("{key}x"), part.clone());
                variations.push(Value::Object(removed));
            }
        }
        variations
    }

    /// The check refuses exactly what a library for all of JSON Schema refuses.
    ///
    /// Each variation of a sample is a whole notification with another payload.
    #[test]
    fn the_check_agrees_with_a_library_for_json_schema() {
        let library =
            jsonschema::options().should_validate_formats(true).build(&json_schema(None)).unwrap();
        let schemas = EventSchemas::new();
        let mut refused = 0;
        for sample in SAMPLES.lines() {
            let mut line: Value = serde_json::from_str(sample).unwrap();
            line["message_id"] = json!("c80a1a6c-bd1f-41c5-90ee-81afedb1d58d");
            line["publisher_id"] = json!("image.host1");
            line["timestamp"] = json!("2026-11-22 12:00:00.123456");
            assert!(library.is_valid(&line), "{line}");
            for payload in variations(&line["payload"]) {
                line["payload"] = payload;
                let warnings = schemas.warnings(line.to_string().as_bytes());
                assert_eq!(warnings.is_empty(), library.is_valid(&line), "{line}: {warnings:?}");
                refused += usize::from(!warnings.is_empty());
            }
        }
        assert!(refused > 1000, "{refused} variations were refused");
    }

    /// Envelope 2.0 and log files wrap the same notification, so it has the same warnings. oslo.log may write an
    /// exception behind it.
    ///
    /// Reading accepts each form, so the two agree about where the notification is.
    #[test]
    fn finds_the_notification_in_every_form() {
        let line = r#"{"event_type":"task.failure","priority":"INFO","payload":{"id":"ID"}}"#
            .replace("ID", "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d");
        let expected = warnings(&line);
        assert!(expected.len() > 5);
        let name = "oslo.messaging.notification.task.failure";
        let logged = [name, "glance.notifier.notify_log"]
            .map(|logger| format!("x 2026-11-22 7 INFO {logger} [-] {line}"));
        let failed = format!("{}: glance_store.exceptions.StorageFull: {{}} is full", logged[0]);
        let record = json!({ "name": name, "levelname": "INFO", "message": line }).to_string();
        let envelope = json!({ "oslo.version": "2.0", "oslo.message": line }).to_string();
        let marked = format!("\u{feff}{line}");
        for form in logged.into_iter().chain([failed, record, envelope, marked]) {
            assert_eq!(warnings(&form), expected, "{form}");
            assert!(NotificationInput::decode(form.as_bytes(), &SizeLimits::default()).is_ok());
        }
        // A CloudEvent has its payload under another name.
        let cloud_event = json!({
            "specversion": "1.0", "id": "6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11", "source": "h",
            "type": "org.openstack.task.failure", "time": "2026-11-22T12:00:00.5Z",
            "priority": "INFO", "data": { "id": "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d" },
        })
        .to_string();
        let moved: Vec<_> = expected.iter().map(|it| it.replacen("/payload", "/data", 1)).collect();
        assert_eq!(warnings(&cloud_event), moved);
        assert!(NotificationInput::decode(cloud_event.as_bytes(), &SizeLimits::default()).is_ok());
    }

    /// Half a surrogate pair and a number out of range hide no warning. They are none themselves, wherever they are:
    /// a schema restricts neither the characters of a text nor the size of a number.
    #[test]
    fn values_that_rust_lacks_hide_no_warning() {
        let line = |text: &str, number: &str| {
            format!(
                r#"{{"event_type":"image.send","priority":"INFO","_context_user":"{text}",
                "payload":{{"owner_id":"{text}","bytes_sent":{number}}}}}"#
            )
        };
        let expected = warnings(&line("x", "1"));
        assert_eq!(expected.len(), 4);
        assert_eq!(warnings(&line(r"caf\udce9", "1e999")), expected);
    }

    /// oslo.messaging has more priorities than the documented events, and older senders write them in
    /// lower case. The payload is compared with the schema of the same priority.
    #[test]
    fn warns_about_a_priority_that_is_not_documented() {
        let line = |priority| {
            format!(r#"{{"event_type":"image.upload","priority":"{priority}","payload":5}}"#)
        };
        let documented = r#"expected "INFO", "WARN" or "ERROR", found "#;
        assert_eq!(warnings(&line("AUDIT")), [format!("/priority: {documented}\"AUDIT\"")]);
        assert_eq!(
            warnings(&line("error")),
            [
                format!("/priority: {documented}\"error\""),
                "/payload: expected a string, found a whole number".to_owned(),
            ]
        );
    }

    /// The documents describe no other event type, so no shape of it is wrong.
    #[test]
    fn other_event_types_have_no_warnings() {
        let line = |id: &str| {
            format!(
                r#"{{"event_type":"image.member.create","priority":"INFO","payload":{{"id":{id}}}}}"#
            )
        };
        assert!(warnings(&line("1")).is_empty());
        assert!(warnings(&line(r#""\udce9""#)).is_empty());
    }
}
