//! The help texts: the parser of the command line with the exit codes added to each subcommand.
//!
//! Each subcommand brings its own examples, in its `after_help`. The exit codes are the same for all, so they
//! are added here.

use clap::{Command, CommandFactory};

use crate::cli::Cli;
use crate::exit_status::ExitStatus;

/// Returns the parser of the command line, whose `--help` shows examples and exit codes.
pub(crate) fn command() -> Command {
    with_exit_codes(Cli::command().after_help(EXAMPLES))
}

/// Adds the table of exit codes to the long help of a command and of its subcommands.
fn with_exit_codes(command: Command) -> Command {
    let codes = ExitStatus::help();
    let help = match command.get_after_help() {
        Some(examples) => format!("{examples}\n\n{codes}"),
        None => codes,
    };
    command.after_long_help(help).mut_subcommands(with_exit_codes)
}

/// The examples of the command as a whole.
const EXAMPLES: &str = "\
Examples:
  glance-notify check -c /etc/glance/notify.toml
  glance-notify emit -c /etc/glance/notify.toml notifications.jsonl
  glance-notify schema --example | glance-notify validate --strict";
