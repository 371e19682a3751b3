//! The positions up to which a slot is forwarded, lane by lane.
//!
//! One reader passes over the disk. A lane that has no room in the pipeline stays behind: the reader
//! skips its messages, and reads them again from the lane's own position when it has room. This module
//! only knows positions; the messages stay on the disk.

use std::time::Duration;

use notify_core::transport::{Lane, Lanes};
use tokio::time::Instant;

/// The place of a message on the disk. Places are in the order of their messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DiskPosition {
    /// The number of the first message of its chunk.
    pub(crate) chunk: u64,
    /// The number of the message.
    pub(crate) number: u64,
}

impl DiskPosition {
    /// Returns the place of the first message of a chunk.
    fn at_chunk(chunk: u64) -> Self {
        Self { chunk, number: chunk }
    }
}

/// The positions of all lanes in one slot.
#[derive(Debug)]
pub(crate) struct LaneCursors {
    /// The number of the first message that no pass has read.
    frontier: u64,
    lanes: Vec<LaneCursor>,
}

/// The position of one lane.
#[derive(Clone, Copy, Debug)]
struct LaneCursor {
    lane: Lane,
    /// The first message that waits on the disk; `None` if the lane is at the frontier.
    behind: Option<DiskPosition>,
    /// The last message for which the pipeline had no room, and its size in bytes.
    no_room: Option<(DiskPosition, usize)>,
    /// Whether `behind` moved back since the present pass started. Only the next pass has the lane again.
    moved_back: bool,
    /// The first message that the pipeline gave back, and the time to send it again.
    returned: Option<(DiskPosition, Instant)>,
}

/// One pass over a part of the disk, for some of the lanes.
#[derive(Debug)]
pub(crate) struct DiskPass {
    /// The number of the first message to read.
    pub(crate) from: u64,
    /// The number at which the pass ends; `None` at the end of the disk.
    pub(crate) end: Option<u64>,
    /// The lanes that the pass sends, as bits.
    lanes: u64,
}

impl LaneCursors {
    /// Returns the cursors of `lanes` at the start of a slot.
    pub(crate) fn new(lanes: &Lanes) -> Self {
        let cursor = |lane| LaneCursor {
            lane,
            behind: None,
            no_room: None,
            moved_back: false,
            returned: None,
        };
        Self { frontier: 0, lanes: lanes.iter().map(cursor).collect() }
    }

    /// Starts a pass from the frontier, for the lanes that are not behind.
    pub(crate) fn start_new(&self) -> DiskPass {
        let ready = self.lanes.iter().filter(|cursor| cursor.behind.is_none());
        let lanes = ready.fold(0, |set, cursor| set | bit(cursor.lane));
        DiskPass { from: self.frontier, end: None, lanes }
    }

    /// Starts a pass for the lanes that are behind and have room. Returns `None` if there is none.
    ///
    /// `has_room` gets the size of the message that waits, or 0 if it is not known. A pass with a lane that
    /// has less room would read the same messages again and again, and keep other lanes from theirs.
    pub(crate) fn start_catching_up(
        &mut self,
        now: Instant,
        has_room: impl Fn(Lane, usize) -> bool,
    ) -> Option<DiskPass> {
        for cursor in &mut self.lanes {
            if let Some((position, due)) = cursor.returned
                && due <= now
            {
                cursor.behind = Some(cursor.behind.map_or(position, |it| it.min(position)));
                cursor.returned = None;
            }
        }
        let mut from = None;
        let mut lanes = 0;
        for cursor in &mut self.lanes {
            if let Some(behind) = cursor.behind
                && has_room(cursor.lane, cursor.awaited_bytes())
            {
                cursor.moved_back = false;
                lanes |= bit(cursor.lane);
                from = Some(from.map_or(behind.chunk, |from: u64| from.min(behind.chunk)));
            }
        }
        Some(DiskPass { from: from?, end: Some(self.frontier), lanes })
    }

    /// Returns whether `pass` sends the message of `lane` at `position`.
    pub(crate) fn admits(&self, pass: &DiskPass, lane: Lane, position: DiskPosition) -> bool {
        let LaneCursor { behind, moved_back, .. } = self.lanes[lane.index()];
        let is_reached = behind.is_none_or(|behind| behind <= position);
        pass.lanes & bit(lane) != 0 && !moved_back && is_reached
    }

    /// Returns whether an earlier message of `lane` came back since the present pass started. No later one
    /// may be sent before it.
    pub(crate) fn has_moved_back(&self, lane: Lane) -> bool {
        self.lanes[lane.index()].moved_back
    }

