//! No page shows the owner of an image where it shows an actor. `tests/command/owners.rs` checks the commands.

use serde_json::{Value, json};

use crate::bounds::page;
use crate::site::RunningSite;

/// An owner that never acted stands in the places of owners only, and in the bodies of notifications. Glance does
/// not send who acted, and a wrong accusation is worse than none.
#[test]
fn no_page_names_an_owner_as_actor() {
    let site = RunningSite::start(&lines().join("\n"));
    let mut paths = vec![
        "/search".to_owned(),
        format!("/image?id={IMAGE}"),
        format!("/task?id={TASK}"),
        "/stuck?older_than=0".to_owned(),
        "/storage".to_owned(),
        "/transfers".to_owned(),
        "/health".to_owned(),
    ];
    paths.extend((0..lines().len()).map(|number| format!("/event?id={}", message_id(number))));
    for path in &paths {
        let page = page(&site, path);
        assert!(page.starts_with("HTTP/1.1 200"), "{path}: {page}");
        let mut is_body = false;
        for line in page.lines() {
            is_body |= line.starts_with("<pre class=\"json\"");
            let is_place = PLACES.iter().any(|place| line.starts_with(place));
            assert!(is_body || is_place || !line.contains(OWNER), "{path}: {line}");
            is_body &= !line.contains("</pre>");
        }
        // The owner is shown, so that the check above is not empty. Transfers are of the receivers.
        let shows_owner = paths[..5].contains(path) || path.starts_with("/event");
        assert_eq!(page.contains(OWNER), shows_owner, "{path}");
    }
    // So is the actor that evidence names.
    let image = page(&site, &paths[1]);
    assert!(image.contains("<span class=\"actor\"><bdi>the-actor"), "{image}");
}

/// Returns the lives of an image, of a task and of an image that is stuck. Audit events name the actor of the
/// deletion; there is no evidence of the others.
fn lines() -> Vec<String> {
    let image = |status: &str| json!({"id": IMAGE, "name": "debian", "owner": OWNER, "status": status, "size": 1024});
    let audit = |outcome: &str| {
        json!({"id": outcome, "action": "delete", "outcome": outcome, "owner": OWNER,
            "requestPath": format!("/v2/images/{IMAGE}"),
            "initiator": {"id": "the-actor", "name": "the-actor", "project_id": "the-actors-project"}})
    };
    let download = json!({"image_id": IMAGE, "owner_id": OWNER, "bytes_sent": 1024,
        "receiver_tenant_id": "a-project", "receiver_user_id": "a-receiver", "destination_ip": "192.0.2.1"});
    let task = json!({"task_id": TASK, "owner": OWNER, "status": "failure", "type": "import"});
    let stuck = json!({"id": "00000000-0000-4000-a000-000000000003", "name": "s", "owner": OWNER,
        "status": "saving"});
    let events: [(&str, Value); 12] = [
        ("image.create", image("queued")),
        ("image.prepare", image("saving")),
        ("image.upload", image("active")),
        ("image.activate", image("active")),
        ("image.update", image("active")),
        ("image.send", download),
        ("audit.http.request", audit("pending")),
        ("image.delete", image("deleted")),
        ("audit.http.response", audit("success")),
        ("task.create", task.clone()),
        ("task.failure", task),
        ("image.prepare", stuck),
    ];
    let line = |(number, (event_type, payload)): (usize, (&str, Value))| {
        json!({"message_id": message_id(number), "publisher_id": "image.h", "event_type": event_type,
            "priority": "INFO", "payload": payload,
            "timestamp": format!("2026-11-24 12:00:{number:02}")})
        .to_string()
    };
    events.into_iter().enumerate().map(line).collect()
}

/// Returns the id of a notification.
fn message_id(number: usize) -> String {
    format!("00000000-0000-4000-9000-{number:012}")
}

const OWNER: &str = "the-owner";
const IMAGE: &str = "00000000-0000-4000-a000-000000000001";
const TASK: &str = "00000000-0000-4000-a000-000000000002";

/// The starts of the lines in which a page shows an owner as such.
const PLACES: [&str; 5] = [
    // The search and the missing outcomes.
    "<td role=\"cell\" class=\"project\">",
    // A failed task.
    "<td role=\"cell\" class=\"subject\">",
    // An image or a task.
    "<div><dt>Owner (project)</dt>",
    // Usage by project, as a table and as a chart.
    "<tr><th scope=\"row\">",
    "<text class=\"label\"",
];
