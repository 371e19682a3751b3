//! The thread that writes dead letters, so that a slow disk blocks no runtime.
//!
//! A thread of its own, not of the runtime's pool: a runtime waits for its pool when it ends, and a disk
//! may hang.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use super::config::DeadLetters;
use super::dead_letter::DeadLetterRecord;
use super::dead_letter_file::DeadLetterFile;
use crate::error::{Error, ErrorKind, Result};

/// A letter on its way to the thread, and where to answer.
type LetterJob = (DeadLetterRecord, oneshot::Sender<Result<()>>);

/// Writes dead letters, for all sources of a listener.
#[derive(Debug)]
pub(super) struct DeadLetterWriter {
    target: DeadLetters,
    /// The inbox of the thread, from the first letter on.
    inbox: Mutex<Option<Sender<LetterJob>>>,
}

impl DeadLetterWriter {
    /// Creates a writer, without opening a file or starting a thread.
    pub(super) fn new(target: DeadLetters) -> Self {
        Self { target, inbox: Mutex::default() }
    }

    /// Writes one letter. The receiver resolves when it is synced.
    pub(super) fn write(&self, record: DeadLetterRecord) -> oneshot::Receiver<Result<()>> {
        let (reply, result) = oneshot::channel();
        match &self.target {
            DeadLetters::Discard => {
                let content = &record.delivery.content;
                let size = match &content.message {
                    Ok(message) => message.body().len() as u64,
                    Err(unreadable) => unreadable.size,
                };
                tracing::warn!(
                    source = %record.source, position = %content.position, size,
                    reason = %crate::redact::printable::printable(&record.delivery.reason, 512),
                    "discarded a message that cannot be handled"
                );
                drop(reply.send(Ok(())));
            }
            DeadLetters::File { path, max_bytes } => {
                let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
                let mut job = (record, reply);
                if let Some(inbox) = inbox.as_ref() {
                    match inbox.send(job) {
                        Ok(()) => return result,
                        // The thread is gone; a new one takes the job.
                        Err(unsent) => job = unsent.0,
                    }
                }
                let (sender, receiver) = channel();
                let (file, max_bytes) = (DeadLetterFile::new(path), *max_bytes);
                let thread = std::thread::Builder::new().name("dead-letters".into());
                match thread.spawn(move || serve(&file, max_bytes, &receiver)) {
                    Ok(_) => {
                        drop(sender.send(job));
                        *inbox = Some(sender);
                    }
                    Err(error) => {
                        let message = "cannot start the thread that writes dead letters";
                        let error = Error::new(ErrorKind::Unavailable, message).with_source(error);
                        drop(job.1.send(Err(error)));
                    }
                }
            }
        }
        result
    }
}

/// Writes letters until the writer is dropped.
fn serve(file: &DeadLetterFile, max_bytes: u64, inbox: &Receiver<LetterJob>) {
    for (record, reply) in inbox {
        drop(reply.send(file.append(&record, max_bytes)));
    }
}
