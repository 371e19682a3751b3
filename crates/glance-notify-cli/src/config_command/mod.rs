//! `glance-notify config`: writes a sample of the configuration, and explains its keys.
//!
//! Both come from the library's descriptions of the keys, as the documents do. Neither reads a
//! configuration, so they also work where it is broken.

mod explain;
mod init;

use clap::Subcommand;

use crate::exit_status::{CommandError, ExitStatus};

/// Write a sample of the configuration, or explain its keys.
///
/// `check` shows the values in effect.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConfigCommandArgs {
    #[command(subcommand)]
    command: ConfigSubcommand,
}

// The help of each subcommand is the documentation of its argument type.
#[derive(Subcommand)]
enum ConfigSubcommand {
    Init(init::InitArgs),
    Explain(explain::ExplainArgs),
}

/// Runs the subcommand.
///
/// # Errors
///
/// Those of the subcommand.
pub(crate) fn run(args: &ConfigCommandArgs) -> Result<ExitStatus, CommandError> {
    match &args.command {
        ConfigSubcommand::Init(args) => init::run(args),
        ConfigSubcommand::Explain(args) => explain::run(args),
    }
}

/// The examples of the help text.
const EXAMPLES: &str = "\
Examples:
  glance-notify config init
  glance-notify config init --strategy rabbit /etc/glance-notify/config.toml
  glance-notify config explain queue.max_age";
