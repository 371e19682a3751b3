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
use glance_notify::Config;
use glance_notify::transport::printable;

/// Administer the notifications in the spool.
///
/// The configuration names the spool in `spool.dir`; `--set spool.dir=DIR` names another. A slot in
/// use belongs to its process: `ls` and `stats` show its counts, and every command that needs the
/// messages in it skips it and exits with 3. Stop that process first. `drain` also exits with 3 if
/// messages remain.
#[derive(clap::Args)]
pub(crate) struct SpoolArgs {
    /// Name of the destination whose spool to use, if the configuration has several.
    #[arg(long, global = true, value_name = "NAME")]
    destination: Option<String>,

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
    let config = select_destination(&config, args.destination.as_deref())?;
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
        SpoolCommand::Drain(args) => drain::run(args, config, spool),
    }
}

/// Returns the configuration of the destination called `name`, or of the only one.
///
/// # Errors
///
/// Returns an error if there is no such destination, or if several have a spool and `name` is `None`.
fn select_destination<'a>(
    config: &'a Config,
    name: Option<&str>,
) -> Result<&'a Config, CommandError> {
    let destinations = config.destinations();
    let names: Vec<_> = destinations.iter().map(|it| format!("`{}`", it.name())).collect();
    let problem = match name {
        None => {
            if let [only] = destinations.as_slice() {
                return Ok(only.config());
            }
            "several destinations are configured: name one with `--destination`".to_owned()
        }
        Some(name) => {
            if let Some(found) = destinations.iter().find(|it| it.name() == name) {
                return Ok(found.config());
            }
            format!("no destination `{}` is configured", printable(name, MAX_NAME))
        }
    };
    let message = format!("{problem} ({})", names.join(", "));
    Err(CommandError::new(ExitStatus::PermanentError, message))
}

/// The largest number of characters of a name that a message shows.
const MAX_NAME: usize = 64;
