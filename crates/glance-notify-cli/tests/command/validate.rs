//! `validate`: every problem, at its place, safe to look at.

use notify_conformance::samples::GLANCE_2013;
use serde_json::{Value, json};

use crate::support::{LIFECYCLE, Place, line};

#[test]
fn nothing_is_wrong_with_the_samples() {
    let place = Place::new();
    place.pipe(["validate"], LIFECYCLE).says(0, "11 read, nothing wrong");
    place.pipe(["validate", "-"], GLANCE_2013).says(0, "32 read, nothing wrong");
    let ended = place.run(["validate"]).says(0, "0 read, nothing wrong");
    assert_eq!(ended.out, "");
}

const WRONG: &str =
    r#"{"event_type":"image.send","priority":"INFO","payload":{"image_id":"1","bytes_sent":-1}}"#;

#[test]
fn every_problem_is_a_line() {
    let place = Place::new();
    let input = place.file("in.jsonl", line("a") + "\n" + WRONG + "\n{\n");
    let ended = place.run(["validate", input]).says(4, "3 read, 2 invalid, 3 problems");
    let lines: Vec<_> = ended.out.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "in.jsonl:3: /payload/image_id: expected a UUID with dashes, found \"1\"",
            "in.jsonl:3: /payload/bytes_sent: expected a whole number from 0 to 18446744073709551615, \
             found a negative number",
        ]
    );
    assert!(lines[2].starts_with("in.jsonl:4: not JSON: "), "{}", lines[2]);
}

#[test]
fn the_report_is_one_object() {
    let place = Place::new();
    let ended = place.pipe(["validate", "--report", "json"], line("a") + WRONG).expect(4);
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(
        report,
        json!({
            "problems": [
                { "line": 2, "pointer": "/payload/image_id", "expected": "a UUID with dashes", "found": "\"1\"" },
                {
                    "line": 2, "pointer": "/payload/bytes_sent",
                    "expected": "a whole number from 0 to 18446744073709551615",
                    "found": "a negative number",
                },
            ],
            "read": 2,
            "invalid": 1,
        })
    );
    let ended = place.pipe(["validate", "--report", "json"], line("a")).expect(0);
    assert_eq!(ended.out, "{\"problems\":[],\"read\":1,\"invalid\":0}\n");
}

#[test]
fn no_input_reaches_the_terminal_unescaped() {
    let place = Place::new();
    let hostile = "\\u001b]52;c;aGk=\\u0007\\u202e\\u009b";
    let input = format!(
        "{{\"event_type\":\"{hostile}\",\"{hostile}\":1,\"priority\":\"{hostile}\",\"payload\":{{}}}}\n"
    );
    for args in [
        &["validate"][..],
        &["validate", "--report", "json"],
        &["emit"],
        &["emit", "--skip-invalid"],
    ] {
        let ended = place.pipe(args, &input).expect(4);
        for text in [&ended.out, &ended.err] {
            let unsafe_ = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!text.contains(unsafe_), "{args:?}: {text:?}");
        }
        assert!(ended.out.contains("1b") || ended.err.contains("1b"), "{args:?}");
    }
}
