//! The gaps in the sequences that a reader has seen: [`SequenceGaps`].
//!
//! It works on numbers alone. It keeps no message, and claims nothing about numbers before the first and
//! after the last that it saw.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use uuid::Uuid;

use crate::codec::sequence::{LaneRun, Sequence};

/// The missing numbers in the sequences that a reader has seen.
///
/// Add the [sequence](super::Delivery::sequence) of every delivery, in any order and as often as it comes.
/// For each lane of each run of a publisher, the missing numbers are those between the first and the last
/// number that you added. Notifications without a sequence, such as those of oslo.messaging or of a log
/// file, have no gaps to find.
///
/// A gap shows that notifications are not here. They can be dropped or refused by their publisher, wait in
/// its spool, or be lost on the way.
///
/// Memory is bounded: it keeps at most [`new`](Self::new)'s number of ranges of seen numbers. Beyond that it
/// forgets the oldest gaps, and [`forgotten`](Self::forgotten) counts their numbers.
///
/// # Examples
///
/// ```
/// use notify_core::codec::Sequence;
/// use notify_core::listener::SequenceGaps;
/// use uuid::Uuid;
///
/// let mut gaps = SequenceGaps::new(1000);
/// for number in [3, 4, 8, 5, 4] {
///     gaps.add(&Sequence::new(Uuid::from_u128(7), "notifications.info", number));
/// }
/// let missing: Vec<_> = gaps.iter().map(|gap| (gap.lane().to_owned(), gap.numbers())).collect();
/// assert_eq!(missing, [("notifications.info".to_owned(), 6..=7)]);
/// assert_eq!(gaps.missing(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceGaps {
    runs: BTreeMap<Arc<LaneRun>, SeenNumbers>,
    /// The number of ranges in all runs.
    ranges: usize,
    max_ranges: usize,
    /// The number of calls that added a number.
    added: u64,
    forgotten: u64,
}

/// Consecutive numbers that are missing in one lane, from [`SequenceGaps::iter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceGap {
    run: Arc<LaneRun>,
    numbers: RangeInclusive<u64>,
}

/// The numbers that were seen in one lane of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct SeenNumbers {
    /// The last number of each range, by its first. Ranges neither overlap nor touch.
    ranges: BTreeMap<u64, u64>,
    /// The time of the last addition, in additions.
    last_added: u64,
}

impl SequenceGaps {
    /// Returns no gaps. Keeps at most `max_ranges` ranges of seen numbers, and at least one.
    ///
    /// A lane without gaps is one range, and each gap is one more. A range takes about 50 bytes.
    pub fn new(max_ranges: usize) -> Self {
        Self {
            runs: BTreeMap::new(),
            ranges: 0,
            max_ranges: max_ranges.max(1),
            added: 0,
            forgotten: 0,
        }
    }

    /// Adds the sequence of a delivery. Returns whether its number is new.
    pub fn add(&mut self, sequence: &Sequence) -> bool {
        let run = self.runs.entry(Arc::clone(sequence.run())).or_default();
        let before = run.ranges.len();
        let is_new = run.insert(sequence.number());
        self.added += 1;
        run.last_added = self.added;
        self.ranges = self.ranges - before + run.ranges.len();
        if self.ranges > self.max_ranges {
            if run.ranges.len() > 1 {
                self.forgotten = self.forgotten.saturating_add(run.close_first_gap());
                self.ranges -= 1;
            } else {
                self.forget_oldest_run();
            }
        }
        is_new
    }

    /// Returns the gaps, sorted by epoch, lane and number.
    pub fn iter(&self) -> impl Iterator<Item = SequenceGap> + '_ {
        self.runs.iter().flat_map(|(run, seen)| {
            seen.gaps().map(|numbers| SequenceGap { run: Arc::clone(run), numbers })
        })
    }

    /// Returns how many numbers are missing in all gaps.
    pub fn missing(&self) -> u64 {
        self.runs.values().map(SeenNumbers::missing).fold(0, u64::saturating_add)
    }

    /// Returns how many numbers were missing in gaps that it forgot for want of memory. Some of them may
    /// have come since.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Forgets the run that got no number for the longest time.
    fn forget_oldest_run(&mut self) {
        let oldest = self.runs.iter().min_by_key(|(_, seen)| seen.last_added);
        let Some(oldest) = oldest.map(|(run, _)| Arc::clone(run)) else { return };
        if let Some(seen) = self.runs.remove(&oldest) {
            self.ranges -= seen.ranges.len();
            self.forgotten = self.forgotten.saturating_add(seen.missing());
        }
    }
}

