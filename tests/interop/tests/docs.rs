//! The documents agree with the code: tables with types, snippets with programs, names with tests,
//! links with targets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use glance_notify::Config;
use glance_notify::codec::{NotificationInput, Sequence, SizeLimits};
use glance_notify::event::{EventType, json_schema};
use glance_notify::pipeline::Stats;
use glance_notify::pipeline::metrics::{METRICS, Metric};
use glance_notify::transport::BrokerStats;
use glance_notify::uuid::Uuid;
use notify_conformance::samples;
use serde_json::Value;

/// `docs/schema.md` lists the events and the fields of the generated JSON Schema.
#[test]
fn the_schema_lists_every_event_and_field() {
    let document = read("docs/schema.md");
    let schema = json_schema(None);
    let events: Vec<_> = EventType::DOCUMENTED.iter().map(EventType::as_str).collect();
    assert_eq!(quoted(&document, "## Events", 1), events);
    for (heading, definition) in SCHEMA_TABLES {
        let definition = &schema["$defs"][definition];
        let keys = definition["properties"].as_object().unwrap().keys();
        assert_eq!(set(quoted(&document, heading, 1)), set(keys), "{heading}");
        let required = definition["required"].as_array().unwrap().iter();
        let required = required.map(|key| key.as_str().unwrap());
        assert_eq!(set(quoted(&document, heading, 1)), set(required), "{heading}");
    }
    let envelope = &schema["oneOf"][0]["required"];
    let attributes: Vec<_> =
        envelope.as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
    assert_eq!(set(quoted(&document, "# Notifications", 1)), set(attributes));
}

/// A field may be null where `docs/schema.md` says "yes", and nowhere else.
#[test]
fn the_schema_marks_every_nullable_field() {
    let document = read("docs/schema.md");
    let schema = json_schema(None);
    for (heading, definition) in SCHEMA_TABLES {
        for row in rows(&document, heading) {
            let [_, key, _, null, ..] = row.as_slice() else { continue };
            let Some(key) = key.split('`').nth(1) else { continue };
            let text = schema["$defs"][definition]["properties"][key].to_string();
            assert_eq!(text.contains("\"null\""), *null == "yes", "{key}: {text}");
        }
    }
}

/// `docs/schema.md` lists every attribute of a CloudEvent, and no other.
#[test]
fn the_schema_lists_every_attribute_of_a_cloud_event() {
    let sequence = Sequence::new(Uuid::from_u128(7), "notifications.info", 1);
    let message = samples::messages(0..1).remove(0);
    let message = message.with_context(samples::context()).with_sequence(sequence);
    let event: Value = serde_json::from_slice(&message.cloud_event().to_json()).unwrap();
    let document = read("docs/schema.md");
    let cells = rows(&document, "## CloudEvents").filter_map(|row| row.get(1).copied());
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    // The other table of the section lists the words of `envelope`, which are in quotes.
    let listed = words.filter(|word| !word.starts_with('"') && *word != "envelope");
    assert_eq!(set(listed), set(event.as_object().unwrap().keys()));
}

/// `docs/counters.md` explains every field of `Stats`.
#[test]
fn every_counter_is_explained() {
    let document = read("docs/counters.md");
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
    assert_eq!(set(quoted(&document, "## The counters", 1)), set(counters));
    let mut counters = Vec::new();
    for (key, value) in serde_json::to_value(BrokerStats::default()).unwrap().as_object().unwrap() {
        match value {
            Value::Object(latency) => {
                counters.extend(latency.keys().map(|part| format!("broker.{key}.{part}")));
            }
            _ => counters.push(format!("broker.{key}")),
        }
    }
    assert_eq!(set(quoted(&document, "## The counters of a broker", 1)), set(counters));
}

