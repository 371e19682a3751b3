//! The set of events that one destination gets.
//!
//! `emit` asks it first, so that a disabled event costs a few nanoseconds and no allocation.

use crate::event::event_glob::EventGlob;
use crate::event::event_type::EventType;
use crate::event::priority::Priority;

/// A set of event types: one bit for each documented one, and rules for all others.
#[derive(Debug, Default)]
pub(super) struct EventSet {
    /// The bits of the documented types that the set holds.
    documented: u16,
    /// Whether the transport wants other types.
    others: bool,
    /// The disabled event types and groups.
    disabled: Vec<String>,
    /// The patterns of which an event type matches one. Empty accepts every type.
    globs: Vec<EventGlob>,
    /// The priorities that the destination gets; `None` for all.
    priorities: Option<Vec<Priority>>,
}

impl EventSet {
    /// Returns the events that `wants` accepts, without the `disabled` types and groups, of which the
    /// type matches one of `globs` and the priority is one of `priorities`.
    pub(super) fn new(
        wants: impl Fn(&EventType) -> bool,
        disabled: Vec<String>,
        globs: Vec<EventGlob>,
        priorities: Vec<Priority>,
    ) -> Self {
        let others = wants(&EventType::undocumented());
        let priorities = (!priorities.is_empty()).then_some(priorities);
        let mut set = Self { documented: 0, others, disabled, globs, priorities };
        for event_type in EventType::DOCUMENTED {
            if wants(event_type) && set.selects(event_type) {
                set.documented |= bit(event_type);
            }
        }
        set
    }

    /// Returns whether the set holds a type, at any priority.
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
        self.others && self.selects(event_type)
    }

    /// Returns whether the set holds an event.
    pub(super) fn contains_event(&self, event_type: &EventType, priority: Priority) -> bool {
        self.contains(event_type)
            && self.priorities.as_ref().is_none_or(|priorities| priorities.contains(&priority))
    }

    /// Returns whether the set leaves out some priorities.
    pub(super) fn has_priorities(&self) -> bool {
        self.priorities.is_some()
    }

    /// Returns whether the set may leave out events that `other` holds.
    pub(super) fn is_narrower_than(&self, other: &Self) -> bool {
        let selects_all = self.disabled.is_empty() && self.globs.is_empty();
        let selects_alike = (&self.disabled, &self.globs) == (&other.disabled, &other.globs);
        other.documented & !self.documented != 0
            || other.others && !(self.others && (selects_all || selects_alike))
            || self.priorities.is_some() && self.priorities != other.priorities
    }

    /// Returns whether the configuration selects a type: it does not disable the name or the group, and
    /// a pattern matches.
    fn selects(&self, event_type: &EventType) -> bool {
        let is_disabled = |name: &String| name == event_type.as_str() || name == event_type.group();
        let matches = |glob: &EventGlob| glob.matches(event_type);
        !self.disabled.iter().any(is_disabled)
            && (self.globs.is_empty() || self.globs.iter().any(matches))
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
