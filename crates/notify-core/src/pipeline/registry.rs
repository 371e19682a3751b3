//! The queues of the process by number, so that a receipt can say why it has no outcome yet.
//!
//! A receipt holds a number instead of a reference: a shared counter of references would cost every
//! `emit`, and only a caller that waited too long asks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::queue::Queue;

/// The number of a queue in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueueId(u32);

impl QueueId {
    /// Returns a number that no other queue has, until 2³² queues were built.
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns the queue, unless it is gone.
    pub(super) fn queue(self) -> Option<Arc<Queue>> {
        queues().get(&self)?.upgrade()
    }
}

/// Makes a queue known by its number, until it is dropped.
pub(super) fn register(queue: &Arc<Queue>) {
    queues().insert(queue.id, Arc::downgrade(queue));
}

impl Drop for Queue {
    fn drop(&mut self) {
        queues().remove(&self.id);
    }
}

/// Locks the table of queues.
fn queues() -> MutexGuard<'static, BTreeMap<QueueId, Weak<Queue>>> {
    static QUEUES: Mutex<BTreeMap<QueueId, Weak<Queue>>> = Mutex::new(BTreeMap::new());
    QUEUES.lock().unwrap_or_else(PoisonError::into_inner)
}