/// `docs/counters.md` explains every metric, with the counter that it comes from, its labels and its meaning.
#[test]
fn every_metric_is_explained() {
    let document = read("docs/counters.md");
    let explained = rows(&document, "## Metrics").filter(|row| row.len() == 7).skip(2);
    let explained: Vec<_> = explained
        .map(|row| {
            let labels: Vec<_> = row[4].split('`').skip(1).step_by(2).take(1).collect();
            let meaning = row[5].split([',', ';']).next().unwrap();
            format!("{} {} {} {labels:?} {meaning}", row[1], row[2], row[3])
        })
        .collect();
    let metrics: Vec<_> = METRICS
        .iter()
        .map(|metric| {
            let kind = if metric.is_counter() { "counter" } else { "gauge" };
            let meaning = metric.meaning.split([',', ';']).next().unwrap();
            let Metric { name, counter, labels, .. } = metric;
            format!("`{name}` {kind} `{counter}` {labels:?} {meaning}")
        })
        .collect();
    assert_eq!(explained, metrics);
    let stats = serde_json::to_value(Stats::default()).unwrap();
    for metric in METRICS {
        let of_broker = document.contains(&format!("| `{}` |", metric.counter));
        assert!(stats.get(metric.counter).is_some() || of_broker, "{}", metric.counter);
    }
}

/// The snippets of the authors' guide are parts of the service that the tests run.
#[test]
fn every_snippet_of_the_authors_guide_is_in_the_service() {
    let service = read(SERVICE);
    let document = read(AUTHORS);
    let snippets: Vec<_> =
        snippets(&document).into_iter().filter(|s| s.language == "rust").collect();
    assert!(snippets.len() >= 8);
    for Snippet { text, .. } in snippets {
        assert!(service.contains(text), "not in {SERVICE}:\n{text}");
    }
}

/// Every snippet is compiled, parsed or run by some test.
#[test]
fn every_snippet_is_checked() {
    let doctests = read("tests/interop/src/lib.rs");
    let commands = read("xtask/src/main.rs");
    let mut checked = 0;
    for (path, document) in documents() {
        for Snippet { language, text } in snippets(&document) {
            match language.split(',').next().unwrap() {
                "rust" => assert!(
                    path == AUTHORS || doctests.contains(&path),
                    "{path}: a Rust snippet in a document without doctests"
                ),
                "toml" => drop(text.parse::<Config>().unwrap_or_else(|e| panic!("{path}: {e}"))),
                // The tests of the command run the whole page.
                "sh" if path == "docs/quickstart.md" => {}
                "sh" | "console" => text.lines().for_each(|line| is_known(line, &commands, &path)),
                // `docs/configuration.md` has one of each; the tests of the facade read them.
                "ini" if text.contains("[Unit]") || text.contains("[DEFAULT]") => {}
                "text" => {}
                other => panic!("{path}: no test checks snippets of the language {other:?}"),
            }
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked} snippets found");
}

/// `docs/architecture.md` names a test for each invariant, and that test exists.
#[test]
fn every_invariant_has_its_test() {
    let document = read("docs/architecture.md");
    let names = quoted(&document, "## Invariants", 3);
    assert!(names.len() >= 20);
    let sources = sources();
    for name in names {
        let test = name.rsplit("::").next().unwrap();
        let exists = sources.contains(&format!("fn {test}("))
            || root().join("crates/notify-core").join(test).exists();
        assert!(exists || test.ends_with("suite!"), "{name}");
    }
}

/// `docs/reliability.md` names tests for each fault. They exist, and every fault of chaos is named.
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
        assert!(!names.is_empty(), "fault {number} has no test");
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
    assert_eq!(faults, (1..=37).collect::<Vec<_>>());
    let catalogue = read("tests/chaos/src/fault.rs");
    let (_, catalogue) = catalogue.split_once("const ALL").unwrap();
    let catalogue = catalogue.split("];").next().unwrap();
    assert_eq!(chaos, set(catalogue.split('"').skip(1).step_by(2)));
}

/// The README's first command sends a sample with every event, each valid.
#[test]
fn the_sample_of_the_readme_holds_every_event() {
    assert!(read("README.md").contains("docs/samples/image-lifecycle.jsonl"));
    let events: BTreeSet<_> = read("docs/samples/image-lifecycle.jsonl")
        .lines()
        .map(|line| match NotificationInput::decode(line.as_bytes(), &SizeLimits::default()) {
            Ok(NotificationInput::Event(event)) => event.event_type().clone(),
            other => panic!("{line}: {other:?}"),
        })
        .collect();
    assert_eq!(events.len(), EventType::DOCUMENTED.len());
}

