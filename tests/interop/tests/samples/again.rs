//! The reader and the encoder lose nothing of what OpenStack sends.

use std::fs;

use glance_notify::Config;
use glance_notify::codec::{NotificationInput, SizeLimits};
use glance_notify::event::NotificationPayload;
use serde_json::Value;

use crate::reading::{lines, names};

/// Every line of every form goes through the strategy `log`, and comes out with the same attributes and
/// the same payload: as a value, and its numbers digit by digit.
#[tokio::test]
async fn every_sample_is_sent_again_with_its_payload() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("again.log");
    let config: Config = format!(
        "strategy = 'log'\nredact = 'off'\nlog.file = '{}'\nlog.sync = false",
        file.display()
    )
    .parse()
    .unwrap();
    let (notifier, worker) = glance_notify::start(&config).unwrap();
    let worker = tokio::spawn(worker.run());
    let mut sent = Vec::new();
    for name in names("openstack-2026") {
        if name.ends_with("-wire.jsonl") || name.starts_with("oslo-lenient") {
            continue;
        }
        for line in lines(&format!("openstack-2026/{name}")) {
            let input = NotificationInput::decode(line.as_bytes(), &SizeLimits::default());
            let Ok(NotificationInput::Notification(notification)) = input else {
                panic!("{name}: {input:?}\n{line}");
            };
            let NotificationPayload::Read(event) = &notification.payload else {
                panic!("{name}: {notification:?}")
            };
            sent.push(event.payload().get().to_owned());
            notifier.resend(&notification).await.await.unwrap();
        }
    }
    notifier.close();
    worker.await.unwrap();
    let written = fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().count(), sent.len());
    assert!(sent.len() > 500, "{} lines", sent.len());
    for (line, payload) in written.lines().zip(&sent) {
        let read: Value = serde_json::from_str(line).unwrap();
        assert_eq!(read["payload"], serde_json::from_str::<Value>(payload).unwrap(), "{line}");
        let (_, written) = line.split_once("\"payload\":").unwrap();
        assert_eq!(numbers(written.strip_suffix('}').unwrap()), numbers(payload), "{line}");
    }
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
