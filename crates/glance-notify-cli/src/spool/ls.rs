//! `glance-notify spool ls`: the slots of a spool, or the messages in them.

use std::io::{self, Write};
use std::path::Path;

use glance_notify::event::{EventType, Priority};
use glance_notify::transport::printable;
use glance_notify::transport::spool::MessageTotals;
use glance_notify::transport::spool::admin::{self, SlotInfo, StoredMessage};
use glance_notify::uuid::Uuid;
use serde::Serialize;

use super::text::{json, microsecond, second};
use super::{Slots, State, Unseen, Which};
use crate::exit::{Exit, Failure, print};

/// List the slots of the spool, or the messages in them.
///
/// Of a slot that a process holds it shows what that process said of it a moment ago; the messages in
/// it cannot be listed.
#[derive(clap::Args)]
pub(super) struct Args {
    /// List the messages: where they lie, id, event, priority, time, bytes of the body, publisher; of
    /// a dead letter also when and why it was refused.
    #[arg(long)]
    messages: bool,

    #[command(flatten)]
    which: Which,

    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, dir: &Path) -> Result<Exit, Failure> {
    if args.messages { messages(args, dir) } else { slots(args, dir) }
}

fn slots(args: &Args, dir: &Path) -> Result<Exit, Failure> {
    if args.which.pending || args.which.dead {
        let message = "`--pending` and `--dead` choose messages: add `--messages`";
        return Err(Failure::new(Exit::Permanent, message));
    }
    let mut unseen = Unseen::default();
    let mut slots = admin::slots(dir)?;
    if let Some(only) = args.which.slot {
        slots.retain(|slot| slot.number == only);
        if slots.is_empty() {
            return Err(Failure::new(Exit::Permanent, format!("the spool has no slot {only}")));
        }
    }
    print(|out| {
        if !args.json {
            let [slot, holder] = ["slot", "holder"];
            writeln!(
                out,
                "{slot:<5} {holder:<16} {:>9} {:>9} {:>12} {:>12} oldest",
                "pending", "dead", "bytes", "file bytes"
            )?;
        }
        slots.iter().try_for_each(|slot| {
            if args.json { json(out, &Row::new(slot)) } else { human(out, slot) }
        })
    })?;
    for slot in slots {
        unseen.see(slot.contents);
    }
    Ok(unseen.exit())
}

fn human(out: &mut dyn Write, slot: &SlotInfo) -> io::Result<()> {
    let Row { slot, held, pid, pending, dead, file_bytes, oldest, .. } = Row::new(slot);
    let holder = match (held, pid) {
        (false, _) => "free".to_owned(),
        (true, Some(pid)) => format!("process {pid}"),
        (true, None) => "a process".to_owned(),
    };
    let count = |amount: Option<MessageTotals>| match amount {
        Some(amount) => amount.messages.to_string(),
        None => "?".to_owned(),
    };
    let bytes = pending.zip(dead).map(|(pending, dead)| pending.bytes + dead.bytes);
    let bytes = bytes.map_or_else(|| "?".to_owned(), |bytes| bytes.to_string());
    let (pending, dead, oldest) = (count(pending), count(dead), oldest.unwrap_or_default());
    let row = format!(
        "{slot:<5} {holder:<16} {pending:>9} {dead:>9} {bytes:>12} {file_bytes:>12} {oldest}"
    );
    writeln!(out, "{}", row.trim_end())
}

/// A slot. What is not known of it is null.
#[derive(Serialize)]
struct Row {
    slot: u32,
    held: bool,
    pid: Option<u32>,
    pending: Option<MessageTotals>,
    dead: Option<MessageTotals>,
    file_bytes: u64,
    oldest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Row {
    fn new(slot: &SlotInfo) -> Self {
        let contents = slot.contents.as_ref().ok().copied().flatten();
        Self {
            slot: slot.number,
            held: slot.owner.is_some(),
            pid: slot.owner.filter(|pid| *pid != 0),
            pending: contents.map(|contents| contents.pending),
            dead: contents.map(|contents| contents.dead),
            file_bytes: slot.file_bytes,
            oldest: contents.and_then(|contents| contents.oldest_pending()).map(second),
            error: slot.contents.as_ref().err().map(|error| format!("{error:#}")),
        }
    }
}

fn messages(args: &Args, dir: &Path) -> Result<Exit, Failure> {
    let mut slots = Slots::new(dir, args.which.slot)?;
    print(|out| {
        while let Some(slot) = slots.next() {
            for (state, entry) in args.which.of(&slot) {
                let Some(entry) = slots.unseen.see(entry) else { continue };
                let line = Line::new(slot.number(), state, &entry);
                if args.json {
                    json(out, &line)?;
                } else {
                    line.human(out)?;
                }
            }
        }
        Ok(())
    })?;
    Ok(slots.unseen.exit())
}

/// A message in a slot.
#[derive(Serialize)]
struct Line<'a> {
    slot: u32,
    number: u64,
    state: State,
    #[serde(flatten)]
    message: Option<Facts<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Facts<'a> {
    message_id: Uuid,
    event_type: EventType,
    priority: Priority,
    publisher_id: &'a str,
    timestamp: String,
    bytes: usize,
}

impl<'a> Line<'a> {
    fn new(slot: u32, state: State, entry: &'a StoredMessage) -> Self {
        let facts = entry.message.as_ref().ok().map(|message| Facts {
            message_id: message.id(),
            event_type: message.event_type(),
            priority: message.priority(),
            publisher_id: message.publisher_id(),
            timestamp: microsecond(message.timestamp()),
            bytes: message.body().len(),
        });
        Self {
            slot,
            number: entry.number,
            state,
            message: facts,
            error: entry.message.as_ref().err().map(|error| format!("{error:#}")),
            refused: entry.refusal.as_ref().map(|refusal| second(refusal.refused_at)),
            reason: entry.refusal.as_ref().map(|refusal| refusal.reason.as_str()),
        }
    }

    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { slot, number, state, message, error, refused, reason } = self;
        let place = format!("{slot}/{number}");
        write!(out, "{place:<10} {:<7} ", state.as_str())?;
        if let Some(Facts { message_id, event_type, priority, publisher_id, timestamp, bytes }) =
            message
        {
            let (event, priority) = (event_type.as_str(), priority.as_str());
            let publisher = printable(publisher_id, CHARS);
            write!(
                out,
                "{message_id} {event:<15} {priority:<5} {timestamp} {bytes:>7} {publisher}"
            )?;
        }
        if let Some(error) = error {
            write!(out, "no notification: {}", printable(error, CHARS))?;
        }
        if let (Some(refused), Some(reason)) = (refused, reason) {
            write!(out, "  refused {refused}: {}", printable(reason, CHARS))?;
        }
        writeln!(out)
    }
}

const CHARS: usize = 1024;
