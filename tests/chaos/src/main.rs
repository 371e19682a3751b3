//! Breaks the broker, the network, the disk and the process around a producer at random moments,
//! and counts the lost notifications. `cargo xtask chaos` runs this program.
//!
//! The producer is this program in another process. It emits through the library to a real broker
//! behind a proxy, and records every notification and every outcome in a journal on disk. After
//! each round of faults, when everything works again, the program compares the journal with the
//! messages in the broker's queues. It reads the queues with a client that is independent of the
//! project. `docs/reliability.md` shows the results.

#![expect(
    clippy::exit,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for developers prints, and stops on an unexpected error"
)]

mod archive_process;
mod archive_run;
mod args;
mod environment;
mod fault;
mod inject;
mod journal;
mod kills;
mod plan;
mod producer;
mod producer_handle;
mod producer_host;
mod reader;
mod reader_kills;
mod report;
mod resources;
mod setup;
mod trial;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use archive_run::ArchiveRunPlan;
use args::{ChaosArgs, RunLength};
use environment::RunEnvironment;
use plan::ChaosPlan;
use producer_host::ProducerHost;
use reader_kills::ReaderKills;
use report::ChaosReport;
use setup::{ProducerSetup, SpoolPlacement};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, configuration, journal] = arguments.as_slice()
        && role == producer_handle::PRODUCER_ROLE
    {
        producer::run(Path::new(configuration), Path::new(journal));
        return ExitCode::SUCCESS;
    }
    match arguments.as_slice() {
        [role, url, directory] if role == archive_process::FILL_ROLE => {
            archive_process::fill(url, Path::new(directory));
            return ExitCode::SUCCESS;
        }
        [role, directory] if role == archive_process::READ_ROLE => {
            archive_process::read(Path::new(directory));
            return ExitCode::SUCCESS;
        }
        [role, url, store] if role == reader::READER_ROLE => {
            reader::run(url, Path::new(store));
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    match ChaosArgs::parse(arguments) {
        Ok(args) if run(&args) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("notify-chaos: {problem}");
            eprintln!(
                "usage: [--minutes N | --short | --archive EVENTS | --reader [--short]] [--seed S] [--fault NAME [--tries N]] [--dir DIR]"
            );
            ExitCode::from(2)
        }
    }
}

/// Runs the program. Returns whether the run found no problem.
fn run(args: &ChaosArgs) -> bool {
    println!("seed {}", args.seed);
    let host = ProducerHost::new();
    let (mut faults, mut setups) = (args.faults.clone(), ProducerSetup::ALL.to_vec());
    if let Some(reason) = host.missing_namespaces() {
        for fault in faults.extract_if(.., |fault| fault.needs_namespaces()) {
            println!("not run: {}: {reason}", fault.name());
        }
        setups.retain(|setup| setup.spool != SpoolPlacement::OnSmallDisk);
    }
    setups.retain(|setup| faults.iter().any(|fault| fault.applies_to(*setup)));
    if setups.is_empty() {
        return false;
    }

    let parent = args.directory.clone().unwrap_or_else(std::env::temp_dir);
    let directory = tempfile::Builder::new().prefix("notify-chaos-").tempdir_in(parent);
    // The directory stays unless the run finds no problem.
    let directory = directory.expect("the directory for files is writable").keep();
    println!("files in {}", directory.display());
    let short = args.length == RunLength::Short;
    let environment =
        RunEnvironment::new(host, if short { SHORT_QUEUE } else { QUEUE }, &directory);
    let mut report = ChaosReport::default();
    if let Some(events) = args.archive_events {
        let plan = ArchiveRunPlan::full(args.seed, events);
        report.add_problems("archive", archive_run::run(plan, &environment, &directory));
    } else if args.reader {
        let size = if short { ReaderKills::SHORT } else { ReaderKills::LONG };
        reader_kills::run(&environment, &directory, args.seed, size, &mut report);
    } else if let Some(tries) = args.kills {
        kills::run(&environment, args.seed, tries, &mut report);
    } else {
        let length = match args.length {
            RunLength::Short => Duration::from_secs(3_600),
            RunLength::For(length) => length,
        };
        let end = Instant::now() + length;
        let plan = ChaosPlan { seed: args.seed, short, faults, setups };
        for (number, (setup, rounds)) in (0..).map_while(|n| Some((n, plan.trial(n)?))) {
            if Instant::now() >= end {
                break;
            }
            trial::run(&environment, &format!("trial-{number}"), setup, &rounds, end, &mut report);
        }
        if short {
            kills::run(&environment, args.seed, SHORT_KILLS, &mut report);
            let plan = ArchiveRunPlan::short(args.seed);
            report.add_problems("archive", archive_run::run(plan, &environment, &directory));
            reader_kills::run(&environment, &directory, args.seed, ReaderKills::SHORT, &mut report);
        }
    }
    report.print();
    if report.is_clean() {
        // A directory that cannot be removed does no harm.
        let _ = std::fs::remove_dir_all(&directory);
    } else {
        environment.keep_log();
        println!("seed {}; all files are in {}", args.seed, directory.display());
    }
    report.is_clean()
}

/// The most messages in a producer's queue: the library's default.
const QUEUE: u64 = 10_000;
/// The same in a short run.
const SHORT_QUEUE: u64 = 1_000;

/// The number of kills of a producer in a short run.
const SHORT_KILLS: u32 = 15;
