//! No answer of a command, in any form, shows the owner of an image where it shows an actor.
//! `tests/web/owners.rs` checks the web pages.

use serde_json::{Value, json};

use crate::support::{CommandOutput, Sandbox};

/// Every question and every export, from lines and from an archive, as text, CSV and JSON: the owner appears in
/// no place that names an actor. Glance does not send who acted, and a wrong accusation is worse than none.
#[test]
fn no_answer_and_no_export_names_an_owner_as_actor() {
    let sandbox = Sandbox::new();
    let lines = lines();
    sandbox.file("n.jsonl", &lines);
    sandbox.run(["archive", "import", "--archive", "a", "n.jsonl"]).expect(0);
    let questions: [&[&str]; 14] = [
        &["timeline", "debian"],
        &["timeline", IMAGE],
        &["timeline", TASK],
        &["who", "debian"],
        &["who", "--event", "image.delete", IMAGE],
        &["who", TASK],
        &["search"],
        &["search", "--project", OWNER],
        &["report", "stuck", "--older-than", "0"],
        &["report", "transfers"],
        &["report", "storage"],
        &["report", "failures"],
        &["report", "deletions"],
        &["report", "activity", "--by", "image"],
    ];
    for question in questions {
        for format in ["text", "csv", "json"] {
            let args = [question, &["-o", format]].concat();
            let stored = sandbox.run([&args[..], &["--from", "a"]].concat());
            for output in [sandbox.pipe(&args, &lines), stored] {
                check(&format!("{question:?} -o {format}"), format, &output.expect(0));
            }
        }
    }
    let export = ["archive", "export", "--archive", "a", "-o"];
    check("export", "csv", &sandbox.run([&export[..], &["csv"]].concat()).expect(0));
    // The actor that evidence names is shown, so that the checks above are not empty.
    let who = sandbox.run(["who", "debian", "-o", "csv", "--from", "a"]).expect(0);
    assert!(who.out.contains("the-actor"), "{}", who.out);
}

/// Asserts that the owner stands in no place of an actor.
fn check(what: &str, format: &str, output: &CommandOutput) {
    assert!(!output.out.is_empty(), "{what}");
    match format {
        "json" => check_json(what, &serde_json::from_str(&output.out).unwrap(), false),
        "csv" => {
            let mut rows = output.out.lines().map(|line| line.split(',').collect::<Vec<_>>());
            let columns = rows.next().unwrap();
            for row in rows {
                for (column, cell) in columns.iter().zip(row) {
                    let is_owner = cell.contains(OWNER);
                    assert!(
                        !(is_owner && names_an_actor(column, what)),
                        "{what}: {column}: {cell}"
                    );
                }
            }
        }
        _ => {
            // An owner stands below this heading only.
            let is_count = what.contains("\"report\"") && !what.contains("\"stuck\"");
            let heading = if is_count { "project" } else { "owner" };
            let place = output.out.lines().next().and_then(|head| place_of(heading, head));
            for line in output.out.lines().filter(|line| line.contains(OWNER)) {
                assert_eq!(place_of(OWNER, line), place, "{what}: {}", output.out);
            }
            // These are about actors, or about receivers.
            let others = ["\"who\"", "\"timeline\"", "\"transfers\""];
            let shows_none = others.iter().any(|question| what.contains(question));
            assert!(!(shows_none && output.out.contains(OWNER)), "{what}: {}", output.out);
            // Where a report counts by owner, it says that the owner is no actor.
            let by_owner = ["deletions", "activity"].iter().any(|report| what.contains(report));
            assert!(!by_owner || output.out.contains("not the actor"), "{what}: {}", output.out);
        }
    }
}

/// Returns the number of characters before a text in a line.
fn place_of(text: &str, line: &str) -> Option<usize> {
    line.find(text).map(|at| line[..at].chars().count())
}

/// Looks through JSON for the owner below a key that names an actor.
fn check_json(what: &str, value: &Value, is_actor: bool) {
    match value {
        Value::String(text) => assert!(!(is_actor && text.contains(OWNER)), "{what}: {text}"),
        Value::Array(list) => list.iter().for_each(|item| check_json(what, item, is_actor)),
        Value::Object(map) => {
            for (key, item) in map {
                check_json(what, item, is_actor || names_an_actor(key, what));
            }
        }
        _ => {}
    }
}

/// Returns `true` if a column or a key names an actor. `who` shows the actor's project, too.
fn names_an_actor(name: &str, what: &str) -> bool {
    name.contains("actor")
        || name.contains("user")
        || name == "initiator"
        || (name == "project" && what.contains("\"who\""))
}

/// Returns the life of an image and of a task. Audit events name the actor of some events, and of others
/// there is no evidence.
fn lines() -> String {
    let mut lines = String::new();
    let mut number = 0;
    let mut event = |event_type: &str, priority: &str, payload: Value| {
        number += 1;
        let line = json!({
            "message_id": format!("00000000-0000-4000-8000-{number:012}"),
            "publisher_id": "image.glance1",
            "event_type": event_type,
            "priority": priority,
            "timestamp": format!("2026-11-24 12:{:02}:{:02}", number / 60, number % 60),
            "payload": payload,
        });
        lines.extend([&line.to_string(), "\n"]);
    };
    let image = |status: &str| json!({"id": IMAGE, "name": "debian", "owner": OWNER, "status": status, "size": 1024});
    let audit = |action: &str, path: &str, outcome: &str| {
        json!({"id": format!("{action}{path}"), "action": action, "outcome": outcome,
            "requestPath": format!("/v2/images/{IMAGE}{path}"),
            "initiator": {"id": "the-actor", "name": "the-actor", "project_id": "the-actors-project"}})
    };
    event("image.create", "INFO", image("queued"));
    event("image.prepare", "INFO", image("saving"));
    event("audit.http.request", "INFO", audit("update", "/file", "pending"));
    event("image.upload", "INFO", image("active"));
    event("image.activate", "INFO", image("active"));
    event("audit.http.response", "INFO", audit("update", "/file", "success"));
    event("image.update", "INFO", image("active"));
    for receiver in ["a-project", "another-project"] {
        let download = json!({"image_id": IMAGE, "owner_id": OWNER, "bytes_sent": 1024,
            "receiver_tenant_id": receiver, "receiver_user_id": "a-receiver", "destination_ip": "192.0.2.1"});
        event("image.send", "INFO", download);
    }
    event("image.upload", "ERROR", json!(format!("Cannot save data for image {IMAGE}")));
    event("audit.http.request", "INFO", audit("delete", "", "pending"));
    event("image.delete", "INFO", image("deleted"));
    event("audit.http.response", "INFO", audit("delete", "", "success"));
    for event_type in ["task.create", "task.run", "task.failure"] {
        let task = json!({"task_id": TASK, "owner": OWNER, "status": "failure", "type": "import"});
        event(event_type, "INFO", task);
    }
    let stuck = json!({"id": "00000000-0000-4000-a000-000000000003", "name": "s", "owner": OWNER,
        "status": "saving"});
    event("image.prepare", "INFO", stuck);
    lines
}

const OWNER: &str = "the-owner";
const IMAGE: &str = "00000000-0000-4000-a000-000000000001";
const TASK: &str = "00000000-0000-4000-a000-000000000002";
