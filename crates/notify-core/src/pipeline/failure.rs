//! The failure of an attempt, and the log lines about failing and recovering delivery.
//!
//! A destination may fail and recover several times a second, as a disk that is almost full does. It must
//! not fill the log.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use crate::error::Error;

/// The reason why an attempt left messages in the batch.
pub(super) struct AttemptFailure {
    pub(super) error: Error,
    /// Whether only an operator can fix the error. A verdict to retry is never permanent.
    pub(super) permanent: bool,
    /// Whether the attempt settled other messages.
    pub(super) progressed: bool,
}

/// A record of the failures that the log has.
#[derive(Debug, Default)]
pub(super) struct FailureLog {
    /// Whether the log has a line about the current run of failures.
    is_logged: bool,
    /// The time of the last warning about a transient failure.
    last_warning: Option<Instant>,
}

impl FailureLog {
    /// Logs the failure of an attempt: the first permanent error of a run, or the first transient error
    /// of a run if the last such warning is a minute old.
    ///
    /// `was_permanent` says whether the attempt before failed with a permanent error.
    pub(super) fn log_failure(
        &mut self,
        name: &str,
        failure: &AttemptFailure,
        was_permanent: bool,
    ) {
        let AttemptFailure { error, permanent, .. } = failure;
        if *permanent && !was_permanent {
            tracing::error!("`{name}`: permanent error, retrying every 30 s: {error:#}");
            self.is_logged = true;
        } else if !self.is_logged && !self.warned_recently() {
            tracing::warn!("`{name}`: delivery failed, retrying: {error:#}");
            self.is_logged = true;
            self.last_warning = Some(Instant::now());
        }
    }

    /// Logs that delivery works again after the failures since `since`, if the log has them.
    pub(super) fn log_recovery(&mut self, name: &str, since: OffsetDateTime) {
        if std::mem::take(&mut self.is_logged) {
            let seconds = (OffsetDateTime::now_utc() - since).whole_seconds();
            tracing::info!("`{name}`: delivery resumed after {seconds} s");
        }
    }

    /// Returns whether the last warning is less than a minute old.
    fn warned_recently(&self) -> bool {
        self.last_warning.is_some_and(|time| time.elapsed() < WARNING_INTERVAL)
    }
}

/// The shortest time between two warnings about transient failures.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);
