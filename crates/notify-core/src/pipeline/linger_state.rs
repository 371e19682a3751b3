//! The facts that decide whether a small batch lingers.
//!
//! The wait itself is in `linger`.

use std::time::Duration;

use tokio::time::Instant;

use super::receipt::Receipt;

/// The queue length at which an emitter wakes the worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum WakeThreshold {
    /// No length: the worker is busy and looks at the queue by itself.
    #[default]
    Never,
    /// One message: the worker is idle.
    OneMessage,
    /// A batch that is large enough to send: the worker lingers.
    LargeBatch,
}

/// Detects a stream: batches follow each other within [`LINGER`], and no caller awaits a receipt.
///
/// Only a stream lingers. A caller that awaits one receipt after the other must not pay for it.
#[derive(Debug, Default)]
pub(super) struct StreamDetector {
    /// The time of the last batch, if no caller awaited a receipt between it and the batch before.
    last_batch: Option<Instant>,
    /// The value of [`Receipt::wait_count`] at the last batch.
    wait_count: u64,
}

impl StreamDetector {
    /// Notes that the worker takes a batch now.
    pub(super) fn note_batch(&mut self) {
        let wait_count = Receipt::wait_count();
        let unawaited = wait_count == std::mem::replace(&mut self.wait_count, wait_count);
        self.last_batch = unawaited.then(Instant::now);
    }

    /// Returns whether the queued messages continue a stream.
    pub(super) fn is_stream(&self) -> bool {
        let recent = self.last_batch.is_some_and(|last| last.elapsed() < LINGER);
        recent && self.wait_count == Receipt::wait_count()
    }
}

/// The longest time that a batch lingers: the shortest time that tokio's timer can wait.
pub(super) const LINGER: Duration = Duration::from_millis(1);
