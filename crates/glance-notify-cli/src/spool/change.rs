//! `glance-notify spool retry` and `drop`: deciding about what is in the spool.

use std::path::Path;

use glance_notify::transport::spool::admin::{OpenSlot, StoredMessage};
use serde::Serialize;

use super::ids::{Id, Wanted};
use super::text::json;
use super::{Slots, Unseen, Which};
use crate::exit::{Exit, Failure, print, say};

/// Put dead letters back among what is to be forwarded.
#[derive(clap::Args)]
#[group(id = "which-to-retry", required = true, multiple = true, args = ["ids", "all"])]
pub(super) struct RetryArgs {
    /// A `message_id`, or SLOT/NUMBER as `spool ls --messages` shows.
    #[arg(value_name = "ID")]
    ids: Vec<Id>,

    /// Every dead letter.
    #[arg(long, conflicts_with = "ids")]
    all: bool,

    /// Only what is in the slot of this number.
    #[arg(long, value_name = "NUMBER")]
    slot: Option<u32>,

    /// Say how many as one JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Remove messages for good.
#[derive(clap::Args)]
#[group(id = "which-to-drop", required = true, multiple = true, args = ["ids", "dead", "all"])]
pub(super) struct DropArgs {
    /// A `message_id`, or SLOT/NUMBER as `spool ls --messages` shows.
    #[arg(value_name = "ID")]
    ids: Vec<Id>,

    /// Every dead letter.
    #[arg(long, conflicts_with = "ids")]
    dead: bool,

    /// Everything: dead letters, and what is to be forwarded.
    #[arg(long, conflicts_with_all = ["ids", "dead"])]
    all: bool,

    /// Only what is in the slot of this number.
    #[arg(long, value_name = "NUMBER")]
    slot: Option<u32>,

    /// Say how many as one JSON object on standard output.
    #[arg(long)]
    json: bool,
}

pub(super) fn retry(args: &RetryArgs, dir: &Path) -> Result<Exit, Failure> {
    let mut slots = Slots::new(dir, args.slot)?;
    let mut wanted = Wanted::new(&args.ids);
    let dead = Which { slot: None, pending: false, dead: true };
    let mut retried = 0;
    while let Some(mut slot) = slots.next() {
        // What is no notification would only be refused again.
        let numbers = numbers(&slot, &dead, &mut slots.unseen, |entry| {
            entry.message.is_ok() && (args.all || wanted.meets(slot.number(), entry))
        });
        for some in numbers.chunks(AT_ONCE) {
            let Some(count) = slots.unseen.see(slot.retry(some.iter().copied())) else { break };
            retried += count;
        }
    }
    if args.json {
        print(|out| json(out, &Retried { retried }))?;
    } else {
        say(format_args!("{retried} dead letters are to be forwarded again"));
    }
    Ok(wanted.exit("dead letter", &slots.unseen))
}

pub(super) fn drop(args: &DropArgs, dir: &Path) -> Result<Exit, Failure> {
    let mut slots = Slots::new(dir, args.slot)?;
    let mut wanted = Wanted::new(&args.ids);
    let which = Which { slot: None, pending: false, dead: args.dead };
    let mut dropped = Dropped::default();
    while let Some(mut slot) = slots.next() {
        let numbers = numbers(&slot, &which, &mut slots.unseen, |entry| {
            args.all || args.dead || wanted.meets(slot.number(), entry)
        });
        if numbers.is_empty() {
            continue;
        }
        let before = slot.contents();
        slots.unseen.see(slot.remove(numbers));
        let after = slot.contents();
        dropped.pending += before.pending.messages.saturating_sub(after.pending.messages);
        dropped.dead += before.dead.messages.saturating_sub(after.dead.messages);
    }
    if args.json {
        print(|out| json(out, &dropped))?;
    } else {
        let Dropped { pending, dead } = dropped;
        say(format_args!(
            "dropped {pending} messages that were to be forwarded and {dead} dead letters"
        ));
    }
    Ok(wanted.exit("message", &slots.unseen))
}

/// The numbers of the messages of a slot that are chosen.
fn numbers(
    slot: &OpenSlot,
    which: &Which,
    unseen: &mut Unseen,
    mut chosen: impl FnMut(&StoredMessage) -> bool,
) -> Vec<u64> {
    let entries = which.of(slot).filter_map(|(_, entry)| unseen.see(entry));
    entries.filter(|entry| chosen(entry)).map(|entry| entry.number).collect()
}

#[derive(Serialize)]
struct Retried {
    retried: u64,
}

#[derive(Default, Serialize)]
struct Dropped {
    pending: u64,
    dead: u64,
}

/// How many dead letters are moved in one transaction.
const AT_ONCE: usize = 1024;
