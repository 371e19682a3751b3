//! `glance-notify spool stats`: what is in the spool, in numbers.

use std::path::Path;

use glance_notify::transport::spool::MessageTotals;
use glance_notify::transport::spool::admin;
use serde::Serialize;

use super::Unseen;
use super::text::{json, second};
use crate::exit::{Exit, Failure, print};

/// Tell how much is in the spool, all slots together.
#[derive(clap::Args)]
pub(super) struct Args {
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, dir: &Path) -> Result<Exit, Failure> {
    let mut unseen = Unseen::default();
    let mut total = Total::default();
    let mut oldest = None;
    for slot in admin::slots(dir)? {
        total.slots += 1;
        total.held += u64::from(slot.owner.is_some());
        total.file_bytes += slot.file_bytes;
        let Some(Some(contents)) = unseen.see(slot.contents) else {
            total.unknown += u64::from(slot.file_bytes > 0);
            continue;
        };
        total.pending.add(contents.pending);
        total.dead.add(contents.dead);
        oldest = [oldest, contents.oldest_pending()].into_iter().flatten().min();
    }
    total.oldest = oldest.map(second);
    print(|out| {
        if args.json {
            return json(out, &total);
        }
        let Total { slots, held, unknown, pending, dead, file_bytes, oldest } = &total;
        writeln!(out, "slots    {slots}, {held} of them held by a process")?;
        if *unknown > 0 {
            writeln!(out, "unknown  what is in {unknown} of them")?;
        }
        let pending_of = oldest.as_ref().map(|oldest| format!(", the oldest emitted {oldest}"));
        let Sum { messages, bytes } = pending;
        writeln!(
            out,
            "pending  {messages} messages, {bytes} bytes{}",
            pending_of.unwrap_or_default()
        )?;
        let Sum { messages, bytes } = dead;
        writeln!(out, "dead     {messages} messages, {bytes} bytes")?;
        writeln!(out, "files    {file_bytes} bytes")
    })?;
    Ok(unseen.exit())
}

#[derive(Default, Serialize)]
struct Total {
    slots: u64,
    held: u64,
    /// Slots of which nobody can tell what is in them.
    unknown: u64,
    pending: Sum,
    dead: Sum,
    file_bytes: u64,
    oldest: Option<String>,
}

#[derive(Default, Serialize)]
struct Sum {
    messages: u64,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, amount: MessageTotals) {
        self.messages += amount.messages;
        self.bytes += amount.bytes;
    }
}
