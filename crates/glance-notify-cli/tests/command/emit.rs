//! `emit`: it delivers exactly the notifications that it reads, and gives up when it should.
//!
//! Most tests deliver to the file `n.log`. A symbolic link that points to itself stands
//! for a destination that fails for a while: opening it fails with a transient error.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use notify_conformance::samples::GLANCE_2013;
use serde_json::{Value, json};

use crate::support::{LIFECYCLE, Sandbox, emit, line, values, wait_until};

/// Each line of the log has the six attributes in the order that oslo.messaging writes
/// them, with the values of the input.
///
/// Consumers that read lines with simple tools depend on this order.
#[test]
fn writes_every_event_with_six_keys_in_order() {
    let sandbox = Sandbox::new();
    sandbox.file("life.jsonl", LIFECYCLE);
    let args =
        ["emit", "--set", "strategy=log", "--set", "log.file=notifications.log", "life.jsonl"];
    sandbox.run(args).expect_message(0, "11 read, 11 delivered by `log`");
    let (expected, text) = (values(LIFECYCLE), sandbox.read("notifications.log"));
    assert_eq!(text.lines().count(), 11);
    for (line, expected) in text.lines().zip(&expected) {
        let keys = ["message_id", "publisher_id", "event_type", "priority", "timestamp", "payload"];
        let at = keys.map(|key| line.find(&format!("\"{key}\":")).expect(key));
        assert!(at.is_sorted(), "{line}");
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(value.as_object().unwrap().len(), keys.len());
        for key in ["event_type", "priority", "payload"] {
            assert_eq!(value[key], expected[key]);
        }
    }
}

/// Payloads that Glance's own code produced keep every field and value. The style
/// `glance` may add only null fields and `visibility`.
///
/// The samples come from Glance's code of 2013, so this also guards the compatibility
/// with old consumers.
#[test]
fn delivers_real_glance_notifications_unchanged() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("2013.jsonl", GLANCE_2013);
    sandbox
        .run(emit(&["--set", "payloads=glance", input]))
        .expect_message(0, "32 read, 32 delivered");
    let sent = values(GLANCE_2013);
    let out = sandbox.lines("n.log");
    assert_eq!((sent.len(), out.len()), (32, 32));
    for (sent, out) in sent.iter().zip(&out) {
        assert_eq!(
            (&out["event_type"], &out["priority"]),
            (&sent["event_type"], &sent["priority"])
        );
        let (Some(sent), Some(out)) = (sent["payload"].as_object(), out["payload"].as_object())
        else {
            assert_eq!(out["payload"], sent["payload"]);
            continue;
        };
        for (key, value) in sent {
            assert_eq!(&out[key], value, "{key} of {sent:?}");
        }
        for (key, value) in out.iter().filter(|(key, _)| !sent.contains_key(*key)) {
            assert!(value.is_null() || key == "visibility", "{key} = {value} of {sent:?}");
        }
    }
}

/// A log file is valid input. Ids, publishers and timestamps stay the same.
///
/// A log is therefore a backup that you can send to another destination later.
#[test]
fn re_emits_a_log_byte_for_byte() {
    let sandbox = Sandbox::new();
    sandbox.pipe(emit(&[]), LIFECYCLE).expect(0);
    fs::rename(sandbox.path("n.log"), sandbox.path("old.log")).unwrap();
    sandbox.run(emit(&["old.log"])).expect(0);
    assert_eq!(sandbox.read("n.log"), sandbox.read("old.log"));
}

/// `--event`, `--priority` and `--payload` describe one notification. The payload comes
/// from the argument or from a file, and the priority may be in lower case.
#[test]
fn emits_one_notification_from_arguments() {
    let sandbox = Sandbox::new();
    sandbox
        .run(emit(&[
            "--event",
            "image.delete",
            "--payload",
            "\"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d\"",
        ]))
        .expect(0);
    sandbox.file("text.json", "\"storage\n is full\"".replace('\n', "\\n"));
    sandbox
        .run(emit(&["--event", "image.upload", "--priority", "error", "--payload", "@text.json"]))
        .expect(0);
    let lines = sandbox.lines("n.log");
    assert_eq!(lines[0]["payload"], "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d");
    assert_eq!(lines[0]["priority"], "INFO");
    assert_eq!(lines[1]["payload"], "storage\n is full");
    assert_eq!(lines[1]["priority"], "ERROR");
}

