//! The facts of every image and task notification that Glance has sent since 2011.

use std::fmt::Write as _;

use glance_notify::codec::{NotificationInput, SizeLimits};
use glance_notify::event::{EventFacts, EventType};

use crate::reading::{lines, names};

/// The table of all shapes: the id, the owner and the size of each line of the samples. The snapshot was
/// compared with the lines by a program of its own.
#[test]
fn the_facts_of_every_image_and_task_match_the_table() {
    let collection = names("collection");
    let collection = collection.iter().map(|name| format!("collection/{name}"));
    let glance = ["openstack-2026/glance-v1.jsonl".to_owned()];
    let (mut table, mut without_id, mut refused) = (String::new(), 0, Vec::new());
    for file in collection.chain(glance) {
        for (number, line) in (1..).zip(lines(&file)) {
            let Some((event_type, priority, facts)) = facts(&line) else {
                refused.push(format!("{file}:{number}"));
                continue;
            };
            let group = event_type.group();
            if group != "image" && group != "task" {
                continue;
            }
            let EventFacts { id, owner, size, .. } = facts;
            let (id, owner) = (id.as_deref().unwrap_or("-"), owner.as_deref().unwrap_or("-"));
            let size = size.map_or("-".to_owned(), |size| size.to_string());
            writeln!(table, "{file}:{number} {event_type} {priority} {id} {owner} {size}").unwrap();
            without_id += usize::from(id == "-");
        }
    }
    insta::assert_snapshot!(table);
    assert_eq!(without_id, WITHOUT_ID);
    assert_eq!(refused, REFUSED);
}

/// Returns the event type, the priority and the facts of a line, unless reading refuses it.
fn facts(line: &str) -> Option<(EventType, String, EventFacts)> {
    Some(match NotificationInput::decode(line.as_bytes(), &SizeLimits::default()).ok()? {
        NotificationInput::Notification(notification) => {
            let priority = notification.priority().to_string();
            (notification.event_type().clone(), priority, notification.event())
        }
        NotificationInput::Event(event) => {
            (event.event_type().clone(), event.priority().to_string(), event.facts())
        }
    })
}

/// The number of lines whose payload names no id: texts of some errors, and the events of other tools.
const WITHOUT_ID: usize = 17;

/// The lines that are no notifications: an extract without publisher, priority and time, and two with
/// malformed times such as `2015-09-24 12:47:.634363`.
const REFUSED: [&str; 3] = [
    "collection/2013-grizzly-yagi.jsonl:4",
    "collection/2015-liberty-searchlight.jsonl:4",
    "collection/2015-liberty-searchlight.jsonl:6",
];
