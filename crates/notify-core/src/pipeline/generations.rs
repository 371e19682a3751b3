//! Counts of pending messages by flush, so that a flush knows when the messages before it are settled.
//!
//! Messages settle in any order. A flush therefore cannot wait for one position of the queue.

use std::collections::BTreeMap;

/// The number of pending messages of each generation. A flush ends the current generation.
#[derive(Debug, Default)]
pub(super) struct PendingGenerations {
    /// The generation of the next message.
    current: u64,
    /// The number of pending messages of the current generation.
    in_current: usize,
    /// The number of pending messages of each earlier generation; none is 0.
    earlier: BTreeMap<u64, usize>,
}

impl PendingGenerations {
    /// Counts a new message and returns its generation.
    pub(super) fn add(&mut self) -> u64 {
        self.in_current += 1;
        self.current
    }

    /// Counts settled messages of one generation.
    pub(super) fn remove(&mut self, generation: u64, messages: usize) {
        if generation == self.current {
            self.in_current = self.in_current.saturating_sub(messages);
        } else if let Some(pending) = self.earlier.get_mut(&generation) {
            *pending = pending.saturating_sub(messages);
            if *pending == 0 {
                self.earlier.remove(&generation);
            }
        }
    }

    /// Ends the current generation and returns the first one that a flush from now does not wait for.
    pub(super) fn start_flush(&mut self) -> u64 {
        if self.in_current > 0 {
            self.earlier.insert(self.current, std::mem::take(&mut self.in_current));
            self.current += 1;
        }
        self.current
    }

    /// Returns whether a message of a generation before `end` is pending.
    pub(super) fn is_pending_before(&self, end: u64) -> bool {
        self.earlier.first_key_value().is_some_and(|(first, _)| *first < end)
    }
}

/// Settled messages, summed up by generation before the queue's mutex is locked.
#[derive(Debug, Default)]
pub(super) struct SettledGenerations(Vec<(u64, usize)>);

impl SettledGenerations {
    /// Counts one message.
    pub(super) fn add(&mut self, generation: u64) {
        match self.0.last_mut() {
            Some((last, count)) if *last == generation => *count += 1,
            _ => self.0.push((generation, 1)),
        }
    }

    /// Subtracts all messages from the pending ones.
    pub(super) fn remove_from(&self, pending: &mut PendingGenerations) {
        for (generation, count) in &self.0 {
            pending.remove(*generation, *count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A flush waits for the messages before it, in any order, and for no later one.
    #[test]
    fn a_flush_waits_for_earlier_messages_only() {
        let mut pending = PendingGenerations::default();
        let empty = pending.start_flush();
        let first = [pending.add(), pending.add()];
        assert!(!pending.is_pending_before(empty));
        let flush = pending.start_flush();
        let later = pending.add();
        assert_ne!(first[0], later);
        pending.remove(later, 1);
        pending.remove(first[1], 1);
        assert!(pending.is_pending_before(flush));
        pending.remove(first[0], 1);
        assert!(!pending.is_pending_before(flush));
        assert!(pending.earlier.is_empty());
    }
}
