//! The help texts: examples for the command as a whole, and the exit codes for every subcommand.
//!
//! Each subcommand brings its own examples, in its `after_help`. The exit codes are the same for all, so they
//! are added here.

use clap::Command;

use crate::exit_status::ExitStatus;

/// Adds the table of exit codes to the long help of a command and of its subcommands.
pub(crate) fn with_exit_codes(command: Command) -> Command {
    let codes = ExitStatus::help();
    let help = match command.get_after_help() {
        Some(examples) => format!("{examples}\n\n{codes}"),
        None => codes,
    };
    command.after_long_help(help).mut_subcommands(with_exit_codes)
}

/// The examples of the command as a whole.
pub(crate) const EXAMPLES: &str = "\
Examples:
  glance-notify check -c /etc/glance/notify.toml
  glance-notify emit -c /etc/glance/notify.toml notifications.jsonl
  glance-notify schema --example | glance-notify validate --strict";
