//! Gathering: in a stream of notifications that nobody waits for, short batches wait for company.
//!
//! A batch of a few costs as many wake-ups and system calls as one of hundreds. Where an emitter and
//! the worker run in parallel, or wake each other in turn, batches would stay that short. So the worker
//! waits a moment, but only in a stream: messages came a moment before these, and nobody waited for
//! theirs. A single notification is never kept waiting, nor are those of whoever awaits one after the
//! other.

use std::time::Duration;

use tokio::time::Instant;

use super::bounds::QueueConfig;
use super::queue::{Inner, Queue};
use super::receipt::Receipt;
use super::stats::State;

/// What the worker is to be woken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Awaiting {
    /// Nothing: it works.
    #[default]
    Nothing,
    /// The first message.
    Work,
    /// As many as are worth a batch.
    Company,
}

/// Whether messages come in a stream that nobody waits for.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// When messages were taken last, if nobody had waited since those before.
    last: Option<Instant>,
    /// How many receipts had been waited for by then.
    waits: u64,
}

impl Stream {
    /// Messages are taken.
    pub(super) fn goes_on(&mut self) {
        let waits = Receipt::waits();
        let quiet = waits == std::mem::replace(&mut self.waits, waits);
        self.last = quiet.then(Instant::now);
    }

    fn is_running(&self) -> bool {
        let recent = self.last.is_some_and(|last| last.elapsed() < MOMENT);
        recent && self.waits == Receipt::waits()
    }
}

impl Queue {
    /// Lets what is queued wait for company, a moment at most, in a stream.
    pub(super) async fn gather(&self) {
        let company = self.work.notified();
        {
            let mut inner = self.lock();
            // What fails is not a stream, and is not held up.
            let fails = matches!(inner.account.state, State::Retrying { .. });
            let alone = !inner.queued.is_empty() && !inner.has_company(&self.config);
            if inner.closed || fails || !alone || !inner.stream.is_running() {
                return;
            }
            inner.awaiting = Awaiting::Company;
        }
        // Whichever comes first, the queue is looked at next.
        drop(tokio::time::timeout(MOMENT, company).await);
    }
}

impl Inner {
    /// Whether the worker is to be woken, now that there is one message more.
    pub(super) fn wakes_worker(&mut self, config: &QueueConfig) -> bool {
        let wakes = match self.awaiting {
            Awaiting::Nothing => false,
            Awaiting::Work => true,
            Awaiting::Company => self.has_company(config),
        };
        if wakes {
            self.awaiting = Awaiting::Nothing;
        }
        wakes
    }

    /// Whether the queue holds what is worth a batch, or half of what it may hold.
    fn has_company(&self, config: &QueueConfig) -> bool {
        let company = COMPANY.min(config.batch_messages).min(config.max_messages / 2);
        self.queued.len() >= company || self.queued.bytes() >= config.max_bytes / 2
    }
}

/// The shortest time that a runtime's timer knows.
const MOMENT: Duration = Duration::from_millis(1);
/// From how many messages on one more costs next to nothing.
const COMPANY: usize = 512;
