//! Encoding and decoding: the library, and `serde_json` with structs of the same content.

use std::hint::black_box;

use glance_notify::Notification;
use glance_notify::codec::Encoding;
use glance_notify::codec::serde_json;
use glance_notify::config::Redact;
use serde::{Deserialize, Serialize};

use crate::samples::{MessageGenerator, SAMPLE_COUNT};
use crate::task::{BenchTask, Clock, Measurement};

/// Encodes with ids, times and the default redaction.
pub(crate) fn ours(task: &BenchTask) -> Measurement {
    encode(task, &Encoding::default())
}

/// Encodes with ids and times, without redaction.
pub(crate) fn ours_unredacted(task: &BenchTask) -> Measurement {
    encode(task, &Encoding { redact: Redact::Off, ..Encoding::default() })
}

fn encode(task: &BenchTask, encoding: &Encoding) -> Measurement {
    let mut messages = MessageGenerator::new(encoding);
    let clock = Clock::start();
    for _ in 0..task.messages {
        black_box(messages.next_message());
    }
    clock.stop(task.messages)
}

/// Encodes with `serde_json`, with a fixed id and time and one reused buffer: the fastest way.
pub(crate) fn serde(task: &BenchTask) -> Measurement {
    let envelopes = envelopes();
    let mut buffer = Vec::with_capacity(64 * 1024);
    let clock = Clock::start();
    for number in 0..task.messages {
        buffer.clear();
        serde_json::to_writer(&mut buffer, &envelopes[number % SAMPLE_COUNT])
            .expect("an envelope is valid JSON");
        black_box(&buffer);
    }
    clock.stop(task.messages)
}

/// Decodes a line, and reads the facts of its event.
pub(crate) fn decode(task: &BenchTask) -> Measurement {
    let lines = lines();
    let clock = Clock::start();
    for number in 0..task.messages {
        let notification = Notification::decode(&lines[number % SAMPLE_COUNT].0)
            .expect("a body is a notification");
        black_box(notification.event());
        black_box(notification);
    }
    clock.stop(task.messages)
}

/// Decodes with `serde_json`, into the struct that fits the line.
pub(crate) fn decode_serde(task: &BenchTask) -> Measurement {
    let lines = lines();
    let clock = Clock::start();
    for number in 0..task.messages {
        let (line, decode) = &lines[number % SAMPLE_COUNT];
        decode(line);
    }
    clock.stop(task.messages)
}

/// Returns the notifications as lines, each with the function that decodes it into its own struct.
///
/// A program that knows the struct does not try one after the other, as [`SerdePayload`] does.
fn lines() -> Vec<(Vec<u8>, DecodeFunction)> {
    fn decode<P: serde::de::DeserializeOwned>(line: &[u8]) {
        let envelope: SerdeEnvelope<P> = serde_json::from_slice(line).expect("the struct fits");
        black_box(envelope);
    }
    let line = |envelope: &SerdeEnvelope<SerdePayload>| {
        let line = serde_json::to_vec(envelope).expect("an envelope is valid JSON");
        let decode: DecodeFunction = match envelope.payload {
            SerdePayload::Image(_) => decode::<ImagePayload>,
            SerdePayload::Send(_) => decode::<SendPayload>,
            SerdePayload::Task(_) => decode::<TaskPayload>,
            SerdePayload::Text(_) => decode::<String>,
        };
        (line, decode)
    };
    envelopes().iter().map(line).collect()
}

/// A function that decodes a line.
type DecodeFunction = fn(&[u8]);

/// Returns the notifications as structs that `serde_json` writes exactly as the library does.
pub(super) fn envelopes() -> Vec<SerdeEnvelope<SerdePayload>> {
    let mut messages =
        MessageGenerator::new(&Encoding { redact: Redact::Off, ..Encoding::default() });
    let read = |_| {
        let message = messages.next_message();
        let envelope = serde_json::from_slice(message.body()).expect("a body is JSON");
        let written = serde_json::to_vec(&envelope).expect("an envelope is valid JSON");
        assert_eq!(written, message.body(), "both encodings have the same content");
        envelope
    };
    (0..SAMPLE_COUNT).map(read).collect()
}

/// A notification in the types of a program without this library.
#[derive(Serialize, Deserialize)]
pub(super) struct SerdeEnvelope<P> {
    message_id: String,
    publisher_id: String,
    event_type: String,
    priority: String,
    timestamp: String,
    pub(super) payload: P,
}

/// The payload of an event about an image, a transfer or a task, or the text of an error.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum SerdePayload {
    Image(ImagePayload),
    Send(SendPayload),
    Task(TaskPayload),
    Text(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImagePayload {
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
pub(super) struct SendPayload {
    bytes_sent: u64,
    destination_ip: Option<String>,
    image_id: String,
    owner_id: Option<String>,
    receiver_tenant_id: Option<String>,
    receiver_user_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskPayload {
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