    /// Leaves a lane behind at `position`: the pipeline has no room for that message of `bytes` bytes.
    pub(crate) fn leave_behind(
        &mut self,
        pass: &mut DiskPass,
        lane: Lane,
        position: DiskPosition,
        bytes: usize,
    ) {
        pass.lanes &= !bit(lane);
        let cursor = &mut self.lanes[lane.index()];
        cursor.no_room = Some((position, bytes));
        // A message that came back meanwhile is an earlier one.
        cursor.behind = Some(match cursor.behind {
            Some(earlier) if cursor.moved_back => earlier.min(position),
            _ => position,
        });
    }

    /// Notes that `pass` has read everything before the number `next`.
    pub(crate) fn advance(&mut self, pass: &mut DiskPass, next: u64) {
        pass.from = next;
        if pass.end.is_none() {
            self.frontier = next;
            return;
        }
        let behind = (next < self.frontier).then(|| DiskPosition::at_chunk(next));
        for cursor in &mut self.lanes {
            // A lane that starts further ahead keeps its position until the pass gets there.
            let has_lane = pass.lanes & bit(cursor.lane) != 0 && !cursor.moved_back;
            if has_lane && cursor.behind.is_some_and(|it| it.chunk < next) {
                cursor.behind = behind;
            }
        }
    }

    /// Ends a pass that found nothing more on the disk.
    pub(crate) fn finish(&mut self, mut pass: DiskPass) {
        if let Some(end) = pass.end {
            self.advance(&mut pass, end);
        }
    }

    /// Notes that the pipeline gave a message back.
    ///
    /// If its lane fails, the lane stays behind at this message, so that its messages keep their order.
    /// Otherwise others of the lane go on, and a pass sends the message again after [`RETURN_DELAY`].
    pub(crate) fn note_returned(
        &mut self,
        lane: Lane,
        position: DiskPosition,
        lane_fails: bool,
        now: Instant,
    ) {
        let LaneCursor { behind, moved_back, returned, .. } = &mut self.lanes[lane.index()];
        if lane_fails {
            *moved_back = true;
            *behind = Some(behind.map_or(position, |it| it.min(position)));
            return;
        }
        *returned = match *returned {
            None => Some((position, now + RETURN_DELAY)),
            Some((earlier, due)) => Some((earlier.min(position), due)),
        };
    }

    /// Returns whether a message waits on the disk behind the frontier.
    pub(crate) fn any_behind(&self) -> bool {
        self.lanes.iter().any(|cursor| cursor.behind.is_some() || cursor.returned.is_some())
    }
}

impl LaneCursor {
    /// Returns the size of the message at `behind` if the pipeline had no room for it, otherwise 0.
    fn awaited_bytes(&self) -> usize {
        let awaited = self.no_room.filter(|(position, _)| self.behind == Some(*position));
        awaited.map_or(0, |(_, bytes)| bytes)
    }
}

/// Returns the lane as a bit. There are at most [`Lanes::MAX`] lanes.
fn bit(lane: Lane) -> u64 {
    1 << lane.index()
}

