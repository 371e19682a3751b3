//! `glance-notify spool ls`: lists the slots of a spool, or the messages in them.
//!
//! Without `--messages`, each slot is a line. The column `owner` shows the process that
//! owns the slot, and `?` stands for a number that is unknown at the moment:
//!
//! ```text
//! $ glance-notify spool ls -c notify.toml
//! slot  owner         pending  dead  bytes  file bytes  oldest
//! 0     process 4711       14     0   8120       61440  2026-11-22T12:00:31Z
//! 1     free                0     2   1248       49152
//! ```
//!
//! With `--messages`, each message is a line: SLOT/NUMBER, state, id, event type,
//! priority, timestamp, bytes of the body, publisher id. For a dead letter, the time and
//! the reason of the refusal follow.
//!
//! With `-o json`, each line is an object with the fields of [`SlotRow`] or
//! [`MessageRow`]. Unknown values are null.

use std::io;
use std::path::Path;

use glance_notify::event::{EventType, Priority};
use glance_notify::transport::printable;
use glance_notify::transport::spool::MessageTotals;
use glance_notify::transport::spool::admin::{self, SlotInfo, StoredMessage};
use glance_notify::uuid::Uuid;
use notify_archive::question::Calendar;
use serde::Serialize;

use super::selection::{MessageSelection, MessageState};
use super::slots::{ErrorLog, SlotWalk};
use crate::console::Tone;
use crate::exit_status::{CommandError, ExitStatus};
use crate::list_output::{ListRow, ListWriter};
use crate::output_format::TextOrJson;
use crate::table::{Cell, Column};
use crate::terminal::write_stdout;
use crate::time_zone::{TimeZoneArg, notification_time};

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

    #[command(flatten)]
    output: TextOrJson,

    #[command(flatten)]
    zone: TimeZoneArg,
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
                format!("the spool has no slot {only}: `spool ls` without `--slot` lists them"),
            ));
        }
    }
    let calendar = args.zone.of_output(args.output.is_json());
    let rows: Vec<_> = slots.iter().map(|slot| SlotRow::new(slot, &calendar)).collect();
    write_stdout(|out| {
        let mut list = ListWriter::new(out, args.output.is_json(), &SLOT_COLUMNS);
        rows.iter().try_for_each(|row| list.row(row))?;
        list.finish()
    })?;
    for slot in slots {
        errors.ok(slot.contents);
    }
    Ok(errors.status())
}

/// Prints a line for each chosen message.
fn list_messages(args: &SpoolLsArgs, dir: &Path) -> Result<ExitStatus, CommandError> {
    let mut slots = SlotWalk::new(dir, args.selection.slot)?;
    let calendar = args.zone.of_output(args.output.is_json());
    write_stdout(|out| {
        let list = ListWriter::new(out, args.output.is_json(), &MESSAGE_COLUMNS);
        let mut list = list.without_headings();
        for_each_message(&mut slots, &args.selection, &calendar, &mut |row| list.row(row))?;
        list.finish()
    })?;
    Ok(slots.errors.status())
}

/// Calls `write` with the row of each chosen message, and reports each entry that cannot be read.
fn for_each_message(
    slots: &mut SlotWalk<'_>,
    selection: &MessageSelection,
    calendar: &Calendar,
    write: &mut dyn FnMut(&MessageRow<'_>) -> io::Result<()>,
) -> io::Result<()> {
    while let Some(slot) = slots.next() {
        for (state, entry) in selection.entries(&slot) {
            let Some(entry) = slots.errors.ok(entry) else { continue };
            write(&MessageRow::new(slot.number(), state, &entry, calendar))?;
        }
    }
    Ok(())
}

/// One slot in the list. Unknown values are null in JSON, and `?` in the table.
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
    /// Creates the row of a slot, with times in the zone of `calendar`.
    fn new(slot: &SlotInfo, calendar: &Calendar) -> Self {
        let contents = slot.contents.as_ref().ok().copied().flatten();
        Self {
            slot: slot.number,
            held: slot.owner.is_some(),
            pid: slot.owner.filter(|pid| *pid != 0),
            pending: contents.map(|contents| contents.pending),
            dead: contents.map(|contents| contents.dead),
            file_bytes: slot.file_bytes,
            oldest: contents
                .and_then(|contents| contents.oldest_pending())
                .map(|time| calendar.shown(time)),
            error: slot.contents.as_ref().err().map(|error| format!("{error:#}")),
        }
    }
}

