//! The jobs that a slot's thread accepts, and its answers.

use notify_core::{Error, Result};
use tokio::sync::oneshot;

use crate::chunk_outcome::ChunkOutcome;
use crate::records::{RecordBatch, RecordChunk};

/// One request to a slot's thread.
#[derive(Debug)]
pub(crate) enum SlotJob {
    /// Locks a slot: the lowest free one, or the next orphan.
    Lock {
        /// The sender of the answer: `None` if no orphan is left in this round.
        answer: oneshot::Sender<Option<Result<()>>>,
    },
    /// Records the outcomes of an orphan, and releases its lock.
    Release {
        /// Whether a later round looks at the orphan again although its file does not change.
        again: bool,
        /// The sender of the answer.
        answer: oneshot::Sender<()>,
    },
    /// Stores a batch in one transaction.
    Store {
        /// The batch.
        records: RecordBatch,
        /// The sender of the answer.
        answer: oneshot::Sender<StoreReply>,
    },
    /// Reads chunks back from the disk.
    Read {
        /// The number of the first message to read.
        from: u64,
        /// The number of bytes after which the read stops. It returns at least one chunk.
        bytes: usize,
        /// The sender of the chunks.
        answer: oneshot::Sender<Result<Vec<RecordChunk>>>,
    },
    /// Records outcomes of a chunk, together with the next commit or after a short delay.
    RecordOutcome(ChunkOutcome),
}

/// The answer to [`SlotJob::Store`].
#[derive(Debug)]
pub(crate) struct StoreReply {
    /// The batch itself, so that the caller can reuse its memory.
    pub(crate) records: RecordBatch,
    /// The stored part of the batch.
    ///
    /// After an error with [`Outcome::NotSent`](notify_core::Outcome) the slot stores nothing. After an
    /// error with any other outcome the result stays unknown until the database is open again.
    pub(crate) result: Result<StoredPrefix>,
}

/// The part of a batch that is on the disk: its first messages.
#[derive(Debug)]
pub(crate) struct StoredPrefix {
    /// The number of stored messages, from the first.
    pub(crate) messages: usize,
    /// The error for the remaining messages, if any: the spool is full.
    pub(crate) full: Option<Error>,
}
