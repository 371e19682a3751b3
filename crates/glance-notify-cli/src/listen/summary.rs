//! The summary of `listen`, and its exit status.

use glance_notify::listen::ListenerStats;

use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::{counted, print_error, print_note};

/// The counts of a finished `listen`, and how it ended.
pub(crate) struct ListenSummary {
    pub(super) counts: ListenCounts,
    /// The number of notifications that their publishers numbered and that did not come.
    pub(super) missing: u64,
    pub(super) stats: ListenerStats,
    /// The word for notifications that were handled: "shown".
    pub(super) done_word: &'static str,
    /// Whether a file keeps the dead letters.
    pub(super) keeps_dead_letters: bool,
    pub(super) end: ListenEnd,
    /// The message if not everything was done.
    pub(super) shortfall: Option<String>,
}

/// The counts of what became of the notifications.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ListenCounts {
    /// Notifications that were shown, handled or forwarded.
    pub(super) done: u64,
    /// Notifications that the options leave out, without those that the source passed over.
    pub(super) left_out: u64,
    /// Notifications that the configuration of `--to` leaves out.
    pub(super) suppressed: u64,
    /// Copies of notifications that came before.
    pub(super) copies: u64,
    /// Failures of `--exec` or `--to`. A notification may fail several times.
    pub(super) failures: u64,
}

/// How `listen` ended.
#[derive(Debug)]
pub(super) enum ListenEnd {
    /// Every source is at its end.
    SourcesEnded,
    /// `-n`, or the reader of standard output, which has seen enough.
    Stopped,
    /// Standard output, to which `--to` delivers, is a pipe that no process reads any more.
    StdoutClosed,
    /// A signal.
    Interrupted,
    /// No notification came for the time of `--idle`.
    Idle,
    /// An error of a source or of standard output.
    Failed(CommandError),
}

impl ListenSummary {
    /// Prints the summary to standard error and returns the exit status: `if_nothing` if there was nothing to do.
    ///
    /// # Errors
    ///
    /// Returns the error that ended the command.
    pub(crate) fn print(self, if_nothing: ExitStatus) -> Result<ExitStatus, CommandError> {
        if let Some(message) = &self.shortfall {
            print_error(format_args!("{message}"));
        }
        print_note(format_args!("{}", self.text()));
        let status = self.status(if_nothing);
        match self.end {
            ListenEnd::Failed(error) => Err(error),
            _ => Ok(status),
        }
    }

    /// Returns the exit status: `if_nothing` if there was nothing to do.
    fn status(&self, if_nothing: ExitStatus) -> ExitStatus {
        match self.end {
            _ if self.shortfall.is_some() => ExitStatus::NotDelivered,
            ListenEnd::SourcesEnded
                if self.stats.total.unreadable > 0 && !self.keeps_dead_letters =>
            {
                ExitStatus::InvalidInput
            }
            ListenEnd::SourcesEnded | ListenEnd::Idle
                if self.counts.done + self.counts.suppressed == 0 =>
            {
                if_nothing
            }
            _ => ExitStatus::Success,
        }
    }

    /// Returns the counts as text. Counts of 0 are left out, except for the first two.
    fn text(&self) -> String {
        let ListenCounts { done, left_out, suppressed, copies, failures } = self.counts;
        let total = &self.stats.total;
        let received = total.received + total.skipped;
        let rest = [
            (left_out + total.skipped, "left out"),
            (suppressed, "suppressed"),
            (copies, if copies == 1 { "copy" } else { "copies" }),
            (failures, if failures == 1 { "failure" } else { "failures" }),
            (total.unreadable, "unreadable"),
            (self.missing, "missing by their numbers"),
            (
                total.dead_lettered,
                if self.keeps_dead_letters { "dead-lettered" } else { "discarded" },
            ),
            (total.released, "given back"),
        ];
        let rest = rest.iter().filter(|(count, _)| *count > 0);
        let rest: Vec<_> = rest.map(|(count, word)| format!(", {count} {word}")).collect();
        let sources = match self.stats.sources.len() {
            1 => String::new(),
            several => format!(" from {}", counted(several as u64, "source")),
        };
        format!("{received} received{sources}, {done} {}{}", self.done_word, rest.concat())
    }
}
