//! What `listen` does with a notification: print it, run a command for it, or send it on.

use std::io::{self, Write};
use std::path::Path;
use std::pin::Pin;

use glance_notify::Outcome;
use glance_notify::listen::{Delivery, SourceConfig};
use glance_notify::pipeline::Receipt;
use glance_notify_cli::json_output::write_json;
use notify_archive::question::{Calendar, ProjectNames};
use notify_archive::record::EventRecord;

use super::args::{ListenArgs, ListenFormat};
use super::exec_command::ExecCommand;
use super::forwarding::ForwardTarget;
use super::notification_json::NotificationJson;
use super::notification_line::LineWriter;
use super::recent_ids::ContentId;
use super::summary::ListenEnd;
use crate::exit_status::{CommandError, ExitStatus};
use crate::file_identity::FileIdentity;
use crate::terminal::stdout_is_closed;

/// A notification that was selected, with the delivery to settle.
pub(super) struct SelectedDelivery {
    pub(super) delivery: Delivery,
    pub(super) id: ContentId,
    pub(super) record: EventRecord,
}

/// The work for one or more notifications, and what became of it.
pub(super) type HandlerJob = Pin<Box<dyn Future<Output = JobOutcome> + Send>>;

/// What became of the work for one or more notifications. Their deliveries are settled.
pub(super) struct JobOutcome {
    /// The identities of the notifications.
    pub(super) ids: Vec<ContentId>,
    /// The reason if the work failed.
    pub(super) failure: Option<String>,
    /// Whether the configuration of `--to` leaves them out, so that nothing was sent.
    pub(super) is_suppressed: bool,
}

/// What `listen` does with notifications.
pub(crate) enum NotificationHandler {
    /// Prints them.
    Print(ListenFormat, Box<LineWriter>),
    /// Runs a command.
    Exec { command: ExecCommand, batch: usize, jobs: usize },
    /// Only counts them.
    Count,
    /// Sends them on.
    Forward(Box<ForwardTarget>),
}

impl NotificationHandler {
    /// Creates the handler that the options ask for.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration of `--to` is invalid, and for standard output that is the file of a
    /// source.
    pub(super) fn new(
        args: &ListenArgs,
        calendar: Calendar,
        names: ProjectNames,
        sources: &[SourceConfig],
    ) -> Result<Self, CommandError> {
        if let Some(path) = &args.to {
            return Self::forward(path, sources);
        }
        if let Some(text) = &args.exec {
            let command = ExecCommand { text: text.clone(), timeout: args.exec_timeout };
            let (batch, jobs) = (args.exec_batch as usize, args.jobs as usize);
            return Ok(Self::Exec { command, batch, jobs });
        }
        let stdout = FileIdentity::of_stream(&io::stdout());
        if stdout.is_some_and(|stdout| input_files(sources).contains(&stdout)) {
            let message = "standard output is the input file: redirect it to another";
            return Err(CommandError::new(ExitStatus::PermanentError, message));
        }
        let lines = LineWriter::new(calendar, names, sources.len() > 1);
        Ok(Self::Print(args.output, Box::new(lines)))
    }

    /// Returns the handler that sends the notifications of `sources` to the destination of a configuration.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration is invalid, or if it appends to the file of a source.
    pub(crate) fn forward(path: &Path, sources: &[SourceConfig]) -> Result<Self, CommandError> {
        Ok(Self::Forward(Box::new(ForwardTarget::open(path, &input_files(sources))?)))
    }

    /// Returns whether notifications go to standard output.
    pub(super) fn is_printing(&self) -> bool {
        matches!(self, Self::Print(..))
    }

    /// Returns the end if notifications go to standard output and no process reads that any more. A reader of
    /// printed notifications has seen enough; a destination is not delivered to.
    pub(super) fn end_without_reader(&self) -> Option<ListenEnd> {
        match self {
            Self::Print(..) if stdout_is_closed() => Some(ListenEnd::Stopped),
            Self::Forward(target) if target.has_lost_stdout() => Some(ListenEnd::StdoutClosed),
            _ => None,
        }
    }

    /// Returns whether the work is done as soon as a notification is selected.
    pub(super) fn is_immediate(&self) -> bool {
        matches!(self, Self::Print(..) | Self::Count)
    }

