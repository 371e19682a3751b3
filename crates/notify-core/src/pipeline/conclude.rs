//! The end of an attempt: the next step for each message without a final verdict, and for its lane.
//!
//! * A message that was declined while a later one of its lane was settled is set aside, and so is one
//!   that was set aside before.
//! * The other declined messages of a lane keep their places. If they are many, or all, the lane fails and
//!   waits for a probe. A few lead the next batch, which shows whether they or the lane fail.
//! * A probe passes messages that made probes before. They are set aside if it succeeds.
//! * If the attempt failed, its messages keep their places. The connection failed. If other lanes went on,
//!   the lanes without any verdict fail too.
//! * If the attempt timed out, the lanes without any verdict are silent: each gets a transport of its
//!   own.
//! * A transport without a duplicate has one fate for all lanes: the connection fails, and no lane.

use tokio::time::Instant;

use super::block::MessageBlock;
use super::lane_queue::{LaneFailure, LanePhase};
use super::lane_queues::{LaneScope, MOVED_AT_ONCE};
use super::outage::OutageReport;
use super::queue::Queue;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::transport::Transport;
use crate::transport::lanes::Lane;

/// The end of one attempt.
pub(super) struct AttemptEnd<'a> {
    pub(super) scope: LaneScope,
    /// The result of `send`, or the error of a timeout.
    pub(super) result: Result<()>,
    /// Whether the notifier was closed when the attempt began.
    pub(super) closing: bool,
    /// Whether the attempt timed out while the notifier still has time.
    pub(super) timed_out: bool,
    /// The transport, whose duplicates attempt silent lanes.
    pub(super) transport: &'a dyn Transport,
}

/// The consequences of an attempt for the worker.
#[derive(Default)]
pub(super) struct Conclusion {
    /// The failure of the connection, which makes all lanes wait.
    pub(super) failure: Option<AttemptFailure>,
    /// The silent lanes, each with a transport of its own.
    pub(super) silent: Vec<(Lane, Box<dyn Transport>)>,
}

/// The failure of the connection in one attempt.
pub(super) struct AttemptFailure {
    /// Whether only an operator can fix the error.
    pub(super) permanent: bool,
    /// Whether the attempt settled messages all the same.
    pub(super) progressed: bool,
}

/// The messages of one lane after an attempt.
struct LaneResult {
    lane: Lane,
    /// The index of the last settled message in the batch.
    last_settled: Option<usize>,
    /// The messages that keep their places.
    back: MessageBlock,
    /// The messages to set aside.
    aside: MessageBlock,
    /// The number of messages without any verdict.
    unsettled: usize,
    /// The reason of the last message without a final verdict.
    error: Option<Error>,
}

/// The condition of a lane after an attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LaneCondition {
    /// The destination settled messages of the lane.
    Works,
    /// Everything failed since the last settled message.
    Fails,
    /// The destination gave no verdict in time.
    Silent,
    /// The connection failed before the lane had a verdict. The lane is as it was.
    Unknown,
}

impl Queue {
    /// Empties a batch after its attempt. Each message without a final verdict goes back to its lane.
    pub(super) fn conclude(&self, batch: &mut MessageBlock, end: AttemptEnd<'_>) -> Conclusion {
        let AttemptEnd { scope, result, closing, timed_out, transport } = end;
        let duplicate = || if self.lanes.len() > 1 { transport.duplicate() } else { None };
        let has_duplicate = result.is_err() && duplicate().is_some();
        let mut lanes = self.sort_by_lane(batch, result.as_ref().err());
        let progressed = lanes.iter().any(|lane| lane.last_settled.is_some());
        let mut conclusion = Conclusion::default();
        let mut reports = Vec::new();
        for lane in &mut lanes {
            let may_be_silent = timed_out && lane.unsettled > 0 && lane.last_settled.is_none();
            let own_transport = if may_be_silent { duplicate() } else { None };
            let condition = match &result {
                Ok(()) if lane.works() => LaneCondition::Works,
                Ok(()) => LaneCondition::Fails,
                Err(_) if lane.last_settled.is_some() => LaneCondition::Works,
                Err(_) if own_transport.is_some() => LaneCondition::Silent,
                Err(_) if has_duplicate && progressed => LaneCondition::Fails,
                Err(_) if scope != LaneScope::Shared => LaneCondition::Fails,
                Err(_) => LaneCondition::Unknown,
            };
            if scope == LaneScope::Shared {
                conclusion.silent.extend(own_transport.map(|transport| (lane.lane, transport)));
            }
            self.set_aside(std::mem::take(&mut lane.aside));
            let report = self.apply(lane, condition, result.is_err());
            reports.extend(report.map(|report| (lane.lane, report)));
        }
        let mut state = self.lock();
        if state.closed && !closing {
            // The close made the messages due that were set aside then. These come back only now.
            for lane in &lanes {
                state.pending.lane_mut(lane.lane).set_aside.retry_now();
            }
        }
        state.oldest_in_flight[scope.index()] = None;
        let connection = match &result {
            Ok(()) => state.outage.end(),
            Err(error) if scope == LaneScope::Shared && conclusion.silent.is_empty() => {
                let permanent = !error.is_transient();
                conclusion.failure = Some(AttemptFailure { permanent, progressed });
                state.outage.fail(error.clone(), permanent)
            }
            Err(_) => None,
        };
        drop(state);
        for (lane, report) in reports {
            report.log(&self.name, self.lanes.name(lane));
        }
        if let Some(report) = connection {
            report.log(&self.name, "");
        }
        // A lane that fails now leaves room to the others.
        self.notify_progress();
        conclusion
    }

