//! `glance-notify spool`: administers the spool from outside the processes that use it.
//!
//! One process owns each slot. This command never touches a slot that another process
//! owns: it shows the status that the process last published, and refuses everything
//! else with the process id.
//!
//! | subcommand | does |
//! |---|---|
//! | `ls` | lists the slots, or with `--messages` the messages |
//! | `show` | prints whole messages |
//! | `stats` | prints the totals of all slots |
//! | `retry` | makes dead letters pending again |
//! | `drop` | removes messages |
//! | `export` | copies messages out, ready for `emit` |
//! | `drain` | forwards the messages of all slots that no process owns |
//!
//! An error in one slot never hides the other slots: see [`slots`].

mod drain;
mod drain_summary;
mod drop;
mod export;
mod ls;
mod message_ref;
mod retry;
mod selection;
mod show;
mod slots;
mod stats;

use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::display_path;
use crate::settings::ConfigArgs;
use clap::Subcommand;

/// Administer the notifications in the spool.
///
/// The configuration names the spool in `spool.dir`; `--set spool.dir=DIR` names another. A slot in
/// use belongs to its process: `ls` and `stats` show its counts, and every command that needs the
/// messages in it skips it and exits with 3. Stop that process first. `drain` also exits with 3 if
/// messages remain.
#[derive(clap::Args)]
pub(crate) struct SpoolArgs {
    #[command(subcommand)]
    command: SpoolCommand,
}

// The help of each subcommand is the documentation of its argument type.
#[derive(Subcommand)]
enum SpoolCommand {
    Ls(ls::SpoolLsArgs),
    Show(show::SpoolShowArgs),
    Stats(stats::SpoolStatsArgs),
    Retry(retry::SpoolRetryArgs),
    Drop(drop::SpoolDropArgs),
    Export(export::SpoolExportArgs),
    Drain(drain::SpoolDrainArgs),
}

/// Runs a subcommand on the configured spool.
///
/// # Errors
///
/// Returns an error if the configuration has no spool, or if the subcommand fails.
pub(crate) fn run(args: &SpoolArgs, config: &ConfigArgs) -> Result<ExitStatus, CommandError> {
    // Only `drain` delivers anything.
    let config = match &args.command {
        SpoolCommand::Drain(_) => config.load_for_delivery()?,
        _ => config.load()?,
    };
    let Some(spool) = config.spool()? else {
        let message = "no spool is configured: set `spool.dir` to the directory of the spool";
        return Err(CommandError::new(ExitStatus::PermanentError, message));
    };
    let dir = spool.dir.clone();
    if let Err(error) = std::fs::read_dir(&dir) {
        let name = display_path(&dir);
        return Err(CommandError::file(&format!("cannot read the spool `{name}`"), &error));
    }
    match &args.command {
        SpoolCommand::Ls(args) => ls::run(args, &dir),
        SpoolCommand::Show(args) => show::run(args, &dir),
        SpoolCommand::Stats(args) => stats::run(args, &dir),
        SpoolCommand::Retry(args) => retry::run(args, &dir),
        SpoolCommand::Drop(args) => drop::run(args, &dir),
        SpoolCommand::Export(args) => export::run(args, &dir),
        SpoolCommand::Drain(args) => drain::run(args, &config, spool),
    }
}
