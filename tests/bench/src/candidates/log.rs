//! Lines in a file, without the library.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use glance_notify::codec::Encoding;
use glance_notify::codec::serde_json;
use glance_notify::config::Redact;
use tracing_appender::non_blocking::NonBlockingBuilder;

use super::encoding::{SerdeEnvelope, SerdePayload, envelopes};
use crate::samples::{MessageGenerator, SAMPLE_COUNT};
use crate::task::{BenchTask, Clock, Measurement};

/// Encodes with the library and writes to a `BufWriter` of 64 KiB, all on one thread. This is the
/// limit.
pub(crate) fn write_encoded(task: &BenchTask) -> Measurement {
    let mut messages = MessageGenerator::new(&Encoding::default());
    let mut file = BufWriter::with_capacity(64 * 1024, create(&task.file));
    let clock = Clock::start();
    for _ in 0..task.messages {
        file.write_all(messages.next_message().body()).expect("the disk has room");
        file.write_all(b"\n").expect("the disk has room");
    }
    file.flush().expect("the disk has room");
    remove(&task.file, clock.stop(task.messages))
}

/// Encodes one struct with `serde_json`, with a fixed id and time, and writes to a `BufWriter`, all
/// on one thread.
pub(crate) fn write_serde(task: &BenchTask) -> Measurement {
    let envelopes = envelopes();
    let mut file = BufWriter::with_capacity(64 * 1024, create(&task.file));
    let clock = Clock::start();
    for number in 0..task.messages {
        serde_json::to_writer(&mut file, &envelopes[number % SAMPLE_COUNT])
            .expect("the disk has room");
        file.write_all(b"\n").expect("the disk has room");
    }
    file.flush().expect("the disk has room");
    remove(&task.file, clock.stop(task.messages))
}

/// Encodes with the library, appends batches of its size, and calls `fdatasync` after each.
pub(crate) fn append_and_sync(task: &BenchTask) -> Measurement {
    let mut messages = MessageGenerator::new(&Encoding::default());
    let mut file = create(&task.file);
    let mut batch = Vec::new();
    let clock = Clock::start();
    for number in 1..=task.messages {
        batch.extend_from_slice(messages.next_message().body());
        batch.push(b'\n');
        if number % task.window == 0 || number == task.messages {
            file.write_all(&batch).expect("the disk has room");
            file.sync_data().expect("the disk syncs");
            batch.clear();
        }
    }
    remove(&task.file, clock.stop(task.messages))
}

/// Writes the format `json` of `tracing-subscriber` through a lossless `tracing-appender`.
///
/// `tracing` adds the time. It takes the payload as a text, which `serde_json` encodes.
pub(crate) fn tracing_appender(task: &BenchTask) -> Measurement {
    let mut messages =
        MessageGenerator::new(&Encoding { redact: Redact::Off, ..Encoding::default() });
    let envelopes: Vec<(SerdeEnvelope<SerdePayload>, _, _)> = (0..SAMPLE_COUNT)
        .map(|_| {
            let message = messages.next_message();
            let envelope = serde_json::from_slice(message.body()).expect("a body is JSON");
            (envelope, message.event_type().clone(), message.priority())
        })
        .collect();
    let (writer, guard) = NonBlockingBuilder::default().lossy(false).finish(create(&task.file));
    tracing_subscriber::fmt().json().with_writer(writer).init();
    let clock = Clock::start();
    for number in 0..task.messages {
        let (envelope, event_type, priority) = &envelopes[number % SAMPLE_COUNT];
        let (message_id, _) = messages.stamp();
        let payload = serde_json::to_string(&envelope.payload).expect("a payload is valid JSON");
        tracing::info!(
            %message_id, publisher_id = "image.host1", event_type = event_type.as_str(),
            priority = priority.as_str(), payload
        );
    }
    // Dropping the guard waits until the writer has written every line.
    drop(guard);
    let measurement = clock.stop(task.messages);
    let text = fs::read_to_string(&task.file).expect("the file is readable");
    assert_eq!(text.lines().count(), task.messages);
    remove(&task.file, measurement)
}

fn create(path: &Path) -> File {
    File::create(path).expect("the directory is writable")
}

/// Removes the file, and returns the measurement.
fn remove(path: &Path, measurement: Measurement) -> Measurement {
    fs::remove_file(path).expect("the candidate wrote the file");
    measurement
}