/// Every link of every document leads to a file, and to a heading in it.
#[test]
fn every_link_has_a_target() {
    let crates = std::fs::read_dir(root().join("crates")).unwrap();
    let crates = crates.map(|entry| Path::new("crates").join(entry.unwrap().file_name()));
    let others = ["docs/ops", "docs/upstream", "tests/samples"].map(PathBuf::from);
    let others = documents_in(others.into_iter().chain(crates));
    assert!(others.len() > 10, "{} documents found", others.len());
    for (path, document) in documents().into_iter().chain(others) {
        for link in document.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => root().join(&path),
                file => root().join(&path).parent().unwrap().join(file),
            };
            assert!(target.exists(), "{path}: no file for the link {link}");
            if !heading.is_empty() {
                let text = std::fs::read_to_string(target).unwrap();
                assert!(anchors(&text).contains(heading), "{path}: no heading for the link {link}");
            }
        }
    }
}

/// A fenced block of a document.
struct Snippet<'a> {
    language: &'a str,
    text: &'a str,
}

/// Returns the fenced blocks of a document.
fn snippets(document: &str) -> Vec<Snippet<'_>> {
    let blocks = document.split("```").skip(1).step_by(2);
    let snippet = |block| {
        let (language, text) = str::split_once(block, '\n').unwrap();
        Snippet { language, text }
    };
    blocks.map(snippet).collect()
}

/// Panics if a line of a shell snippet runs a program that the documents do not explain, or a
/// command that xtask does not have.
fn is_known(line: &str, xtask: &str, path: &str) {
    let line = line.trim().trim_start_matches("$ ");
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["cargo", "xtask", command, ..] => {
            assert!(xtask.contains(&format!("(Some(\"{command}\")")), "{path}: {line}");
        }
        [] | ["cargo", "run" | "build" | "test" | "install", ..] => {}
        [program, ..] if EXPLAINED.contains(program) => {}
        // An argument on a line of its own continues the command above it.
        [word, ..] if word.starts_with('\'') || word.starts_with('-') => {}
        _ => panic!("{path}: no document explains the command {line:?}"),
    }
}

/// The programs that the documents explain, and tools of every system with systemd.
const EXPLAINED: &[&str] = &[
    "glance-notify",
    "rabbitmqctl",
    "qpid-config",
    "rabbitmqadmin",
    "systemctl",
    "cd",
    "rm",
    "cp",
    "mv",
    "chown",
];

/// Returns the anchors of a document's headings, as GitHub makes them.
fn anchors(document: &str) -> BTreeSet<String> {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// Returns the lines of the section below a heading, as the cells of a table.
fn rows<'a>(document: &'a str, heading: &str) -> impl Iterator<Item = Vec<&'a str>> {
    let (_, section) = document.split_once(&format!("{heading}\n")).unwrap();
    section
        .lines()
        .take_while(|line| !line.starts_with('#'))
        .map(|line| line.split('|').map(str::trim).collect())
}

/// Returns the last word in backticks of each cell of a column. The first column is 1.
fn quoted(document: &str, heading: &str, column: usize) -> Vec<String> {
    let words = rows(document, heading).filter_map(|row| row.get(column)?.rsplit('`').nth(1));
    words.map(str::to_owned).collect()
}

fn set(words: impl IntoIterator<Item = impl Into<String>>) -> BTreeSet<String> {
    words.into_iter().map(Into::into).collect()
}

/// Returns the text of every Rust source of the workspace.
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

/// Returns the documents at the root and in `docs`, with their paths from the root.
fn documents() -> Vec<(String, String)> {
    documents_in(["", "docs"].map(PathBuf::from))
}

/// Returns the documents in directories, with their paths from the root.
fn documents_in(directories: impl IntoIterator<Item = PathBuf>) -> Vec<(String, String)> {
    let mut documents = Vec::new();
    for directory in directories {
        for entry in std::fs::read_dir(root().join(&directory)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = directory.join(name).display().to_string();
            if Path::new(&path).extension().is_some_and(|end| end == "md") {
                documents.push((path.clone(), read(&path)));
            }
        }
    }
    documents.sort();
    documents
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The headings of `docs/schema.md` and the definitions that their tables describe.
const SCHEMA_TABLES: [(&str, &str); 3] =
    [("## Image", "Image"), ("## Sending", "ImageSend"), ("## Task", "Task")];

const AUTHORS: &str = "docs/authors.md";
const SERVICE: &str = "crates/glance-notify/examples/service.rs";
