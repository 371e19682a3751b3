//! The rows of the table, in one file per group.

mod archive;
mod brokers;
mod build;
mod destinations;
mod encoding;
mod lanes;
mod log;
mod noop;
mod outage;
pub(crate) mod rabbitmq;
mod reading;
mod spool;
mod web;

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::candidate::Candidate;
use crate::comparison::compare;
use crate::results::CandidateResults;
use crate::samples;
use crate::table::ResultRow;
use crate::task::BenchTask;

/// A run of the benchmarks.
pub(crate) struct BenchRun {
    rounds: usize,
    /// The directory for all files of the run.
    directory: tempfile::TempDir,
    rows: Vec<ResultRow>,
    /// The number of events in the archive.
    archive_events: usize,
    /// The divisor of the number of messages of each row.
    divisor: NonZeroUsize,
}

/// A group of rows that a run can measure alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RowGroup {
    /// Suppressed notifications.
    Noop,
    /// Encoding a notification as JSON.
    Encoding,
    /// Decoding a notification from JSON.
    Decoding,
    /// Writing lines to a file.
    Log,
    /// Emitting from 1, 8 and 64 tasks.
    Tasks,
    /// Storing batches in the spool and forwarding them.
    Spool,
    /// Filling the archive and asking it.
    Archive,
    /// The first page of a search in the browser.
    Web,
    /// RabbitMQ: rates, and the latency of one notification.
    Rabbit,
    /// AMQP 1.0: rates.
    Qpid,
    /// Reading from RabbitMQ with acknowledgements.
    Reading,
    /// Lanes that fail beside lanes that work.
    Lanes,
    /// One event to three destinations, of which one is frozen.
    Destinations,
    /// An unreachable and a frozen broker.
    #[value(alias = "away")]
    Outage,
    /// Building a program from scratch.
    Build,
}

impl RowGroup {
    /// All groups, in the order of the table.
    pub(crate) const ALL: [Self; 15] = [
        Self::Noop,
        Self::Encoding,
        Self::Decoding,
        Self::Log,
        Self::Tasks,
        Self::Spool,
        Self::Archive,
        Self::Web,
        Self::Rabbit,
        Self::Qpid,
        Self::Reading,
        Self::Lanes,
        Self::Destinations,
        Self::Outage,
        Self::Build,
    ];

    /// The groups that need no broker and little time.
    pub(crate) const QUICK: [Self; 6] =
        [Self::Noop, Self::Encoding, Self::Decoding, Self::Log, Self::Archive, Self::Web];
}

impl BenchRun {
    /// Creates a run that writes its files to a new directory inside `directory`.
    pub(crate) fn new(rounds: usize, directory: Option<PathBuf>) -> Result<Self> {
        let directory = match directory {
            Some(directory) => tempfile::tempdir_in(directory),
            None => tempfile::tempdir(),
        };
        let directory = directory.context("cannot create a directory for the files of the run")?;
        fs::write(directory.path().join(SAMPLES_FILE), samples::lines())?;
        Ok(Self {
            rounds: rounds.max(1),
            directory,
            rows: Vec::new(),
            archive_events: FEW_EVENTS,
            divisor: NonZeroUsize::MIN,
        })
    }

    /// Sets the number of events in the archive.
    pub(crate) fn archive_events(mut self, events: usize) -> Self {
        self.archive_events = events;
        self
    }

    /// Divides the number of messages of each row.
    pub(crate) fn divide(mut self, divisor: NonZeroUsize) -> Self {
        self.divisor = divisor;
        self
    }

    /// Measures some groups. Returns their rows, and the errors of groups that it could not
    /// measure.
    pub(crate) fn run(mut self, groups: &[RowGroup]) -> (Vec<ResultRow>, Vec<anyhow::Error>) {
        let mut failures = Vec::new();
        for group in groups {
            eprintln!("measuring: {group:?}");
            let result = match group {
                RowGroup::Noop => self.noop(),
                RowGroup::Encoding => self.encoding(),
                RowGroup::Decoding => self.decoding(),
                RowGroup::Log => self.log(),
                RowGroup::Tasks => self.tasks(),
                RowGroup::Spool => self.spool(),
                RowGroup::Archive => self.archive(),
                RowGroup::Web => self.web(),
                RowGroup::Rabbit => self.rabbit(),
                RowGroup::Qpid => self.qpid(),
                RowGroup::Reading => self.reading(),
                RowGroup::Lanes => {
                    self.lanes();
                    Ok(())
                }
                RowGroup::Destinations => self.destinations(),
                RowGroup::Outage => self.outage(),
                RowGroup::Build => self.build(),
            };
            failures.extend(result.err().map(|error| error.context(format!("{group:?}"))));
        }
        (self.rows, failures)
    }

    /// Returns a task of `messages` messages, before the division.
    pub(crate) fn task(&self, messages: usize) -> BenchTask {
        BenchTask {
            messages: messages / self.divisor,
            emitters: 1,
            samples: self.directory.path().join(SAMPLES_FILE),
            file: self.directory.path().join("n.log"),
            ..BenchTask::default()
        }
    }

    /// Compares the candidates in the rounds of this run.
    pub(crate) fn compare(
        &self,
        title: &str,
        candidates: &[Candidate],
        before: impl Fn(),
    ) -> Result<Vec<CandidateResults>> {
        compare(self.rounds, title, candidates, before)
    }
}

/// The name of the file with the notifications.
const SAMPLES_FILE: &str = "samples";
/// The number of events in the archive of a quick run.
pub(crate) const FEW_EVENTS: usize = 20_000;
/// The number of messages in a full batch of the library.
const BATCH: usize = 1024;
