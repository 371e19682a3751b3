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
use crate::terminal::{print_error, stdout_is_closed};

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
    required_or_all(accounts, |account| account.required)
}

/// Returns the required ones, or all if none is required.
fn required_or_all<T>(mut destinations: Vec<T>, is_required: impl Fn(&T) -> bool) -> Vec<T> {
    if destinations.iter().any(&is_required) {
        destinations.retain(is_required);
    }
    destinations
}

/// The need of a command for standard output: without its reader, the command is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StdoutNeed(bool);

impl StdoutNeed {
    /// Returns the need of a command that delivers: a destination that decides about the end may write to standard
    /// output.
    pub(crate) fn of(config: &Config) -> Self {
        let is_target =
            |entry: &ConfigEntry| entry.key == "log.target" && entry.value == "\"stdout\"";
        let deciding = required_or_all(config.destinations(), |it| it.is_required());
        Self(deciding.iter().any(|it| it.config().entries().iter().any(is_target)))
    }

    /// Returns the need of a command that also prints to standard output by itself, if `prints` is `true`.
    pub(crate) fn or(self, prints: bool) -> Self {
        Self(self.0 || prints)
    }

    /// Returns whether the command needs standard output, and no process reads that any more.
    pub(crate) fn is_lost(self) -> bool {
        self.0 && stdout_is_closed()
    }
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

#[cfg(test)]
#[cfg(feature = "log")]
mod tests {
    use super::*;

    /// The required destinations decide whether a command needs standard output, or all if none is required.
    #[test]
    fn the_deciding_destinations_need_standard_output() {
        let need = |out: bool, copy: bool| {
            let config: Config = format!(
                "[[destination]]\nname = 'out'\nrequired = {out}\nstrategy = 'log'\n\
                 log.target = 'stdout'\n\
                 [[destination]]\nname = 'copy'\nrequired = {copy}\nstrategy = 'log'\n\
                 log.file = 'copy.jsonl'\n"
            )
            .parse()
            .unwrap();
            StdoutNeed::of(&config)
        };
        for (out, copy, is_needed) in
            [(true, true, true), (true, false, true), (false, true, false), (false, false, true)]
        {
            assert_eq!(need(out, copy), StdoutNeed(is_needed), "{out} {copy}");
        }
        assert_eq!(need(false, true).or(true), StdoutNeed(true));
    }
}
