//! `glance-notify spool show`: prints whole messages.
//!
//! A heading gives the position and the state, and the indented notification follows:
//!
//! ```text
//! $ glance-notify spool show 0/6 -c notify.toml
//! 0/6: pending, emitted 2026-11-22 12:00:31.482249
//! {
//!   "message_id": "ce3a13d3-3751-4e55-90af-8284187b9c81",
//!   "publisher_id": "image.host1",
//!   …
//! }
//! ```
//!
//! With `-o json`, each notification is the one line that the destination would receive.

use std::io::{self, Write};
use std::path::Path;

use glance_notify::codec::Message;
use glance_notify::transport::printable;
use glance_notify::transport::spool::admin::StoredMessage;
use glance_notify_cli::json_output::indented_json;
use notify_archive::question::Calendar;

use super::message_ref::{MessageLookup, MessageRef, decoded};
use super::selection::{MessageSelection, MessageState};
use super::slots::SlotWalk;
use crate::exit_status::{CommandError, ExitStatus};
use crate::output_format::TextOrJson;
use crate::terminal::write_stdout;
use crate::time_zone::{TimeZoneArg, notification_time};

/// Show whole notifications from the spool.
#[derive(clap::Args)]
pub(super) struct SpoolShowArgs {
    /// Notifications: `message_id`, or SLOT/NUMBER as `spool ls --messages` shows.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<MessageRef>,

    #[command(flatten)]
    output: TextOrJson,

    #[command(flatten)]
    zone: TimeZoneArg,
}

/// Prints each message that a reference names.
///
/// # Errors
///
/// Returns an error if the directory cannot be read or standard output not written.
pub(super) fn run(args: &SpoolShowArgs, dir: &Path) -> Result<ExitStatus, CommandError> {
    let mut slots = SlotWalk::new(dir, None)?;
    let mut lookup = MessageLookup::new(&args.ids);
    let all = MessageSelection::default();
    write_stdout(|out| {
        while let Some(slot) = slots.next() {
            for (state, entry) in all.entries(&slot) {
                let Some(entry) = slots.errors.ok(entry) else { continue };
                if !lookup.matches(slot.number(), &entry) {
                    continue;
                }
                let message = decoded(slot.number(), &entry);
                let Some(message) = slots.errors.ok(message) else { continue };
                if args.output.is_json() {
                    out.write_all(message.body())?;
                    out.write_all(b"\n")?;
                    continue;
                }
                let position = MessageRef::Position(slot.number(), entry.number);
                write_heading(out, position, state, &entry, message, &args.zone.tz)?;
                writeln!(out, "{}", indented_json(&String::from_utf8_lossy(message.body())))?;
            }
        }
        Ok(())
    })?;
    Ok(lookup.finish("message", &slots.errors))
}

/// Writes the line above a message: its position, its state and a time.
fn write_heading(
    out: &mut dyn Write,
    position: MessageRef,
    state: MessageState,
    entry: &StoredMessage,
    message: &Message,
    calendar: &Calendar,
) -> io::Result<()> {
    match (&entry.refusal, state) {
        (Some(refusal), _) => writeln!(
            out,
            "{position}: dead letter, refused {}: {}",
            calendar.shown(refusal.refused_at),
            printable(&refusal.reason, MAX_CHARS)
        ),
        (None, MessageState::Dead) => writeln!(out, "{position}: dead letter"),
        (None, MessageState::Pending) => {
            let emitted = notification_time(message.timestamp());
            writeln!(out, "{position}: pending, emitted {emitted}")
        }
    }
}

/// The largest number of characters of a refusal's reason that the command prints.
const MAX_CHARS: usize = 1024;
