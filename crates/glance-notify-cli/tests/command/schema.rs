//! `schema`: a JSON Schema for each event type, and valid examples.

use serde_json::Value;

use crate::support::{Sandbox, values};

/// The event types of Glance's documentation.
const EVENTS: [&str; 11] = [
    "image.create",
    "image.prepare",
    "image.upload",
    "image.activate",
    "image.send",
    "image.update",
    "image.delete",
    "task.run",
    "task.processing",
    "task.success",
    "task.failure",
];

/// Each schema declares its dialect and the event type.
#[test]
fn prints_a_schema_for_each_event_type_and_for_all() {
    let sandbox = Sandbox::new();
    for args in EVENTS.map(|event| vec!["schema", event]).into_iter().chain([vec!["schema"]]) {
        let output = sandbox.run(&args).expect(0);
        let schema: Value = serde_json::from_str(&output.out).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        let title = schema["title"].as_str().unwrap();
        assert!(args.get(1).is_none_or(|event| title.starts_with(event)), "{title}");
    }
}

/// `validate` accepts the examples, and each has the six attributes.
///
/// You can feed the examples to a consumer that you write.
#[test]
fn examples_are_valid_and_cover_every_event_type() {
    let sandbox = Sandbox::new();
    let all = sandbox.run(["schema", "--example"]).expect(0).out;
    sandbox.pipe(["validate"], &all).expect_message(0, "11 read, all valid");
    for example in values(&all) {
        assert_eq!(example.as_object().unwrap().len(), 6);
    }
    for event in EVENTS {
        let one = values(&sandbox.run(["schema", event, "--example"]).expect(0).out);
        assert_eq!((one.len(), one[0]["event_type"].as_str()), (1, Some(event)));
    }
}

/// The usage error lists the event types.
#[test]
fn rejects_an_unknown_event_type() {
    Sandbox::new()
        .run(["schema", "image.gone"])
        .expect_message(2, "[possible values: image.create");
}