/// The time after which a message that the pipeline gave back is sent again: the longest backoff of the
/// pipeline, because the message has failed for longer than others of its lane.
const RETURN_DELAY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns two lanes.
    fn two() -> (Lanes, Vec<Lane>) {
        let lanes = Lanes::by(["a", "b"], |_| 0).unwrap();
        let all = lanes.iter().collect();
        (lanes, all)
    }

    fn at(chunk: u64, number: u64) -> DiskPosition {
        DiskPosition { chunk, number }
    }

    /// A lane that is left behind keeps its place while the other goes on, and joins it at the frontier.
    #[test]
    fn a_lane_that_is_left_behind_catches_up() {
        let (lanes, all) = two();
        let [a, b] = all[..] else { panic!("two lanes") };
        let mut cursors = LaneCursors::new(&lanes);
        let mut pass = cursors.start_new();
        assert!(cursors.admits(&pass, a, at(0, 3)));
        cursors.leave_behind(&mut pass, a, at(0, 3), 10);
        assert!(!cursors.admits(&pass, a, at(0, 4)) && cursors.admits(&pass, b, at(0, 4)));
        cursors.advance(&mut pass, 10);
        cursors.advance(&mut pass, 20);
        let now = Instant::now();
        assert!(cursors.start_catching_up(now, |_, _| false).is_none());
        let mut pass = cursors.start_catching_up(now, |lane, _| lane == a).unwrap();
        assert_eq!((pass.from, pass.end), (0, Some(20)));
        assert!(!cursors.admits(&pass, a, at(0, 2)), "sent before");
        assert!(cursors.admits(&pass, a, at(0, 3)) && !cursors.admits(&pass, b, at(0, 4)));
        cursors.advance(&mut pass, 10);
        assert!(cursors.any_behind());
        cursors.leave_behind(&mut pass, a, at(10, 15), 10);
        cursors.finish(pass);
        let pass = cursors.start_catching_up(now, |_, _| true).unwrap();
        assert_eq!(pass.from, 10);
        assert!(!cursors.admits(&pass, a, at(10, 14)) && cursors.admits(&pass, a, at(10, 15)));
        cursors.finish(pass);
        assert!(!cursors.any_behind());
        let pass = cursors.start_new();
        assert_eq!(pass.from, 20);
        assert!(cursors.admits(&pass, a, at(20, 20)));
    }

    /// Lanes that are behind at different places share a pass, and each starts at its own place.
    #[test]
    fn lanes_share_a_pass_from_their_own_places() {
        let (lanes, all) = two();
        let [a, b] = all[..] else { panic!("two lanes") };
        let mut cursors = LaneCursors::new(&lanes);
        let mut pass = cursors.start_new();
        cursors.leave_behind(&mut pass, a, at(0, 1), 10);
        cursors.advance(&mut pass, 10);
        cursors.leave_behind(&mut pass, b, at(10, 12), 10);
        cursors.advance(&mut pass, 20);
        let mut pass = cursors.start_catching_up(Instant::now(), |_, _| true).unwrap();
        cursors.advance(&mut pass, 10);
        assert!(!cursors.admits(&pass, b, at(10, 11)) && cursors.admits(&pass, b, at(10, 12)));
        assert!(cursors.admits(&pass, a, at(10, 10)));
        cursors.advance(&mut pass, 20);
        assert!(!cursors.any_behind());
    }

    /// A lane waits for room for its next message, and does not keep a pass at its place meanwhile.
    #[test]
    fn a_lane_waits_for_the_room_of_its_next_message() {
        let (lanes, all) = two();
        let [a, b] = all[..] else { panic!("two lanes") };
        let mut cursors = LaneCursors::new(&lanes);
        let mut pass = cursors.start_new();
        cursors.leave_behind(&mut pass, a, at(0, 3), 500);
        cursors.advance(&mut pass, 10);
        cursors.leave_behind(&mut pass, b, at(10, 12), 50);
        cursors.advance(&mut pass, 20);
        let now = Instant::now();
        let pass = cursors.start_catching_up(now, |_, bytes| bytes <= 100).unwrap();
        assert_eq!(pass.from, 10, "the place of the other lane");
        cursors.finish(pass);
        assert!(cursors.start_catching_up(now, |_, bytes| bytes <= 100).is_none());
        let mut pass = cursors.start_catching_up(now, |_, bytes| bytes <= 500).unwrap();
        assert_eq!(pass.from, 0);
        cursors.advance(&mut pass, 10);
        let pass = cursors.start_catching_up(now, |_, bytes| bytes == 0).unwrap();
        assert_eq!(pass.from, 10, "the size of the next message is not known");
    }

    /// A message that comes back waits, and then the lane passes over its place again.
    #[test]
    fn a_returned_message_is_sent_again_after_a_while() {
        let (lanes, all) = two();
        let mut cursors = LaneCursors::new(&lanes);
        let mut pass = cursors.start_new();
        cursors.advance(&mut pass, 30);
        let now = Instant::now();
        cursors.note_returned(all[1], at(10, 12), false, now);
        cursors.note_returned(all[1], at(0, 5), false, now + RETURN_DELAY / 2);
        assert!(cursors.any_behind());
        assert!(cursors.start_catching_up(now, |_, _| true).is_none());
        let pass = cursors.start_catching_up(now + RETURN_DELAY, |_, _| true).unwrap();
        assert_eq!((pass.from, pass.end), (0, Some(30)));
        assert!(
            !cursors.admits(&pass, all[1], at(0, 4)) && cursors.admits(&pass, all[1], at(0, 5))
        );
        cursors.finish(pass);
        assert!(!cursors.any_behind());
        cursors.note_returned(all[1], at(10, 12), true, now);
        let pass = cursors.start_catching_up(now, |_, _| true).unwrap();
        assert!(
            !cursors.admits(&cursors.start_new(), all[1], at(30, 30)),
            "the lane keeps its order"
        );
        assert!(cursors.admits(&pass, all[1], at(10, 12)));
    }
}