/// A payload must be exactly one JSON value, so that it cannot add an attribute to the
/// notification. Wrong combinations of options are usage errors.
#[test]
fn rejects_invalid_notification_arguments() {
    let sandbox = Sandbox::new();
    let send = |event, payload| sandbox.run(emit(&["--event", event, "--payload", payload]));
    send("image.create", "no json")
        .expect_message(4, "--payload: not JSON: unexpected character at line 1 column 2")
        .expect_message(4, "(put a string in double quotes)");
    send("image.create", "1} {").expect_message(4, "--payload: not JSON");
    send("image.create", "1,\"message_id\":2").expect_message(4, "--payload: not JSON");
    send("image.create", "@none").expect_message(2, "cannot read `none`: No such file");
    sandbox.file("large.json", vec![b' '; 1024 * 1024 + 1]);
    send("image.create", "@large.json").expect_message(4, "a payload has at most 1048576 bytes");
    send("image gone", "{}").expect_message(2, "invalid value 'image gone'");
    sandbox.run(emit(&["--event", "image.create"])).expect_message(2, "--payload");
    sandbox.run(emit(&["--payload", "{}"])).expect_message(2, "--event");
    for options in [
        &["--event", "image.create", "--payload", "{}"][..],
        &["--payload", "{}"],
        &["--priority", "ERROR"],
    ] {
        let args = emit(&[options, &["in.jsonl"]].concat());
        sandbox.run(args).expect_message(2, "cannot be used with");
    }
}

/// Without `--skip-invalid`, the first invalid line ends the reading. The lines before
/// it are delivered and acknowledged, and a message names the unread rest.
///
/// A script can fix the line and continue from there without duplicates.
#[test]
fn an_invalid_line_stops_after_the_lines_before_it_are_delivered() {
    let sandbox = Sandbox::new();
    let wrong = r#"{"event_type":"image create","priority":"LOUD","payload":{"id":"x"}}"#;
    let input = line("a") + &line("b") + "\n" + wrong + "\n" + &line("c");
    sandbox.file("in.jsonl", input);
    let output = sandbox.run(emit(&["--acks", "acks", "in.jsonl"])).expect(4);
    let message = "in.jsonl, line 4: /event_type: expected 1 to 255 printable ASCII characters without \
                   spaces, found \"image create\" (and 1 more)";
    assert!(output.err.contains(message), "{}", output.err);
    let hint = "the input after line 4 was not read (add `--skip-invalid` to skip invalid lines, or \
                `--rejected FILE` to keep them)";
    assert!(output.err.contains(hint), "{}", output.err);
    assert_eq!(sandbox.lines("n.log").len(), 2);
    assert_eq!(sandbox.read("acks").lines().count(), 2);
}

/// A missing directory needs an operator, so `emit` does not wait for `--timeout`. The
/// file of `--failed` holds every line that was read, is private, and is valid input for another `emit`.
///
/// The first attempt proves that nothing can arrive: waiting would only hide the error.
#[test]
fn a_permanent_error_before_the_first_delivery_stops_at_once() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", LIFECYCLE);
    let args = ["emit", "--set", "strategy=log", "--set", "log.file=none/n.log"];
    let output = sandbox.run([&args[..], &["--failed", "failed", "-o", "json", input]].concat());
    let output = output.expect_message(2, "`log.file`: ").expect_message(2, "create it");
    let summary: Value = serde_json::from_str(&output.out).unwrap();
    let destination = &summary["destinations"][0];
    assert_eq!(destination["delivered"], 0);
    assert_eq!(destination["dropped"]["abandoned"], summary["read"]);
    assert_eq!(destination["pending"]["messages"], 0);
    // The first attempt may fail before the reader has read all lines. The command names the others.
    let read = summary["read"].as_u64().unwrap();
    let unread = format!("the input after line {read} was not read");
    assert_eq!(output.err.contains(&unread), read < 11, "{}", output.err);
    // The failed notifications are complete and valid input.
    sandbox.run(emit(&["failed"])).expect(0);
    assert_eq!(sandbox.read("n.log"), sandbox.read("failed"));
    assert_eq!(sandbox.lines("n.log").len() as u64, read);
    let mode = fs::metadata(sandbox.path("failed")).unwrap().permissions().mode();
    assert_eq!(mode & 0o007, 0, "other users have no access");
}

/// A transient error lasts for `--timeout` seconds at most. The message names the option
/// and the last error.
///
/// The summary and `--failed` account for every line.
#[test]
fn gives_up_after_the_timeout_without_a_delivery() {
    let sandbox = Sandbox::new();
    symlink("n.log", sandbox.path("n.log")).unwrap();
    let output = sandbox.pipe(emit(&["--timeout", "2", "--failed", "failed"]), LIFECYCLE);
    let output =
        output.expect_message(3, "gave up: nothing was delivered for 2 s (see `--timeout`)");
    // The warning of the log and the last message do not repeat each other.
    assert_eq!(output.err.matches("`log.file`: ").count(), 1, "{}", output.err);
    assert!(output.err.contains("11 read, 0 delivered by `log`, 11 dropped"), "{}", output.err);
    assert_eq!(sandbox.lines("failed").len(), 11);
}

