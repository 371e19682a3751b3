//! Breaks everything around a process that emits, at random moments, and counts what was lost: a
//! program, run by `cargo xtask chaos`.
//!
//! A producer, which is this program in another process, emits through the library to a real broker
//! behind a relay, and keeps a ledger on disk of what it was promised. After each round of faults, when
//! all is healed, the ledger is compared with what lies in the broker's queues, read by a client that is
//! not ours. `docs/reliability.md` has what came of it.

#![expect(
    clippy::exit,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for developers: it prints, and stops where it cannot go on"
)]

mod fault;
mod inject;
mod kills;
mod ledger;
mod leg;
mod options;
mod place;
mod plan;
mod process;
mod producer;
mod report;
mod resources;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use options::{Length, Options};
use place::Place;
use plan::{Plan, Setup, Spool};
use report::Report;
use world::World;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, configuration, ledger] = arguments.as_slice()
        && role == process::ROLE
    {
        producer::run(Path::new(configuration), Path::new(ledger));
        return ExitCode::SUCCESS;
    }
    match Options::parse(arguments) {
        Ok(options) if run(&options) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(usage) => {
            eprintln!("notify-chaos: {usage}");
            eprintln!("usage: [--minutes N | --short] [--seed S] [--fault NAME [--tries N]]");
            ExitCode::from(2)
        }
    }
}

/// Whether everything was as promised.
fn run(options: &Options) -> bool {
    println!("seed {}", options.seed);
    let place = Place::new();
    let (mut faults, mut setups) = (options.faults.clone(), Setup::ALL.to_vec());
    if let Some(why) = place.lacks() {
        for fault in faults.extract_if(.., |fault| fault.is_isolated()) {
            println!("not run: {}: {why}", fault.name());
        }
        setups.retain(|setup| setup.spool != Spool::OnSmallDisk);
    }
    setups.retain(|setup| faults.iter().any(|fault| fault.fits(*setup)));
    if setups.is_empty() {
        return false;
    }

    let directory = tempfile::Builder::new().prefix("notify-chaos-").tempdir();
    // Kept, unless all goes well.
    let directory = directory.expect("a temporary directory").keep();
    println!("files in {}", directory.display());
    let short = options.length == Length::Short;
    let world = World::new(place, if short { SHORT_QUEUE } else { QUEUE }, &directory);
    let mut report = Report::default();
    if let Some(tries) = options.kills {
        kills::run(&world, options.seed, tries, &mut report);
    } else {
        let length = match options.length {
            Length::Short => Duration::from_secs(3_600),
            Length::For(length) => length,
        };
        let end = Instant::now() + length;
        let plan = Plan { seed: options.seed, short, faults, setups };
        for (number, (setup, rounds)) in (0..).map_while(|n| Some((n, plan.leg(n)?))) {
            if Instant::now() >= end {
                break;
            }
            leg::run(&world, &format!("leg-{number}"), setup, &rounds, end, &mut report);
        }
        if short {
            kills::run(&world, options.seed, SHORT_KILLS, &mut report);
        }
    }
    report.print();
    if report.is_clean() {
        // Nobody will miss it.
        let _ = std::fs::remove_dir_all(&directory);
    } else {
        world.keep_log();
        println!("seed {}; everything is kept in {}", options.seed, directory.display());
    }
    report.is_clean()
}

/// Messages in a producer's queue at most: the library's default; and in a short run.
const QUEUE: u64 = 10_000;
const SHORT_QUEUE: u64 = 1_000;

/// Kills of a producer in a short run.
const SHORT_KILLS: u32 = 15;
