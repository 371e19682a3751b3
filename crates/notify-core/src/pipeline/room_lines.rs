//! The callers that wait for room in the queue, in one line for each lane.
//!
//! A caller that waits for room in a lane that fails must not hold up callers of other lanes.

use tokio::sync::{Mutex, Notify};

use super::lane_mask::LaneMask;
use crate::transport::lanes::Lane;

/// The lines of all lanes.
#[derive(Debug)]
pub(super) struct RoomLines {
    lines: Box<[RoomLine]>,
    /// The lanes with a waiting caller.
    pub(super) waiting: LaneMask,
}

/// The callers that wait for room in one lane.
#[derive(Debug, Default)]
pub(super) struct RoomLine {
    /// The line. The first caller holds the lock.
    pub(super) turn: Mutex<()>,
    /// Wakes the first caller.
    pub(super) room: Notify,
}

impl RoomLines {
    /// Returns empty lines for `count` lanes.
    pub(super) fn new(count: usize) -> Self {
        Self {
            lines: (0..count).map(|_| RoomLine::default()).collect(),
            waiting: LaneMask::default(),
        }
    }

    /// Returns the line of a lane.
    pub(super) fn line(&self, lane: Lane) -> &RoomLine {
        &self.lines[lane.index()]
    }

    /// Wakes the first caller of each line: there may be room.
    pub(super) fn notify(&self) {
        if self.waiting.is_empty() {
            return;
        }
        for (lane, line) in self.lines.iter().enumerate() {
            if self.waiting.contains(Lane::at(lane)) {
                line.room.notify_one();
            }
        }
    }
}
