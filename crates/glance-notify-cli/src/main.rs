//! The command `glance-notify`.
//!
//! It emits notifications of an image service from a shell, validates them, prints
//! their schema, checks a configuration, and administers the spool. The command is a
//! thin layer: it parses arguments, calls the library `glance-notify`, and prints
//! results. It holds no delivery logic of its own.
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | success |
//! | 2 | wrong usage, wrong configuration, or another permanent error |
//! | 3 | some notifications were not delivered, or the destination is unreachable |
//! | 4 | invalid input |

mod arguments;
mod check;
mod completions;
#[cfg(feature = "archive")]
mod demo;
mod emit;
mod exit_status;
mod input_lines;
mod input_source;
mod json_output;
mod logging;
mod progress;
#[cfg(feature = "archive")]
mod questions;
mod schema;
mod signals;
#[cfg(feature = "spool")]
mod spool;
mod stop_reason;
mod terminal;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{CommandFactory, Parser, Subcommand};
use glance_notify::Config;
use glance_notify::config::Layers;

use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::{print_message, print_usage};

/// Emit, validate and check notifications of an image service.
#[derive(Parser)]
#[command(
    name = "glance-notify",
    version = VERSION.as_str(),
    after_help = "Exit codes: 0 success; 2 wrong usage, wrong configuration or another permanent \
                  error; 3 some notifications were not delivered, or the destination is \
                  unreachable; 4 invalid input."
)]
struct Cli {
    /// Configuration file: TOML if its name ends in .toml, the format of glance-api.conf if it ends
    /// in .conf.
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Override one key of the file and the environment, as in `--set log.sync=false`. Repeat it for
    /// more keys. Values are parsed as TOML; anything else is a string.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,

    /// Log more to standard error: -v for state changes, -vv and -vvv for details.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    #[command(subcommand)]
    command: CliCommand,
}

// The help of each subcommand is the documentation of its argument type.
#[derive(Subcommand)]
enum CliCommand {
    Emit(emit::args::EmitArgs),
    Validate(validate::ValidateArgs),
    Schema(schema::SchemaArgs),
    Check(check::CheckArgs),
    #[cfg(feature = "spool")]
    Spool(spool::SpoolArgs),
    #[cfg(feature = "archive")]
    Demo(demo::DemoArgs),
    #[cfg(feature = "archive")]
    Timeline(questions::timeline::TimelineArgs),
    #[cfg(feature = "archive")]
    Search(questions::search::SearchArgs),
    #[cfg(feature = "archive")]
    Who(questions::who::WhoArgs),
    #[cfg(feature = "archive")]
    Report(questions::report::ReportArgs),
    Completions(completions::CompletionsArgs),
}

/// Parses the arguments, runs the subcommand, and turns its result into an exit code.
///
/// An error goes to standard error as one line. Nothing here panics on bad input.
fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return print_usage(&error).into(),
    };
    logging::init(cli.verbose);
    match cli.run() {
        Ok(status) => status.into(),
        Err(error) => {
            print_message(format_args!("{}", error.message));
            error.status.into()
        }
    }
}

impl Cli {
    /// Runs the subcommand.
    ///
    /// Only the subcommands that need a configuration load it, so that `validate`,
    /// `schema` and `completions` also work where the configuration is broken.
    fn run(self) -> Result<ExitStatus, CommandError> {
        match &self.command {
            CliCommand::Emit(args) => emit::run(args, &self.load_config()?),
            CliCommand::Validate(args) => validate::run(args),
            CliCommand::Schema(args) => schema::run(args),
            CliCommand::Check(args) => check::run(args, &self.load_config()?),
            #[cfg(feature = "spool")]
            CliCommand::Spool(args) => spool::run(args, &self.load_config()?),
            #[cfg(feature = "archive")]
            CliCommand::Demo(_) => demo::run(),
            #[cfg(feature = "archive")]
            CliCommand::Timeline(args) => questions::timeline::run(args),
            #[cfg(feature = "archive")]
            CliCommand::Search(args) => questions::search::run(args),
            #[cfg(feature = "archive")]
            CliCommand::Who(args) => questions::who::run(args),
            #[cfg(feature = "archive")]
            CliCommand::Report(args) => questions::report::run(args),
            CliCommand::Completions(args) => completions::run(args, &mut Self::command()),
        }
    }

    /// Builds the configuration from its layers: file, environment, then `--set`.
    ///
    /// # Errors
    ///
    /// Returns an error that names the key and its origin if a layer cannot be read or
    /// holds an unknown key or a wrong value.
    fn load_config(&self) -> Result<Config, CommandError> {
        let mut layers = Layers::new();
        if let Some(path) = &self.config {
            layers = layers.file(path)?;
        }
        layers = layers.environment()?;
        for setting in &self.settings {
            layers = layers.set(setting)?;
        }
        Ok(layers.build()?)
    }
}

/// The text of `--version`: the version, and the features that the build includes.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let features = glance_notify::transport::FEATURES.join(", ");
    format!("{} (compiled in: {features})", env!("CARGO_PKG_VERSION"))
});
