//! The notifications of the benchmarks: those of Glance's own code of 2013, in the documented
//! payload style.

use std::fmt::Write as _;

use glance_notify::codec::serde_json::{self, Value, json};
use glance_notify::codec::{Encoding, Message, NotificationInput, Sequence, SizeLimits};
use glance_notify::event::{EventType, Priority};
use glance_notify::time::OffsetDateTime;
use glance_notify::uuid::Uuid;
use glance_notify::{Event, Notification, Notifier};
use notify_conformance::samples::GLANCE_2013;

/// Returns the events of all 32 notifications.
pub(crate) fn events() -> Vec<Event> {
    let events: Vec<Event> = GLANCE_2013.lines().map(event).collect();
    assert_eq!(events.len(), SAMPLE_COUNT);
    events
}

/// Returns the notifications in the form of
/// [`BenchTask::samples`](crate::task::BenchTask::samples).
pub(crate) fn lines() -> String {
    let mut messages = MessageGenerator::new(&Encoding::default());
    let mut lines = String::new();
    for _ in 0..SAMPLE_COUNT {
        let message = messages.next_message();
        let mut value: Value = serde_json::from_slice(message.body()).expect("a body is JSON");
        let (event_type, priority) = (message.event_type(), message.priority());
        let payload = value["payload"].take();
        writeln!(lines, "{event_type}\t{priority}\t{payload}")
            .expect("writing to a string never fails");
    }
    lines
}

/// An endless generator of messages. It takes the notifications in turn, and encodes each with a
/// new id and the current time. This is the work of `emit` before it queues a message.
pub(crate) struct MessageGenerator {
    notifier: Notifier,
    encoding: Encoding,
    notifications: Vec<Notification>,
    next: usize,
    /// The run of this generator as a publisher.
    epoch: Uuid,
    /// The number of numbered messages.
    numbered: u64,
}

impl MessageGenerator {
    pub(crate) fn new(encoding: &Encoding) -> Self {
        let config = "publisher_id = \"image.host1\"".parse().expect("the configuration is valid");
        let (notifier, _) = glance_notify::start(&config).expect("the strategy noop starts");
        let notifications: Vec<_> =
            events().into_iter().map(|event| notifier.stamp(event)).collect();
        let epoch = notifications[0].message_id;
        Self { notifier, encoding: *encoding, notifications, next: 0, epoch, numbered: 0 }
    }

    /// Returns a new id and the current time.
    pub(crate) fn stamp(&self) -> (Uuid, OffsetDateTime) {
        let (event_type, priority) = (EventType::ImageCreate, Priority::Info);
        let null = Event::Other { event_type, priority, payload: Value::Null };
        let Notification { message_id, timestamp, .. } = self.notifier.stamp(null);
        (message_id, timestamp)
    }

    pub(crate) fn next_message(&mut self) -> Message {
        let (message_id, timestamp) = self.stamp();
        let notification = &mut self.notifications[self.next];
        self.next = (self.next + 1) % SAMPLE_COUNT;
        notification.message_id = message_id;
        notification.timestamp = timestamp;
        notification.encode(&self.encoding).expect("a sample is valid")
    }

    /// Returns the next message with a number, as the queue of a broker's destination numbers it. A peer that
    /// sends no number would do less work.
    pub(crate) fn next_numbered(&mut self) -> Message {
        let message = self.next_message();
        self.numbered += 1;
        let lane = format!("notifications.{}", message.priority().as_str().to_lowercase());
        message.with_sequence(Sequence::new(self.epoch, &lane, self.numbered))
    }
}

/// Reads one sample, and converts it to the documented payload style where it is not.
fn event(line: &str) -> Event {
    let typed =
        |line: &str| match NotificationInput::decode(line.as_bytes(), &SizeLimits::default()) {
            Ok(NotificationInput::Event(event)) => event.to_event(),
            other => panic!("the sample is not an event: {other:?}"),
        };
    typed(line).unwrap_or_else(|_| {
        typed(&documented(line)).expect("the converted sample is in the documented style")
    })
}

/// Converts a payload of Glance's code to the documented style: Glance omitted some keys of the
/// specification, and gave others a different name.
fn documented(line: &str) -> String {
    let mut body: Value = serde_json::from_str(line).expect("a sample is JSON");
    let event_type = body["event_type"].as_str().unwrap_or_default().to_owned();
    let payload = body["payload"].as_object_mut().expect("a payload is an object");
    if event_type == "image.send" {
        payload.insert("destination_ip".to_owned(), Value::Null);
    }
    if let Some((group, "run" | "processing" | "success" | "failure")) = event_type.split_once('.')
    {
        assert_eq!(group, "task");
        for name in ["id", "type"] {
            let value = payload.remove(name).expect("a task has an id and a type");
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

/// The number of notifications.
pub(crate) const SAMPLE_COUNT: usize = 32;
