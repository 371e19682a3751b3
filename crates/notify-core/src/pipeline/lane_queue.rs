//! The pending messages of one lane, and the lane's health.

use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::block::{MessageBlock, MessageRecord};
use super::block_queue::BlockQueue;
use super::load::Load;
use super::outage::Outage;
use super::queue_config::Overflow;
use super::set_aside::SetAside;
use crate::codec::message::Message;

/// The pending messages of one lane that are not in flight.
#[derive(Debug)]
pub(super) struct LaneQueue {
    /// The messages in the order in which the program emitted them.
    pub(super) line: BlockQueue,
    /// The messages before the probe in flight, which made the probes before it.
    passed: MessageBlock,
    /// Messages that failed while others of the lane were delivered.
    pub(super) set_aside: SetAside,
    pub(super) phase: LanePhase,
    pub(super) outage: Outage,
    backoff: Backoff,
    /// The largest number of messages in the next batch. It starts at one after a failure, and doubles
    /// with each success.
    pub(super) allowance: usize,
    /// The number of messages in the batch that is being filled.
    pub(super) taken: usize,
    /// The number of messages that the destination had settled when the lane began to fail; `None` once
    /// the destination declined messages of the lane, which proves that it works.
    settled_before: Option<u64>,
    /// The bytes that the first caller in the lane's line for room needs; `None` without one.
    pub(super) awaited_bytes: Option<usize>,
}

/// The condition of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LanePhase {
    /// The last attempt delivered messages of the lane.
    Working,
    /// Every message of the last attempt failed. The next probe comes at `until`.
    Waiting {
        /// The time of the next probe.
        until: Instant,
    },
    /// One message is in flight, to learn whether the lane works again.
    Probing,
    /// The lane withheld its answers. A transport of its own sends the next probe at `until`.
    Isolated {
        /// The time of the next probe.
        until: Instant,
    },
}

/// The failure of a lane as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct LaneFailure {
    /// Whether the destination declined the messages, in place of no answer.
    pub(super) declined: bool,
    /// Whether the same attempt settled other messages of the lane.
    pub(super) progressed: bool,
    /// Whether only an operator can fix it.
    pub(super) permanent: bool,
}

impl LaneQueue {
    /// Returns an empty lane that works.
    pub(super) fn new() -> Self {
        Self {
            line: BlockQueue::default(),
            passed: MessageBlock::default(),
            set_aside: SetAside::default(),
            phase: LanePhase::Working,
            outage: Outage::default(),
            backoff: Backoff::default(),
            allowance: usize::MAX,
            taken: 0,
            settled_before: None,
            awaited_bytes: None,
        }
    }

    /// Returns the number of messages and their bytes.
    pub(super) fn load(&self) -> Load {
        self.line.load() + self.passed.load() + self.set_aside.load()
    }

    /// Returns the load of the messages that no overflow drops.
    pub(super) fn protected(&self) -> Load {
        self.line.protected() + self.passed.protected + self.set_aside.protected()
    }

    /// Returns the load that cannot be delivered while the destination works, which has settled
    /// `settled` messages so far.
    ///
    /// It is all of a lane that fails while others are delivered, and the messages that are set aside in
    /// a lane that works.
    pub(super) fn stuck(&self, settled: u64) -> Load {
        if self.is_working() {
            self.set_aside.load()
        } else if self.is_limited(settled) {
            self.load()
        } else {
            Load::default()
        }
    }

    /// Returns whether the lane fails although the destination works: it declined messages of the lane,
    /// or settled others since.
    pub(super) fn is_limited(&self, settled: u64) -> bool {
        !self.is_working() && self.settled_before.is_none_or(|before| settled > before)
    }

    /// Returns whether the last attempt delivered messages of the lane.
    pub(super) fn is_working(&self) -> bool {
        self.phase == LanePhase::Working
    }

    /// Returns whether a transport of its own attempts the lane.
    pub(super) fn is_isolated(&self) -> bool {
        matches!(self.phase, LanePhase::Isolated { .. })
    }

    /// Returns the record of the message to send next; `None` while the lane waits.
    ///
    /// A lane that works prefers a message that is due again, which is an old one. A probe of a lane
    /// that fails prefers the line, so that one bad message cannot be every probe.
    pub(super) fn next(&self, isolated: bool, now: Instant) -> Option<&MessageRecord> {
        let may_send = match self.phase {
            LanePhase::Working => !isolated && self.taken < self.allowance,
            LanePhase::Waiting { until } => !isolated && until <= now,
            LanePhase::Isolated { until } => isolated && self.taken == 0 && until <= now,
            LanePhase::Probing => false,
        };
        if !may_send {
            return None;
        }
        let due = || if self.set_aside.is_empty() { None } else { self.set_aside.first_due(now) };
        if self.is_working() {
            due().or_else(|| self.line.first())
        } else {
            self.line.first().or_else(due)
        }
    }

    /// Returns whether the lane fails and holds one message, whose time to probe has come.
    pub(super) fn holds_due_probe(&self, now: Instant) -> bool {
        let is_alone = !self.is_working() && self.load().messages == 1;
        is_alone && self.next(self.is_isolated(), now).is_some()
    }

    /// Removes the message that [`next`](Self::next) returned.
    pub(super) fn take_next(&mut self, now: Instant) -> Option<(Message, MessageRecord)> {
        self.taken += 1;
        if self.is_working() {
            self.set_aside.pop_due(now).or_else(|| self.line.pop())
        } else {
            if !self.is_isolated() {
                self.phase = LanePhase::Probing;
            }
            self.pass_tired();
            self.line.pop().or_else(|| self.set_aside.pop_due(now))
        }
    }

