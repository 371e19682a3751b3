//! Benchmarks: programs, not tests. Each prints what it measured beside its peer in the same run; the
//! ratio is what counts.
//!
//! ```text
//! cargo run --release -p notify-bench -- log [--messages N] [--rounds N] [--dir DIR]
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

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let run = match arguments.next().as_deref() {
        Some("log") => log::Options::parse(arguments).map(|options| log::run(&options)),
        _ => Err("name a benchmark: log".to_owned()),
    };
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(usage) => {
            eprintln!("notify-bench: {usage}");
            ExitCode::from(2)
        }
    }
}
