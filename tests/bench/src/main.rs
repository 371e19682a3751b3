//! The benchmarks. Each compares the project with a peer in the same run, on the same
//! notifications, and reports the ratio. `cargo xtask bench` runs this program.

#![expect(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for developers prints, and stops if it cannot measure"
)]

mod candidate;
mod candidates;
mod cloud_month;
mod comparison;
mod plots;
mod results;
mod rows;
mod samples;
mod statistics;
mod svg;
mod table;
mod task;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use glance_notify::codec::serde_json;

use crate::rows::{BenchRun, FEW_EVENTS, RowGroup};

/// Compares the project with its peers and prints the ratios.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct BenchArgs {
    #[command(subcommand)]
    command: Option<BenchCommand>,
    /// Measure only the groups that need no broker and little time, in fewer rounds.
    #[arg(long)]
    quick: bool,
    /// Print the rows as JSON.
    #[arg(long)]
    json: bool,
    /// The number of rounds [default: 7, or 3 with --quick].
    #[arg(long)]
    rounds: Option<usize>,
    /// The number of events in the archive [default: 1000000, or 20000 with --quick].
    #[arg(long)]
    events: Option<usize>,
    /// Divide the number of messages of each row by this, only to see that it can be measured.
    #[arg(long, default_value = "1")]
    divide: NonZeroUsize,
    /// Measure only this group of rows. You can repeat this option.
    #[arg(long, value_enum)]
    only: Vec<RowGroup>,
    /// The directory for files [default: the system's directory for temporary files].
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum BenchCommand {
    /// Draw the plots of docs/performance.md. The flood takes as long as the broker needs for it.
    Plots {
        /// The number of messages of the flood.
        #[arg(long, default_value_t = 10_000_000)]
        messages: usize,
        /// The directory for the plots.
        #[arg(long, default_value = "docs/plots")]
        to: PathBuf,
    },
    /// Run one candidate. The benchmarks start themselves with this command.
    #[command(hide = true)]
    RunCandidate { name: String, task: String },
}

fn main() -> Result<()> {
    let args = BenchArgs::parse();
    match args.command {
        Some(BenchCommand::RunCandidate { name, task }) => {
            let task = serde_json::from_str(&task).context("the task is not valid")?;
            let measurement = candidates::run(&name, &task);
            let measurement = measurement.with_context(|| format!("no candidate `{name}`"))?;
            println!("{}", serde_json::to_string(&measurement)?);
            return Ok(());
        }
        Some(BenchCommand::Plots { messages, to }) => {
            let rounds = args.rounds.unwrap_or(3);
            return BenchRun::new(rounds, args.dir)?.plots(&to, messages);
        }
        None => {}
    }
    let groups: &[RowGroup] = match args.only.as_slice() {
        [] if args.quick => &RowGroup::QUICK,
        [] => &RowGroup::ALL,
        only => only,
    };
    let rounds = args.rounds.unwrap_or(if args.quick { 3 } else { 7 });
    let events = args.events.unwrap_or(if args.quick { FEW_EVENTS } else { 1_000_000 });
    let run = BenchRun::new(rounds, args.dir)?.archive_events(events).divide(args.divide);
    let (rows, failures) = run.run(groups);
    if args.json {
        println!("{:#}", table::to_json(&rows));
    } else {
        table::print(&rows);
    }
    for failure in &failures {
        eprintln!("not measured: {failure:#}");
    }
    anyhow::ensure!(failures.is_empty(), "{} groups could not be measured", failures.len());
    Ok(())
}
