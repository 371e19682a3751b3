//! `glance-notify man`: writes man pages, one for the command and one for each subcommand.
//!
//! `clap_mangen` makes the pages from the definitions of the arguments, so that they always match the options
//! of this build.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;

use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::display_path;
use crate::terminal::{print_note, write_stdout};

/// Write man pages: one for the command, one for each subcommand.
#[derive(clap::Args)]
pub(crate) struct ManArgs {
    /// Existing directory for the pages. Without it, the command prints the page of `glance-notify`.
    dir: Option<PathBuf>,
}

/// Writes the pages of `command` and of its subcommands.
///
/// # Errors
///
/// Returns an error if a page cannot be written.
pub(crate) fn run(args: &ManArgs, mut command: Command) -> Result<ExitStatus, CommandError> {
    command.build();
    let Some(dir) = &args.dir else {
        let page = page(&command)?;
        write_stdout(|out| out.write_all(&page))?;
        return Ok(ExitStatus::Success);
    };
    let written = write_pages(&command, dir)?;
    print_note(format_args!("wrote {written} man pages"));
    Ok(ExitStatus::Success)
}

/// Writes the page of a command and those of its subcommands, and returns their number.
fn write_pages(command: &Command, dir: &Path) -> Result<usize, CommandError> {
    let path = dir.join(format!("{}.1", name(command)));
    fs::write(&path, page(command)?).map_err(|error| {
        CommandError::file(&format!("cannot write `{}`", display_path(&path)), &error)
    })?;
    let subcommands = command.get_subcommands().filter(|command| command.get_name() != "help");
    subcommands
        .map(|command| write_pages(command, dir))
        .sum::<Result<usize, _>>()
        .map(|count| count + 1)
}

/// Returns the page of one command.
fn page(command: &Command) -> Result<Vec<u8>, CommandError> {
    let mut page = Vec::new();
    let render = |page: &mut Vec<u8>| -> io::Result<()> {
        Man::new(command.clone()).title(name(command)).render(page)
    };
    render(&mut page).map_err(|error| CommandError::file("cannot write a man page", &error))?;
    Ok(page)
}

/// Returns the name of a page: `glance-notify-spool-ls`.
fn name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}
