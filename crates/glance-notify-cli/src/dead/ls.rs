//! `glance-notify dead ls`: lists dead letters.
//!
//! ```text
//! $ glance-notify dead ls --dead-letters dead.jsonl
//! id            dead                  source  attempts  bytes  message_id                            reason
//! 51c1a4b2e0f3  2026-11-24T12:00:31Z  north          6    612  c80a1a6c-bd1f-41c5-90ee-81afedb1d58d  failed 6 times: …
//! ```

use glance_notify::listen::{DeadLetter, DeadLetterLine};
use glance_notify::transport::printable;
use glance_notify::uuid::Uuid;
use notify_archive::question::Calendar;
use serde::Serialize;

use super::dead_file::DeadFileArgs;
use super::letter_selection::LetterId;
use crate::exit_status::{CommandError, ExitStatus};
use crate::list_output::{ListRow, ListWriter};
use crate::output_format::TextOrJson;
use crate::settings::ConfigArgs;
use crate::table::{Cell, Column};
use crate::terminal::{counted, print_warning, write_stdout};
use crate::time_zone::TimeZoneArg;

/// List the dead letters, the oldest first, with their reasons and without their bodies.
#[derive(clap::Args)]
pub(super) struct DeadLsArgs {
    #[command(flatten)]
    file: DeadFileArgs,

    #[command(flatten)]
    output: TextOrJson,

    #[command(flatten)]
    zone: TimeZoneArg,
}

/// Prints the list.
///
/// # Errors
///
/// Returns an error if the file cannot be read or standard output not written.
pub(super) fn run(args: &DeadLsArgs, config: &ConfigArgs) -> Result<ExitStatus, CommandError> {
    let calendar = args.zone.of_output(args.output.is_json());
    let mut rows = Vec::new();
    for line in args.file.file(config)?.lines()? {
        rows.push(LetterRow::new(&line?, &calendar));
    }
    write_stdout(|out| {
        let mut list = ListWriter::new(out, args.output.is_json(), &COLUMNS);
        rows.iter().try_for_each(|row| list.row(row))?;
        list.finish()
    })?;
    let damaged = rows.iter().filter(|row| row.letter.is_none()).count();
    if damaged > 0 {
        print_warning(format_args!(
            "{} without a dead letter: a process was killed while it wrote, or another program wrote to the \
             file",
            counted(damaged as u64, "damaged line")
        ));
    }
    Ok(ExitStatus::Success)
}

/// One letter in the list.
#[derive(Serialize)]
struct LetterRow {
    /// The id for `dead replay` and `dead drop`.
    id: String,
    /// The facts of the letter; absent for a damaged line.
    #[serde(flatten)]
    letter: Option<LetterFields>,
    /// The reason why the message could not be handled, or why the line is no letter.
    reason: String,
}

/// The facts of a letter. Its body stays in the file.
#[derive(Serialize)]
struct LetterFields {
    dead_at: String,
    received_at: String,
    source: String,
    position: String,
    attempts: u32,
    message_id: Option<Uuid>,
    size: u64,
}

impl LetterRow {
    /// Creates the row of a line, with times in the zone of `calendar`.
    fn new(line: &DeadLetterLine, calendar: &Calendar) -> Self {
        let id = LetterId::of(line).to_string();
        let letter = match &line.letter {
            Ok(letter) => letter,
            Err(error) => return Self { id, letter: None, reason: error.to_string() },
        };
        let DeadLetter { source, position, reason, attempts, message_id, size, .. } = letter;
        let letter = LetterFields {
            dead_at: calendar.shown(letter.dead_at),
            received_at: calendar.shown(letter.received_at),
            source: source.clone(),
            position: position.clone(),
            attempts: *attempts,
            message_id: *message_id,
            size: *size,
        };
        Self { id, letter: Some(letter), reason: reason.clone() }
    }
}

impl ListRow for LetterRow {
    fn cells(&self) -> Vec<Cell> {
        let safe = |text: &str| printable(text, LONGEST_TEXT).to_string();
        let mut cells: Vec<Cell> = vec![self.id.clone().into()];
        match &self.letter {
            Some(letter) => cells.extend([
                letter.dead_at.clone().into(),
                safe(&letter.source).into(),
                letter.attempts.to_string().into(),
                letter.size.to_string().into(),
                letter.message_id.map(|id| id.to_string()).unwrap_or_default().into(),
            ]),
            None => cells.resize(COLUMNS.len() - 1, Cell::default()),
        }
        cells.push(safe(&self.reason).into());
        cells
    }
}

/// The columns of the list.
const COLUMNS: [Column; 7] = [
    Column::text("id"),
    Column::text("dead"),
    Column::text("source"),
    Column::number("attempts"),
    Column::number("bytes"),
    Column::text("message_id"),
    Column::text("reason"),
];
/// The longest text from outside that is shown, in characters.
const LONGEST_TEXT: usize = 512;
