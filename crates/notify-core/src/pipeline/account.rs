//! The counters of one notifier, and the warnings about its losses.
//!
//! The queue's mutex guards an [`Account`]. Nothing here logs while it is held: methods return a
//! [`LossReport`], which the caller logs after the unlock.

use time::OffsetDateTime;
use tokio::time::Instant;

use super::queue_config::QueueConfig;
use super::stats::DropCounts;
use super::streak::{LossStreak, StreakReport};
use crate::error::{Error, ErrorKind};

/// The counters of one notifier, without those of pending messages.
///
/// The queue itself counts the pending messages, since it holds them.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) emitted: u64,
    pub(super) delivered: u64,
    pub(super) refused: u64,
    pub(super) dropped: DropCounts,
    pub(super) retried: u64,
    pub(super) last_delivery: Option<OffsetDateTime>,
    drops: LossStreak,
    refusals: LossStreak,
}

/// The reason why the notifier drops a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DropReason {
    /// The queue is full.
    Overflow,
    /// The message is older than `queue.max_age`.
    Age,
    /// The caller emitted it after the notifier was closed.
    Closed,
    /// The worker ended before it delivered the message.
    Abandoned,
}

impl Account {
    /// Counts messages that the destination accepted.
    pub(super) fn deliver(&mut self, messages: u64) {
        if messages > 0 {
            self.delivered += messages;
            self.last_delivery = Some(OffsetDateTime::now_utc());
        }
    }

    /// Counts refused messages; `error` is the reason for the last of them.
    #[must_use]
    pub(super) fn refuse(&mut self, messages: u64, error: Option<&Error>) -> LossReport {
        self.refused += messages;
        let report = self.refusals.add(messages, Instant::now());
        LossReport {
            refusals: report.map(|report| (report, error.cloned())),
            ..LossReport::default()
        }
    }

    /// Counts dropped messages.
    #[must_use]
    pub(super) fn drop_messages(&mut self, messages: u64, reason: DropReason) -> LossReport {
        let DropCounts { overflow, age, closed, abandoned } = &mut self.dropped;
        *match reason {
            DropReason::Overflow => overflow,
            DropReason::Age => age,
            DropReason::Closed => closed,
            // `Queue::end` logs the total of these once.
            DropReason::Abandoned => {
                *abandoned += messages;
                return LossReport::default();
            }
        } += messages;
        let report = self.drops.add(messages, Instant::now());
        LossReport { drops: report.map(|report| (report, reason)), ..LossReport::default() }
    }

    /// Returns the time at which [`due_report`](Self::due_report) has a report.
    pub(super) fn next_report(&self) -> Option<Instant> {
        [self.drops.next_report(), self.refusals.next_report()].into_iter().flatten().min()
    }

    /// Returns the reports that are due now.
    #[must_use]
    pub(super) fn due_report(&mut self) -> LossReport {
        let now = Instant::now();
        LossReport {
            drops: self.drops.tick(now).map(|report| (report, DropReason::Overflow)),
            refusals: self.refusals.tick(now).map(|report| (report, None)),
        }
    }

    /// Ends both streaks and returns their totals.
    #[must_use]
    pub(super) fn final_report(&mut self) -> LossReport {
        LossReport {
            drops: self.drops.end().map(|report| (report, DropReason::Overflow)),
            refusals: self.refusals.end().map(|report| (report, None)),
        }
    }
}

/// Warnings to log once the caller holds no lock, since a logger may run any code.
#[derive(Debug, Default)]
pub(super) struct LossReport {
    drops: Option<(StreakReport, DropReason)>,
    refusals: Option<(StreakReport, Option<Error>)>,
}

impl LossReport {
    /// Logs the warnings, each after `prefix`. Call it without the queue's lock.
    pub(super) fn log(self, prefix: &str) {
        match self.drops {
            None => {}
            Some((StreakReport::Start, reason)) => {
                tracing::warn!("{prefix}dropping notifications: {}", reason.as_str());
            }
            Some((StreakReport::Update { count }, _)) => {
                tracing::warn!("{prefix}still dropping notifications: {count} so far");
            }
            Some((StreakReport::End { count }, _)) => {
                tracing::warn!("{prefix}no longer dropping notifications: {count} in total");
            }
        }
        match self.refusals {
            None => {}
            Some((StreakReport::Start, Some(error))) => {
                tracing::warn!("{prefix}notifications refused: {error:#}");
            }
            Some((StreakReport::Start, None)) => tracing::warn!("{prefix}notifications refused"),
            Some((StreakReport::Update { count }, _)) => {
                tracing::warn!("{prefix}notifications still refused: {count} so far");
            }
            Some((StreakReport::End { count }, _)) => {
                tracing::warn!("{prefix}notifications no longer refused: {count} in total");
            }
        }
    }
}

impl DropReason {
    /// Returns the error that the receipt of a dropped message resolves to.
    pub(super) fn error(self, config: &QueueConfig) -> Error {
        let QueueConfig { max_messages, max_bytes, .. } = config;
        match self {
            Self::Overflow => Error::new(
                ErrorKind::Full,
                format!(
                    "queue full: raise `queue.max_messages` ({max_messages}) or `queue.max_bytes` \
                     ({max_bytes}), or check why delivery is slow or fails"
                ),
            ),
            Self::Age => Error::new(ErrorKind::Timeout, "not delivered within `queue.max_age`"),
            Self::Closed => Error::new(ErrorKind::Closed, "the notifier is closed"),
            Self::Abandoned => Error::new(
                ErrorKind::Closed,
                "not delivered before the worker ended: raise `queue.drain_timeout` to give it more \
                 time",
            ),
        }
    }

    /// Returns the reason as the log gives it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Overflow => {
                "queue full: raise `queue.max_messages` or `queue.max_bytes`, or check why delivery is \
                 slow or fails"
            }
            Self::Age => "older than `queue.max_age`",
            Self::Closed => "the notifier is closed",
            Self::Abandoned => "the worker ended",
        }
    }
}
