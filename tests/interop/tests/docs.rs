//! The documentation says what the code does: every table against the types, every snippet in the
//! program it is taken from, every test that is named.

#![expect(clippy::unwrap_used, reason = "a test may fail as it likes")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use glance_notify::codec::{NotificationInput, SizeLimits};
use glance_notify::event::{EventType, json_schema};
use glance_notify::pipeline::Stats;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The lines of the section below a heading, as the cells of a table.
fn rows<'a>(document: &'a str, heading: &str) -> impl Iterator<Item = Vec<&'a str>> {
    let (_, section) = document.split_once(&format!("{heading}\n")).unwrap();
    section
        .lines()
        .take_while(|line| !line.starts_with('#'))
        .map(|line| line.split('|').map(str::trim).collect())
}

/// What is quoted last in each cell of a column, the first being 1.
fn quoted(document: &str, heading: &str, column: usize) -> Vec<String> {
    let words = rows(document, heading).filter_map(|row| row.get(column)?.rsplit('`').nth(1));
    words.map(str::to_owned).collect()
}

fn sorted(words: impl IntoIterator<Item = impl Into<String>>) -> BTreeSet<String> {
    words.into_iter().map(Into::into).collect()
}

#[test]
fn the_tables_of_the_schema_are_those_of_the_types() {
    let document = read("docs/schema.md");
    let schema = json_schema(None);
    let events: Vec<_> = EventType::ALL.iter().map(|event_type| event_type.as_str()).collect();
    assert_eq!(quoted(&document, "## Events", 1), events);
    for (heading, definition) in
        [("## Image", "Image"), ("## Sending", "ImageSend"), ("## Task", "Task")]
    {
        let definition = &schema["$defs"][definition];
        let keys = definition["properties"].as_object().unwrap().keys();
        assert_eq!(sorted(quoted(&document, heading, 1)), sorted(keys), "{heading}");
        let required = definition["required"].as_array().unwrap().iter();
        let required = required.map(|key| key.as_str().unwrap());
        assert_eq!(sorted(quoted(&document, heading, 1)), sorted(required), "{heading}");
    }
    let envelope = &schema["oneOf"][0]["required"];
    let attributes: Vec<_> =
        envelope.as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
    assert_eq!(sorted(quoted(&document, "# Notifications", 1)), sorted(attributes));
}

/// Null is allowed where the document says so, and nowhere else.
#[test]
fn the_nulls_of_the_schema_are_those_of_the_types() {
    let document = read("docs/schema.md");
    let schema = json_schema(None);
    for (heading, definition) in
        [("## Image", "Image"), ("## Sending", "ImageSend"), ("## Task", "Task")]
    {
        for row in rows(&document, heading) {
            let [_, key, _, null, ..] = row.as_slice() else { continue };
            let Some(key) = key.split('`').nth(1) else { continue };
            let text = schema["$defs"][definition]["properties"][key].to_string();
            assert_eq!(text.contains("\"null\""), *null == "yes", "{key}: {text}");
        }
    }
}

#[test]
fn every_counter_is_explained() {
    let document = read("docs/operations.md");
    let stats = serde_json::to_value(Stats::default()).unwrap();
    let mut counters = Vec::new();
    for (key, value) in stats.as_object().unwrap() {
        match value {
            Value::Object(reasons) if key == "dropped" => {
                counters.extend(reasons.keys().map(|reason| format!("dropped.{reason}")));
            }
            _ => counters.push(key.clone()),
        }
    }
    assert_eq!(sorted(quoted(&document, "## The counters", 1)), sorted(counters));
}

#[test]
fn every_snippet_of_embedding_is_in_the_service() {
    let document = read("docs/embedding.md");
    let service = read("tests/interop/src/service.rs");
    let snippets: Vec<_> = document.split("```rust\n").skip(1).collect();
    assert!(snippets.len() >= 6);
    for snippet in snippets {
        let snippet = snippet.split("```").next().unwrap();
        assert!(service.contains(snippet), "not in tests/interop/src/service.rs:\n{snippet}");
    }
}

/// Every test that `docs/architecture.md` names is there.
#[test]
fn every_test_that_is_named_exists() {
    let document = read("docs/architecture.md");
    let names = quoted(&document, "## Invariants", 2);
    assert!(names.len() >= 8);
    let sources = sources();
    for name in names {
        let test = name.rsplit("::").next().unwrap();
        let exists = sources.contains(&format!("fn {test}("))
            || root().join("crates/notify-core").join(test).exists();
        assert!(exists || test.ends_with("suite!"), "{name}");
    }
}

/// Every fault has a test, and every test that `docs/reliability.md` names is there, and every fault of
/// the chaos is named.
#[test]
fn every_fault_has_its_tests() {
    let document = read("docs/reliability.md");
    let sources = sources();
    let mut chaos = BTreeSet::new();
    let mut faults = Vec::new();
    for row in rows(&document, "## Every fault and its tests") {
        let [_, number, _, _, tests, _] = row.as_slice() else { continue };
        let Ok(number) = number.parse::<usize>() else { continue };
        faults.push(number);
        let names: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "fault {number} is without a test");
        for name in names {
            if let Some(fault) = name.strip_prefix("chaos ") {
                chaos.insert(fault.to_owned());
                continue;
            }
            let test = name.rsplit("::").next().unwrap();
            let forms = ["(", "<"].map(|end| format!("fn {test}{end}"));
            assert!(forms.iter().any(|form| sources.contains(form)), "{number}: {name}");
        }
    }
    assert_eq!(faults, (1..=32).collect::<Vec<_>>());
    let catalogue = read("tests/chaos/src/fault.rs");
    let (_, catalogue) = catalogue.split_once("const ALL").unwrap();
    let catalogue = catalogue.split("];").next().unwrap();
    assert_eq!(chaos, sorted(catalogue.split('"').skip(1).step_by(2)));
}

fn sources() -> String {
    let mut text = String::new();
    let mut open = vec![root().join("crates"), root().join("xtask"), root().join("tests")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    text
}

/// The sample that the README's first command sends: all eleven events, each valid.
#[test]
fn the_sample_of_the_readme_holds_every_event() {
    assert!(read("README.md").contains("docs/samples/image-lifecycle.jsonl"));
    let seen: BTreeSet<_> = read("docs/samples/image-lifecycle.jsonl")
        .lines()
        .map(|line| match NotificationInput::read(line.as_bytes(), &SizeLimits::default()) {
            Ok(NotificationInput::Body(body)) => body.event_type(),
            other => panic!("{line}: {other:?}"),
        })
        .collect();
    assert_eq!(seen.len(), EventType::ALL.len());
}

/// No document leads nowhere.
#[test]
fn every_link_leads_somewhere() {
    let mut documents = vec![root().join("README.md")];
    documents
        .extend(std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    for path in documents.iter().filter(|path| path.extension().is_some_and(|e| e == "md")) {
        let text = std::fs::read_to_string(path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                let target = path.parent().unwrap().join(target);
                assert!(target.exists(), "{} leads to {link}", path.display());
            }
        }
    }
}
