//! The set of event types that a notifier emits.
//!
//! `emit` asks it first, so that a disabled event costs a few nanoseconds and no allocation.

use crate::event::event_type::EventType;

/// A set of event types: one bit for each documented one, and a rule for all others.
#[derive(Debug, Default)]
pub(super) struct EventSet {
    /// The bits of the documented types that the set holds.
    pub(super) documented: u16,
    /// Whether the set holds other types, except the disabled ones.
    pub(super) others: bool,
    /// The disabled event types and groups.
    pub(super) disabled: Vec<String>,
}

impl EventSet {
    /// Returns whether the set holds a type.
    #[inline]
    pub(super) fn contains(&self, event_type: &EventType) -> bool {
        match event_type {
            EventType::Other(_) => self.contains_other(event_type),
            documented => self.documented & bit(documented) != 0,
        }
    }

    /// Returns whether the set holds a type that is not documented.
    ///
    /// Stays out of `emit`, where its loop made a suppressed event of a documented type cost 5 ns more.
    #[cold]
    #[inline(never)]
    fn contains_other(&self, event_type: &EventType) -> bool {
        self.others && !self.disables(event_type)
    }

    /// Adds a documented type.
    pub(super) fn insert(&mut self, event_type: &EventType) {
        self.documented |= bit(event_type);
    }

    /// Returns whether the configuration disables a type, by its name or by its group.
    pub(super) fn disables(&self, event_type: &EventType) -> bool {
        self.disabled.iter().any(|name| name == event_type.as_str() || name == event_type.group())
    }
}

/// Returns the bit of a documented type.
#[inline]
fn bit(event_type: &EventType) -> u16 {
    use EventType as E;
    1 << match event_type {
        E::ImageCreate => 0,
        E::ImagePrepare => 1,
        E::ImageUpload => 2,
        E::ImageActivate => 3,
        E::ImageSend => 4,
        E::ImageUpdate => 5,
        E::ImageDelete => 6,
        E::TaskRun => 7,
        E::TaskProcessing => 8,
        E::TaskSuccess => 9,
        E::TaskFailure => 10,
        E::Other(_) => 15,
    }
}
