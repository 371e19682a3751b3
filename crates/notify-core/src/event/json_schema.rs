//! The JSON Schema 2020-12 of notifications.
//!
//! The schema comes from the same declarations that write notifications, so the two cannot disagree.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use super::event_type::EventType;
use super::image_send::ImageSend;
use super::image_wire::ImageWire;
use super::priority::Priority;
use super::task_wire::{GlanceTask, TaskWire};

/// Returns the JSON Schema (2020-12) of notifications, for one event type or for the eleven documented
/// ones.
///
/// The schema describes all six attributes, at every priority and in both payload styles.
///
/// # Examples
///
/// ```
/// use notify_core::EventType;
/// use notify_core::event::json_schema;
///
/// let schema = json_schema(Some(&EventType::ImageSend));
/// assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
/// assert_eq!(schema["title"], "image.send notifications of an image service");
/// // One alternative per priority.
/// assert_eq!(schema["oneOf"].as_array().unwrap().len(), 3);
/// ```
pub fn json_schema(event_type: Option<&EventType>) -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let events = match event_type {
        Some(event_type) => std::slice::from_ref(event_type),
        None => EventType::DOCUMENTED,
    };
    let alternatives: Value = events
        .iter()
        .flat_map(|event_type| {
            Priority::DOCUMENTED.iter().map(move |&priority| (event_type, priority))
        })
        .map(|(event_type, priority)| notification(event_type, priority, &mut generator))
        .collect();
    let title = match event_type {
        Some(event_type) => format!("{event_type} notifications of an image service"),
        None => "Notifications of an image service".to_owned(),
    };
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "oneOf": alternatives,
    });
    schema["$defs"] = Value::Object(generator.take_definitions(true));
    schema
}

/// Returns the schema of a whole notification of one event type at one priority.
fn notification(
    event_type: &EventType,
    priority: Priority,
    generator: &mut SchemaGenerator,
) -> Value {
    json!({
        "type": "object",
        "title": format!("{event_type} {priority}"),
        "properties": {
            "message_id": { "type": "string", "format": "uuid" },
            "publisher_id": { "type": "string" },
            "event_type": { "const": event_type.as_str() },
            "priority": { "const": priority.as_str() },
            "timestamp": {
                "type": "string",
                "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}$"
            },
            "payload": payload(event_type, priority, generator),
        },
        "required": ["message_id", "publisher_id", "event_type", "priority", "timestamp", "payload"],
        "additionalProperties": false,
    })
}

/// Returns the schema of a payload in either style.
fn payload(event_type: &EventType, priority: Priority, generator: &mut SchemaGenerator) -> Value {
    use EventType as E;
    match (event_type, priority) {
        (E::ImageSend, _) => schema_of::<ImageSend>(generator),
        (E::Other(_), _) => json!(true),
        (_, Priority::Warn | Priority::Error) => json!({ "type": "string" }),
        (E::ImageDelete, _) => json!({
            "anyOf": [{ "type": "string", "format": "uuid" }, schema_of::<ImageWire<'_>>(generator)]
        }),
        (
            E::ImageCreate | E::ImagePrepare | E::ImageUpload | E::ImageActivate | E::ImageUpdate,
            _,
        ) => schema_of::<ImageWire<'_>>(generator),
        (E::TaskRun | E::TaskProcessing, _) => task("null", "null", generator),
        (E::TaskSuccess, _) => task("object", "null", generator),
        (E::TaskFailure, _) => task("null", "string", generator),
    }
}

/// Returns the schema of a task whose `result` and `message` have the types that its event requires,
/// or of a task in Glance's style, where both are null.
fn task(result: &str, message: &str, generator: &mut SchemaGenerator) -> Value {
    json!({
        "anyOf": [
            {
                "allOf": [
                    schema_of::<TaskWire<'_>>(generator),
                    { "properties": { "result": { "type": result }, "message": { "type": message } } }
                ]
            },
            schema_of::<GlanceTask<'_>>(generator),
        ]
    })
}

/// Returns a reference to the schema of `T`, and defines it if necessary.
fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}
