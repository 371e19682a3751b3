//! `validate`: values that `emit` accepts and the JSON Schema refuses are warnings, and problems with
//! `--strict`.

use notify_conformance::samples::GLANCE_2013;
use notify_testbed::secrets::SECRET;
use serde_json::{Value, json};

use crate::support::{CommandOutput, LIFECYCLE, Sandbox, emit, line};

/// Returns one line of input with the given JSON as its payload.
fn event(event_type: &str, payload: &Value) -> String {
    json!({ "event_type": event_type, "priority": "INFO", "payload": payload }).to_string() + "\n"
}

/// Returns the payload of an `image.send` that the schema accepts.
fn sending() -> Value {
    json!({
        "bytes_sent": 1, "destination_ip": null, "image_id": "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d",
        "owner_id": null, "receiver_tenant_id": null, "receiver_user_id": null,
    })
}

/// Returns the payload of a task in the shape of Glance's code that the schema accepts.
fn glance_task() -> Value {
    json!({
        "id": "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d", "type": "import", "status": "pending",
        "result": null, "owner": null, "message": null, "expires_at": null,
        "created_at": "2012-05-16T15:27:36Z", "updated_at": "2012-05-16T15:27:36Z",
        "deleted": false, "deleted_at": null,
    })
}

/// Returns the sample of an `image.create`, without an envelope.
fn created() -> Value {
    let sample = LIFECYCLE.lines().find(|line| line.contains("\"image.create\"")).unwrap();
    serde_json::from_str(sample).unwrap()
}

/// Returns `payload` without one key, and with other entries.
fn changed(mut payload: Value, without: &str, with: &Value) -> Value {
    let map = payload.as_object_mut().unwrap();
    map.remove(without);
    map.extend(with.as_object().unwrap().clone());
    payload
}

/// Asserts that `validate` prints exactly these lines about its standard input, and the summary.
#[track_caller]
fn assert_report(input: &str, report: &[&str], summary: &str) {
    let output = Sandbox::new().pipe(["validate"], input).expect(0);
    let expected: Vec<_> =
        report.iter().map(|sentence| format!("standard input:{sentence}")).collect();
    assert_eq!(output.out.lines().collect::<Vec<_>>(), expected);
    assert_eq!(output.err, format!("glance-notify: {summary}\n"));
}

/// The notifications in the documents have no warnings, so that `--strict` can guard a build.
#[test]
fn documented_notifications_have_no_warnings() {
    assert_report(LIFECYCLE, &[], "11 read, all valid");
    let examples = Sandbox::new().run(["schema", "--example"]).expect(0).out;
    assert_report(&examples, &[], "11 read, all valid");
    let sandbox = Sandbox::new();
    sandbox.pipe(["validate", "--strict"], &examples).expect_message(0, ": 11 read, all valid\n");
    let payload = event("image.send", &sending()) + &event("task.run", &glance_task());
    assert_report(&payload, &[], "2 read, all valid");
}

/// A missing key has its name at the end of the pointer. A misspelt key is named beside it.
#[test]
fn warns_about_missing_and_misspelt_keys() {
    let misspelt = json!({ "destinaton_ip": "192.0.2.7" });
    let input = event("image.send", &changed(sending(), "owner_id", &json!({})))
        + "\n"
        + &event("image.send", &changed(sending(), "destination_ip", &misspelt))
        + &event("image.send", &changed(sending(), "destination_ip", &json!({ "ip": "x" })));
    assert_report(
        &input,
        &[
            "1: warning: /payload/owner_id: missing, expected a string or null",
            "3: warning: /payload/destination_ip: expected an IP address or null, found nothing but \
             the similar key `destinaton_ip`",
            "4: warning: /payload/destination_ip: missing, expected an IP address or null",
        ],
        "3 read, all valid, 3 warnings",
    );
}

