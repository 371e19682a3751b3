//! The command `glance-notify`.
//!
//! It emits notifications of an image service from a shell, validates them, prints
//! their schema, checks a configuration, and administers the spool. The command is a
//! thin layer: it parses arguments, calls the library `glance-notify`, and prints
//! results. It holds no delivery logic of its own.
//!
//! [`exit_status`] holds the exit codes of all subcommands.

#![cfg_attr(
    not(all(feature = "archive", feature = "listen", feature = "spool")),
    allow(
        clippy::allow_attributes,
        dead_code,
        reason = "tables, times and counts belong to the subcommands that are left out"
    )
)]

#[cfg(feature = "archive")]
mod archive;
#[cfg(feature = "listen")]
mod archive_lines;
mod arguments;
mod check;
mod cli;
mod completions;
mod config_command;
mod console;
mod context_json;
#[cfg(feature = "listen")]
mod dead;
#[cfg(feature = "archive")]
mod demo;
#[cfg(feature = "listen")]
mod doctor;
mod emit;
mod exit_status;
mod file_identity;
mod finding_rows;
mod held_log;
mod help;
mod input_lines;
mod input_source;
#[cfg(any(feature = "listen", feature = "spool"))]
mod list_output;
#[cfg(feature = "listen")]
mod listen;
mod log_line;
mod logging;
mod man;
mod output_format;
mod progress;
#[cfg(feature = "archive")]
mod questions;
#[cfg(feature = "listen")]
mod replay;
mod runtime;
mod schema;
#[cfg(feature = "serve")]
mod serve;
mod settings;
mod signals;
#[cfg(feature = "spool")]
mod spool;
mod stop_reason;
mod table;
mod terminal;
mod time_zone;
mod validate;

use std::process::ExitCode;

use clap::FromArgMatches;

use crate::cli::Cli;
use crate::terminal::{print_error, print_usage};

/// Parses the arguments, runs the subcommand, and turns its result into an exit code.
///
/// An error goes to standard error as one line. Nothing here panics on bad input.
fn main() -> ExitCode {
    runtime::survive_limits();
    runtime::install_panic_hook();
    let matches = Cli::parser().try_get_matches();
    let parsed = matches.and_then(|matches| {
        let name = matches.subcommand_name().unwrap_or_default().to_owned();
        Ok((name, Cli::from_arg_matches(&matches)?))
    });
    let (name, cli) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return print_usage(&error).into(),
    };
    cli.console.apply();
    let result = runtime::catch_panics(|| cli.run(&name));
    held_log::release_all();
    match result {
        Ok(status) => status.into(),
        Err(error) => {
            print_error(format_args!("{}", error.message));
            error.status.into()
        }
    }
}
