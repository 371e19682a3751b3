//! The search for orphans: slots whose processes are gone.
//!
//! Everything here blocks, so it must run on a slot's own thread and never on a runtime's.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify_core::Result;
use tokio::time::Instant;

use crate::counters::StageCounters;
use crate::slot::{Slot, database_version, slot_numbers};
use crate::spool_dir::{FileVersion, SpoolDir};

/// A search that looks at every slot of a directory, round after round.
#[derive(Debug)]
pub(crate) struct OrphanSearch {
    path: PathBuf,
    counters: Arc<StageCounters>,
    /// The directory, as the last round opened it.
    dir: Option<Arc<SpoolDir>>,
    /// The slots that the present round has not looked at; `None` between two rounds.
    round: Option<VecDeque<u32>>,
    /// The slots that this process adopted and released, with the version of the file if there is
    /// nothing to forward in it.
    ///
    /// An unchanged file has nothing to forward, so that a round costs a few system calls for each slot.
    adopted: HashMap<u32, Option<FileVersion>>,
    /// The slots that had no message when this process adopted them, each with its pause.
    ///
    /// Opening a file changes its version, so that two processes would open a slot with dead letters in turn,
    /// again and again.
    pauses: HashMap<u32, SearchPause>,
}

/// A time in which the search does not look at a slot.
#[derive(Clone, Copy, Debug)]
struct SearchPause {
    length: Duration,
    until: Instant,
}

impl OrphanSearch {
    /// Returns a search in the directory at `path`, which must exist when a round starts.
    pub(crate) fn new(path: PathBuf, counters: Arc<StageCounters>) -> Self {
        let (adopted, pauses) = (HashMap::new(), HashMap::new());
        Self { path, counters, dir: None, round: None, adopted, pauses }
    }

    /// Locks the next orphan of the present round, or of a new round.
    ///
    /// Returns `None` at the end of the round, and an error for a directory or a slot that cannot be
    /// opened. The next call goes on with the next slot.
    pub(crate) fn next_orphan(&mut self, now: Instant) -> Option<Result<Slot>> {
        if self.round.is_none() {
            // After an error the round is empty, so that the next call ends it.
            let numbers = self.round.insert(VecDeque::new());
            let opened = SpoolDir::open(&self.path, false);
            match opened.and_then(|dir| Ok((slot_numbers(&dir)?, dir))) {
                Ok((found, dir)) => {
                    numbers.extend(found);
                    self.dir = Some(dir);
                }
                Err(error) => return Some(Err(error)),
            }
        }
        let (Some(dir), Some(numbers)) = (&self.dir, &mut self.round) else {
            self.round = None;
            return None;
        };
        while let Some(number) = numbers.pop_front() {
            let version = database_version(dir, number);
            let is_unchanged = self.adopted.get(&number) == Some(&Some(version));
            let is_paused = self.pauses.get(&number).is_some_and(|pause| now < pause.until);
            if !version.is_empty() && (is_unchanged || is_paused) {
                continue;
            }
            if !version.is_empty() {
                match Slot::try_lock(dir, number, false) {
                    Ok(Some(slot)) => {
                        // Otherwise the next round would take this process for another owner.
                        self.adopted.remove(&number);
                        return Some(Ok(slot));
                    }
                    Ok(None) => {}
                    Err(error) => return Some(Err(error)),
                }
            }
            // Another process owns the slot, or has emptied it.
            self.pauses.remove(&number);
            if self.adopted.remove(&number).is_some() {
                self.counters.forget_slot(number);
            }
        }
        self.round = None;
        None
    }

    /// Notes that this process releases `slot`. With `again`, a later round looks at the slot again
    /// although its file does not change.
    pub(crate) fn note_released(&mut self, slot: &Slot, again: bool) {
        self.adopted.insert(slot.number(), (!again).then(|| slot.version()));
        self.pauses.remove(&slot.number());
    }

    /// Notes that this process releases `slot`, and that there was nothing to forward in it.
    ///
    /// The search looks at the slot again after a pause, which doubles each time, if its file changes.
    pub(crate) fn note_idle(&mut self, slot: &Slot, now: Instant) {
        self.adopted.insert(slot.number(), Some(slot.version()));
        let last = self.pauses.get(&slot.number());
        let length = last.map_or(FIRST_PAUSE, |last| (last.length * 2).min(LONGEST_PAUSE));
        self.pauses.insert(slot.number(), SearchPause { length, until: now + length });
    }
}

/// The pause after the first adoption of a slot that had no message.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause: messages that another process leaves in such a slot wait for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use notify_core::pipeline::Stats;

    use super::*;
    use crate::slot_status::MessageTotals;

    /// Returns a directory whose free slot 0 has a file, and a search in it.
    fn orphan() -> (tempfile::TempDir, OrphanSearch) {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("s");
        drop(Slot::lock_lowest(&SpoolDir::open(&path, true).unwrap()).unwrap());
        std::fs::write(path.join("slot-0.redb"), "x").unwrap();
        (parent, OrphanSearch::new(path, Arc::default()))
    }

    /// A slot that this process adopts again stays in its account while the process owns it.
    #[test]
    fn a_slot_that_is_adopted_again_stays_in_the_account() {
        let (_parent, mut search) = orphan();
        let now = Instant::now();
        let slot = search.next_orphan(now).unwrap().unwrap();
        search.counters.open_slot(0, MessageTotals { messages: 5, bytes: 50 });
        search.note_released(&slot, true);
        drop(slot);
        assert!(search.next_orphan(now).is_none(), "the end of the first round");
        let again = search.next_orphan(now).unwrap().unwrap();
        assert!(search.next_orphan(now).is_none(), "the end of the second round");
        assert!(search.next_orphan(now).is_none(), "the third round finds the slot locked");
        assert_eq!(search.counters.stats(Stats::default()).pending.messages, 5);
        // Another process adopts the slot after this one has released it.
        search.note_released(&again, true);
        assert!(search.next_orphan(now).is_none());
        assert_eq!(search.counters.stats(Stats::default()).pending.messages, 0);
    }

    /// A slot in which nothing waits is not opened in each round although other processes change its file.
    /// Messages end the pauses.
    #[test]
    fn a_slot_without_messages_is_opened_less_and_less() {
        let (_parent, mut search) = orphan();
        let mut now = Instant::now();
        for (round, pause) in [5, 10, 20, 40, 60, 60].into_iter().enumerate() {
            let slot = search.next_orphan(now).unwrap().unwrap();
            search.note_idle(&slot, now);
            // Another process opens the slot and closes it.
            std::fs::write(slot.path(), vec![b'x'; round + 2]).unwrap();
            drop(slot);
            assert!(search.next_orphan(now).is_none(), "the end of the round");
            now += Duration::from_secs(pause);
            let before = now - Duration::from_nanos(1);
            assert!(search.next_orphan(before).is_none(), "a pause of {pause} s");
        }
        let slot = search.next_orphan(now).unwrap().unwrap();
        search.note_released(&slot, false);
        std::fs::write(slot.path(), vec![b'x'; 100]).unwrap();
        drop(slot);
        assert!(search.next_orphan(now).is_none(), "the end of the round");
        assert!(search.next_orphan(now).is_some(), "no pause after messages");
    }
}
