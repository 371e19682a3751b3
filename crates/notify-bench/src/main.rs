//! Benchmarks: programs, not tests. Each prints what it measured beside its peer in the same run; the
//! ratio is what counts.
//!
//! ```text
//! cargo run --release -p notify-bench -- log [--messages N] [--rounds N] [--dir DIR]
//! cargo run --release -p notify-bench -- spool [--messages N] [--batch N] [--rounds N] [--dir DIR]
//! ```

#![expect(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for developers: it prints, and stops where it cannot measure"
)]

mod log;
mod measure;
mod spool;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let run = match arguments.next().as_deref() {
        Some("log") => log::Options::parse(arguments).map(|options| log::run(&options)),
        Some("spool") => spool::Options::parse(arguments).map(|options| spool::run(&options)),
        _ => Err("name a benchmark: log or spool".to_owned()),
    };
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(usage) => {
            eprintln!("notify-bench: {usage}");
            ExitCode::from(2)
        }
    }
}
