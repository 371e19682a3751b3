//! The outcomes of a chunk's messages, and the transaction step that records them.

use crate::dead_letter::DeadLetterRow;
use crate::error::SlotError;
use crate::records::{records, without_records};
use crate::slot_status::{MessageTotals, SlotContents};

/// The outcomes of the messages of one chunk, in their order.
#[derive(Debug)]
pub(crate) struct ChunkOutcome {
    /// The number of the chunk's first message.
    pub(crate) first: u64,
    /// The outcomes of the chunk's first messages, present or removed. The messages behind have none yet.
    pub(crate) outcomes: Vec<MessageOutcome>,
    /// The same outcomes as numbers, for the counters.
    pub(crate) counts: OutcomeCounts,
}

/// The number of messages with each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutcomeCounts {
    pub(crate) delivered: u64,
    pub(crate) refused: u64,
    pub(crate) dropped: u64,
    /// The bytes of the records of all these messages.
    pub(crate) bytes: u64,
}

impl OutcomeCounts {
    /// Counts one message whose record has `bytes` bytes.
    fn count(&mut self, outcome: &MessageOutcome, bytes: u64) {
        *match outcome {
            MessageOutcome::Pending => return,
            MessageOutcome::Delivered => &mut self.delivered,
            MessageOutcome::Refused(_) => &mut self.refused,
            MessageOutcome::Dropped => &mut self.dropped,
        } += 1;
        self.bytes += bytes;
    }

    /// Adds the counts of other messages.
    pub(crate) fn add(&mut self, other: &Self) {
        self.delivered += other.delivered;
        self.refused += other.refused;
        self.dropped += other.dropped;
        self.bytes += other.bytes;
    }

    /// Returns all these messages, whatever their outcome.
    pub(crate) fn totals(&self) -> MessageTotals {
        let Self { delivered, refused, dropped, bytes } = *self;
        MessageTotals { messages: delivered + refused + dropped, bytes }
    }
}

/// The outcome of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MessageOutcome {
    /// The message has no outcome yet. It stays in the slot.
    Pending,
    /// The destination accepted the message.
    Delivered,
    /// The destination refused the message for good, with this reason.
    Refused(String),
    /// An operator removed the message.
    Dropped,
}

impl ChunkOutcome {
    /// Returns the outcome of a chunk whose first message has the number `first`, without messages.
    pub(crate) fn new(first: u64) -> Self {
        Self { first, outcomes: Vec::new(), counts: OutcomeCounts::default() }
    }

    /// Adds the outcome of the next message of the chunk.
    ///
    /// `bytes` is the size of its record, or 0 if an earlier outcome removed the message already. Such
    /// a message keeps its place and counts nowhere.
    pub(crate) fn push(&mut self, outcome: MessageOutcome, bytes: u64) {
        self.set(self.outcomes.len(), outcome, bytes);
    }

    /// Sets the outcome of message `index`, which has none yet. `bytes` is as for [`push`](Self::push).
    pub(crate) fn set(&mut self, index: usize, outcome: MessageOutcome, bytes: u64) {
        if self.outcomes.len() <= index {
            self.outcomes.resize(index + 1, MessageOutcome::Pending);
        }
        if bytes > 0 {
            self.counts.count(&outcome, bytes);
        }
        self.outcomes[index] = outcome;
    }

    /// Whether message `index` has an outcome.
    pub(crate) fn is_decided(&self, index: usize) -> bool {
        self.outcomes.get(index).is_some_and(|outcome| *outcome != MessageOutcome::Pending)
    }

    /// Adds the outcomes that `later` knows of the same chunk. The two never know the same message.
    pub(crate) fn merge(&mut self, later: Self) {
        if self.outcomes.len() < later.outcomes.len() {
            self.outcomes.resize(later.outcomes.len(), MessageOutcome::Pending);
        }
        for (outcome, later) in self.outcomes.iter_mut().zip(later.outcomes) {
            if *outcome == MessageOutcome::Pending {
                *outcome = later;
            }
        }
        self.counts.add(&later.counts);
    }

    /// Whether no message of the chunk has an outcome to record.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts == OutcomeCounts::default()
    }
}

/// A table of the slot's database, open for writing.
type SlotTable<'a> = redb::Table<'a, u64, &'static [u8]>;

/// Records the outcomes of one chunk: removes its messages, and adds a dead letter for each refusal.
///
/// `now` is the time of the refusals in seconds since 1970. The function subtracts from `contents`
/// exactly the messages that it finds. If an earlier commit already recorded these outcomes although it
/// reported an error, the messages are gone and nothing changes.
///
/// # Errors
///
/// The error of the database. The caller then aborts the transaction.
pub(crate) fn record_chunk_outcome(
    messages: &mut SlotTable<'_>,
    dead: &mut SlotTable<'_>,
    chunk_outcome: &ChunkOutcome,
    now: i64,
    contents: &mut SlotContents,
) -> Result<(), SlotError> {
    let ChunkOutcome { first, outcomes, .. } = chunk_outcome;
    let Some(chunk) = messages.remove(first)?.map(|chunk| chunk.value().to_vec()) else {
        return Ok(());
    };
    for (index, (record, outcome)) in records(&chunk).flatten().zip(outcomes).enumerate() {
        if record.is_removed() || *outcome == MessageOutcome::Pending {
            continue;
        }
        contents.pending.remove(record.size());
        if let MessageOutcome::Refused(reason) = outcome {
            let letter = DeadLetterRow { refused_at: now, reason, record }.encode();
            contents.dead.add(letter.len() as u64);
            dead.insert(first + index as u64, letter.as_slice())?;
        }
    }
    let stays = |index: usize| matches!(outcomes.get(index), None | Some(MessageOutcome::Pending));
    if let Some(rest) = without_records(&chunk, |index| !stays(index)) {
        messages.insert(first, rest.as_slice())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counters see each outcome once, and a removed message not at all.
    #[test]
    fn counts_each_outcome_but_no_removed_message() {
        let mut chunk = ChunkOutcome::new(7);
        chunk.push(MessageOutcome::Pending, 10);
        assert!(chunk.is_empty());
        chunk.push(MessageOutcome::Delivered, 0);
        assert!(chunk.is_empty(), "an earlier outcome removed the message");
        chunk.push(MessageOutcome::Delivered, 10);
        chunk.push(MessageOutcome::Refused("too large".to_owned()), 20);
        chunk.push(MessageOutcome::Dropped, 30);
        let expected = OutcomeCounts { delivered: 1, refused: 1, dropped: 1, bytes: 60 };
        assert_eq!((chunk.counts, chunk.outcomes.len()), (expected, 5));
    }

    /// Outcomes that come later complete the chunk.
    #[test]
    fn later_outcomes_complete_a_chunk() {
        let mut chunk = ChunkOutcome::new(7);
        chunk.push(MessageOutcome::Pending, 10);
        chunk.push(MessageOutcome::Delivered, 10);
        let mut later = ChunkOutcome::new(7);
        later.push(MessageOutcome::Refused("too large".to_owned()), 10);
        later.push(MessageOutcome::Pending, 10);
        later.push(MessageOutcome::Pending, 10);
        chunk.merge(later);
        let refused = MessageOutcome::Refused("too large".to_owned());
        assert_eq!(chunk.outcomes, [refused, MessageOutcome::Delivered, MessageOutcome::Pending]);
        let expected = OutcomeCounts { delivered: 1, refused: 1, dropped: 0, bytes: 20 };
        assert_eq!(chunk.counts, expected);
    }
}
