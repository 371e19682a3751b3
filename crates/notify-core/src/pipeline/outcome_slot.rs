//! The outcome of one notification at each destination: the channel between its receipt and the queues.
//!
//! Several notifications share one allocation. One for each, which the worker's thread then frees, took a tenth
//! of the time that emitting a notification takes.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use crate::error::{Error, ErrorKind, Outcome, Result};

/// The outcome of one notification at one destination.
#[derive(Debug, Default)]
pub(super) struct OutcomeSlot {
    /// Whether the filter of the destination leaves the notification out.
    filtered: AtomicBool,
    outcome: OnceLock<Result<()>>,
    waker: AtomicWaker,
    /// Whether the receipt is gone.
    abandoned: AtomicBool,
}

impl OutcomeSlot {
    /// Returns whether the filter of the destination leaves the notification out.
    pub(super) fn is_filtered(&self) -> bool {
        self.filtered.load(Ordering::Relaxed)
    }

    /// Returns the outcome, if it is known.
    pub(super) fn outcome(&self) -> Option<&Result<()>> {
        self.outcome.get()
    }

    /// Returns the outcome, or has the task of `context` woken when it is known.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<&Result<()>> {
        if self.outcome.get().is_none() {
            self.waker.register(context.waker());
        }
        // The outcome may have come before the waker.
        self.outcome.get().map_or(Poll::Pending, Poll::Ready)
    }

    /// Sets the outcome, and wakes the task that waits for it.
    fn set(&self, outcome: Result<()>) {
        // There is one sender, which sends once.
        self.outcome.set(outcome).ok();
        self.waker.wake();
    }
}

/// The receipt's side: the slots of all destinations, in their order.
#[derive(Debug)]
pub(super) struct OutcomeSlots {
    block: Arc<[OutcomeSlot]>,
    range: Range<usize>,
    /// Whether a task waits, so that slots hold its waker.
    pub(super) has_waiter: bool,
}

impl OutcomeSlots {
    /// Returns the slots of `count` destinations.
    pub(super) fn new(count: usize) -> Self {
        // A thread that is ending has freed its block already.
        let taken =
            BLOCK.try_with(|block| block.try_borrow_mut().ok().map(|mut it| it.take(count)));
        let taken = taken.ok().flatten();
        let (block, range) = taken.unwrap_or_else(|| (empty_slots(count), 0..count));
        Self { block, range, has_waiter: false }
    }

    /// Returns the slots.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, OutcomeSlot> {
        self.block[self.range.clone()].iter()
    }

    /// Returns the sender for a slot. Call this once for each slot.
    pub(super) fn sender(&self, index: usize) -> OutcomeSender {
        OutcomeSender { block: Arc::clone(&self.block), index: self.range.start + index }
    }

    /// Notes that the filter of a destination leaves the notification out.
    pub(super) fn set_filtered(&self, index: usize) {
        self.block[self.range.start + index].filtered.store(true, Ordering::Relaxed);
    }
}

impl Drop for OutcomeSlots {
    fn drop(&mut self) {
        for slot in self.iter() {
            slot.abandoned.store(true, Ordering::Relaxed);
            if self.has_waiter {
                // The message may stay for long. It must not keep the memory of a task that has ended.
                drop(slot.waker.take());
            }
        }
    }
}

thread_local! {
    /// The block of each thread. No lock is necessary.
    static BLOCK: RefCell<SlotBlock> = RefCell::new(SlotBlock { slots: Arc::default(), used: 0 });
}

/// The slots that a thread gives to its next notifications.
struct SlotBlock {
    slots: Arc<[OutcomeSlot]>,
    used: usize,
}

impl SlotBlock {
    /// Returns slots for one notification, in a new block if this one has not as many left.
    fn take(&mut self, count: usize) -> (Arc<[OutcomeSlot]>, Range<usize>) {
        if self.slots.len() - self.used < count {
            self.slots = empty_slots(count.max(BLOCK_SLOTS));
            self.used = 0;
        }
        let start = self.used;
        self.used += count;
        (Arc::clone(&self.slots), start..self.used)
    }
}

/// Returns slots without an outcome.
fn empty_slots(count: usize) -> Arc<[OutcomeSlot]> {
    (0..count).map(|_| OutcomeSlot::default()).collect()
}

/// The slots of one allocation. One pending notification keeps all of them, less than half a kilobyte.
const BLOCK_SLOTS: usize = 8;

/// The queue's side: the one slot that it decides about.
///
/// Dropping it without an outcome tells the receipt that the worker is gone.
#[derive(Debug)]
pub(super) struct OutcomeSender {
    block: Arc<[OutcomeSlot]>,
    index: usize,
}

impl OutcomeSender {
    /// Returns whether the receipt is gone, so that an outcome has no reader.
    pub(super) fn is_abandoned(&self) -> bool {
        self.slot().abandoned.load(Ordering::Relaxed)
    }

    /// Sends the outcome, if the receipt still exists.
    pub(super) fn send(self, outcome: Result<()>) {
        if !self.is_abandoned() {
            self.slot().set(outcome);
        }
    }

    fn slot(&self) -> &OutcomeSlot {
        &self.block[self.index]
    }
}

impl Drop for OutcomeSender {
    fn drop(&mut self) {
        if !self.is_abandoned() && self.slot().outcome.get().is_none() {
            self.slot().set(Err(worker_gone()));
        }
    }
}

/// Returns the error for a message whose record was dropped without an outcome.
pub(super) fn worker_gone() -> Error {
    Error::new(ErrorKind::Closed, "the worker is gone").with_outcome(Outcome::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots of one block know nothing of each other, whatever the number of destinations.
    #[test]
    fn notifications_of_one_block_have_outcomes_of_their_own() {
        let counts = || (1..=BLOCK_SLOTS + 1).cycle().take(100);
        let all: Vec<_> = counts().map(OutcomeSlots::new).collect();
        for (slots, count) in all.iter().zip(counts()).step_by(2) {
            slots.set_filtered(0);
            (0..count).for_each(|index| slots.sender(index).send(Ok(())));
        }
        for (at, (slots, count)) in all.iter().zip(counts()).enumerate() {
            let is_sent = at % 2 == 0;
            assert_eq!(slots.iter().len(), count);
            assert!(slots.iter().all(|slot| slot.outcome().is_some() == is_sent));
            assert_eq!(
                slots.iter().filter(|slot| slot.is_filtered()).count(),
                usize::from(is_sent)
            );
        }
        let sender = all[1].sender(0);
        drop(all);
        assert!(sender.is_abandoned());
    }
}
