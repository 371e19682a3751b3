//! `glance-notify spool ls`: lists the slots of a spool, or the messages in them.
//!
//! Without `--messages`, each slot is a line. The column `owner` shows the process that
//! owns the slot, and `?` stands for a number that is unknown at the moment:
//!
//! ```text
//! $ glance-notify spool ls -c notify.toml
//! slot  owner              pending      dead        bytes   file bytes oldest
//! 0     process 4711            14         0         8120        61440 2026-11-22T12:00:31Z
//! 1     free                     0         2         1248        49152
//! ```
//!
//! With `--messages`, each message is a line: SLOT/NUMBER, state, id, event type,
//! priority, timestamp, bytes of the body, publisher id. For a dead letter, the time and
//! the reason of the refusal follow.
//!
//! With `--json`, each line is an object with the fields of [`SlotRow`] or
//! [`MessageRow`]. Unknown values are null.

use std::io::{self, Write};
use std::path::Path;

use glance_notify::event::{EventType, Priority};
use glance_notify::transport::printable;
use glance_notify::transport::spool::MessageTotals;
use glance_notify::transport::spool::admin::{self, SlotInfo, StoredMessage};
use glance_notify::uuid::Uuid;
use serde::Serialize;

use super::format::{microsecond_time, second_time};
use super::selection::{MessageSelection, MessageState};
use super::slots::{ErrorLog, SlotWalk};
use crate::exit_status::{CommandError, ExitStatus};
use crate::json_output::write_json;
use crate::terminal::write_stdout;

/// List the slots of the spool, or the messages in them.
///
/// For a slot in use, the list shows the counts that its process published about a second ago. The
/// messages in such a slot cannot be listed.
#[derive(clap::Args)]
pub(super) struct SpoolLsArgs {
    /// List messages: SLOT/NUMBER, state, id, event type, priority, timestamp, size of the body in
    /// bytes, publisher id; for a dead letter also the time and the reason of the refusal.
    #[arg(long)]
    messages: bool,

    #[command(flatten)]
    selection: MessageSelection,

    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Prints the list.
///
/// # Errors
///
/// Returns an error if the directory cannot be read or standard output not written.
pub(super) fn run(args: &SpoolLsArgs, dir: &Path) -> Result<ExitStatus, CommandError> {
    if args.messages { list_messages(args, dir) } else { list_slots(args, dir) }
}

/// Prints a line for each slot, and then the error of each slot that cannot be read.
fn list_slots(args: &SpoolLsArgs, dir: &Path) -> Result<ExitStatus, CommandError> {
    if args.selection.pending || args.selection.dead {
        let message = "`--pending` and `--dead` choose messages: add `--messages` to list them";
        return Err(CommandError::new(ExitStatus::PermanentError, message));
    }
    let mut errors = ErrorLog::default();
    let mut slots = admin::slots(dir)?;
    if let Some(only) = args.selection.slot {
        slots.retain(|slot| slot.number == only);
        if slots.is_empty() {
            return Err(CommandError::new(
                ExitStatus::PermanentError,
                format!("the spool has no slot {only}"),
            ));
        }
    }
    write_stdout(|out| {
        if !args.json {
            let [slot, owner] = ["slot", "owner"];
            writeln!(
                out,
                "{slot:<5} {owner:<16} {:>9} {:>9} {:>12} {:>12} oldest",
                "pending", "dead", "bytes", "file bytes"
            )?;
        }
        slots
            .iter()
            .map(SlotRow::new)
            .try_for_each(|row| if args.json { write_json(out, &row) } else { row.write_text(out) })
    })?;
    for slot in slots {
        errors.ok(slot.contents);
    }
    Ok(errors.status())
}

/// Prints a line for each chosen message.
fn list_messages(args: &SpoolLsArgs, dir: &Path) -> Result<ExitStatus, CommandError> {
    let mut slots = SlotWalk::new(dir, args.selection.slot)?;
    write_stdout(|out| {
        while let Some(slot) = slots.next() {
            for (state, entry) in args.selection.entries(&slot) {
                let Some(entry) = slots.errors.ok(entry) else { continue };
                let row = MessageRow::new(slot.number(), state, &entry);
                if args.json {
                    write_json(out, &row)?;
                } else {
                    row.write_text(out)?;
                }
            }
        }
        Ok(())
    })?;
    Ok(slots.errors.status())
}

/// One slot in the list. Unknown values are null in JSON. Scripts read these fields:
/// never rename them.
#[derive(Serialize)]
struct SlotRow {
    /// The number of the slot.
    slot: u32,
    /// Whether a process owns the slot.
    held: bool,
    /// That process, once it has written its id.
    pid: Option<u32>,
    /// The messages that the spool still has to forward.
    pending: Option<MessageTotals>,
    /// The dead letters.
    dead: Option<MessageTotals>,
    /// The size of the slot's file.
    file_bytes: u64,
    /// The time at which the oldest pending message was emitted.
    oldest: Option<String>,
    /// The reason why the slot cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl SlotRow {
    /// Creates the row of a slot.
    fn new(slot: &SlotInfo) -> Self {
        let contents = slot.contents.as_ref().ok().copied().flatten();
        Self {
            slot: slot.number,
            held: slot.owner.is_some(),
            pid: slot.owner.filter(|pid| *pid != 0),
            pending: contents.map(|contents| contents.pending),
            dead: contents.map(|contents| contents.dead),
            file_bytes: slot.file_bytes,
            oldest: contents.and_then(|contents| contents.oldest_pending()).map(second_time),
            error: slot.contents.as_ref().err().map(|error| format!("{error:#}")),
        }
    }

