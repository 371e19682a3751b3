//! The queues of the process by number, so that a receipt can say why it has no outcome yet.
//!
//! A receipt holds a number instead of a reference: a shared counter of references would cost every
//! `emit`, and only a caller that waited too long asks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::error::Error;

/// The number of a queue in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueueId(u32);

/// A queue that knows why a message has no outcome.
pub(super) trait DelayedQueue: Send + Sync {
    /// Returns the error for a caller that waited `waited` without an outcome, with the reason of the
    /// delay if it is known.
    fn undecided(&self, waited: Duration) -> Error;
}

impl QueueId {
    /// Returns a number that no other queue has, until 2³² queues were built.
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns the queue, unless it is gone.
    pub(super) fn queue(self) -> Option<Arc<dyn DelayedQueue>> {
        queues().get(&self)?.upgrade()
    }
}

/// Makes a queue known by its number.
pub(super) fn register(id: QueueId, queue: Weak<dyn DelayedQueue>) {
    queues().insert(id, queue);
}

/// Forgets a queue that is dropped.
pub(super) fn forget(id: QueueId) {
    queues().remove(&id);
}

/// Locks the table of queues.
fn queues() -> MutexGuard<'static, BTreeMap<QueueId, Weak<dyn DelayedQueue>>> {
    static QUEUES: Mutex<BTreeMap<QueueId, Weak<dyn DelayedQueue>>> = Mutex::new(BTreeMap::new());
    QUEUES.lock().unwrap_or_else(PoisonError::into_inner)
}
