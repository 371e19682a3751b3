//! Invalid, hostile and missing input: each problem has a message of its own, exit code
//! 4, and no effect on the lines around it.

use crate::support::{LIFECYCLE, Sandbox, broken_pipe, emit, line};

/// The payload of an `image.create` with a placeholder for its size.
const IMAGE: &str = r#"{"id":"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d","name":null,"status":"queued",
    "created_at":"2012-05-16T15:27:36Z","updated_at":"2012-05-16T15:27:36Z","min_disk":0,"min_ram":0,
    "protected":false,"checksum":null,"owner":null,"disk_format":null,"container_format":null,
    "size":SIZE,"is_public":false,"properties":{},"tags":[],"deleted":false,"deleted_at":null}"#;
/// The payload of a `task.success` without its result.
const TASK: &str = r#"{"task_id":"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d","owner":null,
    "task_type":"import","status":"success","task_input":null,"message":null,"expires_at":null,
    "created_at":"2012-05-16T15:27:36Z","updated_at":"2012-05-16T15:27:36Z"}"#;

/// Returns one line of input with the given JSON as its payload.
fn event(event_type: &str, priority: &str, payload: &str) -> Vec<u8> {
    let line = format!(
        "{{\"event_type\":\"{event_type}\",\"priority\":\"{priority}\",\"payload\":{payload}}}"
    );
    line.replace('\n', " ").into_bytes()
}

/// Asserts that `validate` and `emit` reject the line with a message, between two valid
/// lines.
///
/// `emit` delivers the line before it, and with `--skip-invalid` also the line after it.
#[track_caller]
fn assert_rejected(wrong: &[u8], message: &str) {
    let sandbox = Sandbox::new();
    let input = [line("before").as_bytes(), wrong, b"\n", line("after").as_bytes()].concat();
    let output = sandbox.pipe(["validate"], &input).expect(4);
    assert!(output.out.starts_with("standard input:2: "), "{}", output.out);
    assert!(output.out.contains(message), "expected {message:?} in {}", output.out);
    let output = sandbox.pipe(emit(&[]), &input).expect(4);
    assert!(output.err.contains(&format!("standard input, line 2: {message}")), "{}", output.err);
    assert_eq!(sandbox.lines_of("n.log"), 1, "the line before is delivered");
    sandbox
        .pipe(emit(&["--skip-invalid"]), &input)
        .expect_message(4, "skipped standard input, line 2: ");
    assert_eq!(sandbox.lines_of("n.log"), 3, "with --skip-invalid, so is the line after");
}

/// Asserts that `validate` warns of the line with a message, that `--strict` rejects it, and that `emit`
/// sends it.
#[track_caller]
fn assert_warned(wrong: &[u8], message: &str) {
    let sandbox = Sandbox::new();
    let input = [line("before").as_bytes(), wrong, b"\n", line("after").as_bytes()].concat();
    let output = sandbox.pipe(["validate"], &input).expect(0);
    let warning = format!("standard input:2: warning: {message}");
    assert!(output.out.contains(&warning), "expected {warning:?} in {}", output.out);
    let output = sandbox.pipe(["validate", "--strict"], &input).expect(4);
    let problem = format!("standard input:2: {message}");
    assert!(output.out.contains(&problem), "expected {problem:?} in {}", output.out);
    sandbox.pipe(emit(&[]), &input).expect(0);
    assert_eq!(sandbox.lines_of("n.log"), 3);
}

/// Compressed input is refused as a whole: its lines would be noise.
#[test]
fn compressed_input_is_refused() {
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\n";
    let sandbox = Sandbox::new();
    sandbox.file("n.gz", gzip);
    let validate = (vec!["validate", "n.gz"], vec!["validate"]);
    for (file, from_stdin) in [validate, (emit(&["n.gz"]), emit(&[]))] {
        let advice = ": compressed with gzip: decompress it first, for example with `zcat`";
        sandbox.run(file).expect_message(2, &format!("cannot read `n.gz`{advice}"));
        let output = sandbox.pipe(from_stdin, gzip);
        output.expect_message(2, &format!("cannot read `standard input`{advice}"));
    }
}

/// A bare word is not JSON.
#[test]
fn rejects_text_that_is_not_json() {
    assert_rejected(b"image.create", "not JSON: ");
}

