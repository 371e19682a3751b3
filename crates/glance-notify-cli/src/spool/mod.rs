//! `glance-notify spool`: looks after what waits on the disk, from outside the processes that put it
//! there.
//!
//! A slot that a process holds is that process's own: what it holds is told from what the process
//! says of it, and everything else is refused with the name of the process.

mod change;
mod drain;
mod export;
mod ids;
mod left;
mod ls;
mod show;
mod stats;
mod text;

use std::path::Path;

use clap::Subcommand;
use glance_notify::transport::spool::admin::{self, OpenSlot, StoredMessage};
use glance_notify::{Config, Result as NotifyResult};
use serde::Serialize;

use crate::exit::{Exit, Failure, say};

/// Look after the notifications that wait in the spool.
///
/// It is the directory `spool.dir` of the configuration; `--set spool.dir=DIR` names another. What a
/// process holds is left to that process: stop it first. Exit 3 says that something could not be
/// looked at, or is left.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Ls(ls::Args),
    Show(show::Args),
    Stats(stats::Args),
    Retry(change::RetryArgs),
    Drop(change::DropArgs),
    Export(export::Args),
    Drain(drain::Args),
}

pub(crate) fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let Some(spool) = config.spool()? else {
        let message = "no spool is configured: set `spool.dir`, the directory to look after";
        return Err(Failure::new(Exit::Permanent, message));
    };
    let dir = spool.dir.clone();
    match &args.command {
        Command::Ls(args) => ls::run(args, &dir),
        Command::Show(args) => show::run(args, &dir),
        Command::Stats(args) => stats::run(args, &dir),
        Command::Retry(args) => change::retry(args, &dir),
        Command::Drop(args) => change::drop(args, &dir),
        Command::Export(args) => export::run(args, &dir),
        Command::Drain(args) => drain::run(args, config, spool),
    }
}

/// Which messages are meant.
#[derive(clap::Args)]
struct Which {
    /// Only what is in the slot of this number.
    #[arg(long, value_name = "NUMBER")]
    slot: Option<u32>,

    /// Only what is to be forwarded.
    #[arg(long)]
    pending: bool,

    /// Only dead letters: what the destination refused.
    #[arg(long, conflicts_with = "pending")]
    dead: bool,
}

impl Which {
    /// The messages of a slot that are meant, one after the other as they are read.
    fn of<'a>(
        &self,
        slot: &'a OpenSlot,
    ) -> impl Iterator<Item = (State, NotifyResult<StoredMessage>)> + 'a {
        let pending = (!self.dead).then(|| slot.pending().map(|entry| (State::Pending, entry)));
        let dead = (!self.pending).then(|| slot.dead_letters().map(|entry| (State::Dead, entry)));
        pending.into_iter().flatten().chain(dead.into_iter().flatten())
    }
}

/// What a message waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// To be forwarded.
    Pending,
    /// For somebody to decide about it: the destination refused it.
    Dead,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Dead => "dead",
        }
    }
}

/// The slots of a directory that can be opened, one after the other. Those that cannot are told of.
struct Slots<'a> {
    dir: &'a Path,
    numbers: std::vec::IntoIter<u32>,
    unseen: Unseen,
}

impl<'a> Slots<'a> {
    /// All of them, or the one with the number `only`.
    fn new(dir: &'a Path, only: Option<u32>) -> Result<Self, Failure> {
        let numbers = match only {
            Some(number) => vec![number],
            None => admin::slot_numbers(dir)?,
        };
        Ok(Self { dir, numbers: numbers.into_iter(), unseen: Unseen::default() })
    }

    /// The next that can be opened, held until it is dropped.
    fn next(&mut self) -> Option<OpenSlot> {
        loop {
            let opened = OpenSlot::open(self.dir, self.numbers.next()?);
            if let Some(slot) = self.unseen.see(opened) {
                return Some(slot);
            }
        }
    }
}

/// What could not be looked at, and was told of when it was met.
#[derive(Debug, Default)]
struct Unseen(Option<Exit>);

impl Unseen {
    /// What is there, or nothing, and why.
    fn see<T>(&mut self, result: Result<T, impl Into<Failure>>) -> Option<T> {
        match result.map_err(Into::into) {
            Ok(seen) => Some(seen),
            Err(Failure { exit, message }) => {
                say(format_args!("{message}"));
                if self.0 != Some(Exit::Permanent) {
                    self.0 = Some(exit);
                }
                None
            }
        }
    }

    fn is_any(&self) -> bool {
        self.0.is_some()
    }

    /// The exit code of a command that has done everything else.
    fn exit(&self) -> Exit {
        self.0.unwrap_or(Exit::Done)
    }
}
