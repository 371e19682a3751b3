//! The ids of the notifications that came last, to leave out copies: [`RecentIds`].

use std::collections::{HashSet, VecDeque};

use glance_notify::uuid::Uuid;

/// The ids of the last notifications. Bounded, so a copy that comes much later counts as new.
///
/// Two topics carry the same notification twice, and a broker delivers a message again that it is not sure
/// of.
#[derive(Default)]
pub(super) struct RecentIds {
    ids: HashSet<Uuid>,
    /// The ids in the order in which they came. It may hold ids that were removed.
    order: VecDeque<Uuid>,
}

impl RecentIds {
    /// Adds an id. Returns `false` if it is there already.
    pub(super) fn insert(&mut self, id: Uuid) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > MOST_IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }

    /// Removes the id of a notification that was not handled, so that it may come again.
    pub(super) fn remove(&mut self, id: &Uuid) {
        self.ids.remove(id);
    }
}

/// The number of ids, about 5 MB.
const MOST_IDS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A copy is known until many others came or its notification failed.
    #[test]
    fn copies_are_known_within_a_bound() {
        let mut ids = RecentIds::default();
        let id = |number: usize| Uuid::from_u128(number as u128);
        assert!(ids.insert(id(0)) && !ids.insert(id(0)));
        ids.remove(&id(0));
        assert!(ids.insert(id(0)));
        assert!((1..=2 * MOST_IDS).all(|number| ids.insert(id(number))));
        assert!(ids.insert(id(0)));
        assert!(ids.ids.len() <= MOST_IDS && ids.order.len() <= MOST_IDS);
    }
}