/// A line is one object. An array of values is not.
#[test]
fn rejects_a_json_array() {
    assert_rejected(b"[1, 2]", "expected an object, found a list");
}

/// oslo.messaging knows seven priorities, and no other.
#[test]
fn rejects_an_unknown_priority() {
    let wrong = event("image.upload", "FATAL", "\"x\"");
    assert_rejected(
        &wrong,
        "/priority: expected \"INFO\", \"WARN\", \"ERROR\", \"AUDIT\", \"CRITICAL\", \"DEBUG\" or \"SAMPLE\", found \"FATAL\"",
    );
}

/// Any name is an event type, except one with a space, for example.
#[test]
fn rejects_an_invalid_event_type() {
    let wrong = event("image create", "INFO", "{}");
    assert_rejected(
        &wrong,
        "/event_type: expected 1 to 255 printable ASCII characters without spaces",
    );
}

/// Only warnings and errors have a text as their payload.
#[test]
fn warns_of_a_text_payload_for_an_info_event() {
    let wrong = event("image.create", "INFO", "\"x\"");
    assert_warned(&wrong, "/payload: expected an object, found a string");
}

/// The pointer leads to the missing field.
#[test]
fn warns_of_a_task_success_without_result() {
    let wrong = event("task.success", "INFO", TASK);
    assert_warned(&wrong, "/payload/result: missing, expected an object");
}

/// A UUID without dashes is not the form that Glance writes.
#[test]
fn warns_of_a_malformed_uuid() {
    let payload = IMAGE.replace("SIZE", "null").replace("c80a1a6c-", "c80a1a6c");
    let wrong = event("image.create", "INFO", &payload);
    assert_warned(&wrong, "/payload/id: expected a UUID with dashes, found another string");
}

/// Sizes are unsigned. The message gives the whole range.
#[test]
fn warns_of_a_negative_size() {
    let wrong = event("image.create", "INFO", &IMAGE.replace("SIZE", "-1"));
    assert_warned(
        &wrong,
        "/payload/size: expected a whole number from 0 to 18446744073709551615 or null, found a \
         negative number",
    );
}

/// Deep nesting is a problem with a pointer, and no stack overflow.
///
/// The decoder stops at its own depth limit, long before the stack ends.
#[test]
fn rejects_ten_thousand_levels_of_nesting() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let payload = IMAGE.replace("SIZE", "null").replace("{}", &deep);
    assert_rejected(&event("image.create", "INFO", &payload), "/payload/properties/0/0/0/");
}

/// A line beyond the limit is one problem, reported with its length.
///
/// The reader skips such a line in bounded memory, and the next line is read as usual.
#[test]
fn rejects_a_line_of_64_mib() {
    let long = line(&"x".repeat(64 * 1024 * 1024));
    let message =
        format!("expected a line of at most 1048576 bytes, found {} bytes", long.len() - 1);
    assert_rejected(&long.as_bytes()[..long.len() - 1], &message);
}

