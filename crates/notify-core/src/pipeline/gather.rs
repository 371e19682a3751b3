//! Gathering: in a stream of notifications that nobody waits for, short batches wait for company.
//!
//! A batch of a few costs as many wake-ups and system calls as one of hundreds. Where an emitter and
//! the worker run in parallel, or wake each other in turn, batches would stay that short. So the worker
//! waits a moment, but only in a stream: messages came a moment before these, and nobody waited for
//! theirs. A single notification is never kept waiting, nor are those of whoever awaits one after the
//! other.

use super::linger::{MOMENT, WakeCondition};
use super::queue::{Inner, Queue};
use super::queue_config::QueueConfig;
use super::stats::WorkerState;

impl Queue {
    /// Lets what is queued wait for company, a moment at most, in a stream.
    pub(super) async fn gather(&self) {
        let company = self.work.notified();
        {
            let mut inner = self.lock();
            // What fails is not a stream, and is not held up.
            let fails = matches!(inner.account.state, WorkerState::Retrying { .. });
            let alone = !inner.queued.is_empty() && !inner.has_company(&self.config);
            if inner.closed || fails || !alone || !inner.stream.is_running() {
                return;
            }
            inner.awaiting = WakeCondition::Company;
        }
        // Whichever comes first, the queue is looked at next.
        drop(tokio::time::timeout(MOMENT, company).await);
    }
}

impl Inner {
    /// Whether the worker is to be woken, now that there is one message more.
    pub(super) fn wakes_worker(&mut self, config: &QueueConfig) -> bool {
        let wakes = match self.awaiting {
            WakeCondition::Nothing => false,
            WakeCondition::Work => true,
            WakeCondition::Company => self.has_company(config),
        };
        if wakes {
            self.awaiting = WakeCondition::Nothing;
        }
        wakes
    }

    /// Whether the queue holds what is worth a batch, or half of what it may hold.
    fn has_company(&self, config: &QueueConfig) -> bool {
        let company = COMPANY.min(config.batch_messages).min(config.max_messages / 2);
        self.queued.len() >= company || self.queued.bytes() >= config.max_bytes / 2
    }
}

/// From how many messages on one more costs next to nothing.
const COMPANY: usize = 512;
