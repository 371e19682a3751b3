//! The set of event types that a notifier emits.
//!
//! `emit` asks it first, so that a disabled event costs a few nanoseconds and no allocation.

use crate::event::event_type::EventType;

/// A set of event types, one bit for each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EventSet(u16);

impl EventSet {
    /// Returns whether the set holds a type.
    #[inline]
    pub(super) fn contains(self, event_type: EventType) -> bool {
        self.0 & (1 << event_type as u16) != 0
    }

    /// Adds a type.
    pub(super) fn insert(&mut self, event_type: EventType) {
        self.0 |= 1 << event_type as u16;
    }
}