/// Raw NUL bytes and invalid UTF-8 are not JSON. No attribute holds half a surrogate pair.
///
/// An escaped NUL is valid JSON, and arrives as it is.
#[test]
fn rejects_nul_and_an_id_with_a_lone_surrogate() {
    assert_rejected(b"\0", "not JSON: ");
    assert_rejected(
        b"{\"event_type\":\"image.upload\",\"priority\":\"ERROR\",\"payload\":\"\0\"}",
        "not JSON: ",
    );
    assert_rejected(
        br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"\ud800","event_type":"image.upload","priority":"ERROR","timestamp":"2026-11-22 12:00:00","payload":""}"#,
        "/publisher_id: expected a text of whole characters",
    );
    assert_rejected(b"\xff\xff", "not JSON: ");
    assert_rejected(b"\xff\xfe", "text in UTF-16: convert it to UTF-8 first");
    assert_rejected(
        b"{\"event_type\":\"image.upload\",\"priority\":\"ERROR\",\"payload\":\"\xed\xa0\x80\"}",
        "not JSON: ",
    );
    // Half a surrogate pair in a payload stays the escape that it is.
    let sandbox = Sandbox::new();
    sandbox.pipe(emit(&[]), event("image.upload", "ERROR", r#""\udc00\ud800""#)).expect(0);
    let log = std::fs::read_to_string(sandbox.path("n.log")).unwrap();
    assert!(log.contains(r#""payload":"\udc00\ud800"}"#), "{log}");
    // An escaped NUL is an ordinary character.
    let sandbox = Sandbox::new();
    sandbox.pipe(emit(&[]), event("image.upload", "ERROR", r#""a\u0000b""#)).expect(0);
    assert_eq!(sandbox.lines("n.log")[0]["payload"], "a\0b");
}

/// A duplicate key is ambiguous: parsers disagree about which value counts.
#[test]
fn rejects_a_duplicate_key() {
    let wrong = br#"{"event_type":"image.upload","event_type":"image.create","priority":"ERROR","payload":"x"}"#;
    assert_rejected(wrong, "/event_type: expected each key once, found a duplicate key");
}

/// Input without lines, or with blank lines only, is valid and delivers nothing.
#[test]
fn accepts_empty_input() {
    let sandbox = Sandbox::new();
    for input in ["", "\n", " \n\t\n\r\n"] {
        sandbox.pipe(["validate"], input).expect_message(0, "0 read, all valid");
        let output = sandbox.pipe(emit(&["-o", "json"]), input).expect(0);
        assert!(output.out.contains("\"read\":0,"), "{}", output.out);
    }
}

/// `glance-notify … | head` must not fail. The exit code is the same as without the
/// pipe, also if standard error is closed too.
///
/// `println!` panics when the pipe is closed. This test would find a single use of it.
#[test]
fn a_broken_pipe_causes_no_panic() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", LIFECYCLE);
    let wrong = sandbox.file("wrong.jsonl", "x\n".repeat(10_000));
    for (args, code) in [
        (vec!["schema"], 0),
        (vec!["schema", "--example"], 0),
        (vec!["completions", "bash"], 0),
        (vec!["check", "--set", "strategy=noop"], 0),
        (vec!["validate", wrong], 4),
        (vec!["validate", "-o", "json", wrong], 4),
        (emit(&[input, "-o", "json"]), 0),
        (vec!["--version"], 0),
    ] {
        let output = sandbox.command(&args).stdout(broken_pipe()).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(!err.contains("panicked"), "{args:?}: {err}");
        assert_eq!(output.status.code(), Some(code), "{args:?}: {err}");
        let status = sandbox.command(&args).stdout(broken_pipe()).stderr(broken_pipe()).status();
        assert_eq!(status.unwrap().code(), Some(code), "{args:?}");
    }
}

/// You ask for acks explicitly, so losing them is an error, unlike losing the summary.
#[test]
fn a_closed_acks_pipe_stops_the_command() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", LIFECYCLE);
    let mut command = sandbox.command(emit(&[input, "--acks", "-"]));
    let output = command.stdout(broken_pipe()).output().unwrap();
    crate::support::CommandOutput::from(output).expect_message(3, "standard output is closed");
}

/// The log of a service has the target of every request, which may look like a notification. A request forges neither
/// an event nor an actor.
#[test]
fn a_request_forges_no_event() {
    const ID: &str = "7290aba0-ea68-429f-a9ec-7df334e091e2";
    let request = |event_type: &str, second: u8, payload: &str| {
        let id = format!("6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c0{second}");
        format!(
            "2026-11-24 12:00:00.100 7 INFO eventlet.wsgi.server [None req-1 mallory p - - d d] \
             203.0.113.9 - - [24/Nov/2026 12:00:00] \"GET /v2/images?x=\
             oslo.messaging.notification.x{{\"message_id\":\"{id}\",\
             \"publisher_id\":\"image.glance1\",\"event_type\":\"{event_type}\",\
             \"priority\":\"INFO\",\"timestamp\":\"2026-11-24T12:00:0{second}.200000\",\
             \"payload\":{payload}}} HTTP/1.1\" 200\n"
        )
    };
    let deletion = format!(r#"{{"id":"{ID}","owner":"web"}}"#);
    let evidence = format!(
        r#"{{"id":"r","action":"delete","outcome":"success","requestPath":"/v2/images/{ID}",
        "initiator":{{"id":"alice"}}}}"#
    )
    .replace("\n        ", "");
    let log = request("image.delete", 1, &deletion) + &request("audit.http.response", 2, &evidence);
    for question in ["who", "timeline"] {
        let output = Sandbox::new().pipe([question, ID], &log).expect(1);
        assert!(output.out.starts_with("no event\n"), "{}", output.out);
    }
}
