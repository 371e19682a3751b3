//! `glance-notify demo`: prints a day of a small cloud.
//!
//! The day is a file that the binary contains. It needs no broker, no configuration and no network.

use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::write_stdout;

/// Print the notifications of a small cloud on one day, to be piped into `timeline`, `who`, `search` and
/// `report`. Among them are an upload that never ends, a deletion with its actor, downloads by two
/// projects, and a failed task. Try `glance-notify demo | glance-notify timeline debian-12`.
#[derive(clap::Args)]
pub(crate) struct DemoArgs {}

/// Prints the sample.
///
/// # Errors
///
/// Returns an error if standard output cannot be written.
pub(crate) fn run() -> Result<ExitStatus, CommandError> {
    write_stdout(|out| out.write_all(CLOUD_DAY.as_bytes()))?;
    Ok(ExitStatus::Success)
}

/// The notifications of 24 November 2026, one a line, in the order of their times.
pub(crate) const CLOUD_DAY: &str = include_str!("../samples/cloud-day.jsonl");
