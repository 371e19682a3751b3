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

use std::path::{Path, PathBuf};

use crate::exit_status::{CommandError, ExitStatus};
use crate::settings::ConfigArgs;
use clap::Subcommand;
use glance_notify::Config;
use glance_notify::config::{DestinationConfig, Redact};
use glance_notify::transport::{printable, spool};

use slots::{ask_disk, check_readable};

/// Administer the notifications in the spool.
///
/// The configuration names the spool in `spool.dir`; `--set spool.dir=DIR` names another. A slot in
/// use belongs to its process: `ls` and `stats` show its counts, and every command that needs the
/// messages in it skips it and exits with 3. Stop that process first. `drain` also exits with 3 if
/// messages remain.
#[derive(clap::Args)]
pub(crate) struct SpoolArgs {
    /// Name of the destination whose spool to use, if the configuration has several. Except for `drain`, also
    /// the name of one that is configured no longer, or '' for the spool in `spool.dir` itself. `drain`
    /// without it drains the spools of all destinations.
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
    let name = args.destination.as_deref();
    let dir = || find_dir(&config.load()?, name);
    match &args.command {
        SpoolCommand::Ls(args) => ls::run(args, &dir()?),
        SpoolCommand::Show(args) => show::run(args, &dir()?),
        SpoolCommand::Stats(args) => stats::run(args, &dir()?),
        SpoolCommand::Retry(args) => retry::run(args, &dir()?),
        SpoolCommand::Drop(args) => drop::run(args, &dir()?),
        SpoolCommand::Export(args) => export::run(args, &dir()?),
        // Only `drain` delivers anything.
        SpoolCommand::Drain(args) => {
            let config = config.load_for_delivery()?;
            drain::run(args, &config, find_spools(&config, name)?)
        }
    }
}

/// Returns the directory of the destination called `name`, which may be configured no longer, or of the only
/// destination.
///
/// # Errors
///
/// Returns an error if there is no such spool or its directory cannot be read, or if several destinations are
/// configured and `name` is `None`.
fn find_dir(config: &Config, name: Option<&str>) -> Result<PathBuf, CommandError> {
    let dir = match select_destination(config, name) {
        Ok(destination) => destination.config().spool()?.ok_or_else(no_spool)?.dir,
        Err(mut error) => match name {
            None => return Err(error),
            Some(name) => find_leftover_dir(config, name).ok_or_else(|| {
                error.message.push_str(", and no `spool.dir` has a directory of this name");
                error
            })?,
        },
    };
    check_readable(&dir)?;
    Ok(dir)
}

/// Returns the directory of a destination that is configured no longer.
fn find_leftover_dir(config: &Config, name: &str) -> Option<PathBuf> {
    if name.contains('/') || name == ".." {
        return None;
    }
    let mut dirs = config.destinations().into_iter().filter_map(|destination| {
        let dir = destination.config().spool().ok()??.dir;
        let shared = if destination.name().is_empty() { dir.as_path() } else { dir.parent()? };
        Some(shared.join(name))
    });
    dirs.find(|dir| dir.try_exists().unwrap_or(true))
}

/// Returns the spools to drain: that of the destination called `name`, or those of all destinations.
///
/// Leaves out those of several that have stored nothing yet.
///
/// # Errors
///
/// Returns an error if there is no such destination, or if no spool is configured or exists.
fn find_spools<'a>(
    config: &'a Config,
    name: Option<&str>,
) -> Result<Vec<(DestinationConfig<'a>, spool::Config)>, CommandError> {
    let destinations = match name {
        Some(_) => vec![select_destination(config, name)?],
        None => config.destinations(),
    };
    let mut spools = Vec::new();
    for destination in destinations {
        if let Some(spool) = destination.config().spool()? {
            spools.push((destination, spool));
        }
    }
    let first = spools.first().map(|(_, spool)| spool.dir.clone()).ok_or_else(no_spool)?;
    // A spool whose disk does not answer stays: its drain reports that.
    spools.retain(|(_, spool)| {
        let exists = ask_disk(&spool.dir, Path::try_exists);
        !matches!(exists, Ok(Ok(false)))
    });
    if spools.is_empty() {
        check_readable(&first)?;
    }
    Ok(spools)
}

/// Returns the destination called `name`, or the only one.
///
/// # Errors
///
/// Returns an error if there is no such destination, or if there are several and `name` is `None`.
fn select_destination<'a>(
    config: &'a Config,
    name: Option<&str>,
) -> Result<DestinationConfig<'a>, CommandError> {
    let destinations = config.destinations();
    let problem = match name {
        None => {
            if let [only] = destinations.as_slice() {
                return Ok(*only);
            }
            "several destinations are configured: name one with `--destination`".to_owned()
        }
        Some(name) => {
            if let Some(found) = destinations.iter().find(|it| it.name() == name) {
                return Ok(*found);
            }
            let name = Redact::Secrets.text(name);
            format!("no destination `{}` is configured", printable(&name, MAX_NAME))
        }
    };
    let names: Vec<_> = destinations.iter().map(|it| format!("`{}`", it.name())).collect();
    let message = match destinations.as_slice() {
        [flat] if flat.name().is_empty() => problem,
        _ => format!("{problem} ({})", names.join(", ")),
    };
    Err(CommandError::new(ExitStatus::PermanentError, message))
}

/// Returns the error of a configuration without a spool.
fn no_spool() -> CommandError {
    let message = "no spool is configured: set `spool.dir` to the directory of the spool";
    CommandError::new(ExitStatus::PermanentError, message)
}

/// The largest number of characters of a name that a message shows.
const MAX_NAME: usize = 64;