impl ListRow for SlotRow {
    fn cells(&self) -> Vec<Cell> {
        let Self { slot, held, pid, pending, dead, file_bytes, oldest, .. } = self;
        let owner = match (held, pid) {
            (false, _) => "free".to_owned(),
            (true, Some(pid)) => format!("process {pid}"),
            (true, None) => "a process".to_owned(),
        };
        let count = |amount: &Option<MessageTotals>, tone: Tone| match amount {
            Some(amount) => {
                Cell::new(amount.messages.to_string(), (amount.messages > 0).then_some(tone))
            }
            None => Cell::new("?", Some(Tone::Bad)),
        };
        let bytes = pending.zip(*dead).map(|(pending, dead)| pending.bytes + dead.bytes);
        vec![
            slot.to_string().into(),
            owner.into(),
            count(pending, Tone::Warning),
            count(dead, Tone::Bad),
            bytes.map_or_else(|| "?".to_owned(), |bytes| bytes.to_string()).into(),
            file_bytes.to_string().into(),
            oldest.as_deref().unwrap_or_default().into(),
        ]
    }
}

/// One message in the list.
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
    /// That time for people, in their zone.
    #[serde(skip)]
    shown_time: String,
    /// The size of the body.
    bytes: usize,
}

impl<'a> MessageRow<'a> {
    /// Creates the row of an entry of slot number `slot`, with times for people in the zone of `calendar`.
    fn new(slot: u32, state: MessageState, entry: &'a StoredMessage, calendar: &Calendar) -> Self {
        let fields = entry.message.as_ref().ok().map(|message| MessageFields {
            message_id: message.id(),
            event_type: message.event_type(),
            priority: message.priority(),
            publisher_id: message.publisher_id(),
            timestamp: notification_time(message.timestamp()),
            shown_time: calendar.shown(message.timestamp()),
            bytes: message.body().len(),
        });
        Self {
            slot,
            number: entry.number,
            state,
            message: fields,
            error: entry.message.as_ref().err().map(|error| format!("{error:#}")),
            refused: entry.refusal.as_ref().map(|refusal| calendar.shown(refusal.refused_at)),
            reason: entry.refusal.as_ref().map(|refusal| refusal.reason.as_str()),
        }
    }
}

impl ListRow for MessageRow<'_> {
    /// Returns the cells of the row. The last one is free text: the publisher, an error, a refusal.
    fn cells(&self) -> Vec<Cell> {
        let Self { slot, number, state, message, error, refused, reason } = self;
        let state_tone = match state {
            MessageState::Pending => None,
            MessageState::Dead => Some(Tone::Bad),
        };
        let mut cells =
            vec![format!("{slot}/{number}").into(), Cell::new(state.as_str(), state_tone)];
        let mut rest = String::new();
        if let Some(fields) = message {
            cells.extend([
                fields.message_id.to_string().into(),
                fields.event_type.as_str().into(),
                Cell::new(fields.priority.as_str(), Tone::of_priority(fields.priority)),
                fields.shown_time.as_str().into(),
                fields.bytes.to_string().into(),
            ]);
            rest = printable(fields.publisher_id, MAX_CHARS).to_string();
        }
        if let Some(error) = error {
            rest = format!("cannot be decoded: {}", printable(error, MAX_CHARS));
        }
        if let (Some(refused), Some(reason)) = (refused, reason) {
            rest = format!("{rest}  refused {refused}: {}", printable(reason, MAX_CHARS));
        }
        cells.resize(MESSAGE_COLUMNS.len() - 1, Cell::default());
        cells.push(rest.into());
        cells
    }
}

/// The columns of the list of slots.
const SLOT_COLUMNS: [Column; 7] = [
    Column::text("slot"),
    Column::text("owner"),
    Column::number("pending"),
    Column::number("dead"),
    Column::number("bytes"),
    Column::number("file bytes"),
    Column::text("oldest"),
];

/// The columns of the list of messages.
const MESSAGE_COLUMNS: [Column; 8] = [
    Column::text("message"),
    Column::text("state"),
    Column::text("id"),
    Column::text("event type"),
    Column::text("priority"),
    Column::text("timestamp"),
    Column::number("bytes"),
    Column::text("publisher"),
];

/// The largest number of characters of a text from outside that a row shows.
const MAX_CHARS: usize = 1024;