    /// Writes the row as a line of the table, with `?` for an unknown value.
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { slot, held, pid, pending, dead, file_bytes, oldest, .. } = self;
        let owner = match (held, pid) {
            (false, _) => "free".to_owned(),
            (true, Some(pid)) => format!("process {pid}"),
            (true, None) => "a process".to_owned(),
        };
        let count = |amount: &Option<MessageTotals>| match amount {
            Some(amount) => amount.messages.to_string(),
            None => "?".to_owned(),
        };
        let bytes = pending.zip(*dead).map(|(pending, dead)| pending.bytes + dead.bytes);
        let bytes = bytes.map_or_else(|| "?".to_owned(), |bytes| bytes.to_string());
        let (pending, dead) = (count(pending), count(dead));
        let oldest = oldest.as_deref().unwrap_or_default();
        let row = format!(
            "{slot:<5} {owner:<16} {pending:>9} {dead:>9} {bytes:>12} {file_bytes:>12} {oldest}"
        );
        writeln!(out, "{}", row.trim_end())
    }
}

/// One message in the list. Scripts read these fields: never rename them.
#[derive(Serialize)]
struct MessageRow<'a> {
    /// The number of the slot.
    slot: u32,
    /// The number of the message within the slot.
    number: u64,
    state: MessageState,
    /// The fields of the message, unless the entry is damaged.
    #[serde(flatten)]
    message: Option<MessageFields<'a>>,
    /// The reason why the entry cannot be decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The time at which the destination refused a dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    /// The reason of that refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// The fields that a [`MessageRow`] takes from the message itself.
#[derive(Serialize)]
struct MessageFields<'a> {
    message_id: Uuid,
    event_type: &'a EventType,
    priority: Priority,
    publisher_id: &'a str,
    /// The time at which the notification was emitted, in its own format.
    timestamp: String,
    /// The size of the body.
    bytes: usize,
}

impl<'a> MessageRow<'a> {
    /// Creates the row of an entry of slot number `slot`.
    fn new(slot: u32, state: MessageState, entry: &'a StoredMessage) -> Self {
        let fields = entry.message.as_ref().ok().map(|message| MessageFields {
            message_id: message.id(),
            event_type: message.event_type(),
            priority: message.priority(),
            publisher_id: message.publisher_id(),
            timestamp: microsecond_time(message.timestamp()),
            bytes: message.body().len(),
        });
        Self {
            slot,
            number: entry.number,
            state,
            message: fields,
            error: entry.message.as_ref().err().map(|error| format!("{error:#}")),
            refused: entry.refusal.as_ref().map(|refusal| second_time(refusal.refused_at)),
            reason: entry.refusal.as_ref().map(|refusal| refusal.reason.as_str()),
        }
    }

    /// Writes the row as one line of text.
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { slot, number, state, message, error, refused, reason } = self;
        let position = format!("{slot}/{number}");
        write!(out, "{position:<10} {:<7} ", state.as_str())?;
        if let Some(fields) = message {
            let MessageFields { message_id, event_type, priority, publisher_id, timestamp, bytes } =
                fields;
            let (event, priority) = (event_type.as_str(), priority.as_str());
            let publisher = printable(publisher_id, MAX_CHARS);
            write!(
                out,
                "{message_id} {event:<15} {priority:<5} {timestamp} {bytes:>7} {publisher}"
            )?;
        }
        if let Some(error) = error {
            write!(out, "cannot be decoded: {}", printable(error, MAX_CHARS))?;
        }
        if let (Some(refused), Some(reason)) = (refused, reason) {
            write!(out, "  refused {refused}: {}", printable(reason, MAX_CHARS))?;
        }
        writeln!(out)
    }
}

/// The largest number of characters of a text from outside that a row shows.
const MAX_CHARS: usize = 1024;
