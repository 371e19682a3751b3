//! `schema`: a schema for each event, and examples that are valid.

use serde_json::Value;

use crate::support::{Place, values};

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

#[test]
fn each_event_has_a_schema_and_so_have_all_together() {
    let place = Place::new();
    for args in EVENTS.map(|event| vec!["schema", event]).into_iter().chain([vec!["schema"]]) {
        let ended = place.run(&args).expect(0);
        let schema: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        let title = schema["title"].as_str().unwrap();
        assert!(args.get(1).is_none_or(|event| title.starts_with(event)), "{title}");
    }
}

#[test]
fn the_examples_are_valid_and_cover_every_event() {
    let place = Place::new();
    let all = place.run(["schema", "--example"]).expect(0).out;
    place.pipe(["validate"], &all).says(0, "11 read, nothing wrong");
    for example in values(&all) {
        assert_eq!(example.as_object().unwrap().len(), 6);
    }
    for event in EVENTS {
        let one = values(&place.run(["schema", event, "--example"]).expect(0).out);
        assert_eq!((one.len(), one[0]["event_type"].as_str()), (1, Some(event)));
    }
}

#[test]
fn an_unknown_event_is_refused() {
    Place::new().run(["schema", "image.gone"]).says(2, "[possible values: image.create");
}