    /// Sorts the messages of a batch by lane, and removes the settled ones.
    fn sort_by_lane(&self, batch: &mut MessageBlock, failure: Option<&Error>) -> Vec<LaneResult> {
        let mut lanes: Vec<LaneResult> = Vec::new();
        for (index, record) in batch.records.iter().enumerate() {
            let lane = result_of(&mut lanes, record.lane);
            if record.is_settled() {
                lane.last_settled = Some(index);
            }
        }
        for (index, (message, mut record)) in batch.drain().enumerate() {
            if record.is_settled() {
                continue;
            }
            let lane = result_of(&mut lanes, record.lane);
            let declined = record.retry.take();
            let was_passed = failure.is_none() && lane.last_settled > Some(index);
            let is_aside = declined.is_some() && (record.set_aside || was_passed);
            let error = if let Some(error) = declined {
                record.declines += 1;
                error
            } else {
                lane.unsettled += 1;
                let error = failure.cloned().unwrap_or_else(|| unsettled(&self.name));
                record.unknown |= failure.is_none() || error.outcome() != Outcome::NotSent;
                error
            };
            lane.error = Some(error);
            // The message may stay for long: give up the memory that it shares with others.
            let message = message.detached();
            if is_aside { &mut lane.aside } else { &mut lane.back }.push(message, record);
        }
        lanes
    }

    /// Moves messages in flight to those that are set aside.
    fn set_aside(&self, mut messages: MessageBlock) {
        let now = Instant::now();
        while !messages.is_empty() {
            let jitter = self.random.fraction();
            let mut state = self.lock();
            for _ in 0..MOVED_AT_ONCE {
                let Some((message, record)) = messages.pop() else { break };
                state.in_flight -= record.load();
                state.pending.set_aside(message, record, now, jitter, &self.config);
            }
        }
    }

    /// Puts the messages of a lane back into its line, and changes the lane's condition.
    fn apply(
        &self,
        result: &mut LaneResult,
        condition: LaneCondition,
        attempt_failed: bool,
    ) -> Option<OutageReport> {
        let (now, jitter) = (Instant::now(), self.random.fraction());
        let settled = result.last_settled.is_some();
        // The error of an attempt is that of the connection, unless the lane alone has no verdict.
        let is_own = !attempt_failed || condition != LaneCondition::Works;
        let error = result.error.take().filter(|_| is_own);
        let is_permanent = |error: &Error| !error.is_transient() && error.kind() != ErrorKind::Bug;
        // A verdict to retry is never permanent.
        let permanent = result.unsettled > 0 && error.as_ref().is_some_and(is_permanent);
        let declined = result.unsettled == 0;
        let failure = LaneFailure { declined, progressed: settled, permanent };
        let back = std::mem::take(&mut result.back);
        let mut state = self.lock();
        state.in_flight -= back.load();
        state.pending.put_back(result.lane, back);
        let works = condition == LaneCondition::Works;
        state.pending.return_passed(result.lane, works, now, jitter, &self.config);
        let all_settled = state.pending.settled;
        let lane = state.pending.lane_mut(result.lane);
        match condition {
            LaneCondition::Unknown => {
                lane.probe_again(now);
                return None;
            }
            LaneCondition::Works => lane.succeed(self.config.batch_messages),
            LaneCondition::Fails => {
                let until = now + lane.fail(failure, all_settled, jitter);
                lane.phase = LanePhase::Waiting { until };
            }
            LaneCondition::Silent => {
                let until = now + lane.fail(failure, all_settled, jitter);
                lane.phase = LanePhase::Isolated { until };
            }
        }
        let is_working = lane.is_working();
        let report = match error {
            Some(error) => lane.outage.fail(error, permanent),
            None if lane.set_aside.is_empty() => lane.outage.end(),
            None => None,
        };
        self.failing_lanes.set(result.lane, !is_working);
        report
    }

    /// Returns whether a lane is attempted by itself.
    pub(super) fn is_isolated(&self, lane: Lane) -> bool {
        self.lock().pending.lane(lane).is_isolated()
    }
}

impl LaneResult {
    /// Returns whether the lane works: the destination settled a message of it, and declined at most a few
    /// after that.
    fn works(&self) -> bool {
        self.last_settled.is_some() && self.back.len() < FULL_AFTER && self.unsettled == 0
    }
}

/// Returns the result of a lane, which is empty at first.
fn result_of(lanes: &mut Vec<LaneResult>, lane: Lane) -> &mut LaneResult {
    let at = lanes.iter().position(|result| result.lane == lane).unwrap_or_else(|| {
        lanes.push(LaneResult {
            lane,
            last_settled: None,
            back: MessageBlock::default(),
            aside: MessageBlock::default(),
            unsettled: 0,
            error: None,
        });
        lanes.len() - 1
    });
    &mut lanes[at]
}

/// Returns the error of a transport that broke its contract.
fn unsettled(name: &str) -> Error {
    Error::new(ErrorKind::Bug, format!("`{name}` returned without settling every message"))
}

/// The number of declined messages in a row, at the end of a lane's part of a batch, from which on the
/// lane fails.
const FULL_AFTER: usize = 8;
