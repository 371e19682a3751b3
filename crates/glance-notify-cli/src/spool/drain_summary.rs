//! The summary of a drain: as text, as JSON, and as an exit status.
//!
//! It gets the slots as they are after the drain, so that it can name the messages that remain
//! and the processes that own them:
//!
//! ```text
//! glance-notify: slot 0 is in use by process 4711: that process forwards its remaining messages (3)
//! glance-notify: 11 delivered by `rabbit`, 1 refused, 1 dead letter
//! ```
//!
//! The line of one of several destinations begins with its name.
//!
//! The exit status is a success only if no message is pending anywhere and the destination
//! refused none during this drain.

use glance_notify::Result as NotifyResult;
use glance_notify::pipeline::Stats;
use glance_notify::transport::spool::admin::SlotInfo;
use glance_notify_cli::json_output::write_json;
use serde::Serialize;

use super::slots::ErrorLog;
use crate::exit_status::{CommandError, ExitStatus};
use crate::held_log;
use crate::stop_reason::StopReason;
use crate::terminal::{print_note, print_warning, write_stdout};

/// The slots of a spool, or the error of its directory.
pub(super) type SlotList = NotifyResult<Vec<SlotInfo>>;

/// The result of a drain.
pub(super) struct FinishedDrain {
    /// The strategy that delivered the messages.
    pub(super) strategy: &'static str,
    /// The account of the forwarder.
    pub(super) stats: Stats,
    pub(super) stop_reason: StopReason,
    /// The slots after the drain, or the error of a disk that does not answer.
    pub(super) slots: Result<SlotList, CommandError>,
}

/// The counts of a finished drain, and the reason why it stopped.
pub(super) struct DrainSummary<'a> {
    /// The name of the destination; empty for the only one of the flat form.
    destination: &'a str,
    /// The strategy that delivered the messages.
    strategy: &'static str,
    /// The account of the forwarder.
    stats: Stats,
    stop_reason: StopReason,
    /// The pending messages in slots that no other process owns.
    pending: u64,
    /// The dead letters in all slots.
    dead: u64,
    /// The slots that other processes own.
    foreign: Vec<ForeignSlot>,
    /// The slots that could not be read.
    errors: ErrorLog,
}

/// A slot that another process owns. Scripts read these fields: never rename them.
#[derive(Serialize)]
struct ForeignSlot {
    /// The number of the slot.
    slot: u32,
    /// The process, or `None` if it has not written its id yet.
    pid: Option<u32>,
    /// The messages that the process has to forward, or `None` if it has not counted
    /// them yet.
    pending: Option<u64>,
}

impl<'a> DrainSummary<'a> {
    /// Adds up the slots after a drain. If the disk does not answer, the summary has the account alone.
    ///
    /// # Errors
    ///
    /// Returns an error if the directory cannot be read.
    pub(super) fn new(destination: &'a str, drain: FinishedDrain) -> Result<Self, CommandError> {
        let FinishedDrain { strategy, stats, stop_reason, slots } = drain;
        let mut summary = Self {
            destination,
            strategy,
            stats,
            stop_reason,
            pending: 0,
            dead: 0,
            foreign: Vec::new(),
            errors: ErrorLog::default(),
        };
        let slots = match slots {
            Ok(slots) => slots?,
            Err(error) => {
                summary.errors.ok::<()>(Err(error));
                summary.pending = summary.stats.pending.messages;
                Vec::new()
            }
        };
        for slot in slots {
            let Some(contents) = summary.errors.ok(slot.contents) else { continue };
            let pending = match contents {
                Some(contents) => Some(contents.pending.messages),
                None => (slot.file_bytes == 0).then_some(0),
            };
            match slot.owner {
                // An aborted drain may still own slots itself: those are not foreign.
                Some(pid) if pid != std::process::id() => {
                    let pid = (pid != 0).then_some(pid);
                    summary.foreign.push(ForeignSlot { slot: slot.number, pid, pending });
                }
                _ => summary.pending += pending.unwrap_or_default(),
            }
            summary.dead += contents.map_or(0, |contents| contents.dead.messages);
        }
        Ok(summary)
    }

    /// Prints the summary and returns the exit status.
    ///
    /// # Errors
    ///
    /// Returns an error if the JSON object cannot be written to standard output.
    pub(super) fn print(self, as_json: bool) -> Result<ExitStatus, CommandError> {
        // The error log has printed an unreadable slot already.
        if self.errors.is_empty() || !matches!(self.stop_reason, StopReason::Failed(_)) {
            self.stop_reason.print();
        }
        held_log::release_all();
        self.foreign.iter().for_each(ForeignSlot::print);
        if as_json {
            write_stdout(|out| write_json(out, &self.report()))?;
        } else {
            print_note(format_args!("{}", self.text()));
        }
        Ok(self.status())
    }

