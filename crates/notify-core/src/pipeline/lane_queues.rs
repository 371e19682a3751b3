//! The pending messages of all lanes, and the room that each lane may take.
//!
//! The queue's mutex guards this. Every operation takes constant time for each message that it moves,
//! however many messages are pending.

use tokio::time::Instant;

use super::block::{MessageBlock, MessageRecord};
use super::lane_queue::{LanePhase, LaneQueue};
use super::load::Load;
use super::queue_config::QueueConfig;
use crate::codec::message::Message;
use crate::transport::lanes::Lane;

/// The pending messages that are not in flight, lane by lane.
#[derive(Debug)]
pub(super) struct LaneQueues {
    lanes: Box<[LaneQueue]>,
    load: Load,
    /// The number of messages that the destination settled so far.
    pub(super) settled: u64,
    /// The number of lanes with a caller that waits for room.
    awaited: usize,
}

/// The lanes that one transport attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LaneScope {
    /// All lanes but the isolated ones.
    Shared,
    /// One lane, which is isolated.
    Isolated(Lane),
}

impl LaneQueues {
    /// Returns `count` empty lanes.
    pub(super) fn new(count: usize) -> Self {
        let lanes = (0..count).map(|_| LaneQueue::new()).collect();
        Self { lanes, load: Load::default(), settled: 0, awaited: 0 }
    }

    /// Returns one lane.
    pub(super) fn lane(&self, lane: Lane) -> &LaneQueue {
        &self.lanes[lane.index()]
    }

    /// Returns one lane. Change its messages only with the methods of this type, which count them.
    pub(super) fn lane_mut(&mut self, lane: Lane) -> &mut LaneQueue {
        &mut self.lanes[lane.index()]
    }

    /// Returns all lanes.
    pub(super) fn iter(&self) -> impl Iterator<Item = &LaneQueue> {
        self.lanes.iter()
    }

    /// Returns the number of messages in all lanes and their bytes.
    pub(super) fn load(&self) -> Load {
        self.load
    }

    /// Returns the load of the messages that no overflow drops.
    pub(super) fn protected(&self) -> Load {
        self.lanes.iter().map(LaneQueue::protected).sum()
    }

    /// Returns the load of the lines that the worker can send at once.
    pub(super) fn ready(&self) -> Load {
        let working = self.lanes.iter().filter(|lane| lane.is_working());
        working.map(|lane| lane.line.load()).sum()
    }

    /// Adds the newest message to its lane. Returns whether a runner that waits for messages must look at
    /// the lane.
    pub(super) fn push(
        &mut self,
        message: Message,
        record: MessageRecord,
        config: &QueueConfig,
    ) -> bool {
        self.load += record.load();
        let lane = &mut self.lanes[record.lane.index()];
        // A line that waits has a timer, unless it held no message.
        let must_look = lane.is_working() || lane.line.is_empty();
        lane.line.push(message, record, config);
        must_look
    }

    /// Puts messages back before all others of their lane.
    pub(super) fn put_back(&mut self, lane: Lane, block: MessageBlock) {
        self.load += block.load();
        self.lane_mut(lane).line.put_back(block);
    }

    /// Puts the messages that a probe passed back before all others, or sets them aside because the probe
    /// succeeded.
    pub(super) fn return_passed(
        &mut self,
        lane: Lane,
        probe_succeeded: bool,
        now: Instant,
        jitter: f64,
        config: &QueueConfig,
    ) {
        let lane = self.lane_mut(lane);
        let mut passed = lane.take_passed();
        if !probe_succeeded {
            return lane.line.put_back(passed);
        }
        for (message, record) in passed.drain() {
            lane.set_aside.push(message, record, now, jitter, config);
        }
    }

    /// Allows the next probe of a lane whose probe left its batch unsent.
    pub(super) fn cancel_probe(&mut self, lane: Lane, now: Instant) {
        let lane = self.lane_mut(lane);
        let passed = lane.take_passed();
        lane.line.put_back(passed);
        lane.probe_again(now);
    }

    /// Sets a message aside, with a random `jitter` from 0 to 1.
    pub(super) fn set_aside(
        &mut self,
        message: Message,
        record: MessageRecord,
        now: Instant,
        jitter: f64,
        config: &QueueConfig,
    ) {
        self.load += record.load();
        let lane = &mut self.lanes[record.lane.index()];
        lane.set_aside.push(message, record, now, jitter, config);
    }

