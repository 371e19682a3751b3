//! Encoding, against `serde_json` and one struct of the same content.

use std::hint::black_box;

use glance_notify::codec::Encoding;
use glance_notify::codec::serde_json;
use glance_notify::config::Redact;
use serde::{Deserialize, Serialize};

use crate::samples::Stamped;
use crate::task::{Clock, Outcome, Task};

/// With ids, times and the default redaction.
pub(crate) fn ours(task: &Task) -> Outcome {
    encode(task, &Encoding::default())
}

/// With ids and times.
pub(crate) fn ours_unredacted(task: &Task) -> Outcome {
    encode(task, &Encoding { redact: Redact::Off, ..Encoding::default() })
}

fn encode(task: &Task, encoding: &Encoding) -> Outcome {
    let mut messages = Stamped::new(encoding);
    let clock = Clock::start();
    for _ in 0..task.messages {
        black_box(messages.next_message());
    }
    clock.stop(task.messages)
}

/// Id and time are fixed, and the buffer is used again: as fast as it can be.
pub(crate) fn serde(task: &Task) -> Outcome {
    let envelopes = envelopes();
    let mut buffer = Vec::with_capacity(64 * 1024);
    let clock = Clock::start();
    for number in 0..task.messages {
        buffer.clear();
        serde_json::to_writer(&mut buffer, &envelopes[number % 32]).expect("JSON");
        black_box(&buffer);
    }
    clock.stop(task.messages)
}

/// What `serde_json` writes as we write it.
pub(super) fn envelopes() -> Vec<Envelope> {
    let mut messages = Stamped::new(&Encoding { redact: Redact::Off, ..Encoding::default() });
    let read = |_| {
        let message = messages.next_message();
        let envelope = serde_json::from_slice(message.body()).expect("our JSON");
        let again = serde_json::to_vec(&envelope).expect("JSON");
        assert_eq!(again, message.body(), "the same content");
        envelope
    };
    (0..32).map(read).collect()
}

/// A notification as a program without our types would hold it.
#[derive(Serialize, Deserialize)]
pub(super) struct Envelope {
    message_id: String,
    publisher_id: String,
    event_type: String,
    priority: String,
    timestamp: String,
    pub(super) payload: Payload,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Payload {
    Image(Image),
    Send(Send),
    Task(Task2013),
    Text(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Image {
    id: String,
    name: Option<String>,
    status: String,
    created_at: String,
    updated_at: String,
    min_disk: u64,
    min_ram: u64,
    protected: bool,
    checksum: Option<String>,
    owner: Option<String>,
    disk_format: Option<String>,
    container_format: Option<String>,
    size: Option<u64>,
    virtual_size: Option<u64>,
    is_public: bool,
    visibility: String,
    properties: std::collections::BTreeMap<String, String>,
    tags: Vec<String>,
    deleted: bool,
    deleted_at: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
    bytes_sent: u64,
    destination_ip: Option<String>,
    image_id: String,
    owner_id: Option<String>,
    receiver_tenant_id: Option<String>,
    receiver_user_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Task2013 {
    task_id: String,
    owner: Option<String>,
    task_type: String,
    status: String,
    task_input: serde_json::Value,
    result: serde_json::Value,
    message: Option<String>,
    expires_at: Option<String>,
    created_at: String,
    updated_at: String,
}
