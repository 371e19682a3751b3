//! The outcome of one notification at each destination: the channel between its receipt and the queues.
//!
//! All destinations share one allocation, which another thread frees. A channel for each of them would be one
//! for each.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use super::registry::QueueId;
use crate::error::{Error, ErrorKind, Outcome, Result};

/// The outcome of one notification at one destination.
#[derive(Debug)]
pub(super) struct OutcomeSlot {
    pub(super) queue: QueueId,
    /// Whether the filter of the destination leaves the notification out.
    pub(super) filtered: bool,
    outcome: OnceLock<Result<()>>,
    waker: AtomicWaker,
    /// Whether the receipt is gone.
    abandoned: AtomicBool,
}

impl OutcomeSlot {
    /// Returns the slot of a destination without an outcome.
    pub(super) fn new(queue: QueueId, filtered: bool) -> Self {
        Self {
            queue,
            filtered,
            outcome: OnceLock::new(),
            waker: AtomicWaker::new(),
            abandoned: AtomicBool::new(false),
        }
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
    slots: Arc<[OutcomeSlot]>,
    /// Whether a task waits, so that slots hold its waker.
    pub(super) has_waiter: bool,
}

impl OutcomeSlots {
    /// Returns the slots of all destinations.
    pub(super) fn new(slots: impl Iterator<Item = OutcomeSlot>) -> Self {
        Self { slots: slots.collect(), has_waiter: false }
    }

    /// Returns the slot of a single destination, and its sender.
    pub(super) fn single(queue: QueueId) -> (Self, OutcomeSender) {
        let slots: Arc<[OutcomeSlot]> = Arc::new([OutcomeSlot::new(queue, false)]);
        let receiver = Self { slots: Arc::clone(&slots), has_waiter: false };
        (receiver, OutcomeSender { slots, index: 0 })
    }

    /// Returns the slots.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, OutcomeSlot> {
        self.slots.iter()
    }

    /// Returns the sender for a slot; `None` if the filter leaves the notification out. Call this once for
    /// each slot.
    pub(super) fn sender(&self, index: usize) -> Option<OutcomeSender> {
        let sender = || OutcomeSender { slots: Arc::clone(&self.slots), index };
        (!self.slots[index].filtered).then(sender)
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

/// The queue's side: the one slot that it decides about.
///
/// Dropping it without an outcome tells the receipt that the worker is gone.
#[derive(Debug)]
pub(super) struct OutcomeSender {
    slots: Arc<[OutcomeSlot]>,
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
        &self.slots[self.index]
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
