//! The room in a queue: its bounds, and the callers that come first.
//!
//! The queue's mutex guards all of it.

use super::block::MessageBlock;
use super::claim::Claim;
use super::load::Load;
use super::queue::{Queue, QueueState};
use super::queue_config::{BOOKKEEPING, QueueConfig, weight};
use crate::codec::message::Message;
use crate::transport::lanes::Lane;

impl Queue {
    /// Leaves room for the first caller in the line of a lane, or in that of reservations, until the
    /// guard is dropped.
    pub(super) fn await_room(&self, lane: Option<Lane>, load: Load) -> AwaitedRoom<'_> {
        self.lock().set_awaited(lane, Some(load));
        self.room.set_waiting(lane, true);
        AwaitedRoom { queue: self, lane }
    }

    /// Drops the oldest queued messages until `message` fits, or there are none. While its lane fails,
    /// they are messages of that lane.
    pub(super) fn make_room(&self, message: &Message) {
        let (lane, bytes) = (self.lanes.lane(message), weight(message));
        let (one, claim) = (Load::one(bytes), Claim::BehindTheLine);
        let mut dropped = MessageBlock::default();
        let mut state = self.lock();
        // If the messages that stay leave no room, dropping the others gains nothing.
        let in_lane = state.pending.lane(lane).protected() + one;
        let in_queue = state.pending.protected() + one;
        if !state.pending.may_hold(lane, in_lane, &self.config)
            || !state.may_hold(in_queue, claim, &self.config)
        {
            return;
        }
        loop {
            let oldest = if !state.pending.has_lane_room(lane, bytes, &self.config) {
                state.pending.evict_oldest(Some(lane))
            } else if !state.has_room(one, claim, &self.config) {
                state.pending.evict_oldest(None)
            } else {
                break;
            };
            let Some((message, record)) = oldest else { break };
            dropped.push(message, record);
        }
        self.unlock_and_drop(state, dropped);
    }

    /// Returns whether a lane may take a message of `bytes` bytes.
    pub(super) fn has_lane_room(&self, lane: Lane, bytes: usize) -> bool {
        let bytes = bytes + BOOKKEEPING;
        // No lane fails in the usual case, and a lane that works has no share.
        !self.failing_lanes.contains(lane)
            || self.lock().has_lane_room(lane, bytes, Claim::InTurn, &self.config)
    }

    /// Returns whether a lane may find room for a message that counts as `bytes`, or the queue is closed to all
    /// messages.
    pub(super) fn may_enter(&self, lane: Lane, bytes: usize, claim: Claim) -> bool {
        let state = self.lock();
        // A lane that fails may hold more than its share, which makes room.
        let has_room = || {
            !self.failing_lanes.is_empty() || state.has_room(Load::one(bytes), claim, &self.config)
        };
        state.closed || state.has_lane_room(lane, bytes, claim, &self.config) && has_room()
    }
}

impl QueueState {
    /// Returns whether a caller may take `load` for messages of one lane, or of any lane for `None`.
    ///
    /// For room, moves messages of lanes that hold more than their share to `evicted`.
    pub(super) fn take_room(
        &mut self,
        lane: Option<Lane>,
        load: Load,
        claim: Claim,
        config: &QueueConfig,
        evicted: &mut MessageBlock,
    ) -> bool {
        lane.is_none_or(|lane| self.has_lane_room(lane, load.bytes, claim, config))
            && self.may_claim(lane, claim)
            && (self.has_room(load, claim, config)
                || self.evict_excess(lane, load, claim, config, evicted))
    }

    /// Returns whether a lane may take one more message of `bytes`, within its share or as its only one.
    ///
    /// A lane that fails needs a message to learn whether it works again, also where its share holds none. That
    /// message displaces no other, so it comes once a place is free.
    fn has_lane_room(&self, lane: Lane, bytes: usize, claim: Claim, config: &QueueConfig) -> bool {
        self.pending.has_lane_room(lane, bytes, config)
            || self.pending.lane(lane).load().messages == 0
                && self.has_room(Load::one(bytes), claim, config)
    }

    /// Returns whether a caller may take room before the first in its line.
    fn may_claim(&self, lane: Option<Lane>, claim: Claim) -> bool {
        !matches!(claim, Claim::InTurn | Claim::FirstIfAlone)
            || match lane {
                Some(lane) => self.pending.lane(lane).awaited_bytes.is_none(),
                None => self.awaited_reservation.is_none(),
            }
    }

    /// Notes the room that the first caller in a line needs; `None` when none waits.
    fn set_awaited(&mut self, lane: Option<Lane>, load: Option<Load>) {
        match lane {
            Some(lane) => self.pending.await_room(lane, load.map(|load| load.bytes)),
            None => self.awaited_reservation = load,
        }
    }

    /// Returns whether both bounds allow `more`.
    fn has_room(&self, more: Load, claim: Claim, config: &QueueConfig) -> bool {
        self.may_hold(self.pending.load() + more, claim, config)
    }

    /// Returns whether both bounds allow `pending` beside the messages in flight and the room that
    /// callers took or wait for.
    fn may_hold(&self, pending: Load, claim: Claim, config: &QueueConfig) -> bool {
        let mut load = pending + self.in_flight + self.reserved;
        if !matches!(claim, Claim::First | Claim::FirstIfAlone) {
            load += self.pending.awaited() + self.awaited_reservation.unwrap_or_default();
        }
        load.fits(config.room())
    }

    /// Moves messages of lanes that hold more than their share to `evicted`, until `load` for lane `to`
    /// fits. Returns whether it fits.
    fn evict_excess(
        &mut self,
        to: Option<Lane>,
        load: Load,
        claim: Claim,
        config: &QueueConfig,
        evicted: &mut MessageBlock,
    ) -> bool {
        while !self.has_room(load, claim, config) {
            let Some((message, record)) = self.pending.evict_excess(to, config) else {
                return false;
            };
            evicted.push(message, record);
        }
        true
    }
}

/// A guard that leaves room for the first caller in a line.
pub(super) struct AwaitedRoom<'a> {
    queue: &'a Queue,
    lane: Option<Lane>,
}

impl Drop for AwaitedRoom<'_> {
    fn drop(&mut self) {
        self.queue.room.set_waiting(self.lane, false);
        self.queue.lock().set_awaited(self.lane, None);
    }
}
