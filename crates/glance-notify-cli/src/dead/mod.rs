//! `glance-notify dead`: the dead letters of a listener.
//!
//! A listener may run meanwhile: it appends to the file, and both lock the file while they write.
//!
//! | subcommand | does |
//! |---|---|
//! | `ls` | lists the letters |
//! | `replay` | sends letters to a destination, and removes those that it has |
//! | `drop` | removes letters |
//!
//! Nothing here prints the body of a letter, which may hold a secret.

mod dead_file;
mod drop;
mod letter_selection;
mod ls;
mod replay;

use clap::Subcommand;

use crate::exit_status::{CommandError, ExitStatus};
use crate::settings::ConfigArgs;

/// Handle the dead letters of a listener: notifications that could not be handled.
///
/// `listen`, `replay` and your own programs write them to the file that `--dead-letters` or
/// `listener.dead_letters` names. They may go on meanwhile.
#[derive(clap::Args)]
pub(crate) struct DeadArgs {
    #[command(subcommand)]
    command: DeadCommand,
}

// The help of each subcommand is the documentation of its argument type.
#[derive(Subcommand)]
enum DeadCommand {
    Ls(ls::DeadLsArgs),
    Replay(replay::DeadReplayArgs),
    Drop(drop::DeadDropArgs),
}

/// Runs a subcommand.
///
/// # Errors
///
/// Returns an error if the file cannot be read, or if the subcommand fails.
pub(crate) fn run(args: &DeadArgs, config: &ConfigArgs) -> Result<ExitStatus, CommandError> {
    match &args.command {
        DeadCommand::Ls(args) => ls::run(args, config),
        DeadCommand::Replay(args) => replay::run(args, config),
        DeadCommand::Drop(args) => drop::run(args, config),
    }
}