    /// Returns the exit status: the most serious thing that happened decides.
    ///
    /// Dead letters of earlier runs do not count: they wait for a decision of yours.
    fn status(&self) -> ExitStatus {
        let Self { stats, stop_reason, pending, foreign, errors, .. } = self;
        let stopped = match stop_reason {
            StopReason::PermanentError(_) | StopReason::ForwardingFails(_) => {
                ExitStatus::PermanentError
            }
            StopReason::Failed(error) => error.status,
            StopReason::DrainCutShort(_)
            | StopReason::NoProgress(..)
            | StopReason::StdoutClosed => ExitStatus::NotDelivered,
            StopReason::Completed | StopReason::Interrupted => ExitStatus::Success,
        };
        let messages_remain = stats.refused + stats.dropped.total() + pending > 0
            || foreign.iter().any(|slot| slot.pending != Some(0));
        match (stopped, errors.status()) {
            (ExitStatus::PermanentError, _) | (_, ExitStatus::PermanentError) => {
                ExitStatus::PermanentError
            }
            (ExitStatus::Success, ExitStatus::Success) if !messages_remain => ExitStatus::Success,
            _ => ExitStatus::NotDelivered,
        }
    }

    /// Returns the text form. Counts of 0 are left out, except for the first.
    fn text(&self) -> String {
        let Self { destination, strategy, stats, pending, dead, .. } = self;
        let name = if destination.is_empty() { String::new() } else { format!("{destination}: ") };
        let rest = [
            (stats.refused, "refused"),
            (stats.dropped.total(), "quarantined"),
            (*pending, "pending"),
            (*dead, if *dead == 1 { "dead letter" } else { "dead letters" }),
        ];
        let rest = rest.iter().filter(|(count, _)| *count > 0);
        let rest: Vec<_> = rest.map(|(count, counter)| format!(", {count} {counter}")).collect();
        format!("{name}{} delivered by `{strategy}`{}", stats.delivered, rest.concat())
    }

    /// Returns the JSON form.
    fn report(&self) -> DrainReport<'_> {
        let Self { destination, strategy, stats, pending, dead, foreign, .. } = self;
        DrainReport {
            destination,
            strategy,
            delivered: stats.delivered,
            refused: stats.refused,
            dropped: stats.dropped.total(),
            pending: *pending,
            dead: *dead,
            held: foreign,
        }
    }
}

impl ForeignSlot {
    /// Prints which process owns the slot and how many messages remain in it.
    fn print(&self) {
        let Self { slot, pid, pending } = self;
        let process = pid.map_or_else(|| "a process".to_owned(), |pid| format!("process {pid}"));
        let pending = match pending {
            Some(0) => "no messages remain in it".to_owned(),
            Some(pending) => format!("that process forwards its remaining messages ({pending})"),
            None => "that process forwards its remaining messages".to_owned(),
        };
        print_warning(format_args!("slot {slot} is in use by {process}: {pending}"));
    }
}

/// The JSON form of the summary. Scripts read these fields: never rename them.
#[derive(Serialize)]
struct DrainReport<'a> {
    /// The name of the destination, if it has one.
    #[serde(skip_serializing_if = "str::is_empty")]
    destination: &'a str,
    strategy: &'a str,
    /// Messages that the destination accepted during this drain.
    delivered: u64,
    /// Messages that became dead letters during this drain.
    refused: u64,
    /// Messages in slots that went into quarantine.
    dropped: u64,
    /// Pending messages in slots that no other process owns.
    pending: u64,
    /// Dead letters in all slots, including older ones.
    dead: u64,
    /// The slots that other processes own.
    held: &'a [ForeignSlot],
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that does not answer leaves the account, and the status says that something is not finished.
    #[test]
    fn a_disk_that_does_not_answer_leaves_the_account() {
        let mut stats = Stats::default();
        stats.delivered = 2;
        stats.pending.messages = 3;
        let error = CommandError::new(ExitStatus::NotDelivered, "the spool `s` does not answer");
        let (stop_reason, slots) = (StopReason::Completed, Err(error));
        let drain = FinishedDrain { strategy: "log", stats, stop_reason, slots };
        let summary = DrainSummary::new("", drain).unwrap();
        assert_eq!(summary.text(), "2 delivered by `log`, 3 pending");
        assert_eq!(summary.status(), ExitStatus::NotDelivered);
    }
}
