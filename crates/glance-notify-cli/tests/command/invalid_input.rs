//! Input that is wrong, hostile or missing: each its own message, exit code 4, and no harm.

use std::process::Stdio;

use crate::support::{LIFECYCLE, Sandbox, emit, line};

const IMAGE: &str = r#"{"id":"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d","name":null,"status":"queued",
    "created_at":"2012-05-16T15:27:36Z","updated_at":"2012-05-16T15:27:36Z","min_disk":0,"min_ram":0,
    "protected":false,"checksum":null,"owner":null,"disk_format":null,"container_format":null,
    "size":SIZE,"is_public":false,"properties":{},"tags":[],"deleted":false,"deleted_at":null}"#;
const TASK: &str = r#"{"task_id":"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d","owner":null,
    "task_type":"import","status":"success","task_input":null,"message":null,"expires_at":null,
    "created_at":"2012-05-16T15:27:36Z","updated_at":"2012-05-16T15:27:36Z"}"#;

fn event(event_type: &str, priority: &str, payload: &str) -> Vec<u8> {
    let line = format!(
        "{{\"event_type\":\"{event_type}\",\"priority\":\"{priority}\",\"payload\":{payload}}}"
    );
    line.replace('\n', " ").into_bytes()
}

/// Both `validate` and `emit` must say it; `emit` delivers what came before.
#[track_caller]
fn refused(wrong: &[u8], message: &str) {
    let sandbox = Sandbox::new();
    let input = [line("before").as_bytes(), wrong, b"\n", line("after").as_bytes()].concat();
    let output = sandbox.pipe(["validate"], &input).expect(4);
    assert!(output.out.starts_with("standard input:2: "), "{}", output.out);
    assert!(output.out.contains(message), "expected {message:?} in {}", output.out);
    let output = sandbox.pipe(emit(&[]), &input).expect(4);
    assert!(output.err.contains(&format!("standard input, line 2: {message}")), "{}", output.err);
    assert_eq!(sandbox.lines_of("n.log"), 1, "what came before is delivered");
    sandbox
        .pipe(emit(&["--skip-invalid"]), &input)
        .expect_message(4, "skipped standard input, line 2: ");
    assert_eq!(sandbox.lines_of("n.log"), 3, "and what comes after, when told so");
}

#[test]
fn rejects_text_that_is_not_json() {
    refused(b"image.create", "not JSON: ");
}

#[test]
fn rejects_a_json_array() {
    refused(b"[1, 2]", "expected an object, found a list");
}

#[test]
fn rejects_an_unknown_priority() {
    let wrong = event("image.upload", "FATAL", "\"x\"");
    refused(&wrong, "/priority: expected \"INFO\", \"WARN\" or \"ERROR\", found \"FATAL\"");
}

#[test]
fn rejects_an_unknown_event_type() {
    let wrong = event("image.member.create", "INFO", "{}");
    refused(&wrong, "/event_type: expected \"image.create\", ");
}

#[test]
fn rejects_a_text_payload_for_an_info_event() {
    let wrong = event("image.create", "INFO", "\"x\"");
    refused(&wrong, "/payload: expected an object, found a string");
}

#[test]
fn rejects_a_task_success_without_result() {
    let wrong = event("task.success", "INFO", TASK);
    refused(&wrong, "/payload/result: missing, expected an object");
}

#[test]
fn rejects_a_malformed_uuid() {
    let payload = IMAGE.replace("SIZE", "null").replace("c80a1a6c-", "c80a1a6c");
    let wrong = event("image.create", "INFO", &payload);
    refused(&wrong, "/payload/id: expected a UUID with dashes, found \"c80a1a6cbd1f-");
}

#[test]
fn rejects_a_negative_size() {
    let wrong = event("image.create", "INFO", &IMAGE.replace("SIZE", "-1"));
    refused(
        &wrong,
        "/payload/size: expected a whole number from 0 to 18446744073709551615 or null, found a \
         negative number",
    );
}

#[test]
fn rejects_ten_thousand_levels_of_nesting() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let payload = IMAGE.replace("SIZE", "null").replace("{}", &deep);
    refused(&event("image.create", "INFO", &payload), "/payload/properties/0/0/0/");
}

#[test]
fn rejects_a_line_of_64_mib() {
    let long = line(&"x".repeat(64 * 1024 * 1024));
    let message =
        format!("expected a line of at most 1048576 bytes, found {} bytes", long.len() - 1);
    refused(&long.as_bytes()[..long.len() - 1], &message);
}

#[test]
fn rejects_nul_and_lone_surrogates() {
    refused(b"\0", "not JSON: ");
    refused(
        b"{\"event_type\":\"image.upload\",\"priority\":\"ERROR\",\"payload\":\"\0\"}",
        "not JSON: ",
    );
    refused(&event("image.upload", "ERROR", r#""\ud800""#), "not JSON: ");
    refused(&event("image.upload", "ERROR", r#""\udc00\ud800""#), "not JSON: ");
    refused(b"\xff\xfe", "not JSON: ");
    refused(
        b"{\"event_type\":\"image.upload\",\"priority\":\"ERROR\",\"payload\":\"\xed\xa0\x80\"}",
        "not JSON: ",
    );
    // Escaped, a NUL is a character as any other.
    let sandbox = Sandbox::new();
    sandbox.pipe(emit(&[]), event("image.upload", "ERROR", r#""a\u0000b""#)).expect(0);
    assert_eq!(sandbox.lines("n.log")[0]["payload"], "a\0b");
}

#[test]
fn rejects_a_duplicate_key() {
    let wrong = br#"{"event_type":"image.upload","event_type":"image.create","priority":"ERROR","payload":"x"}"#;
    refused(wrong, "/event_type: expected each key once, found a duplicate key");
}

#[test]
fn accepts_empty_input() {
    let sandbox = Sandbox::new();
    for input in ["", "\n", " \n\t\n\r\n"] {
        sandbox.pipe(["validate"], input).expect_message(0, "0 read, all valid");
        let output = sandbox.pipe(emit(&["--summary", "json"]), input).expect(0);
        assert!(output.out.contains("\"read\":0,"), "{}", output.out);
    }
}

/// A pipe that nobody reads any more.
fn broken_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_broken_pipe_causes_no_panic() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", LIFECYCLE);
    let wrong = sandbox.file("wrong.jsonl", "x\n".repeat(10_000));
    for (args, code) in [
        (vec!["schema"], 0),
        (vec!["schema", "--example"], 0),
        (vec!["completions", "bash"], 0),
        (vec!["check"], 0),
        (vec!["validate", wrong], 4),
        (vec!["validate", "--report", "json", wrong], 4),
        (emit(&[input, "--summary", "json"]), 0),
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

#[test]
fn a_closed_acks_pipe_stops_the_command() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", LIFECYCLE);
    let mut command = sandbox.command(emit(&[input, "--acks", "-"]));
    let output = command.stdout(broken_pipe()).output().unwrap();
    crate::support::CommandOutput::from(output)
        .expect_message(2, "cannot write the output of `--acks`: Broken pipe");
}