    /// Starts to fill a batch from the lanes of a scope.
    pub(super) fn start_batch(&mut self, scope: LaneScope) {
        for (lane, _) in scoped(&mut self.lanes, scope) {
            lane.taken = 0;
        }
    }

    /// Moves messages into `batch` until it is full or the lanes have no more, oldest first; returns
    /// whether more may follow.
    ///
    /// Moves a whole block if only one lane has messages, and otherwise at most [`MOVED_AT_ONCE`]
    /// messages per call: emitters wait while this runs.
    pub(super) fn fill(
        &mut self,
        batch: &mut MessageBlock,
        scope: LaneScope,
        config: &QueueConfig,
        now: Instant,
    ) -> bool {
        if batch.is_empty() && scope == LaneScope::Shared && self.take_block(batch, now) {
            return true;
        }
        for _ in 0..MOVED_AT_ONCE {
            let next = scoped(&mut self.lanes, scope)
                .filter_map(|(lane, isolated)| {
                    let record = lane.next(isolated, now)?;
                    Some((record.order, batch.has_room(record, config), lane))
                })
                .min_by_key(|(order, ..)| *order);
            let Some((_, true, lane)) = next else { return false };
            let Some((message, record)) = lane.take_next(now) else { return false };
            self.load -= record.load();
            batch.push(message, record);
        }
        true
    }

    /// Takes the oldest block of the only lane with messages, if there is one and it needs no choice.
    fn take_block(&mut self, batch: &mut MessageBlock, now: Instant) -> bool {
        let mut with_messages =
            self.lanes.iter_mut().filter(|lane| lane.next(false, now).is_some());
        let (Some(lane), None) = (with_messages.next(), with_messages.next()) else { return false };
        if !lane.is_working() || lane.allowance < usize::MAX || !lane.set_aside.is_empty() {
            return false;
        }
        lane.line.take_block(batch);
        lane.taken = batch.len();
        self.load -= batch.load();
        true
    }

    /// Returns the next time at which a lane of a scope has a message to send.
    pub(super) fn next_due(&self, scope: LaneScope) -> Option<Instant> {
        let lanes = self.lanes.iter().enumerate();
        lanes.filter(|(at, lane)| is_in(scope, *at, lane)).filter_map(|(_, it)| it.next_due()).min()
    }

