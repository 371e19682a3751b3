//! The problems that reading reports: each at its JSON pointer, in one sentence, without values.

use crate::reading::read;
use notify_core::Error;
use notify_core::codec::{NotificationInput, Problems};

/// An image with all required keys, to be completed.
const IMAGE: &str = r#""id":"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d","status":"queued""#;
/// A documented task without `result` and `message`.
const TASK: &str = r#""task_id":"aaaaaaaa-bd1f-41c5-90ee-81afedb1d58d","owner":null,"task_type":"import","status":"success","task_input":null,"expires_at":null,"created_at":"2012-05-16T15:27:36Z","updated_at":"2012-05-16T15:27:36Z""#;

fn event(event_type: &str, priority: &str, payload: &str) -> String {
    format!(r#"{{"event_type":"{event_type}","priority":"{priority}","payload":{payload}}}"#)
}

fn create(payload: &str) -> String {
    event("image.create", "INFO", payload)
}

/// Returns the problems of a line, or else of the typed form of its event.
#[track_caller]
fn problems(line: &str) -> Problems {
    match read(line) {
        Err(problems) => problems,
        Ok(NotificationInput::Event(event)) => event.to_event().unwrap_err(),
        Ok(input) => panic!("{line} was read as {input:?}"),
    }
}

/// Checks that reading `line` reports exactly this problem, among others.
#[track_caller]
fn assert_problem(line: &str, message: &str) {
    let problems = problems(line);
    let messages: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert!(messages.iter().any(|found| found == message), "{message}\n{line}\n{messages:#?}");
}

/// A wrong envelope: each attribute missing, of the wrong type, of an unknown word, or unknown itself.
#[test]
fn reports_problems_of_the_envelope() {
    assert_problem("[]", "expected an object, found a list");
    assert_problem(
        r#"{"event_type":"image.create","priority":"INFO"}"#,
        "/payload: missing, expected a payload",
    );
    assert_problem(
        &event("image.create", "WARNING", "\"\""),
        r#"/priority: expected "INFO", "WARN", "ERROR", "AUDIT", "CRITICAL", "DEBUG" or "SAMPLE", found "WARNING""#,
    );
    assert_problem(
        r#"{"event_type":"image.create","priority":null,"payload":""}"#,
        r#"/priority: expected "INFO", "WARN", "ERROR", "AUDIT", "CRITICAL", "DEBUG" or "SAMPLE", found null"#,
    );
    assert_problem(
        &event("image explode", "INFO", "\"\""),
        r#"/event_type: expected 1 to 255 printable ASCII characters without spaces, found "image explode""#,
    );
    assert_problem(
        r#"{"event_type":"image.create","priority":"INFO","paylaod":""}"#,
        "/paylaod: unknown attribute `paylaod`",
    );
    assert_problem(
        r#"{"message_id":"x","publisher_id":"h","timestamp":"2026-11-22 12:00:00","event_type":"image.upload","priority":"WARN","payload":""}"#,
        r#"/message_id: expected a UUID with dashes, found "x""#,
    );
    assert_problem(
        r#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","timestamp":"2026-11-22 12:00:00","event_type":"image.upload","priority":"WARN","payload":""}"#,
        "/publisher_id: missing, expected a string",
    );
    assert_problem(
        r#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h","timestamp":"2026-11-22 12:00:00 UTC","event_type":"image.upload","priority":"WARN","payload":""}"#,
        "/timestamp: expected a time such as 2026-11-22 12:00:00.123456, found a string that is not a time",
    );
}

/// A payload of the wrong type for its priority, or with keys of the wrong type.
#[test]
fn reports_problems_of_images() {
    assert_problem(&create("\"text\""), "/payload: expected an object, found a string");
    assert_problem(
        &event("image.create", "ERROR", "{}"),
        "/payload: expected a string because the priority is ERROR, found an object",
    );
    assert_problem(
        &create(r#"{"id":"nonsense","status":"queued"}"#),
        "/payload/id: expected the documented form, found a string",
    );
    for (size, found) in [
        ("-1", "a negative number"),
        ("1.5", "a floating-point number"),
        ("true", "a boolean"),
        ("\"1\"", "a string"),
    ] {
        assert_problem(
            &create(&format!("{{{IMAGE},\"size\":{size}}}")),
            &format!(
                "/payload/size: expected a whole number from 0 to 18446744073709551615, \
                 found {found}"
            ),
        );
    }
    assert_problem(
        &create(&format!("{{{IMAGE},\"tags\":[\"a\",1]}}")),
        "/payload/tags/1: expected a string, found a whole number",
    );
    assert_problem(
        &create(&format!("{{{IMAGE},\"properties\":{{\"a/b~c\":{{}}}}}}")),
        "/payload/properties/a~1b~0c: expected a string, found an object",
    );
    assert_problem(
        &create(&format!("{{{IMAGE},\"created_at\":\"yesterday\"}}")),
        "/payload/created_at: expected a time such as 2012-05-16T15:27:36Z, found a string that is \
         not a time",
    );
    assert_problem(
        &create(r#"{"id":"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d","status":"lost"}"#),
        r#"/payload/status: expected "queued", "saving", "uploading", "importing", "active", "deactivated", "killed", "deleted" or "pending_delete", found unknown image status "lost""#,
    );
    assert_problem(
        &event("image.delete", "INFO", "\"gone\""),
        "/payload: expected the image's id or an object, found a string",
    );
    assert_problem(
        &event("image.send", "WARN", "\"text\""),
        "/payload: expected an object, found a string",
    );
    assert_problem(
        &event("image.send", "INFO", r#"{"destination_ip":"host1"}"#),
        "/payload/destination_ip: expected the documented form, found a string",
    );
}

/// A task whose `result` or `message` does not match its event.
#[test]
fn reports_problems_of_tasks() {
    let task = |event_type: &str, rest: &str| {
        event(event_type, "INFO", &format!("{{{TASK},\"message\":null{rest}}}"))
    };
    assert_problem(&task("task.success", ""), "/payload/result: missing, expected a value");
    assert_problem(
        &task("task.success", r#","result":1"#),
        "/payload/result: expected a map, found a whole number",
    );
    assert_problem(
        &task("task.failure", r#","result":null"#),
        "/payload/message: missing, expected a value",
    );
    assert_problem(
        &event("task.run", "INFO", r#"{"id":5}"#),
        "/payload/task_id: missing, expected a value",
    );
    assert_problem(
        &event("task.run", "AUDIT", "{}"),
        "/priority: expected INFO, WARN or ERROR, found AUDIT",
    );
}

/// A text that is not JSON: the sentence names the first wrong character or the end of the input.
#[test]
fn reports_a_syntax_error_with_its_position() {
    for (line, message) in [
        ("", "not JSON: unexpected end of input at column 0"),
        ("{\"a\": [1", "not JSON: unexpected end of input at column 8"),
        ("not json", "not JSON: unexpected character at column 2"),
        ("image.create", "not JSON: unexpected character at column 1"),
        ("{} {}", "not JSON: trailing characters at column 4"),
        ("[1,]", "not JSON: unexpected character at column 4"),
        ("{\n\"a\" 1}", "not JSON: expected `:` at line 2 column 5"),
        (r#"{"x":"\ud80"}"#, "not JSON: invalid escape at column 12"),
    ] {
        assert_problem(line, message);
    }
    let line = event("image.upload", "WARN", "\"\0\"");
    let problem = read(&line).unwrap_err().to_string();
    assert!(problem.starts_with("not JSON: control character "), "{problem}");
}

/// Two readers may disagree about a duplicate key, and Rust has no value for half a surrogate pair.
#[test]
fn reports_duplicate_keys_and_values_that_rust_has_not() {
    assert_problem(
        r#"{"event_type":"image.upload","event_type":"image.upload","priority":"WARN","payload":""}"#,
        "/event_type: expected each key once, found a duplicate key",
    );
    assert_problem(
        r#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"\ud800"}"#,
        "/publisher_id: expected a text of whole characters, found half a surrogate pair or a number out \
         of range",
    );
    assert_problem(
        &create(&format!("{{{IMAGE},\"x\":1e999}}")),
        "/payload: expected numbers of 64 bits and texts of whole characters, found half a surrogate \
         pair or a number out of range",
    );
}

/// Reports in JSON show expectation and finding apart, also where the sentence leaves one of them out.
#[test]
fn problems_keep_expectation_and_finding_apart() {
    for (line, expected, found) in [
        ("not json", "JSON", "unexpected character at column 2"),
        (
            r#"{"event_type":"image.create","priority":"LOUD","payload":"","topic":1}"#,
            "only the six attributes of a notification",
            "unknown attribute `topic`",
        ),
        (r#"{"event_type":"image.create","priority":"INFO"}"#, "a payload", "nothing"),
    ] {
        let problems = problems(line);
        let problem = problems.iter().find(|problem| problem.found == found);
        assert_eq!(problem.map(|problem| problem.expected.as_str()), Some(expected), "{line}");
    }
}

/// Reading goes on after a problem, so that one run of `validate` shows everything to fix.
#[test]
fn reports_all_problems_of_one_line() {
    let line = r#"{"message_id":1,"publisher_id":"h","timestamp":"noon","event_type":"a b","priority":"HIGH","x":1}"#;
    let problems = problems(line);
    let pointers: Vec<_> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(
        pointers,
        ["/message_id", "/timestamp", "/event_type", "/priority", "/payload", "/x"]
    );
    assert_eq!(
        Error::from(problems).to_string(),
        "/message_id: expected a UUID with dashes, found a whole number (and 5 more)"
    );
}
