//! Lines in a file, as others write them.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use glance_notify::codec::Encoding;
use glance_notify::codec::serde_json;
use glance_notify::config::Redact;
use tracing_appender::non_blocking::NonBlockingBuilder;

use super::encoding::{Envelope, envelopes};
use crate::samples::Stamped;
use crate::task::{Clock, Outcome, Task};

/// The limit: one thread, the same encoding, into a `BufWriter` of 64 KiB.
pub(crate) fn write_encoded(task: &Task) -> Outcome {
    let mut messages = Stamped::new(&Encoding::default());
    let mut file = BufWriter::with_capacity(64 * 1024, create(&task.file));
    let clock = Clock::start();
    for _ in 0..task.messages {
        file.write_all(messages.next_message().body()).expect("room on the disk");
        file.write_all(b"\n").expect("room on the disk");
    }
    file.flush().expect("room on the disk");
    remove(&task.file, clock.stop(task.messages))
}

/// One thread, `serde_json` of one struct, id and time fixed, into a `BufWriter`.
pub(crate) fn write_serde(task: &Task) -> Outcome {
    let envelopes = envelopes();
    let mut file = BufWriter::with_capacity(64 * 1024, create(&task.file));
    let clock = Clock::start();
    for number in 0..task.messages {
        serde_json::to_writer(&mut file, &envelopes[number % 32]).expect("room on the disk");
        file.write_all(b"\n").expect("room on the disk");
    }
    file.flush().expect("room on the disk");
    remove(&task.file, clock.stop(task.messages))
}

/// One thread, the same encoding, batches as large as ours: append, then fdatasync.
pub(crate) fn append_and_sync(task: &Task) -> Outcome {
    let mut messages = Stamped::new(&Encoding::default());
    let mut file = create(&task.file);
    let mut batch = Vec::new();
    let clock = Clock::start();
    for number in 1..=task.messages {
        batch.extend_from_slice(messages.next_message().body());
        batch.push(b'\n');
        if number % task.window == 0 || number == task.messages {
            file.write_all(&batch).expect("room on the disk");
            file.sync_data().expect("a disk that syncs");
            batch.clear();
        }
    }
    remove(&task.file, clock.stop(task.messages))
}

/// The format `json` of `tracing-subscriber`, through `tracing-appender` that loses nothing.
///
/// `tracing` writes the time by itself. The payload is a text to it, and what is in it is encoded by
/// `serde_json`.
pub(crate) fn tracing_appender(task: &Task) -> Outcome {
    let mut messages = Stamped::new(&Encoding { redact: Redact::Off, ..Encoding::default() });
    let envelopes: Vec<(Envelope, _, _)> = (0..messages.len())
        .map(|_| {
            let message = messages.next_message();
            let envelope = serde_json::from_slice(message.body()).expect("our JSON");
            (envelope, message.event_type(), message.priority())
        })
        .collect();
    let (writer, guard) = NonBlockingBuilder::default().lossy(false).finish(create(&task.file));
    tracing_subscriber::fmt().json().with_writer(writer).init();
    let clock = Clock::start();
    for number in 0..task.messages {
        let (envelope, event_type, priority) = &envelopes[number % 32];
        let (message_id, _) = messages.stamp();
        let payload = serde_json::to_string(&envelope.payload).expect("JSON");
        tracing::info!(
            %message_id, publisher_id = "image.host1", event_type = event_type.as_str(),
            priority = priority.as_str(), payload
        );
    }
    // Waits until everything is written.
    drop(guard);
    let outcome = clock.stop(task.messages);
    let written = fs::read_to_string(&task.file).expect("the file");
    assert_eq!(written.lines().count(), task.messages);
    remove(&task.file, outcome)
}

fn create(path: &Path) -> File {
    File::create(path).expect("a file to write to")
}

fn remove(path: &Path, outcome: Outcome) -> Outcome {
    fs::remove_file(path).expect("the file that was written");
    outcome
}
