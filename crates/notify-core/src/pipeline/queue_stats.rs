//! The public view of a queue's state: the account, the worker's activity and the failures.

use std::time::Duration;

use time::OffsetDateTime;

use super::account::Account;
use super::outage::Failure;
use super::queue::{Queue, QueueState, WorkerPhase};
use super::registry::DelayedQueue;
use super::stats::{PendingCounts, Stats, WorkerState};
use crate::error::{Error, ErrorKind, Outcome};
use crate::transport::lanes::Lane;

impl Queue {
    /// Returns the account of this moment, with the given number of suppressed notifications.
    pub(super) fn stats(&self, suppressed: u64) -> Stats {
        let state = self.lock();
        let Account { emitted, delivered, refused, dropped, retried, last_delivery, .. } =
            state.account;
        let pending = state.pending.load() + state.in_flight;
        let oldest = state.oldest_in_flight.iter().copied().flatten().chain(state.pending.oldest());
        let oldest = oldest.min().filter(|_| pending.messages > 0);
        let activity = state.activity();
        drop(state);
        // Emitters wait for the lock, so format the error without it.
        let last_error = activity.failure.as_ref().map(|(lane, it)| self.failure_text(*lane, it));
        Stats {
            emitted,
            delivered,
            refused,
            dropped,
            pending: PendingCounts {
                messages: pending.messages as u64,
                bytes: pending.bytes as u64,
            },
            retried,
            suppressed,
            oldest_pending: oldest.map(|since| since.elapsed()),
            last_delivery,
            last_error_is_permanent: activity.failure.as_ref().is_some_and(|(_, it)| it.permanent),
            state: activity.worker_state(last_error.as_deref()),
            last_error,
            broker: self.broker.as_ref().map(|counters| counters.stats()),
        }
    }

    /// Returns the error of a failure, with its causes and the name of its lane.
    fn failure_text(&self, lane: Option<Lane>, failure: &Failure) -> String {
        let error = &failure.error;
        match lane.map_or("", |lane| self.lanes.name(lane)) {
            "" => format!("{error:#}"),
            name => format!("lane `{name}`: {error:#}"),
        }
    }
}

/// The activity of a worker at one moment.
struct WorkerActivity {
    phase: WorkerPhase,
    is_delivering: bool,
    /// The failure to report, and its lane if it is not that of the connection.
    failure: Option<(Option<Lane>, Failure)>,
    /// The time of the first failure that lasts.
    failing_since: Option<OffsetDateTime>,
}

impl WorkerActivity {
    /// Returns the public view, with the text of the failure.
    fn worker_state(&self, error: Option<&str>) -> WorkerState {
        match (self.phase, &self.failure) {
            (WorkerPhase::NotStarted, _) => WorkerState::NotStarted,
            (WorkerPhase::Ended, _) => WorkerState::Closed,
            (WorkerPhase::Running, Some((_, failure))) => WorkerState::Retrying {
                since: self.failing_since.unwrap_or(failure.since),
                error: error.unwrap_or_default().to_owned(),
                permanent: failure.permanent,
            },
            (WorkerPhase::Running, None) if self.is_delivering => WorkerState::Delivering,
            (WorkerPhase::Running, None) => WorkerState::Idle,
        }
    }
}

impl DelayedQueue for Queue {
    fn undecided(&self, waited: Duration) -> Error {
        let seconds = waited.as_secs_f64();
        let state = self.lock();
        let reason = match state.phase {
            WorkerPhase::NotStarted => {
                "the worker does not run: run it with `Worker::run` or `Worker::spawn_thread`"
            }
            WorkerPhase::Running | WorkerPhase::Ended => {
                "the notification stays queued and may still be delivered"
            }
        };
        let message = format!("no outcome after {seconds} s: {reason}");
        let error = Error::new(ErrorKind::Timeout, message).with_outcome(Outcome::Unknown);
        match state.last_error() {
            Some(cause) => error.with_source(cause),
            None => error,
        }
    }
}

impl QueueState {
    /// Returns the activity of the worker.
    fn activity(&self) -> WorkerActivity {
        WorkerActivity {
            phase: self.phase,
            is_delivering: self.oldest_in_flight.iter().any(Option::is_some),
            failure: self.worst_failure().map(|(lane, failure)| (lane, failure.clone())),
            failing_since: self.failures().map(|(_, it)| it.since).min(),
        }
    }

    /// Returns the last error of an outage that lasts, of the connection or of a lane.
    pub(super) fn last_error(&self) -> Option<Error> {
        self.worst_failure().map(|(_, failure)| failure.error.clone())
    }

    /// Returns whether every pending message waits for an operator.
    pub(super) fn is_failing_for_good(&self) -> bool {
        let is_permanent = |failure: Option<&Failure>| failure.is_some_and(|it| it.permanent);
        let mut pending = self.pending.iter().filter(|lane| lane.load().messages > 0);
        is_permanent(self.outage.failure())
            || pending.all(|lane| !lane.is_working() && is_permanent(lane.outage.failure()))
    }

    /// Returns a failure that lasts: a permanent one if there is one, because it needs an operator.
    fn worst_failure(&self) -> Option<(Option<Lane>, &Failure)> {
        let permanent = self.failures().find(|(_, failure)| failure.permanent);
        permanent.or_else(|| self.failures().next())
    }

    /// Returns the failures that last: that of the connection, and those of lanes.
    fn failures(&self) -> impl Iterator<Item = (Option<Lane>, &Failure)> {
        let connection = self.outage.failure().map(|failure| (None, failure));
        let lanes = self.pending.iter().enumerate();
        let lanes =
            lanes.filter_map(|(at, lane)| Some((Some(Lane::at(at)), lane.outage.failure()?)));
        connection.into_iter().chain(lanes)
    }
}
