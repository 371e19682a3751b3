//! The summary of an `emit`: as text, as JSON, and as an exit status.
//!
//! The text names only the counters that are not 0, after the number of lines and of
//! deliveries:
//!
//! ```text
//! glance-notify: 40 read, 36 delivered by `rabbit`, 2 invalid, 1 refused, 1 dropped
//! ```
//!
//! With a spool, `delivered` means stored on the disk, and a second line reports the
//! forwarding from there. It covers everything in the spool, including the messages of
//! earlier runs:
//!
//! ```text
//! glance-notify: 11 read, 11 delivered by `spool`
//! glance-notify: spool: 0 forwarded by `rabbit`, 11 pending
//! ```
//!
//! Each of several destinations has a line of its own:
//!
//! ```text
//! glance-notify: 11 read
//! glance-notify: audit: 11 delivered by `log`
//! glance-notify: failures (optional): 1 delivered by `rabbit`, 10 suppressed
//! ```
//!
//! The JSON form is one object with all counters of each destination, as `docs/counters.md` explains them:
//!
//! ```text
//! {"read":11,"invalid":0,"destinations":[{"strategy":"spool","emitted":11,"delivered":11,…,
//! "forwarded":{"strategy":"rabbit","emitted":11,"delivered":0,…}}]}
//! ```

use glance_notify::pipeline::{DestinationAccount, Stats};
use glance_notify_cli::json_output::write_json;
use serde::Serialize;

use crate::exit_status::{CommandError, ExitStatus};
use crate::held_log;
use crate::output_format::TextOrJson;
use crate::stop_reason::{StopReason, deciding};
use crate::terminal::{print_error, print_note, print_warning, write_stdout};

/// The counts of a finished `emit`, and the reason why it stopped.
pub(super) struct EmitSummary {
    /// The number of lines that are not blank.
    pub(super) read: u64,
    /// The number of lines that are no valid notification.
    pub(super) invalid: u64,
    /// The line number of the last line read.
    pub(super) last_line: u64,
    /// Whether the input is a file that was not read to its end.
    pub(super) stopped_early: bool,
    /// The accounts of the destinations.
    pub(super) destinations: Vec<DestinationAccount>,
    /// The most serious reason why the command stopped.
    pub(super) stop_reason: StopReason,
}

impl EmitSummary {
    /// Prints the summary and returns the exit status.
    ///
    /// # Errors
    ///
    /// Returns an error if the JSON object cannot be written to standard output.
    pub(super) fn print(self, output: TextOrJson) -> Result<ExitStatus, CommandError> {
        self.stop_reason.print();
        held_log::release_all();
        if self.stopped_early {
            let hint = match &self.stop_reason {
                StopReason::Failed(error) if error.status == ExitStatus::InvalidInput => {
                    " (add `--skip-invalid` to skip invalid lines, or `--rejected FILE` to keep them)"
                }
                _ => "",
            };
            print_error(format_args!("the input after line {} was not read{hint}", self.last_line));
        }
        if self.destinations.iter().all(|it| it.strategy == "noop") {
            print_warning(format_args!(
                "nothing was sent because the strategy is `noop`: set `strategy` to your destination"
            ));
        }
        if output.is_json() {
            write_stdout(|out| write_json(out, &self.report()))?;
        } else {
            self.lines().iter().for_each(|line| print_note(format_args!("{line}")));
        }
        Ok(self.status())
    }

    /// Returns the exit status: the most serious thing that happened decides.
    ///
    /// A permanent error comes before lost messages, and those come before invalid lines.
    /// An interrupted file counts as undelivered, because a part of it was not read. An
    /// interrupted pipe is an ordinary end: the writer decides how much it sends. Optional destinations do
    /// not count beside required ones.
    fn status(&self) -> ExitStatus {
        let lost = |it: &DestinationAccount| {
            let Stats { refused, dropped, pending, .. } = &it.stats;
            refused + dropped.total() + pending.messages > 0
        };
        match &self.stop_reason {
            StopReason::PermanentError(_) | StopReason::ForwardingFails(_) => {
                ExitStatus::PermanentError
            }
            StopReason::Failed(error) if error.status != ExitStatus::InvalidInput => error.status,
            StopReason::DrainCutShort(_)
            | StopReason::NoProgress(..)
            | StopReason::StdoutClosed => ExitStatus::NotDelivered,
            _ if deciding(self.destinations.clone()).iter().any(lost) => ExitStatus::NotDelivered,
            StopReason::Interrupted if self.stopped_early => ExitStatus::NotDelivered,
            _ if self.invalid > 0 => ExitStatus::InvalidInput,
            _ => ExitStatus::Success,
        }
    }