/// A task in the shape of Glance's code has types too. The warning compares it with that
/// shape, and not with the documented one.
#[test]
fn warns_about_wrong_types_in_optional_places() {
    let wrong = json!({
        "owner": 5, "message": "x", "status": "done", "expires_at": "tomorrow", "deleted": "no",
    });
    assert_report(
        &event("task.run", &changed(glance_task(), "owner", &wrong)),
        &[
            "1: warning: /payload/deleted: expected true or false, found a string",
            "1: warning: /payload/expires_at: expected a time such as 2012-05-16T15:27:36Z or null, \
             found another string",
            "1: warning: /payload/message: expected null, found a string",
            "1: warning: /payload/owner: expected a string or null, found a whole number",
            "1: warning: /payload/status: expected \"pending\", \"processing\", \"success\" or \
             \"failure\", found another string",
        ],
        "1 read, all valid, 5 warnings",
    );
}

/// `emit` reads other forms of time, and nulls among the properties. Consumers may not.
#[test]
fn warns_about_other_forms() {
    let mut line = created();
    line["payload"]["properties"] = json!({ "os~/distro": null });
    line["payload"]["created_at"] = json!("2012-05-16 15:27:36");
    line["message_id"] = json!("c80a1a6c-bd1f-41c5-90ee-81afedb1d58d");
    line["publisher_id"] = json!("image.host1");
    line["timestamp"] = json!("2026-11-22T12:00:00Z");
    // oslo.messaging adds attributes that reading drops.
    line["_unique_id"] = json!("1");
    assert_report(
        &line.to_string(),
        &[
            "1: warning: /payload/created_at: expected a time such as 2012-05-16T15:27:36Z, found \
             another string",
            "1: warning: /payload/properties/os~0~1distro: expected a string, found null",
            "1: warning: /timestamp: expected a time such as 2026-11-22 12:00:00.123456, found \
             another string",
        ],
        "1 read, all valid, 3 warnings",
    );
}

/// A problem and a warning differ in the report and in the summary. Without `--strict`, only the problem
/// counts for the exit code.
#[test]
fn counts_problems_and_warnings_apart() {
    let input = format!("x\n{}", event("image.send", &changed(sending(), "owner_id", &json!({}))));
    let sandbox = Sandbox::new();
    let output = sandbox.pipe(["validate"], &input);
    let output = output.expect_message(4, ": 2 read, 1 invalid, 1 problem, 1 warning\n");
    assert_eq!(output.out.lines().filter(|line| line.contains(": warning: ")).count(), 1);
    let output = sandbox.pipe(["validate", "-o", "json"], &input).expect(4);
    let report: Value = serde_json::from_str(&output.out).unwrap();
    assert_eq!(report["problems"][0].get("warning"), None);
    assert_eq!(
        report["problems"][1],
        json!({
            "line": 2, "warning": true, "pointer": "/payload/owner_id",
            "expected": "a string or null", "found": "nothing",
        })
    );
    assert_eq!(
        (&report["read"], &report["invalid"], &report["warnings"]),
        (&json!(2), &json!(1), &json!(1))
    );
}

/// With `--strict`, the exit code is 4, and the report has no warnings but problems.
#[test]
fn strict_makes_warnings_problems() {
    let input = line("a") + &event("image.send", &changed(sending(), "owner_id", &json!({})));
    let sandbox = Sandbox::new();
    sandbox.pipe(["validate"], &input).expect_message(0, ": 2 read, all valid, 1 warning\n");
    let output = sandbox.pipe(["validate", "--strict"], &input);
    let output = output.expect_message(4, ": 2 read, 1 invalid, 1 problem\n");
    assert_eq!(
        output.out,
        "standard input:2: /payload/owner_id: missing, expected a string or null\n"
    );
    let output = sandbox.pipe(["validate", "--strict", "-o", "json"], &input).expect(4);
    let report: Value = serde_json::from_str(&output.out).unwrap();
    assert_eq!(report["problems"][0].get("warning"), None);
    assert_eq!((&report["invalid"], &report["warnings"]), (&json!(1), &json!(0)));
}

/// The notifications of Glance's own code are valid, and lack keys that later versions added.
#[test]
fn warns_about_keys_that_old_senders_lack() {
    let output = Sandbox::new().pipe(["validate"], GLANCE_2013).expect(0);
    let missing = "warning: /payload/visibility: missing, expected \"public\", \"private\", \"shared\" \
                   or \"community\"";
    assert!(output.out.contains(missing), "{}", output.out);
}

