//! The sequencer of one destination: it numbers messages, lane by lane.
//!
//! The queue's mutex guards it, so numbers follow the order of the messages. It knows no message.

use std::sync::Arc;

use super::random::RandomSource;
use crate::codec::sequence::{LaneRun, Sequence};
use crate::transport::lanes::{Lane, Lanes};

/// The next number of each lane.
#[derive(Debug)]
pub(super) struct Sequencer {
    lanes: Lanes,
    runs: Box<[Arc<LaneRun>]>,
    next: Box<[u64]>,
    forks: ForkDetector,
}

impl Sequencer {
    /// Returns the sequencer of a destination with these lanes.
    ///
    /// `None` if its lane has no name: a file, for example, has no place for numbers.
    pub(super) fn new(lanes: &Lanes, random: &RandomSource) -> Option<Self> {
        let is_named = lanes.iter().any(|lane| !lanes.name(lane).is_empty());
        is_named.then(|| Self {
            runs: start(lanes, random),
            next: vec![1; lanes.len()].into(),
            lanes: lanes.clone(),
            forks: ForkDetector::new(),
        })
    }

    /// Returns the next number of a lane.
    pub(super) fn next(&mut self, lane: Lane, random: &RandomSource) -> Sequence {
        if self.forks.detected_fork() {
            // Parent and child must not give the same number to different messages.
            self.runs = start(&self.lanes, random);
            self.next.fill(1);
        }
        let next = &mut self.next[lane.index()];
        let sequence = Sequence::in_run(&self.runs[lane.index()], *next);
        *next += 1;
        sequence
    }
}

/// Starts a run of all lanes under a new epoch.
fn start(lanes: &Lanes, random: &RandomSource) -> Box<[Arc<LaneRun>]> {
    let epoch = random.message_id();
    lanes.iter().map(|lane| Arc::new(LaneRun::new(epoch, lanes.name(lane)))).collect()
}

/// A detector of forks, which a queue cannot see otherwise.
#[derive(Debug)]
enum ForkDetector {
    /// Through `pthread_atfork`, without a system call.
    AtFork(forkguard::Guard),
    /// By the process id, where the C library has no room for another handler.
    ProcessId(u32),
}

impl ForkDetector {
    fn new() -> Self {
        forkguard::Guard::try_new()
            .map_or_else(|_| Self::ProcessId(std::process::id()), Self::AtFork)
    }

    /// Returns whether the process was forked since the last call.
    fn detected_fork(&mut self) -> bool {
        match self {
            Self::AtFork(guard) => guard.detected_fork(),
            Self::ProcessId(known) => {
                let id = std::process::id();
                std::mem::replace(known, id) != id
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each lane counts by itself, all lanes share the epoch, and a lane without a name counts nothing.
    #[test]
    fn numbers_each_lane_by_itself() {
        let random = RandomSource::seeded(1);
        let lanes = Lanes::by(["a", "b"], |_| 0).unwrap();
        let [a, b] = lanes.iter().collect::<Vec<_>>()[..] else { panic!("two lanes") };
        let mut sequencer = Sequencer::new(&lanes, &random).unwrap();
        let numbers: Vec<_> = [a, a, b, a].map(|lane| sequencer.next(lane, &random)).into();
        let shown: Vec<_> = numbers.iter().map(|it| (it.lane(), it.number())).collect();
        assert_eq!(shown, [("a", 1), ("a", 2), ("b", 1), ("a", 3)]);
        assert!(numbers.iter().all(|sequence| sequence.epoch() == numbers[0].epoch()));
        assert!(Sequencer::new(&Lanes::one(), &random).is_none());
    }
}