    /// Returns the time at which the program emitted one of the oldest messages.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.lanes.iter().filter_map(LaneQueue::oldest).min()
    }

    /// Returns whether a lane may take one more message of `bytes` within its share.
    pub(super) fn has_lane_room(&self, lane: Lane, bytes: usize, config: &QueueConfig) -> bool {
        self.may_hold(lane, self.lane(lane).load() + Load::one(bytes), config)
    }

    /// Returns whether a lane may hold `load`.
    ///
    /// A lane that fails while others are delivered gets half of the room that the others that fail
    /// leave. So there is room for the lanes that work, however many fail. If the whole destination
    /// fails, each lane may take all the room.
    pub(super) fn may_hold(&self, lane: Lane, load: Load, config: &QueueConfig) -> bool {
        let lane = self.lane(lane);
        !lane.is_limited(self.settled)
            || self.lanes.len() == 1
            || load.fits(self.share(lane.stuck(self.settled), config))
    }

    /// Notes the bytes that the first caller in the line of a lane needs; `None` when none waits.
    pub(super) fn await_room(&mut self, lane: Lane, bytes: Option<usize>) {
        let before = std::mem::replace(&mut self.lane_mut(lane).awaited_bytes, bytes);
        self.awaited = self.awaited + usize::from(bytes.is_some()) - usize::from(before.is_some());
    }

    /// Returns the room that callers wait for in lanes that work.
    pub(super) fn awaited(&self) -> Load {
        if self.awaited == 0 {
            return Load::default();
        }
        let working = self.lanes.iter().filter(|lane| lane.is_working());
        working.filter_map(|lane| lane.awaited_bytes).map(Load::one).sum()
    }

    /// Removes one message of a lane that holds more than its share of the room, if there is one, for a
    /// message of lane `to`, or of any lane for `None`.
    ///
    /// A destination with one lane keeps all its room for that lane while it fails. A silent lane may
    /// hold all the room until others are delivered, so it gives way to the only message of another lane.
    /// A probe that is due stays: otherwise a lane without a share would never learn that it works again.
    pub(super) fn evict_excess(
        &mut self,
        to: Option<Lane>,
        config: &QueueConfig,
    ) -> Option<(Message, MessageRecord)> {
        let is_only = to.is_some_and(|to| self.lane(to).load().messages == 0);
        for at in 0..self.lanes.len() {
            if self.holds_excess(&self.lanes[at], is_only, config)
                && let Some((message, record)) = self.lanes[at].evict(config.overflow)
            {
                self.load -= record.load();
                return Some((message, record));
            }
        }
        None
    }

    /// Returns whether a lane holds more than its share of the room, beside the only message of another
    /// lane if `is_only`.
    fn holds_excess(&self, lane: &LaneQueue, is_only: bool, config: &QueueConfig) -> bool {
        let stuck = lane.stuck(self.settled);
        let held = if is_only && lane.is_isolated() { lane.load() } else { stuck };
        let limited = lane.is_working() || self.lanes.len() > 1;
        let is_excess = limited && held.messages > 0 && !held.fits(self.share(stuck, config));
        is_excess && !lane.holds_due_probe(Instant::now())
    }

    /// Removes the oldest message that an overflow may drop, of one lane or of all lanes for `None`.
    pub(super) fn evict_oldest(&mut self, only: Option<Lane>) -> Option<(Message, MessageRecord)> {
        let lanes = self.lanes.iter_mut().enumerate();
        let (_, lane) = lanes
            .filter(|(at, _)| only.is_none_or(|only| only.index() == *at))
            .filter_map(|(_, lane)| Some((lane.oldest_evictable()?, lane)))
            .min_by_key(|(since, _)| *since)?;
        let (message, record) = lane.evict_oldest()?;
        self.load -= record.load();
        Some((message, record))
    }

    /// Moves up to [`MOVED_AT_ONCE`] messages that the program emitted before `time` into `block`.
    pub(super) fn take_expired(&mut self, block: &mut MessageBlock, time: Instant) {
        for lane in &mut self.lanes {
            while block.len() < MOVED_AT_ONCE {
                let line = lane.line.first().is_some_and(|record| record.since < time);
                let expired = if line { lane.line.pop() } else { lane.set_aside.pop_expired(time) };
                let Some((message, record)) = expired else { break };
                self.load -= record.load();
                block.push(message, record);
            }
        }
    }

    /// Moves up to [`MOVED_AT_ONCE`] messages of any lane into `block`.
    pub(super) fn take_any(&mut self, block: &mut MessageBlock) {
        for lane in &mut self.lanes {
            while block.len() < MOVED_AT_ONCE {
                let Some((message, record)) = lane.pop_any() else { break };
                self.load -= record.load();
                block.push(message, record);
            }
        }
    }

    /// Makes every message due at once.
    pub(super) fn retry_now(&mut self, now: Instant) {
        for lane in &mut self.lanes {
            lane.retry_now(now);
        }
    }

    /// Returns half of the room that the stuck messages of other lanes leave, beside `own`.
    fn share(&self, own: Load, config: &QueueConfig) -> Load {
        let stuck: Load = self.lanes.iter().map(|lane| lane.stuck(self.settled)).sum();
        config.room().less(stuck - own).half()
    }
}

impl LaneScope {
    /// Returns the position of the scope's batch among all batches in flight.
    pub(super) fn index(self) -> usize {
        match self {
            Self::Shared => 0,
            Self::Isolated(lane) => lane.index() + 1,
        }
    }
}

/// Returns the lanes of a scope, each with whether it is attempted by itself.
fn scoped(
    lanes: &mut [LaneQueue],
    scope: LaneScope,
) -> impl Iterator<Item = (&mut LaneQueue, bool)> {
    let isolated = scope != LaneScope::Shared;
    let lanes = lanes.iter_mut().enumerate().filter(move |(at, lane)| is_in(scope, *at, lane));
    lanes.map(move |(_, lane)| (lane, isolated))
}

/// Returns whether a scope holds the lane at an index.
fn is_in(scope: LaneScope, at: usize, lane: &LaneQueue) -> bool {
    match scope {
        LaneScope::Shared => !matches!(lane.phase, LanePhase::Isolated { .. }),
        LaneScope::Isolated(only) => only.index() == at,
    }
}

/// The number of messages that a thread moves within a few microseconds.
pub(super) const MOVED_AT_ONCE: usize = 64;