    /// Passes the messages at the head of the line that made more probes than one behind them.
    ///
    /// One message that always fails must not be every probe. If the probe succeeds, the passed messages
    /// are set aside; otherwise they keep their places.
    fn pass_tired(&mut self) {
        let tiredness = |record: &MessageRecord| record.declines / PROBES;
        if self.line.first().is_none_or(|first| tiredness(first) == 0) {
            return;
        }
        let mut head = MessageBlock::default();
        while head.len() < MOST_PASSED
            && head.records.back().is_none_or(|last| tiredness(last) > 0)
            && let Some((message, record)) = self.line.pop()
        {
            head.push(message, record);
        }
        let least = head.records.iter().map(tiredness).min().unwrap_or(0);
        while head.records.front().is_some_and(|first| tiredness(first) > least)
            && let Some((message, record)) = head.pop()
        {
            self.passed.push(message, record);
        }
        self.line.put_back(head);
    }

    /// Removes the messages that the last probe passed.
    pub(super) fn take_passed(&mut self) -> MessageBlock {
        std::mem::take(&mut self.passed)
    }

    /// Returns the time at which the program emitted one of the oldest messages.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let firsts = [self.line.first(), self.passed.records.front()];
        let firsts = firsts.into_iter().flatten().map(|record| record.since);
        firsts.chain(self.set_aside.oldest()).min()
    }

    /// Returns the time at which [`next`](Self::next) may have a message, if that is not now.
    pub(super) fn next_due(&self) -> Option<Instant> {
        match self.phase {
            LanePhase::Working => self.set_aside.next_due(),
            LanePhase::Waiting { until } | LanePhase::Isolated { until } => {
                let due = self.set_aside.next_due().filter(|_| self.line.is_empty());
                due.map(|due| due.max(until)).or((!self.line.is_empty()).then_some(until))
            }
            LanePhase::Probing => None,
        }
    }

    /// Removes the message to drop when there is no room; `None` if all are in flight.
    pub(super) fn evict(&mut self, overflow: Overflow) -> Option<(Message, MessageRecord)> {
        if self.is_working() {
            return self.set_aside.evict(overflow);
        }
        match overflow {
            Overflow::DropNewest => {
                self.line.evict(overflow).or_else(|| self.set_aside.evict(overflow))
            }
            Overflow::DropOldest => {
                self.set_aside.evict(overflow).or_else(|| self.line.evict(overflow))
            }
        }
    }

    /// Returns the time at which the program emitted one of the oldest messages that an overflow may
    /// drop.
    pub(super) fn oldest_evictable(&self) -> Option<Instant> {
        let passed = self.passed.evictable(Overflow::DropOldest).map(|(_, record)| record);
        let firsts = passed.into_iter().chain(self.line.oldest_evictable());
        firsts.map(|record| record.since).chain(self.set_aside.oldest_evictable()).min()
    }

    /// Removes the oldest message that an overflow may drop, or another such one if the lane has only
    /// messages that are set aside.
    pub(super) fn evict_oldest(&mut self) -> Option<(Message, MessageRecord)> {
        const OLDEST: Overflow = Overflow::DropOldest;
        let passed = self.passed.evict(OLDEST);
        passed.or_else(|| self.line.evict(OLDEST)).or_else(|| self.set_aside.evict(OLDEST))
    }

    /// Removes the oldest message, or another one if the lane is empty but for that.
    pub(super) fn pop_any(&mut self) -> Option<(Message, MessageRecord)> {
        let passed = self.passed.pop();
        passed.or_else(|| self.line.pop()).or_else(|| self.set_aside.pop_any())
    }

    /// Notes that the destination settled a message of the lane, and that none of the attempt failed
    /// with the lane.
    pub(super) fn succeed(&mut self, batch_messages: usize) {
        self.backoff.reset();
        self.phase = LanePhase::Working;
        self.allowance = match self.allowance {
            allowance if allowance >= batch_messages => usize::MAX,
            allowance => allowance.saturating_mul(2),
        };
    }

    /// Returns the wait of the lane for its next probe, after a failure of the lane as a whole.
    pub(super) fn fail(&mut self, failure: LaneFailure, settled: u64, jitter: f64) -> Duration {
        if failure.declined {
            self.settled_before = None;
        } else if self.is_working() {
            self.settled_before = Some(settled);
        }
        if failure.progressed {
            self.backoff.reset();
        }
        self.allowance = 1;
        self.backoff.next(!failure.permanent, jitter)
    }

    /// Allows the next probe at once, or when the connection is back: the last one had no verdict.
    pub(super) fn probe_again(&mut self, now: Instant) {
        if self.phase == LanePhase::Probing {
            self.phase = LanePhase::Waiting { until: now };
        }
    }

    /// Makes every message due at once, because the notifier was closed.
    pub(super) fn retry_now(&mut self, now: Instant) {
        self.backoff.reset();
        self.set_aside.retry_now();
        match &mut self.phase {
            LanePhase::Waiting { until } | LanePhase::Isolated { until } => *until = now,
            LanePhase::Working | LanePhase::Probing => {}
        }
    }
}

/// The number of probes that a message makes before another one does.
const PROBES: u32 = 3;
/// The largest number of messages that a probe passes.
const MOST_PASSED: usize = 64;
