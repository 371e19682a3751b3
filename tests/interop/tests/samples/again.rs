//! The reader and the encoder lose nothing of what OpenStack sends.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use glance_notify::Config;
use glance_notify::codec::{NotificationInput, SizeLimits};
use glance_notify::event::NotificationPayload;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::reading::{lines, names};

/// Every line of every form goes through the strategy `log`, and comes out with the same payload, as a value
/// and its numbers digit by digit, whatever the style of typed payloads and the envelope. Each CloudEvent is
/// valid by the specification's JSON Schema, and is read back. The snapshot holds the sentences for
/// the lines that reading refuses.
#[tokio::test]
async fn every_sample_is_sent_again_with_its_payload() {
    let files: Vec<_> = ["openstack-2026", "collection", "collection/forms"]
        .iter()
        .flat_map(|directory| {
            names(directory).into_iter().map(move |name| format!("{directory}/{name}"))
        })
        // A line of these is what goes over the wire: the outer layer is that of a broker's message.
        .filter(|name| !name.ends_with("-wire.jsonl"))
        .collect();
    let schema = serde_json::from_str(CLOUD_EVENTS_SCHEMA).unwrap();
    let cloud_events = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    for (settings, payload_key) in [
        ("payloads = 'documented'", "payload"),
        ("payloads = 'glance'", "payload"),
        ("log.envelope = 'cloudevents'", "data"),
    ] {
        let mut refused = String::new();
        let (inputs, sent) = send_again(&files, settings, &mut refused).await;
        insta::assert_snapshot!("refused_samples", refused);
        assert!(inputs.len() > 850, "{} lines", inputs.len());
        assert_eq!(sent.lines().count(), inputs.len());
        for (line, payload) in sent.lines().zip(&inputs) {
            let attributes: BTreeMap<&str, &RawValue> = serde_json::from_str(line).unwrap();
            let read = attributes[payload_key].get();
            assert_eq!(value(read), value(payload), "{line}");
            assert_eq!(numbers(read), numbers(payload), "{line}");
            if payload_key == "data" {
                let error = value(line).and_then(|event| {
                    cloud_events.validate(&event).err().map(|error| error.to_string())
                });
                assert_eq!(error, None, "{line}");
                let again = glance_notify::Notification::decode(line.as_bytes()).unwrap();
                let NotificationPayload::Read(event) = &again.payload else { panic!("{again:?}") };
                assert_eq!(event.payload().get(), read);
            }
        }
    }
}

/// Sends the lines of the files that reading accepts to a log file. Returns their payloads and that file,
/// and adds the sentences for the other lines to `refused`.
async fn send_again(
    files: &[String],
    settings: &str,
    refused: &mut String,
) -> (Vec<String>, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("again.log");
    let config: Config = format!(
        "strategy = 'log'\nredact = 'off'\n{settings}\nlog.file = '{}'\nlog.sync = false",
        file.display()
    )
    .parse()
    .unwrap();
    let (notifier, worker) = glance_notify::start(&config).unwrap();
    let worker = tokio::spawn(worker.run());
    let mut payloads = Vec::new();
    for name in files {
        for (number, line) in (1..).zip(lines(name)) {
            let notification =
                match NotificationInput::decode(line.as_bytes(), &SizeLimits::default()) {
                    Ok(NotificationInput::Notification(notification)) => notification,
                    Ok(NotificationInput::Event(event)) => notifier.stamp(event),
                    Err(problems) => {
                        writeln!(refused, "{name}:{number} {problems}").unwrap();
                        continue;
                    }
                };
            let NotificationPayload::Read(event) = &notification.payload else {
                panic!("{name}: {notification:?}")
            };
            payloads.push(event.payload().get().to_owned());
            notifier.resend(&notification).await.await.unwrap();
        }
    }
    notifier.close();
    worker.await.unwrap();
    (payloads, fs::read_to_string(&file).unwrap())
}

/// Returns the value of a JSON text, unless it holds half a surrogate pair or a number that Rust has not.
fn value(json: &str) -> Option<Value> {
    serde_json::from_str(json).ok()
}

/// Python's `NaN` and infinities are named, and half a surrogate pair is kept.
#[test]
fn names_the_numbers_that_only_python_reads() {
    let mut named = 0;
    for name in ["oslo-lenient-v1.jsonl", "oslo-lenient-v2.jsonl", "oslo-lenient.log"] {
        for line in lines(&format!("openstack-2026/{name}")) {
            match NotificationInput::decode(line.as_bytes(), &SizeLimits::default()) {
                Ok(_) => assert!(line.contains("ud8") || line.contains("udc"), "{line}"),
                Err(problems) => {
                    let text = problems.to_string();
                    assert!(text.ends_with(": write null instead"), "{text}\n{line}");
                    named += 1;
                }
            }
        }
    }
    assert_eq!(named, 9);
}

/// Returns the numbers of a JSON text, as they are in the text.
fn numbers(json: &str) -> Vec<&str> {
    let mut numbers = Vec::new();
    let mut is_text = false;
    let mut rest = json;
    while let Some(at) =
        rest.find(|c: char| c == '"' || c == '\\' || c == '-' || c.is_ascii_digit())
    {
        rest = &rest[at..];
        let length = match rest.as_bytes()[0] {
            b'"' => {
                is_text = !is_text;
                1
            }
            b'\\' => 2,
            _ if is_text => 1,
            _ => rest.find([',', ']', '}', ' ']).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        if length > 0 && !is_text && !token.starts_with(['"', '\\']) {
            numbers.push(token);
        }
        rest = after;
    }
    numbers
}

/// The JSON Schema of CloudEvents, of which the README beside it names the origin.
const CLOUD_EVENTS_SCHEMA: &str =
    include_str!("../../../../crates/notify-core/tests/cloudevents/cloudevents.json");
