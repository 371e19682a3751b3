//! The conditions for a short batch to wait for more messages.

use std::time::Duration;

use tokio::time::Instant;

use super::receipt::Receipt;

/// What the worker is to be woken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum WakeCondition {
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
pub(super) struct SteadyFlow {
    /// When messages were taken last, if nobody had waited since those before.
    last: Option<Instant>,
    /// How many receipts had been waited for by then.
    waits: u64,
}

impl SteadyFlow {
    /// Messages are taken.
    pub(super) fn goes_on(&mut self) {
        let waits = Receipt::waits();
        let quiet = waits == std::mem::replace(&mut self.waits, waits);
        self.last = quiet.then(Instant::now);
    }

    pub(super) fn is_running(&self) -> bool {
        let recent = self.last.is_some_and(|last| last.elapsed() < MOMENT);
        recent && self.waits == Receipt::waits()
    }
}

/// The shortest time that a runtime's timer knows.
pub(super) const MOMENT: Duration = Duration::from_millis(1);
