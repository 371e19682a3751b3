//! What is sent: the notifications that Glance's own code of 2013 sent, in the documented shape.

use std::fmt::Write as _;

use glance_notify::codec::serde_json::{self, Value, json};
use glance_notify::codec::{Encoding, Message, NotificationInput, SizeLimits};
use glance_notify::event::{Body, EventType, Priority};
use glance_notify::time::OffsetDateTime;
use glance_notify::uuid::Uuid;
use glance_notify::{Event, Notification, Notifier};
use notify_conformance::samples::GLANCE_2013;

/// All of them, typed.
pub(crate) fn events() -> Vec<Event> {
    let events: Vec<Event> = GLANCE_2013.lines().map(event).collect();
    assert_eq!(events.len(), 32);
    events
}

/// The same as [`Task::samples`](crate::task::Task::samples) has them.
pub(crate) fn lines() -> String {
    let mut stamped = Stamped::new(&Encoding::default());
    let mut lines = String::new();
    for at in 0..stamped.len() {
        let message = stamped.next_message();
        let mut value: Value = serde_json::from_slice(message.body()).expect("JSON");
        let (event_type, priority) = (message.event_type(), message.priority());
        let payload = value["payload"].take();
        writeln!(lines, "{event_type}\t{priority}\t{payload}").expect("a string takes all");
        assert!(at < 32);
    }
    lines
}

/// The notifications in turn, for ever, encoded with a new id and the time of the moment: all that
/// `emit` does before it queues.
pub(crate) struct Stamped {
    notifier: Notifier,
    encoding: Encoding,
    notifications: Vec<Notification>,
    next: usize,
}

impl Stamped {
    pub(crate) fn new(encoding: &Encoding) -> Self {
        let config = "publisher_id = \"image.host1\"".parse().expect("a configuration");
        let (notifier, _) = glance_notify::start(&config).expect("the strategy noop");
        let notifications = events().into_iter().map(|event| notifier.stamp(event)).collect();
        Self { notifier, encoding: *encoding, notifications, next: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.notifications.len()
    }

    /// An id and a time of the moment.
    pub(crate) fn stamp(&self) -> (Uuid, OffsetDateTime) {
        let payload = Value::Null;
        let null =
            Body::AsRead { event_type: EventType::ImageCreate, priority: Priority::Info, payload };
        let Notification { message_id, timestamp, .. } = self.notifier.stamp(null);
        (message_id, timestamp)
    }

    pub(crate) fn next_message(&mut self) -> Message {
        let (message_id, timestamp) = self.stamp();
        let notification = &mut self.notifications[self.next];
        self.next = (self.next + 1) % 32;
        notification.message_id = message_id;
        notification.timestamp = timestamp;
        notification.encode(&self.encoding).expect("a sample")
    }
}

fn event(line: &str) -> Event {
    match NotificationInput::read(line.as_bytes(), &SizeLimits::default()) {
        Ok(NotificationInput::Body(Body::Event(event))) => event,
        Ok(NotificationInput::Body(Body::AsRead { .. })) => {
            match NotificationInput::read(documented(line).as_bytes(), &SizeLimits::default()) {
                Ok(NotificationInput::Body(Body::Event(event))) => event,
                other => panic!("not in the documented shape: {other:?}"),
            }
        }
        other => panic!("no sample: {other:?}"),
    }
}

/// Glance's code left out what the specification has, or named it otherwise.
fn documented(line: &str) -> String {
    let mut body: Value = serde_json::from_str(line).expect("a sample");
    let event_type = body["event_type"].as_str().unwrap_or_default().to_owned();
    let payload = body["payload"].as_object_mut().expect("an object");
    if event_type == "image.send" {
        payload.insert("destination_ip".to_owned(), Value::Null);
    }
    if let Some((group, "run" | "processing" | "success" | "failure")) = event_type.split_once('.')
    {
        assert_eq!(group, "task");
        for name in ["id", "type"] {
            let value = payload.remove(name).expect("a task of Glance's");
            payload.insert(format!("task_{name}"), value);
        }
        payload.retain(|name, _| !name.starts_with("deleted"));
        payload.insert("task_input".to_owned(), json!({"import_from": "http://h/i"}));
        match event_type.as_str() {
            "task.success" => payload.insert("result".to_owned(), json!({"image_id": "1"})),
            "task.failure" => payload.insert("message".to_owned(), json!("disk full")),
            _ => None,
        };
    }
    body.to_string()
}
