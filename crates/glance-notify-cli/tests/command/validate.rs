//! `validate`: it reports every problem with its line and JSON pointer.

use notify_conformance::samples::GLANCE_2013;
use serde_json::{Value, json};

use crate::support::{LIFECYCLE, Sandbox, emit, line};

/// The samples of the documentation and the notifications of Glance's own code are
/// valid.
#[test]
fn accepts_the_samples() {
    let sandbox = Sandbox::new();
    sandbox.pipe(["validate"], LIFECYCLE).expect_message(0, "11 read, all valid");
    sandbox.pipe(["validate", "-"], GLANCE_2013).expect_message(0, "32 read, all valid");
    let output = sandbox.run(["validate"]).expect_message(0, "0 read, all valid");
    assert_eq!(output.out, "");
}

/// A line with two problems.
const WRONG: &str = r#"{"event_type":"image.send","priority":"INFO","payload":{"image_id":"1","bytes_sent":-1,"destination_ip":null,"owner_id":null,"receiver_tenant_id":null,"receiver_user_id":null}}"#;

/// Each problem is one line: input, line number, JSON pointer, expected and found value.
///
/// Blank lines count for the number, so that an editor jumps to the right place.
#[test]
fn prints_a_line_for_every_problem() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", line("a") + "\n" + WRONG + "\n{\n");
    let output = sandbox
        .run(["validate", "--strict", input])
        .expect_message(4, "3 read, 2 invalid, 3 problems");
    let lines: Vec<_> = output.out.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "in.jsonl:3: /payload/bytes_sent: expected a whole number from 0 to 18446744073709551615, \
             found a negative number",
            "in.jsonl:3: /payload/image_id: expected a UUID with dashes, found another string",
        ]
    );
    assert!(lines[2].starts_with("in.jsonl:4: JSON on several lines: "), "{}", lines[2]);
}

/// Scripts read the report's fields, so this test holds their names.
#[test]
fn prints_the_report_as_one_json_object() {
    let sandbox = Sandbox::new();
    let args = ["validate", "--strict", "-o", "json"];
    let output = sandbox.pipe(args, line("a") + WRONG).expect(4);
    let report: Value = serde_json::from_str(&output.out).unwrap();
    assert_eq!(
        report,
        json!({
            "problems": [
                {
                    "line": 2, "pointer": "/payload/bytes_sent",
                    "expected": "a whole number from 0 to 18446744073709551615", "found": "a negative number",
                },
                {
                    "line": 2, "pointer": "/payload/image_id",
                    "expected": "a UUID with dashes", "found": "another string",
                },
            ],
            "read": 2,
            "invalid": 1,
            "warnings": 0,
        })
    );
    let output = sandbox.pipe(["validate", "-o", "json"], WRONG).expect_message(0, "2 warnings");
    let report: Value = serde_json::from_str(&output.out).unwrap();
    assert_eq!(report["problems"][1]["warning"], true);
    let output = sandbox.pipe(["validate", "-o", "json"], line("a")).expect(0);
    assert_eq!(output.out, "{\"problems\":[],\"read\":1,\"invalid\":0,\"warnings\":0}\n");
}

/// Keys and values of the input appear escaped in both forms of the report.
///
/// JSON output escapes by itself, but a pointer contains keys of the input.
#[test]
fn escapes_input_in_reports() {
    let sandbox = Sandbox::new();
    let hostile = "\\u001b]52;c;aGk=\\u0007\\u202e\\u009b";
    let input = format!(
        "{{\"event_type\":\"{hostile}\",\"{hostile}\":1,\"priority\":\"{hostile}\",\"payload\":{{}}}}\n"
    );
    for args in
        [&["validate"][..], &["validate", "-o", "json"], &emit(&[]), &emit(&["--skip-invalid"])]
    {
        let output = sandbox.pipe(args, &input).expect(4);
        for text in [&output.out, &output.err] {
            let unsafe_ = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!text.contains(unsafe_), "{args:?}: {text:?}");
        }
        assert!(output.out.contains("1b") || output.err.contains("1b"), "{args:?}");
    }
}
