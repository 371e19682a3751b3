//! The command `glance-notify`: emits notifications of an image service from a shell, validates
//! them, prints their schema, and checks a configuration.
//!
//! Exit codes: 0 done, 2 usage, configuration or permanent error, 3 something was not delivered,
//! 4 invalid input.

mod check;
mod completions;
mod emit;
mod end;
mod exit;
mod lines;
mod logging;
mod progress;
mod schema;
mod signals;
mod source;
#[cfg(feature = "spool")]
mod spool;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};
use glance_notify::Config;
use glance_notify::config::Layers;

use crate::exit::{Exit, Failure, say, usage};

/// Emit, validate and check notifications of an image service.
#[derive(Parser)]
#[command(
    name = "glance-notify",
    version = VERSION.as_str(),
    after_help = "Exit codes: 0 done; 2 usage, configuration or permanent error; 3 something was not \
                  delivered; 4 invalid input."
)]
struct Cli {
    /// The configuration: a file that ends in .toml or, in the manner of glance-api.conf, in .conf.
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Sets one key over the file and the environment, as in `--set log.sync=false`; may be repeated.
    /// The value is one of TOML; a bare word is a string.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,

    /// Logs more on standard error: -v what happens, -vv and -vvv details.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Emit(emit::Args),
    Validate(validate::Args),
    Schema(schema::Args),
    Check(check::Args),
    #[cfg(feature = "spool")]
    Spool(spool::Args),
    Completions(completions::Args),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    logging::init(cli.verbose);
    match cli.run() {
        Ok(exit) => exit.into(),
        Err(failure) => {
            say(format_args!("{}", failure.message));
            failure.exit.into()
        }
    }
}

impl Cli {
    fn run(self) -> Result<Exit, Failure> {
        match &self.command {
            Command::Emit(args) => emit::run(args, &self.load()?),
            Command::Validate(args) => validate::run(args),
            Command::Schema(args) => schema::run(args),
            Command::Check(args) => check::run(args, &self.load()?),
            #[cfg(feature = "spool")]
            Command::Spool(args) => spool::run(args, &self.load()?),
            Command::Completions(args) => completions::run(args),
        }
    }

    fn load(&self) -> Result<Config, Failure> {
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

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let features = glance_notify::transport::FEATURES.join(", ");
    format!("{} (compiled in: {features})", env!("CARGO_PKG_VERSION"))
});