/// Keeps at most 65 536 ranges.
impl Default for SequenceGaps {
    fn default() -> Self {
        Self::new(1 << 16)
    }
}

impl SequenceGap {
    /// Returns the epoch of the publisher's run.
    pub fn epoch(&self) -> Uuid {
        self.run.epoch()
    }

    /// Returns the name of the lane.
    pub fn lane(&self) -> &str {
        self.run.lane()
    }

    /// Returns the missing numbers.
    pub fn numbers(&self) -> RangeInclusive<u64> {
        self.numbers.clone()
    }
}

impl SeenNumbers {
    /// Adds a number. Returns whether it is new.
    fn insert(&mut self, number: u64) -> bool {
        let mut before = self.ranges.range_mut(..=number).next_back();
        if before.as_ref().is_some_and(|(_, last)| **last >= number) {
            return false;
        }
        let extended = before.take_if(|(_, last)| **last + 1 == number);
        let first = if let Some((first, last)) = extended {
            *last = number;
            *first
        } else {
            self.ranges.insert(number, number);
            number
        };
        if let Some(next) = number.checked_add(1)
            && let Some(last) = self.ranges.remove(&next)
        {
            self.ranges.insert(first, last);
        }
        true
    }

    /// Returns the missing numbers.
    fn gaps(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        let before = self.ranges.values();
        let after = self.ranges.keys().skip(1);
        std::iter::zip(before, after).map(|(last, first)| last + 1..=first - 1)
    }

    /// Returns how many numbers are missing.
    fn missing(&self) -> u64 {
        self.gaps().map(|gap| gap.end() - gap.start() + 1).fold(0, u64::saturating_add)
    }

    /// Counts the numbers of the first gap as seen, and returns how many they are.
    fn close_first_gap(&mut self) -> u64 {
        let Some(gap) = self.gaps().next() else { return 0 };
        let (Some((first, _)), Some((_, last))) =
            (self.ranges.pop_first(), self.ranges.pop_first())
        else {
            return 0;
        };
        self.ranges.insert(first, last);
        gap.end() - gap.start() + 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn sequence(epoch: u128, number: u64) -> Sequence {
        Sequence::new(Uuid::from_u128(epoch), "info", number)
    }

    proptest! {
        /// Whatever the order and however often a number comes, the gaps are those of a set of numbers.
        #[test]
        fn the_gaps_are_those_of_a_set(
            numbers in prop::collection::vec((0..3_u128, prop_oneof![0..40_u64, Just(u64::MAX)]), 0..120),
        ) {
            let mut gaps = SequenceGaps::new(1000);
            let mut sets: BTreeMap<u128, BTreeSet<u64>> = BTreeMap::new();
            for (epoch, number) in numbers {
                let is_new = sets.entry(epoch).or_default().insert(number);
                prop_assert_eq!(gaps.add(&sequence(epoch, number)), is_new);
            }
            for (epoch, set) in &sets {
                let last = set.iter().rfind(|number| **number < u64::MAX).copied().unwrap_or(0);
                let missing = (0..=last).filter(|n| !set.contains(n) && set.first() < Some(n));
                let of_epoch = gaps.iter().filter(|gap| gap.epoch() == Uuid::from_u128(*epoch));
                let found = of_epoch.flat_map(|gap| gap.numbers().take_while(|n| *n <= last));
                prop_assert_eq!(found.collect::<Vec<_>>(), missing.collect::<Vec<_>>());
            }
            prop_assert_eq!(gaps.forgotten(), 0);
        }
    }

    /// Beyond its bound it forgets the oldest gaps and runs, claims nothing about them, and counts them.
    #[test]
    fn forgets_the_oldest_gaps_beyond_its_bound() {
        let mut gaps = SequenceGaps::new(3);
        for number in [1, 3, 5, 10] {
            gaps.add(&sequence(1, number));
        }
        let numbers =
            |gaps: &SequenceGaps| gaps.iter().map(|gap| gap.numbers()).collect::<Vec<_>>();
        assert_eq!((numbers(&gaps), gaps.forgotten()), (vec![4..=4, 6..=9], 1));
        assert!(!gaps.add(&sequence(1, 2)), "a forgotten number is no news");
        gaps.add(&sequence(2, 7));
        assert_eq!((numbers(&gaps), gaps.forgotten()), (vec![], 6));
        gaps.add(&sequence(2, 9));
        assert_eq!((numbers(&gaps), gaps.missing()), (vec![8..=8], 1));
    }
}