    /// Returns the largest number of notifications that one job takes.
    pub(super) fn batch(&self) -> usize {
        match self {
            Self::Exec { batch, .. } => *batch,
            Self::Print(..) | Self::Count | Self::Forward(_) => 1,
        }
    }

    /// Returns the largest number of jobs at once.
    pub(super) fn jobs(&self) -> usize {
        match self {
            Self::Exec { jobs, .. } => *jobs,
            Self::Print(..) | Self::Count => 1,
            Self::Forward(_) => MOST_RECEIPTS,
        }
    }

    /// Returns the word for notifications that were handled.
    pub(super) fn done_word(&self) -> &'static str {
        match self {
            Self::Print(..) => "shown",
            Self::Exec { .. } => "handled",
            Self::Count => "to be forwarded",
            Self::Forward(_) => "forwarded",
        }
    }

    /// Prints a notification, if the handler prints.
    ///
    /// # Errors
    ///
    /// Returns the error of standard output.
    pub(super) fn print(
        &mut self,
        out: &mut dyn Write,
        selected: &SelectedDelivery,
    ) -> io::Result<()> {
        let Self::Print(format, lines) = self else { return Ok(()) };
        match (format, selected.delivery.notification()) {
            (ListenFormat::Text, _) => writeln!(out, "{}", lines.line(&selected.record)),
            (ListenFormat::Json, Some(notification)) => {
                write_json(out, &NotificationJson::new(notification, &selected.record))
            }
            _ => {
                out.write_all(&selected.record.body)?;
                out.write_all(b"\n")
            }
        }
    }

    /// Starts the job for a batch of at most [`batch`](Self::batch) notifications. It settles their deliveries.
    ///
    /// Takes the notifications out of `batch`. Returns `None` if there is nothing to start.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future starts nothing, and leaves the notifications in `batch`.
    pub(super) async fn start(&self, batch: &mut Vec<SelectedDelivery>) -> Option<HandlerJob> {
        match self {
            Self::Print(..) | Self::Count => None,
            Self::Exec { command, .. } => {
                let job = execute(command.clone(), std::mem::take(batch));
                Some(Box::pin(job) as HandlerJob)
            }
            Self::Forward(target) => {
                let delivery = &batch.last()?.delivery;
                let receipt = target.send(delivery.notification()?, delivery.context()).await;
                let SelectedDelivery { delivery, id, .. } = batch.pop()?;
                Some(Box::pin(await_receipt(receipt, delivery, id)) as HandlerJob)
            }
        }
    }
}

/// Returns the regular files among the sources.
fn input_files(sources: &[SourceConfig]) -> Vec<FileIdentity> {
    let files = sources.iter().filter(|source| source.has_end());
    files.filter_map(|source| FileIdentity::of_input(source.path())).collect()
}

/// Runs the command for notifications and settles their deliveries.
async fn execute(command: ExecCommand, selected: Vec<SelectedDelivery>) -> JobOutcome {
    let mut input = Vec::new();
    for SelectedDelivery { record, .. } in &selected {
        input.extend_from_slice(&record.body);
        input.push(b'\n');
    }
    let failure = command.run(input).await.err();
    let mut ids = Vec::with_capacity(selected.len());
    for SelectedDelivery { delivery, id, .. } in selected {
        ids.push(id);
        drop(match &failure {
            None => delivery.ack(),
            Some(reason) => delivery.fail(reason),
        });
    }
    JobOutcome { ids, failure, is_suppressed: false }
}

/// Waits until the destination has a notification or refuses it, and settles its delivery alike.
async fn await_receipt(receipt: Receipt, delivery: Delivery, id: ContentId) -> JobOutcome {
    let has_destination = receipt.message_id().is_some();
    let result = receipt.await;
    let is_suppressed = !has_destination && result.is_ok();
    let failure = result.as_ref().err().map(|error| format!("{error:#}"));
    match result {
        Ok(()) => drop(delivery.ack()),
        Err(error) if error.outcome() == Outcome::Rejected => {
            drop(delivery.refuse(format!("{error:#}")));
        }
        Err(error) => drop(delivery.fail(format!("{error:#}"))),
    }
    JobOutcome { ids: vec![id], failure, is_suppressed }
}

/// The number of receipts that wait for the destination at once.
const MOST_RECEIPTS: usize = 16 * 1024;
