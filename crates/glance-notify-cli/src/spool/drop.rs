//! `glance-notify spool drop`: removes messages from the spool.
//!
//! A dropped message is gone, so the command needs an explicit choice: ids, `--dead` or
//! `--all`. `spool export` writes the messages to a file first if you may need them.

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

/// Remove messages from the spool. You cannot undo this.
#[derive(clap::Args)]
#[group(skip)]
#[command(group = ArgGroup::new("drop-choice")
    .args(["ids", "dead", "all"])
    .required(true)
    .multiple(true))]
pub(super) struct SpoolDropArgs {
    /// Messages: `message_id`, or SLOT/NUMBER as `spool ls --messages` shows.
    #[arg(value_name = "ID")]
    ids: Vec<MessageRef>,

    /// Drop all dead letters.
    #[arg(long, conflicts_with = "ids")]
    dead: bool,

    /// Drop everything: dead letters and pending messages.
    #[arg(long, conflicts_with_all = ["ids", "dead"])]
    all: bool,

    /// Only the slot with this number.
    #[arg(long, value_name = "NUMBER", value_parser = number_in(0..=u32::MAX))]
    slot: Option<u32>,

    #[command(flatten)]
    output: TextOrJson,
}

/// Removes the chosen messages and prints how many they were.
///
/// Counts by the slot's contents before and after, so that the counts are true even if
/// the removal fails half-way.
///
/// # Errors
///
/// Returns an error if the directory cannot be read or standard output not written.
pub(super) fn run(args: &SpoolDropArgs, dir: &Path) -> Result<ExitStatus, CommandError> {
    let mut slots = SlotWalk::new(dir, args.slot)?;
    let mut lookup = MessageLookup::new(&args.ids);
    let selection = MessageSelection { dead: args.dead, ..MessageSelection::default() };
    let mut dropped = DropReport::default();
    while let Some(mut slot) = slots.next() {
        let numbers = selection.numbers(&slot, &mut slots.errors, |entry| {
            args.all || args.dead || lookup.matches(slot.number(), entry)
        });
        if numbers.is_empty() {
            continue;
        }
        let before = slot.contents();
        slots.errors.ok(slot.remove(numbers));
        let after = slot.contents();
        dropped.pending += before.pending.messages.saturating_sub(after.pending.messages);
        dropped.dead += before.dead.messages.saturating_sub(after.dead.messages);
    }
    if args.output.is_json() {
        write_stdout(|out| write_json(out, &dropped))?;
    } else {
        let DropReport { pending, dead } = dropped;
        print_note(format_args!(
            "dropped {} and {}",
            counted(pending, "pending message"),
            counted(dead, "dead letter")
        ));
    }
    Ok(lookup.finish("message", &slots.errors))
}

/// The JSON form of the result. Scripts read these fields: never rename them.
#[derive(Default, Serialize)]
struct DropReport {
    pending: u64,
    dead: u64,
}
