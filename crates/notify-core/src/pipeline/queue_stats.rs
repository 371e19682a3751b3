//! The public view of a queue's state: the account, the worker's activity and the failures.

use std::time::Duration;

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
        let failure = self.last_failure(&state);
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
            last_error_is_permanent: failure.as_ref().is_some_and(|(it, _)| it.permanent),
            last_error: failure.map(|(_, error)| error),
            state: self.worker_state(&state),
        }
    }

    /// Returns the worker's activity.
    fn worker_state(&self, state: &QueueState) -> WorkerState {
        match state.phase {
            WorkerPhase::NotStarted => return WorkerState::NotStarted,
            WorkerPhase::Ended => return WorkerState::Closed,
            WorkerPhase::Running => {}
        }
        match self.last_failure(state) {
            Some((failure, error)) => {
                let since = state.failures().map(|(_, it)| it.since).min();
                WorkerState::Retrying {
                    since: since.unwrap_or(failure.since),
                    error,
                    permanent: failure.permanent,
                }
            }
            None if state.oldest_in_flight.iter().any(Option::is_some) => WorkerState::Delivering,
            None => WorkerState::Idle,
        }
    }

    /// Returns the failure to report, and its error with the name of its lane.
    fn last_failure<'a>(&self, state: &'a QueueState) -> Option<(&'a Failure, String)> {
        let (lane, failure) = state.worst_failure()?;
        let name = lane.map_or("", |lane| self.lanes.name(lane));
        let error = &failure.error;
        let text = if name.is_empty() {
            format!("{error:#}")
        } else {
            format!("lane `{name}`: {error:#}")
        };
        Some((failure, text))
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
