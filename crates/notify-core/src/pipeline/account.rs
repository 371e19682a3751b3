//! The counters, and what there is to say about losses once no lock is held.

use time::OffsetDateTime;
use tokio::time::Instant;

use super::stats::{Dropped, WorkerState};
use super::streak::{Report, Streak};
use crate::error::Error;

/// What was counted so far. Pending messages are counted by whoever holds them.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) emitted: u64,
    pub(super) delivered: u64,
    pub(super) refused: u64,
    pub(super) dropped: Dropped,
    pub(super) retried: u64,
    pub(super) last_delivery: Option<OffsetDateTime>,
    pub(super) state: WorkerState,
    drops: Streak,
    refusals: Streak,
}

/// Why a message is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Overflow,
    Age,
    Closed,
    Abandoned,
}

impl Account {
    /// Counts messages that the destination took.
    pub(super) fn deliver(&mut self, messages: u64) {
        if messages > 0 {
            self.delivered += messages;
            self.last_delivery = Some(OffsetDateTime::now_utc());
        }
    }

    /// Counts messages that will never be taken, the last of them because of `error`.
    #[must_use]
    pub(super) fn refuse(&mut self, messages: u64, error: Option<&Error>) -> LossReport {
        self.refused += messages;
        let report = self.refusals.add(messages, Instant::now());
        LossReport {
            refusals: report.map(|report| (report, error.cloned())),
            ..LossReport::default()
        }
    }

    /// Counts messages that are given up.
    #[must_use]
    pub(super) fn drop_messages(&mut self, messages: u64, reason: Reason) -> LossReport {
        let Dropped { overflow, age, closed, abandoned } = &mut self.dropped;
        *match reason {
            Reason::Overflow => overflow,
            Reason::Age => age,
            Reason::Closed => closed,
            // Told once and in full by the worker that ends.
            Reason::Abandoned => {
                *abandoned += messages;
                return LossReport::default();
            }
        } += messages;
        let report = self.drops.add(messages, Instant::now());
        LossReport { drops: report.map(|report| (report, reason)), ..LossReport::default() }
    }

    /// When [`news`](Self::news) will have some.
    pub(super) fn next_news(&self) -> Option<Instant> {
        [self.drops.next_tick(), self.refusals.next_tick()].into_iter().flatten().min()
    }

    /// What there is to say as time passes.
    #[must_use]
    pub(super) fn news(&mut self) -> LossReport {
        let now = Instant::now();
        LossReport {
            drops: self.drops.tick(now).map(|report| (report, Reason::Overflow)),
            refusals: self.refusals.tick(now).map(|report| (report, None)),
        }
    }

    /// What there is to say at the end.
    #[must_use]
    pub(super) fn last_news(&mut self) -> LossReport {
        LossReport {
            drops: self.drops.end().map(|report| (report, Reason::Overflow)),
            refusals: self.refusals.end().map(|report| (report, None)),
        }
    }
}

/// What is to be logged. A logger may do anything, so it is called when no lock is held.
#[derive(Debug, Default)]
pub(super) struct LossReport {
    drops: Option<(Report, Reason)>,
    refusals: Option<(Report, Option<Error>)>,
}

impl LossReport {
    pub(super) fn tell(self) {
        match self.drops {
            None => {}
            Some((Report::Started, reason)) => {
                tracing::warn!("notifications are dropped: {}", reason.as_str());
            }
            Some((Report::Going { count }, _)) => {
                tracing::warn!("notifications are still dropped: {count} so far");
            }
            Some((Report::Ended { count }, _)) => {
                tracing::warn!("notifications are no longer dropped: {count} were");
            }
        }
        match self.refusals {
            None => {}
            Some((Report::Started, Some(error))) => {
                tracing::warn!("notifications are refused: {error:#}");
            }
            Some((Report::Started, None)) => tracing::warn!("notifications are refused"),
            Some((Report::Going { count }, _)) => {
                tracing::warn!("notifications are still refused: {count} so far");
            }
            Some((Report::Ended { count }, _)) => {
                tracing::warn!("notifications are no longer refused: {count} were");
            }
        }
    }
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Overflow => "the queue is full",
            Self::Age => "they are older than `queue.max_age`",
            Self::Closed => "the notifier is closed",
            Self::Abandoned => "the time to drain is over",
        }
    }
}
