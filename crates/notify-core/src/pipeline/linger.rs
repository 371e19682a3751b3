//! Lingering: a small batch waits up to 1 ms for more messages.
//!
//! A batch of a few messages costs as many wake-ups and system calls as one of hundreds. When an
//! emitter and the worker run in parallel, or wake each other in turn, batches would stay that small.
//! So the worker waits before it sends a small batch, but only in a stream: the batch before came
//! within the last millisecond, and no caller awaits a receipt. A single notification never waits, and
//! neither do notifications that a caller awaits one after the other.
//!
//! Kafka's producer calls the same wait `linger.ms`.

use super::linger_state::{LINGER, WakeThreshold};
use super::queue::{Queue, QueueState};
use super::queue_config::QueueConfig;

impl Queue {
    /// Waits up to [`LINGER`] for more messages when the queue holds a small batch of a stream.
    pub(super) async fn linger(&self) {
        let large_batch = self.work.notified();
        {
            let mut state = self.lock();
            // After a failure the queue grows during the backoff, so another wait gains nothing.
            let is_failing = state.outage.failure().is_some();
            let is_small =
                state.pending.ready().messages > 0 && !state.has_large_batch(&self.config);
            if state.closed || is_failing || !is_small || !state.stream.is_stream() {
                return;
            }
            state.wake_threshold = WakeThreshold::LargeBatch;
        }
        // The caller looks at the queue next, whether this times out or not.
        drop(tokio::time::timeout(LINGER, large_batch).await);
    }
}

impl QueueState {
    /// Returns whether the emitter must wake the worker, after it added one message.
    ///
    /// Returns `true` once for each wait of the worker.
    pub(super) fn must_wake_worker(&mut self, config: &QueueConfig) -> bool {
        let wake = match self.wake_threshold {
            WakeThreshold::Never => false,
            WakeThreshold::OneMessage => true,
            WakeThreshold::LargeBatch => self.has_large_batch(config),
        };
        if wake {
            self.wake_threshold = WakeThreshold::Never;
        }
        wake
    }

    /// Returns whether the queue holds a batch worth sending, or half of the room that messages of failing
    /// lanes leave. The others would never fill more.
    fn has_large_batch(&self, config: &QueueConfig) -> bool {
        let ready = self.pending.ready();
        let half = config.room().less(self.pending.load() - ready).half();
        let messages = LARGE_BATCH.min(config.batch_messages).min(half.messages);
        ready.messages >= messages || ready.bytes >= half.bytes
    }
}

/// The number of messages from which on a larger batch saves next to nothing per message.
const LARGE_BATCH: usize = 512;