/// A log holds the same notifications as a broker, so it has the same warnings: from WARNING on, oslo.log writes the
/// exception behind the JSON, and with `use_json` a record around it.
#[test]
fn a_log_has_the_warnings_of_its_notifications() {
    let warnings = |file: &str| -> Vec<String> {
        let samples = "../../tests/samples/openstack-2026";
        let path = format!("{}/{samples}/{file}", env!("CARGO_MANIFEST_DIR"));
        let output = Sandbox::new().run(["validate", path.as_str()]).expect(0);
        let without_place = |line: &str| line.split_once(": ").unwrap().1.to_owned();
        output.out.lines().map(without_place).collect()
    };
    for service in ["audit", "cinder", "glance", "nova", "oslo"] {
        let sent = warnings(&format!("{service}-v1.jsonl"));
        assert_eq!(warnings(&format!("{service}.log")), sent, "{service}");
        assert_eq!(sent.is_empty(), !matches!(service, "audit" | "glance"), "{service}");
    }
    let bare = event("image.send", &json!({ "bytes_sent": 1 }));
    let name = "oslo.messaging.notification.image.send";
    let record = json!({ "name": name, "levelname": "INFO", "message": bare.trim_end() });
    let report = |input: &str| Sandbox::new().pipe(["validate"], input).expect(0).out;
    assert_eq!(report(&bare).lines().count(), 5);
    assert_eq!(report(&record.to_string()), report(&bare));
}

/// A warning names keys and kinds, and never repeats a value, nor a password in a key.
#[test]
fn warnings_show_no_secret() {
    let url = format!("amqp://u:{SECRET}@h");
    let secret = json!({
        "owner": [SECRET], "message": SECRET, "status": SECRET, "expires_at": SECRET, "deleted": SECRET,
        "type": { "password": SECRET },
    });
    let mut image = created();
    image["payload"]["properties"] = json!({ &url: null });
    let input = event("task.run", &changed(glance_task(), "owner", &secret)) + &image.to_string();
    for args in [
        &["validate"][..],
        &["validate", "-o", "json"],
        &["validate", "--strict"],
        &["validate", "--strict", "-o", "json"],
    ] {
        let CommandOutput { out, err, .. } = Sandbox::new().pipe(args, &input);
        assert!(!out.contains(SECRET) && !err.contains(SECRET), "{args:?}: {out}{err}");
        assert!(out.contains("/payload/properties/amqp:~1~1***@h"), "{args:?}: {out}");
    }
}

/// A key of the input that a warning names is escaped.
#[test]
fn escapes_keys_in_warnings() {
    let hostile = json!({ "owner\u{1b}_i": null });
    let input = event("image.send", &changed(sending(), "owner_id", &hostile));
    for args in [&["validate"][..], &["validate", "-o", "json"]] {
        let output = Sandbox::new().pipe(args, &input).expect(0);
        assert!(output.out.contains("found nothing but the similar key") || args.len() > 1);
        assert!(output.out.contains("u{1b}_i`"), "{}", output.out);
        assert!(!output.out.contains('\u{1b}'), "{:?}", output.out);
    }
}

/// The help has an example for `--strict`.
#[test]
fn the_help_shows_an_example() {
    let output = Sandbox::new().run(["validate", "--help"]).expect(0);
    assert!(output.out.contains("| glance-notify validate --strict"), "{}", output.out);
}

/// An attribute that another tool added costs no notification. `emit` says once that it does not send it,
/// and `validate` lists each one, also for an event type without a schema.
#[test]
fn an_attribute_of_another_tool_is_a_warning() {
    let sandbox = Sandbox::new();
    let line = json!({
        "event_type": "image.exists", "priority": "INFO", "payload": {}, "original_message_id": "x",
    });
    let input = format!("{line}\n{line}\n");
    let warning =
        "line 1: /original_message_id: unknown attribute `original_message_id`, which is not sent";
    let output = sandbox.pipe(emit(&[]), &input).expect_message(0, warning);
    assert_eq!(output.err.matches("unknown attribute").count(), 1, "{}", output.err);
    assert_eq!(sandbox.lines("n.log").len(), 2);
    assert_eq!(sandbox.lines("n.log")[0].get("original_message_id"), None);
    sandbox.pipe(["validate"], &input).expect_message(0, "2 read, all valid, 2 warnings");
    sandbox.pipe(["validate", "--strict"], &input).expect_message(4, "2 problems");
}
