//! The rows of the table, a file for each kind of contest.

mod away;
mod brokers;
mod build;
mod encoding;
mod log;
mod noop;
mod spool;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::contest::{Contender, Contested, contest};
use crate::samples;
use crate::table::Row;
use crate::task::Task;

pub(crate) use brokers::{purge, rabbit_config};

/// A run of benchmarks.
pub(crate) struct Bench {
    rounds: usize,
    /// What is written is written here.
    directory: tempfile::TempDir,
    rows: Vec<Row>,
}

/// What can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Group {
    /// Notifications that nobody wants.
    Noop,
    /// A notification as JSON.
    Encoding,
    /// Lines in a file.
    Log,
    /// From one task, from eight, from 64.
    Tasks,
    /// Batches on the disk, to be forwarded.
    Spool,
    /// RabbitMQ, and how long one notification takes.
    Rabbit,
    /// AMQP 1.0.
    Qpid,
    /// A broker that is away, and one that is frozen.
    Away,
    /// Building a program from nothing.
    Build,
}

impl Group {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Self; 9] = [
        Self::Noop,
        Self::Encoding,
        Self::Log,
        Self::Tasks,
        Self::Spool,
        Self::Rabbit,
        Self::Qpid,
        Self::Away,
        Self::Build,
    ];

    /// Those that need no broker and little time.
    pub(crate) const QUICK: [Self; 3] = [Self::Noop, Self::Encoding, Self::Log];
}

impl Bench {
    /// A run of so many rounds, which writes to a directory of its own in `directory`.
    pub(crate) fn new(rounds: usize, directory: Option<PathBuf>) -> Result<Self> {
        let directory = match directory {
            Some(directory) => tempfile::tempdir_in(directory),
            None => tempfile::tempdir(),
        };
        let directory = directory.context("no directory to write to")?;
        fs::write(directory.path().join(SAMPLES), samples::lines())?;
        Ok(Self { rounds: rounds.max(1), directory, rows: Vec::new() })
    }

    /// Measures some groups: the rows, and why some are missing.
    pub(crate) fn run(mut self, groups: &[Group]) -> (Vec<Row>, Vec<anyhow::Error>) {
        let mut failures = Vec::new();
        for group in groups {
            eprintln!("measuring: {group:?}");
            let measured = match group {
                Group::Noop => self.noop(),
                Group::Encoding => self.encoding(),
                Group::Log => self.log(),
                Group::Tasks => self.tasks(),
                Group::Spool => self.spool(),
                Group::Rabbit => self.rabbit(),
                Group::Qpid => self.qpid(),
                Group::Away => self.away(),
                Group::Build => self.build(),
            };
            failures.extend(measured.err().map(|error| error.context(format!("{group:?}"))));
        }
        (self.rows, failures)
    }

    /// A task of so many messages.
    pub(crate) fn task(&self, messages: usize) -> Task {
        Task {
            messages,
            emitters: 1,
            samples: self.directory.path().join(SAMPLES),
            file: self.directory.path().join("n.log"),
            ..Task::default()
        }
    }

    pub(crate) fn contest(
        &self,
        title: &str,
        contenders: &[Contender],
        before: impl Fn(),
    ) -> Result<Vec<Contested>> {
        contest(self.rounds, title, contenders, before)
    }
}

const SAMPLES: &str = "samples";
/// Messages in one of our batches, where more are waiting.
const BATCH: usize = 1024;
