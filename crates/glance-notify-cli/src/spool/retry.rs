//! `glance-notify spool retry`: makes dead letters pending again.
//!
//! Use it after you have removed the reason of the refusal, such as a missing binding. A
//! retried message moves to the end of its slot and gets a new number there; it keeps its
//! `message_id`. A refusal of the next attempt makes it a dead letter once more.

use std::path::Path;

use clap::ArgGroup;
use glance_notify_cli::json_output::write_json;
use serde::Serialize;

use super::message_ref::{MessageLookup, MessageRef};
use super::selection::MessageSelection;
use super::slots::SlotWalk;
use crate::arguments::number_in;
use crate::exit_status::{CommandError, ExitStatus};
use crate::output_format::TextOrJson;
use crate::terminal::{counted, print_note, write_stdout};

/// Return dead letters to the pending messages, for another attempt.
#[derive(clap::Args)]
#[group(skip)]
#[command(group = ArgGroup::new("retry-choice")
    .args(["ids", "all"])
    .required(true)
    .multiple(true))]
pub(super) struct SpoolRetryArgs {
    /// Dead letters: `message_id`, or SLOT/NUMBER as `spool ls --messages` shows.
    #[arg(value_name = "ID")]
    ids: Vec<MessageRef>,

    /// Retry all dead letters.
    #[arg(long, conflicts_with = "ids")]
    all: bool,

    /// Only the slot with this number.
    #[arg(long, value_name = "NUMBER", value_parser = number_in(0..=u32::MAX))]
    slot: Option<u32>,

    #[command(flatten)]
    output: TextOrJson,
}

/// Retries the chosen dead letters and prints how many they are.
///
/// Skips a damaged message, which the destination would only refuse again.
///
/// # Errors
///
/// Returns an error if the directory cannot be read or standard output not written.
pub(super) fn run(args: &SpoolRetryArgs, dir: &Path) -> Result<ExitStatus, CommandError> {
    let mut slots = SlotWalk::new(dir, args.slot)?;
    let mut lookup = MessageLookup::new(&args.ids);
    let dead = MessageSelection::dead_letters();
    let mut retried = 0;
    while let Some(mut slot) = slots.next() {
        let numbers = dead.numbers(&slot, &mut slots.errors, |entry| {
            entry.message.is_ok() && (args.all || lookup.matches(slot.number(), entry))
        });
        for chunk in numbers.chunks(TRANSACTION_MESSAGES) {
            let Some(count) = slots.errors.ok(slot.retry(chunk.iter().copied())) else { break };
            retried += count;
        }
    }
    if args.output.is_json() {
        write_stdout(|out| write_json(out, &RetryReport { retried }))?;
    } else {
        print_note(format_args!("retried {}", counted(retried, "dead letter")));
    }
    Ok(lookup.finish("dead letter", &slots.errors))
}

/// The JSON form of the result. Scripts read this field: never rename it.
#[derive(Serialize)]
struct RetryReport {
    retried: u64,
}

/// The number of dead letters that one transaction moves.
const TRANSACTION_MESSAGES: usize = 1024;
