//! The payloads of documented events, checked against the JSON Schema that `schema` prints.
//!
//! A finding names keys and types. It repeats no value of a payload, which may be a secret.

use std::collections::HashMap;

use glance_notify::codec::serde_json::{self, Value, json};
use glance_notify::codec::{NotificationInput, Problem};
use glance_notify::config::Redact;
use glance_notify::event::{Body, EventType, Priority, json_schema};
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError, Validator};

/// The schemas of the payloads so far, each compiled once.
#[derive(Default)]
pub(crate) struct SchemaCheck {
    /// The validators of each event type and priority, one for each payload style.
    validators: HashMap<(EventType, Priority), Vec<Validator>>,
}

impl SchemaCheck {
    /// Returns what the schema refuses in a notification that was read.
    ///
    /// Event types and priorities outside of the documented ones have no schema. A payload that matches
    /// neither payload style has the problems of the style that it resembles most.
    pub(crate) fn problems(&mut self, input: &NotificationInput) -> Vec<Problem> {
        let body = match input {
            NotificationInput::Notification(notification) => &notification.body,
            NotificationInput::Body(body) => body,
        };
        let Body::Read(event) = body else { return Vec::new() };
        let (event_type, priority) = (event.event_type(), event.priority());
        if matches!(event_type, EventType::Other(_)) || !Priority::DOCUMENTED.contains(&priority) {
            return Vec::new();
        }
        let Ok(payload) = serde_json::from_str::<Value>(event.payload().get()) else {
            return vec![Problem {
                pointer: "/payload".to_owned(),
                expected: "numbers of 64 bits and texts of whole characters".to_owned(),
                found: "half a surrogate pair or a number out of range".to_owned(),
            }];
        };
        let validators = self
            .validators
            .entry((event_type.clone(), priority))
            .or_insert_with(|| payload_validators(event_type, priority));
        let problems = validators.iter().map(|validator| {
            validator.iter_errors(&payload).map(|error| problem(&error)).collect::<Vec<_>>()
        });
        problems.min_by_key(Vec::len).unwrap_or_default()
    }
}

/// Compiles the schema of a payload in each payload style.
fn payload_validators(event_type: &EventType, priority: Priority) -> Vec<Validator> {
    let schema = json_schema(Some(event_type));
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    let of_priority =
        |alternative: &&Value| alternative["properties"]["priority"]["const"] == priority.as_str();
    let Some(alternative) = alternatives.clone().find(of_priority) else { return Vec::new() };
    let payload = &alternative["properties"]["payload"];
    let styles = match payload["anyOf"].as_array() {
        Some(styles) => styles.as_slice(),
        None => std::slice::from_ref(payload),
    };
    let compile = |style: &Value| {
        let schema = json!({ "$defs": schema["$defs"], "allOf": [style] });
        jsonschema::options().should_validate_formats(true).build(&schema).ok()
    };
    styles.iter().filter_map(compile).collect()
}

/// Converts a finding of the validator.
fn problem(error: &ValidationError<'_>) -> Problem {
    let mut pointer = format!("/payload{}", redacted(error.instance_path().as_str()));
    let mut found = kind_of(error.instance()).to_owned();
    let expected = match error.kind() {
        ValidationErrorKind::Required { property } => {
            pointer = format!("{pointer}/{}", property.as_str().unwrap_or_default());
            "nothing".clone_into(&mut found);
            "a value".to_owned()
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            found = format!("{} unknown", unexpected.len());
            "only the documented keys".to_owned()
        }
        ValidationErrorKind::Type { kind: TypeKind::Single(kind) } => in_words(*kind).to_owned(),
        ValidationErrorKind::Type { kind: TypeKind::Multiple(kinds) } => {
            kinds.iter().map(in_words).collect::<Vec<_>>().join(" or ")
        }
        ValidationErrorKind::Enum { options } => format!("one of {options}"),
        ValidationErrorKind::Pattern { .. } => "a time such as 2012-05-16T15:27:36Z".to_owned(),
        ValidationErrorKind::Format { format } if format == "uuid" => {
            "a UUID with dashes".to_owned()
        }
        ValidationErrorKind::Format { format } => format!("the format {format}"),
        ValidationErrorKind::Minimum { limit } => format!("a number from {limit}"),
        _ => "a value that the JSON Schema allows".to_owned(),
    };
    Problem { pointer, expected, found }
}

/// Returns a JSON pointer whose keys have lost the credentials of URLs, as they do when they are written.
fn redacted(pointer: &str) -> String {
    let redact = |segment: &str| {
        let key = segment.replace("~1", "/").replace("~0", "~");
        Redact::Secrets.text(&key).replace('~', "~0").replace('/', "~1")
    };
    pointer.split('/').map(redact).collect::<Vec<_>>().join("/")
}

/// Returns a type of the schema in the words of a problem.
fn in_words(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "a string",
    }
}

/// Returns the type of a value in the words of a problem.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_u64() => "a whole number",
        Value::Number(number) if number.is_i64() => "a negative number",
        Value::Number(_) => "a floating-point number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