/// A queue of 10 messages takes a file of 1 000 lines without a loss, although the
/// destination fails at first.
///
/// The log says that delivery failed, and later that it has resumed.
#[test]
fn waits_for_a_late_destination_and_for_queue_room() {
    let sandbox = Sandbox::new();
    symlink("n.log", sandbox.path("n.log")).unwrap();
    let input = sandbox.file("in.jsonl", line("a").repeat(1_000));
    let mut command = sandbox.command(emit(&["--set", "queue.max_messages=10", "-v", input]));
    let mut child = command.stderr(sandbox.create("err")).spawn().unwrap();
    wait_until("the first attempt has failed", || {
        sandbox.read("err").contains("delivery failed, retrying")
    });
    fs::remove_file(sandbox.path("n.log")).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let errors = sandbox.read("err");
    assert!(errors.contains("delivery resumed after"), "{errors}");
    assert!(errors.contains("1000 read, 1000 delivered"), "{errors}");
    assert_eq!(sandbox.lines("n.log").len(), 1_000);
}

/// The layers apply in order: file, environment, `--set`. A glance-api.conf works as a
/// file too.
#[test]
fn settings_override_the_environment_and_the_file() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "notify.toml",
        "strategy = \"log\"\npublisher_id = \"file\"\n[log]\nfile = \"n.log\"\n",
    );
    let publisher = |sandbox: &Sandbox| {
        let lines = sandbox.lines("n.log");
        lines.last().unwrap()["publisher_id"].as_str().unwrap().to_owned()
    };
    let args = ["emit", "-c", "notify.toml"];
    sandbox.pipe(args, line("a")).expect(0);
    assert_eq!(publisher(&sandbox), "file");
    let mut command = sandbox.command(["emit", "-c", "notify.toml", "--event", "image.upload"]);
    command.args(["--priority", "WARN", "--payload", "\"x\""]);
    command.env("GLANCE_NOTIFY__PUBLISHER_ID", "12");
    assert!(command.status().unwrap().success());
    assert_eq!(publisher(&sandbox), "12");
    command.args(["--set", "publisher_id=set"]);
    assert!(command.status().unwrap().success());
    assert_eq!(publisher(&sandbox), "set");
    sandbox.file(
        "glance-api.conf",
        "[DEFAULT]\nnotifier_strategy = logging\nlog_file = n.log\ndefault_publisher_id = conf\n",
    );
    sandbox.pipe(["emit", "-c", "glance-api.conf"], line("a")).expect(0);
    assert_eq!(publisher(&sandbox), "conf");
    assert_eq!(json!(sandbox.lines("n.log").len()), 4);
}

/// A notification that was read is sent again unchanged: the image of a real `image.delete`, an `image.send` without a
/// receiver's address, numbers digit by digit, and any event of any service, in every form.
#[test]
fn resends_a_read_notification_unchanged() {
    let sandbox = Sandbox::new();
    let envelope = |event_type: &str, priority: &str, payload: &str| {
        format!(
            "{{\"message_id\":\"7f28f81b-29a2-43f2-9ba1-ccb3e53ab6c8\",\"publisher_id\":\"h\",\
             \"event_type\":\"{event_type}\",\"priority\":\"{priority}\",\
             \"timestamp\":\"2013-06-20 17:31:57.939614\",\"payload\":{payload}}}"
        )
    };
    let lines = [
        envelope(
            "image.delete",
            "INFO",
            r#"{"status":"pending_delete","id":"2df2ccf6-bc1b-4853-aab0-25fda346b3bb","deleted":true}"#,
        ),
        envelope("image.send", "ERROR", r#"{"bytes_sent":10,"image_id":"x"}"#),
        envelope("image.upload", "INFO", r#"{"id":1,"size":1e2,"n":12345678901234567890123.4500}"#),
        envelope("compute.instance.exists", "AUDIT", r#"[null,"caf\udce9"]"#),
    ];
    let quoted = serde_json::to_string(&lines[0]).unwrap();
    let input = format!(
        "{}\n2025-01-01 INFO oslo.messaging.notification.x [-] {}\n{}\n{}\n",
        format_args!("{{\"oslo.version\":\"2.0\",\"oslo.message\":{quoted}}}"),
        lines[1],
        lines[2],
        lines[3],
    );
    for style in ["documented", "glance"] {
        let payloads = format!("payloads={style}");
        sandbox.pipe(emit(&["--set", &payloads, "--set", "redact=off"]), &input).expect(0);
        let log = std::fs::read_to_string(sandbox.path("n.log")).unwrap();
        assert_eq!(log.lines().collect::<Vec<_>>(), lines);
        std::fs::remove_file(sandbox.path("n.log")).unwrap();
    }
}
