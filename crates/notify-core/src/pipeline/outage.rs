//! Outages of a destination and of its lanes, and the log lines about them.
//!
//! A destination may fail and recover several times a second, as a disk that is almost full does. It
//! must not fill the log. Nothing here logs while the queue's mutex is held: methods return an
//! [`OutageReport`], which the caller logs after the unlock.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use crate::error::Error;

/// The failures of a connection or of a lane since the last success, and the lines that the log has.
#[derive(Debug, Default)]
pub(super) struct Outage {
    failure: Option<Failure>,
    /// Whether the log has a line about this outage.
    is_logged: bool,
    /// The time of the last warning about a transient failure.
    last_warning: Option<Instant>,
}

/// The last failure of an outage.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// The time of the first failure of the outage.
    pub(super) since: OffsetDateTime,
    pub(super) error: Error,
    /// Whether only an operator can fix the error. A verdict to retry is never permanent.
    pub(super) permanent: bool,
}

/// A line for the log.
#[derive(Debug)]
pub(super) enum OutageReport {
    /// The first permanent error of an outage.
    Permanent(Error),
    /// The first transient error of an outage.
    Transient(Error),
    /// The end of an outage that the log has.
    Resumed {
        /// Its length in seconds.
        seconds: i64,
    },
}

impl Outage {
    /// Returns the last failure while the outage lasts.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Records a failure, which starts the outage unless it lasts already.
    ///
    /// Reports the first permanent error, and the first transient error if the last such warning is a
    /// minute old.
    pub(super) fn fail(&mut self, error: Error, permanent: bool) -> Option<OutageReport> {
        let was_permanent = self.failure.as_ref().is_some_and(|failure| failure.permanent);
        let since = self.failure.as_ref().map_or_else(OffsetDateTime::now_utc, |it| it.since);
        self.failure = Some(Failure { since, error: error.clone(), permanent });
        if permanent && !was_permanent {
            self.is_logged = true;
            Some(OutageReport::Permanent(error))
        } else if !self.is_logged && !self.warned_recently() {
            self.is_logged = true;
            self.last_warning = Some(Instant::now());
            Some(OutageReport::Transient(error))
        } else {
            None
        }
    }

    /// Ends the outage. Reports that if the log has the outage.
    pub(super) fn end(&mut self) -> Option<OutageReport> {
        let since = self.failure.take()?.since;
        std::mem::take(&mut self.is_logged).then(|| OutageReport::Resumed {
            seconds: (OffsetDateTime::now_utc() - since).whole_seconds(),
        })
    }

    /// Returns whether the last warning is less than a minute old.
    fn warned_recently(&self) -> bool {
        self.last_warning.is_some_and(|time| time.elapsed() < WARNING_INTERVAL)
    }
}

impl OutageReport {
    /// Logs the line about the destination `name`, or about its lane if the lane has a name.
    pub(super) fn log(self, name: &str, lane: &str) {
        let at = if lane.is_empty() { String::new() } else { format!(", lane `{lane}`") };
        match self {
            Self::Permanent(error) => {
                tracing::error!("`{name}`{at}: permanent error, retrying every 30 s: {error:#}");
            }
            Self::Transient(error) => {
                tracing::warn!("`{name}`{at}: delivery failed, retrying: {error:#}");
            }
            Self::Resumed { seconds } => {
                tracing::info!("`{name}`{at}: delivery resumed after {seconds} s");
            }
        }
    }
}

/// The shortest time between two warnings about transient failures.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);
