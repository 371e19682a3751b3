//! The end of a queue: its close, and the waits for its messages and for its worker.

use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::deadline::after;
use super::queue::Queue;
use super::receipt::Receipt;

impl Queue {
    /// Closes the queue and gives the worker `drain` for pending messages, unless it has a deadline.
    pub(super) fn close(&self, drain: Duration) {
        if self.drain_until.borrow().is_none() {
            self.close_within(drain);
        }
    }

    /// Closes the queue and gives the worker `drain` for pending messages, in place of any earlier
    /// deadline.
    pub(super) fn close_within(&self, drain: Duration) {
        let mut state = self.lock();
        state.closed = true;
        // Try all pending messages once more now.
        state.pending.retry_now(Instant::now());
        drop(state);
        self.drain_until.send_replace(Some(after(drain)));
        self.work.notify_one();
        self.lane_work.iter().for_each(Notify::notify_one);
        // The first caller in each line finds the queue closed, and then each caller behind it does.
        self.room.notify();
    }

    /// Returns the drain deadline: `None` while the notifier is open.
    pub(super) fn drain_until(&self) -> watch::Receiver<Option<Instant>> {
        self.drain_until.subscribe()
    }

    /// Waits until the worker has ended.
    pub(super) async fn ended(&self) {
        // The wait cannot fail, because `self` holds the sender.
        drop(self.ended.subscribe().wait_for(|ended| *ended).await);
    }

    /// Waits until every message that was queued before this call has its outcome.
    pub(super) async fn flushed(&self) {
        let end = self.lock().generations.start_flush();
        Receipt::note_wait();
        loop {
            let progress = self.progress.notified();
            if !self.lock().generations.is_pending_before(end) {
                return;
            }
            progress.await;
        }
    }
}
