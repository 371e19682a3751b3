//! `glance-notify spool stats`: prints the totals of all slots.
//!
//! ```text
//! $ glance-notify spool stats -c notify.toml
//! slots    2, 1 in use by a process
//! pending  14 messages, 8120 bytes, oldest emitted 2026-11-22T12:00:31Z
//! dead     2 messages, 1248 bytes
//! files    110592 bytes
//! ```
//!
//! A line `unknown` appears if some slots cannot be counted. `-o json` prints the fields of
//! [`SpoolTotals`], for a monitoring system: alert on the age of `oldest`.

use std::path::Path;

use glance_notify::transport::spool::MessageTotals;
use glance_notify::transport::spool::admin;
use glance_notify_cli::json_output::write_json;
use serde::Serialize;

use super::slots::ErrorLog;
use crate::exit_status::{CommandError, ExitStatus};
use crate::output_format::TextOrJson;
use crate::terminal::write_stdout;
use crate::time_zone::TimeZoneArg;

/// Show the totals of all slots.
#[derive(clap::Args)]
pub(super) struct SpoolStatsArgs {
    #[command(flatten)]
    output: TextOrJson,

    #[command(flatten)]
    zone: TimeZoneArg,
}

/// Adds up the slots and prints the totals.
///
/// # Errors
///
/// Returns an error if the directory cannot be read or standard output not written.
pub(super) fn run(args: &SpoolStatsArgs, dir: &Path) -> Result<ExitStatus, CommandError> {
    let mut errors = ErrorLog::default();
    let mut total = SpoolTotals::default();
    let mut oldest = None;
    for slot in admin::slots(dir)? {
        total.slots += 1;
        total.held += u64::from(slot.owner.is_some());
        total.file_bytes += slot.file_bytes;
        let Some(Some(contents)) = errors.ok(slot.contents) else {
            total.unknown += u64::from(slot.file_bytes > 0);
            continue;
        };
        add(&mut total.pending, contents.pending);
        add(&mut total.dead, contents.dead);
        oldest = [oldest, contents.oldest_pending()].into_iter().flatten().min();
    }
    let calendar = args.zone.of_output(args.output.is_json());
    total.oldest = oldest.map(|time| calendar.shown(time));
    write_stdout(|out| {
        if args.output.is_json() {
            return write_json(out, &total);
        }
        let SpoolTotals { slots, held, unknown, pending, dead, file_bytes, oldest } = &total;
        writeln!(out, "slots    {slots}, {held} in use by a process")?;
        if *unknown > 0 {
            writeln!(out, "unknown  contents of {unknown} slots")?;
        }
        let age = oldest.as_ref().map(|oldest| format!(", oldest emitted {oldest}"));
        let MessageTotals { messages, bytes, .. } = pending;
        writeln!(out, "pending  {messages} messages, {bytes} bytes{}", age.unwrap_or_default())?;
        let MessageTotals { messages, bytes, .. } = dead;
        writeln!(out, "dead     {messages} messages, {bytes} bytes")?;
        writeln!(out, "files    {file_bytes} bytes")
    })?;
    Ok(errors.status())
}

/// The totals, also as JSON. Scripts read these fields: never rename them.
#[derive(Default, Serialize)]
struct SpoolTotals {
    /// All slots in the directory.
    slots: u64,
    /// Slots that a process owns at the moment.
    held: u64,
    /// Slots with unknown contents: damaged, or not described by their process yet.
    unknown: u64,
    /// The messages that the spool still has to forward.
    pending: MessageTotals,
    /// The messages that the destination refused.
    dead: MessageTotals,
    /// The size of all slot files on the disk.
    file_bytes: u64,
    /// The time at which the oldest pending message was emitted, to the second in UTC.
    oldest: Option<String>,
}

/// Adds the messages of one slot to `total`.
fn add(total: &mut MessageTotals, slot: MessageTotals) {
    total.messages += slot.messages;
    total.bytes += slot.bytes;
}
