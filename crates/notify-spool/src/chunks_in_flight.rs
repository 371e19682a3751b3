//! The messages of a slot that the pipeline has, and their outcomes until the slot's thread has them.
//!
//! Outcomes come in any order. A chunk with all its outcomes is recorded at once, because that removes
//! one row; a chunk that lacks some is recorded a little later, because that writes the rest of the row
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::chunk_outcome::{ChunkOutcome, MessageOutcome};
use crate::lane_cursors::DiskPosition;

/// The chunks with messages in flight or with outcomes to record.
#[derive(Debug, Default)]
pub(crate) struct ChunksInFlight {
    chunks: BTreeMap<u64, ChunkInFlight>,
    /// The messages in flight.
    messages: usize,
    /// The time at which the oldest outcome of an incomplete chunk is to be recorded.
    record_at: Option<Instant>,
    /// The chunks with outcomes that went to the slot's thread since the last read.
    handed_over: BTreeSet<u64>,
}

/// A chunk with messages in flight.
#[derive(Debug)]
struct ChunkInFlight {
    /// Whether each message is in flight.
    in_flight: Vec<bool>,
    /// The number of messages in flight.
    messages: usize,
    /// The outcomes that the slot's thread does not have.
    outcome: ChunkOutcome,
}

impl ChunksInFlight {
    /// Notes that the pipeline gets a message. Returns `false` if it has the message already, or has
    /// concluded it.
    pub(crate) fn start(&mut self, position: DiskPosition) -> bool {
        let index = index(position);
        let chunk = self.chunks.entry(position.chunk).or_insert_with(|| ChunkInFlight {
            in_flight: Vec::new(),
            messages: 0,
            outcome: ChunkOutcome::new(position.chunk),
        });
        if chunk.in_flight.len() <= index {
            chunk.in_flight.resize(index + 1, false);
        }
        if chunk.in_flight[index] || chunk.outcome.is_decided(index) {
            return false;
        }
        chunk.in_flight[index] = true;
        chunk.messages += 1;
        self.messages += 1;
        true
    }

    /// Notes the outcome of a message in flight, whose record has `bytes` bytes. Returns the outcomes of
    /// its chunk if that has no more messages in flight.
    pub(crate) fn conclude(
        &mut self,
        position: DiskPosition,
        outcome: MessageOutcome,
        bytes: u64,
        now: Instant,
    ) -> Option<ChunkOutcome> {
        let index = index(position);
        let chunk = self.chunks.get_mut(&position.chunk)?;
        if !std::mem::take(chunk.in_flight.get_mut(index)?) {
            return None;
        }
        chunk.messages -= 1;
        self.messages -= 1;
        chunk.outcome.set(index, outcome, bytes);
        if chunk.messages > 0 {
            if !chunk.outcome.is_empty() {
                self.record_at.get_or_insert(now + RECORD_DELAY);
            }
            return None;
        }
        let chunk = self.chunks.remove(&position.chunk)?;
        let outcome = Some(chunk.outcome).filter(|outcome| !outcome.is_empty())?;
        self.handed_over.insert(position.chunk);
        Some(outcome)
    }

    /// Notes that the sender reads chunks from the disk now.
    pub(crate) fn note_read(&mut self) {
        self.handed_over.clear();
    }

    /// Returns whether outcomes of a chunk went to the slot's thread since the last read. The copy that was
    /// read may then have concluded messages.
    pub(crate) fn is_outdated(&self, chunk: u64) -> bool {
        self.handed_over.contains(&chunk)
    }

    /// Returns whether no message is in flight.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Returns whether an incomplete chunk has outcomes to record.
    pub(crate) fn has_unrecorded(&self) -> bool {
        self.record_at.is_some()
    }

    /// Takes the outcomes of incomplete chunks, if it is time to record them.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<ChunkOutcome> {
        if self.record_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.record_at = None;
        let Self { chunks, handed_over, .. } = self;
        let with_outcomes = chunks.values_mut().filter(|chunk| !chunk.outcome.is_empty());
        with_outcomes
            .map(|chunk| {
                let first = chunk.outcome.first;
                handed_over.insert(first);
                std::mem::replace(&mut chunk.outcome, ChunkOutcome::new(first))
            })
            .collect()
    }
}

/// Returns the index of a message in its chunk. A chunk has some thousands of messages at most.
fn index(position: DiskPosition) -> usize {
    usize::try_from(position.number - position.chunk).unwrap_or(usize::MAX)
}

/// The time that the outcomes of an incomplete chunk wait for the others.
pub(crate) const RECORD_DELAY: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u64) -> DiskPosition {
        DiskPosition { chunk: 10, number }
    }

    /// A chunk with all its outcomes is recorded at once, and one that lacks some after a while.
    #[test]
    fn an_incomplete_chunk_is_recorded_later() {
        let mut chunks = ChunksInFlight::default();
        assert!((10..13).all(|number| chunks.start(at(number))));
        assert!(!chunks.start(at(11)), "the pipeline has it");
        let now = Instant::now();
        let delivered = || MessageOutcome::Delivered;
        assert!(chunks.conclude(at(12), delivered(), 5, now).is_none());
        assert!(chunks.has_unrecorded() && chunks.take_due(now).is_empty());
        assert!(!chunks.start(at(12)), "it is delivered");
        let due = chunks.take_due(now + RECORD_DELAY);
        assert_eq!((due.len(), due[0].first, due[0].counts.delivered), (1, 10, 1));
        assert!(!chunks.has_unrecorded() && !chunks.is_empty());
        assert!(chunks.conclude(at(10), MessageOutcome::Pending, 5, now).is_none());
        assert!(!chunks.has_unrecorded(), "a message that comes back has no outcome");
        assert!(chunks.start(at(10)), "it may be sent again");
        assert!(chunks.conclude(at(10), delivered(), 5, now).is_none());
        let rest = chunks.conclude(at(11), delivered(), 5, now).unwrap();
        assert_eq!((rest.counts.delivered, rest.counts.bytes), (2, 10));
        assert!(chunks.is_empty());
    }

    /// A chunk whose outcomes went to the disk since it was read must be read again.
    #[test]
    fn a_recorded_chunk_is_outdated() {
        let mut chunks = ChunksInFlight::default();
        chunks.note_read();
        assert!((10..12).all(|number| chunks.start(at(number))));
        let now = Instant::now();
        assert!(chunks.conclude(at(10), MessageOutcome::Delivered, 5, now).is_none());
        assert!(!chunks.is_outdated(10), "the outcome is still here");
        assert_eq!(chunks.take_due(now + RECORD_DELAY).len(), 1);
        assert!(chunks.is_outdated(10));
        chunks.note_read();
        assert!(!chunks.is_outdated(10));
        assert!(chunks.conclude(at(11), MessageOutcome::Delivered, 5, now).is_some());
        assert!(chunks.is_outdated(10) && chunks.is_empty());
    }
}
