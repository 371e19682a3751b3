//! Benchmarks: programs, not tests. Each measures us beside a peer in the same run, on the same
//! notifications; the ratio is what counts. Run by `cargo xtask bench`.

#![expect(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for developers: it prints, and stops where it cannot measure"
)]

mod contenders;
mod contest;
mod plots;
mod rows;
mod samples;
mod svg;
mod table;
mod task;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use glance_notify::codec::serde_json;

use crate::rows::{Bench, Group};

/// Measures the project beside its peers and prints the ratios.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    #[command(subcommand)]
    chore: Option<Chore>,
    /// Only what needs no broker, in a few rounds.
    #[arg(long)]
    quick: bool,
    /// Print the rows as JSON.
    #[arg(long)]
    json: bool,
    /// Rounds; 7, or 3 when quick.
    #[arg(long)]
    rounds: Option<usize>,
    /// Only these rows.
    #[arg(long, value_enum)]
    only: Vec<Group>,
    /// Where files are written; the system's directory for temporary ones.
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Chore {
    /// Draws the plots of docs/performance.md: takes as long as a broker needs for the flood.
    Plots {
        /// How many messages the flood has.
        #[arg(long, default_value_t = 10_000_000)]
        messages: usize,
        /// Where the plots go.
        #[arg(long, default_value = "docs/plots")]
        to: PathBuf,
    },
    /// Runs one contender.
    #[command(hide = true)]
    Contend { name: String, task: String },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.chore {
        Some(Chore::Contend { name, task }) => {
            let task = serde_json::from_str(&task).context("a task")?;
            let outcome = contenders::run(&name, &task).context("no such contender")?;
            println!("{}", serde_json::to_string(&outcome)?);
            return Ok(());
        }
        Some(Chore::Plots { messages, to }) => {
            let rounds = arguments.rounds.unwrap_or(3);
            return Bench::new(rounds, arguments.dir)?.plots(&to, messages);
        }
        None => {}
    }
    let groups: &[Group] = match arguments.only.as_slice() {
        [] if arguments.quick => &Group::QUICK,
        [] => &Group::ALL,
        only => only,
    };
    let rounds = arguments.rounds.unwrap_or(if arguments.quick { 3 } else { 7 });
    let (rows, failures) = Bench::new(rounds, arguments.dir)?.run(groups);
    if arguments.json {
        println!("{:#}", table::to_json(&rows));
    } else {
        table::print(&rows);
    }
    for failure in &failures {
        eprintln!("not measured: {failure:#}");
    }
    anyhow::ensure!(failures.is_empty(), "not everything could be measured");
    Ok(())
}
