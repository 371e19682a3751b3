//! What became of messages, and how that is written down.

use crate::error::Trouble;
use crate::record::{DeadLetter, bodies, size, without};
use crate::status::SlotContents;

/// What became of the messages of one chunk, in their order.
#[derive(Debug)]
pub(crate) struct Conclusion {
    pub(crate) first: u64,
    pub(crate) fates: Vec<Fate>,
    /// The same in numbers, for the account.
    pub(crate) tally: Tally,
}

/// What became of some messages, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) delivered: u64,
    pub(crate) refused: u64,
    pub(crate) dropped: u64,
    /// What all of them took.
    pub(crate) bytes: u64,
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stays.
    Kept,
    /// It is where it belongs.
    Delivered,
    /// It will never be taken, for this reason.
    Refused(String),
    /// Somebody wanted it gone.
    Dropped,
}

impl Conclusion {
    /// Of a chunk whose first message has the number `first`.
    pub(crate) fn new(first: u64) -> Self {
        Self { first, fates: Vec::new(), tally: Tally::default() }
    }

    /// Adds what became of the next message, which took `bytes`; nothing for one that was gone.
    pub(crate) fn add(&mut self, fate: Fate, bytes: u64) {
        let tally = &mut self.tally;
        if bytes > 0 && fate != Fate::Kept {
            tally.bytes += bytes;
            *match fate {
                Fate::Delivered | Fate::Kept => &mut tally.delivered,
                Fate::Refused(_) => &mut tally.refused,
                Fate::Dropped => &mut tally.dropped,
            } += 1;
        }
        self.fates.push(fate);
    }

    /// Whether there is nothing to write down.
    pub(crate) fn is_empty(&self) -> bool {
        self.tally == Tally::default()
    }
}

type Rows<'a> = redb::Table<'a, u64, &'static [u8]>;

/// Writes down what became of the messages of one chunk. What was written down before, by a commit
/// that was reported failed and was none, is not there any more and changes nothing.
pub(crate) fn conclude(
    messages: &mut Rows<'_>,
    dead: &mut Rows<'_>,
    conclusion: &Conclusion,
    now: i64,
    contents: &mut SlotContents,
) -> Result<(), Trouble> {
    let Conclusion { first, fates, .. } = conclusion;
    let Some(chunk) = messages.remove(first)?.map(|chunk| chunk.value().to_vec()) else {
        return Ok(());
    };
    for (index, (body, fate)) in bodies(&chunk).flatten().zip(fates).enumerate() {
        if body.is_empty() || *fate == Fate::Kept {
            continue;
        }
        contents.pending.remove(size(body));
        if let Fate::Refused(reason) = fate {
            let letter = DeadLetter { since: now, reason, body }.encode();
            contents.dead.add(letter.len() as u64);
            dead.insert(first + index as u64, letter.as_slice())?;
        }
    }
    let stays = |index: usize| matches!(fates.get(index), None | Some(Fate::Kept));
    if let Some(left) = without(&chunk, |index| !stays(index)) {
        messages.insert(first, left.as_slice())?;
    }
    Ok(())
}
