//! `glance-notify dead drop`: removes dead letters.
//!
//! A letter that was dropped is gone, so the command needs an explicit choice: ids or `--all`.

use glance_notify_cli::json_output::write_json;
use serde::Serialize;

use super::dead_file::DeadFileArgs;
use super::letter_selection::LetterSelection;
use crate::exit_status::{CommandError, ExitStatus};
use crate::output_format::TextOrJson;
use crate::settings::ConfigArgs;
use crate::terminal::{counted, print_note, write_stdout};

/// Remove dead letters. You cannot undo this.
#[derive(clap::Args)]
pub(super) struct DeadDropArgs {
    #[command(flatten)]
    selection: LetterSelection,

    #[command(flatten)]
    file: DeadFileArgs,

    #[command(flatten)]
    output: TextOrJson,
}

/// Removes the chosen letters and prints how many they were.
///
/// # Errors
///
/// Returns an error if the file cannot be read or replaced.
pub(super) fn run(args: &DeadDropArgs, config: &ConfigArgs) -> Result<ExitStatus, CommandError> {
    let mut lookup = args.selection.lookup();
    let dropped = args.file.file(config)?.remove(|line| lookup.matches(line))?;
    if args.output.is_json() {
        write_stdout(|out| write_json(out, &DeadDropReport { dropped }))?;
    } else {
        print_note(format_args!("dropped {}", counted(dropped, "dead letter")));
    }
    Ok(lookup.finish())
}

/// The JSON form of the result. Scripts read this field: never rename it.
#[derive(Serialize)]
struct DeadDropReport {
    dropped: u64,
}