    /// Returns the lines of the text form. Counts of 0 are left out, except for the first two.
    fn lines(&self) -> Vec<String> {
        let invalid = counted(&[(self.invalid, "invalid")]);
        let [only] = self.destinations.as_slice() else {
            let read = format!("{} read{invalid}", self.read);
            return std::iter::once(read).chain(self.destinations.iter().map(named_text)).collect();
        };
        let DestinationAccount { strategy, stats, forwarded, .. } = only;
        let delivered = format!("{} delivered by `{strategy}`", stats.delivered);
        let line = format!("{} read, {delivered}{invalid}{}", self.read, lost(stats));
        let forwarding = forwarded
            .as_ref()
            .map(|(strategy, stats)| format!("spool: {}", forwarding_text(strategy, stats)));
        std::iter::once(line).chain(forwarding).collect()
    }

    /// Returns the JSON form.
    fn report(&self) -> EmitReport<'_> {
        EmitReport {
            read: self.read,
            invalid: self.invalid,
            destinations: self.destinations.iter().map(DestinationReport::new).collect(),
        }
    }
}

/// Returns the text about one of several destinations.
fn named_text(account: &DestinationAccount) -> String {
    let DestinationAccount { name, required, strategy, stats, forwarded, .. } = account;
    let optional = if *required { "" } else { " (optional)" };
    let forwarded = forwarded
        .as_ref()
        .map(|(strategy, stats)| format!("; {}", forwarding_text(strategy, stats)))
        .unwrap_or_default();
    let delivered = stats.delivered;
    format!("{name}{optional}: {delivered} delivered by `{strategy}`{}{forwarded}", lost(stats))
}

/// Returns the counts of an account that are not 0, but for the deliveries.
fn lost(stats: &Stats) -> String {
    let Stats { refused, dropped, suppressed, .. } = stats;
    counted(&[(*refused, "refused"), (dropped.total(), "dropped"), (*suppressed, "suppressed")])
}

/// Returns the counts that are not 0, each after a comma.
fn counted(counts: &[(u64, &str)]) -> String {
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts = counts.map(|(count, counter)| format!(", {count} {counter}"));
    counts.collect::<Vec<_>>().concat()
}

/// Returns the text about the spool: its messages include those of earlier runs.
fn forwarding_text(strategy: &str, stats: &Stats) -> String {
    let Stats { delivered, refused, pending, .. } = stats;
    let refused = match refused {
        0 => String::new(),
        refused => format!(", {refused} refused and kept as dead letters"),
    };
    format!("{delivered} forwarded by `{strategy}`{refused}, {} pending", pending.messages)
}

/// The JSON form of the summary. Scripts read these fields: never rename them.
#[derive(Serialize)]
struct EmitReport<'a> {
    /// Lines that are not blank.
    read: u64,
    /// Lines that are no valid notification.
    invalid: u64,
    /// The accounts of the destinations.
    destinations: Vec<DestinationReport<'a>>,
}

/// The account of one destination.
#[derive(Serialize)]
struct DestinationReport<'a> {
    /// The name of the destination; absent in the flat form.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// Whether the exit status depends on it; absent in the flat form.
    #[serde(skip_serializing_if = "Option::is_none")]
    required: Option<bool>,
    /// The name of the first stage: the strategy, or `spool`.
    strategy: &'a str,
    #[serde(flatten)]
    stats: &'a Stats,
    /// The forwarding from the spool, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    forwarded: Option<StageReport<'a>>,
}

impl<'a> DestinationReport<'a> {
    /// Returns the form of an account.
    fn new(account: &'a DestinationAccount) -> Self {
        let DestinationAccount { name, required, strategy, stats, forwarded, .. } = account;
        let is_named = !name.is_empty();
        Self {
            name: is_named.then_some(name),
            required: is_named.then_some(*required),
            strategy,
            stats,
            forwarded: forwarded.as_ref().map(|(strategy, stats)| StageReport { strategy, stats }),
        }
    }
}

/// The field `forwarded` of the JSON form: the account of the spool's forwarder.
#[derive(Serialize)]
struct StageReport<'a> {
    strategy: &'a str,
    #[serde(flatten)]
    stats: &'a Stats,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A script removes the file after 4, so that an unread rest must give 3 also beside invalid lines.
    #[test]
    fn the_unread_rest_of_a_file_comes_before_invalid_lines() {
        for (stopped_early, status) in
            [(true, ExitStatus::NotDelivered), (false, ExitStatus::InvalidInput)]
        {
            let summary = EmitSummary {
                read: 2,
                invalid: 1,
                last_line: 2,
                stopped_early,
                destinations: Vec::new(),
                stop_reason: StopReason::Interrupted,
            };
            assert_eq!(summary.status(), status);
        }
    }
}
