//! The reason why a command stopped delivering.
//!
//! `emit` and `spool drain` share it: both watch a delivery, stop it for the same
//! reasons, and report the most serious one.
//!
//! A later reason never hides a more serious earlier one. If you press Ctrl-C while the
//! destination reports a permanent error, the command reports the error.

use std::time::Duration;

use glance_notify::Config;
use glance_notify::config::ConfigEntry;
use glance_notify::pipeline::{DestinationAccount, Stats, WorkerState};
use glance_notify::transport::printable;

use crate::exit_status::CommandError;
use crate::held_log;
use crate::terminal::print_error;

/// The reason why delivering stopped.
pub(crate) enum StopReason {
    /// Every message has its outcome.
    Completed,
    /// A signal arrived, and every message that was read got its outcome in time.
    Interrupted,
    /// A signal arrived, and then `queue.drain_timeout` expired or a second signal
    /// arrived. Holds the last error of the destination.
    DrainCutShort(Option<String>),
    /// The destination accepted nothing for the given time, which is `--timeout`.
    /// Holds the last error of the destination.
    NoProgress(Duration, Option<String>),
    /// Standard output, which the command needs, is a pipe that no process reads any more.
    StdoutClosed,
    /// The destination reports a permanent error: only an operator can help.
    PermanentError(String),
    /// Everything is in the spool, but the destination behind it reports a permanent error.
    ForwardingFails(String),
    /// The input is invalid, or a file cannot be read or written.
    Failed(CommandError),
}

impl StopReason {
    /// Returns whether the command gives up on the pending messages.
    pub(crate) fn abandons_pending(&self) -> bool {
        matches!(
            self,
            Self::DrainCutShort(_)
                | Self::NoProgress(..)
                | Self::StdoutClosed
                | Self::PermanentError(_)
        )
    }

    /// Replaces this reason with `other` if that is more serious.
    pub(crate) fn escalate(&mut self, other: Self) {
        if other.severity() > self.severity() {
            *self = other;
        }
    }

    /// Prints the reason to standard error, unless it is an ordinary end.
    ///
    /// Names the error of the destination only if no earlier line did.
    pub(crate) fn print(&self) {
        match self {
            Self::Completed | Self::Interrupted => {}
            Self::Failed(error) => print_error(format_args!("{}", error.message)),
            Self::DrainCutShort(error) => print_error(format_args!(
                "gave up before everything was delivered{}",
                error_suffix(error.as_deref())
            )),
            Self::NoProgress(timeout, error) => print_error(format_args!(
                "gave up: nothing was delivered for {} s (see `--timeout`){}",
                timeout.as_secs_f64(),
                error_suffix(error.as_deref())
            )),
            Self::StdoutClosed => print_error(format_args!("gave up because {STDOUT_CLOSED}")),
            Self::PermanentError(error) => print_error(format_args!(
                "gave up after a permanent error{}",
                error_suffix(Some(error))
            )),
            Self::ForwardingFails(error) => print_error(format_args!(
                "the spool cannot forward the notifications, permanent error{}",
                error_suffix(Some(error))
            )),
        }
    }

    /// Returns the rank that [`escalate`](Self::escalate) compares.
    fn severity(&self) -> u8 {
        match self {
            Self::Completed => 0,
            Self::Interrupted => 1,
            Self::Failed(_) => 2,
            Self::DrainCutShort(_) | Self::NoProgress(..) | Self::StdoutClosed => 3,
            Self::PermanentError(_) | Self::ForwardingFails(_) => 4,
        }
    }
}

/// Returns the accounts that decide about the end and the exit status: those of the required destinations,
/// or all of them if none is required.
pub(crate) fn deciding(accounts: Vec<DestinationAccount>) -> Vec<DestinationAccount> {
    let has_required = accounts.iter().any(|account| account.required);
    accounts.into_iter().filter(|account| account.required || !has_required).collect()
}

/// Returns whether a destination that decides about the end delivers to standard output.
pub(crate) fn needs_stdout(config: &Config) -> bool {
    let destinations = config.destinations();
    let has_required = destinations.iter().any(|destination| destination.is_required());
    let is_target = |entry: &ConfigEntry| entry.key == "log.target" && entry.value == "\"stdout\"";
    destinations
        .iter()
        .filter(|destination| destination.is_required() || !has_required)
        .any(|destination| destination.config().entries().iter().any(is_target))
}

/// Returns the permanent error of a destination that has accepted nothing yet.
pub(crate) fn permanent_error(accounts: &[DestinationAccount]) -> Option<String> {
    accounts.iter().find_map(|account| match &account.stats.state {
        WorkerState::Retrying { error, permanent: true, .. } if account.stats.delivered == 0 => {
            Some(error.clone())
        }
        _ => None,
    })
}

/// Returns the error of the last attempt, if the worker is about to retry it.
pub(crate) fn last_error(stats: &Stats) -> Option<String> {
    match &stats.state {
        WorkerState::Retrying { error, .. } => Some(error.clone()),
        _ => None,
    }
}

/// The message for standard output that a destination needs and no process reads.
pub(crate) const STDOUT_CLOSED: &str = "standard output is closed: keep its reader running";

/// Returns `error` as the end of a message, or nothing.
fn error_suffix(error: Option<&str>) -> String {
    let unseen = error.filter(|error| !held_log::has_shown(error));
    unseen.map(|error| format!(": {}", printable(error, 1024))).unwrap_or_default()
}
