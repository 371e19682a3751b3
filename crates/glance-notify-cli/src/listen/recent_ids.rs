//! The notifications that came last, to leave out copies: [`RecentIds`].

use std::collections::{HashSet, VecDeque};

use notify_archive::store::content_hash;

/// The identity of a notification: the hash of its redacted body, which holds its `message_id`.
///
/// The listener writes the body in one form, whatever envelope and topic it came in. A publisher that uses an id
/// again for another notification hides nothing: that is no copy, as it is none in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ContentId([u8; 16]);

impl ContentId {
    /// Returns the identity of the notification that has this body.
    pub(super) fn of(body: &[u8]) -> Self {
        Self(content_hash(body))
    }
}

/// The identities of the last notifications that are done. Bounded, so a copy that comes much later counts as new.
///
/// Two topics carry the same notification twice, and a broker delivers a message again that it is not sure
/// of.
#[derive(Default)]
pub(super) struct RecentIds {
    ids: HashSet<ContentId>,
    /// The ids in the order in which they were added.
    order: VecDeque<ContentId>,
}

impl RecentIds {
    /// Returns whether an id is there.
    pub(super) fn contains(&self, id: &ContentId) -> bool {
        self.ids.contains(id)
    }

    /// Adds an id.
    pub(super) fn insert(&mut self, id: ContentId) {
        if !self.ids.insert(id) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > MOST_IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

/// The number of ids, about 5 MB.
const MOST_IDS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A copy is known until many others came.
    #[test]
    fn copies_are_known_within_a_bound() {
        let mut ids = RecentIds::default();
        let id = |number: usize| ContentId((number as u128).to_le_bytes());
        assert!(!ids.contains(&id(0)));
        (0..MOST_IDS).for_each(|number| ids.insert(id(number)));
        ids.insert(id(0));
        assert!(ids.contains(&id(0)));
        ids.insert(id(MOST_IDS));
        assert!(!ids.contains(&id(0)) && ids.contains(&id(1)));
        assert_eq!((ids.ids.len(), ids.order.len()), (MOST_IDS, MOST_IDS));
    }
}
