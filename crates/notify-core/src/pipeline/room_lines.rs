//! The callers that wait for room in the queue, in one line for each lane and one for reservations.
//!
//! A caller that waits for room in a lane that fails must not hold up callers of other lanes.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, Notify};

use super::lane_mask::LaneMask;
use crate::transport::lanes::Lane;

/// The lines of all lanes, and the line of reservations for messages of any lane.
#[derive(Debug)]
pub(super) struct RoomLines {
    lines: Box<[RoomLine]>,
    /// The lanes with a waiting caller.
    waiting: LaneMask,
    reservations: RoomLine,
    /// Whether a caller waits for a reservation.
    reserving: AtomicBool,
}

/// The callers that wait for room in one line.
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
            reservations: RoomLine::default(),
            reserving: AtomicBool::new(false),
        }
    }

    /// Returns the line of a lane, or of reservations for `None`.
    pub(super) fn line(&self, lane: Option<Lane>) -> &RoomLine {
        lane.map_or(&self.reservations, |lane| &self.lines[lane.index()])
    }

    /// Notes whether a caller waits in a line.
    pub(super) fn set_waiting(&self, lane: Option<Lane>, waits: bool) {
        match lane {
            Some(lane) => self.waiting.set(lane, waits),
            None => self.reserving.store(waits, Ordering::SeqCst),
        }
    }

    /// Wakes the first caller of each line: there may be room.
    pub(super) fn notify(&self) {
        if self.reserving.load(Ordering::SeqCst) {
            self.reservations.room.notify_one();
        }
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
