//! The room in a queue: its bounds, and the callers that come first.
//!
//! The queue's mutex guards all of it.

use super::block::MessageBlock;
use super::claim::Claim;
use super::load::Load;
use super::queue::QueueState;
use super::queue_config::QueueConfig;
use crate::transport::lanes::Lane;

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
        lane.is_none_or(|lane| self.pending.has_lane_room(lane, load.bytes, config))
            && self.may_claim(lane, claim)
            && (self.has_room(load, claim, config)
                || self.evict_excess(lane, load, claim, config, evicted))
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
    pub(super) fn set_awaited(&mut self, lane: Option<Lane>, load: Option<Load>) {
        match lane {
            Some(lane) => self.pending.await_room(lane, load.map(|load| load.bytes)),
            None => self.awaited_reservation = load,
        }
    }

    /// Returns whether both bounds allow `more`.
    pub(super) fn has_room(&self, more: Load, claim: Claim, config: &QueueConfig) -> bool {
        let mut load = self.pending.load() + self.in_flight + self.reserved + more;
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
