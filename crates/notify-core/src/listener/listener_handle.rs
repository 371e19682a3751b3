//! The state of a listener behind its lock.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::listener_state::ListenerState;

/// The state that a listener, its deliveries and its tasks share.
pub(super) struct ListenerHandle(Mutex<ListenerState>);

impl ListenerHandle {
    /// Puts a state behind a lock.
    pub(super) fn new(state: ListenerState) -> Self {
        Self(Mutex::new(state))
    }

    /// Locks the state, for the length of a few memory accesses.
    pub(super) fn lock(&self) -> MutexGuard<'_, ListenerState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows nothing of the state, which another thread may hold.
impl fmt::Debug for ListenerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListenerHandle")
    }
}
