//! The project's chores: `cargo xtask CHORE`.
//!
//! Depends on none of the library crates, so that it builds and runs whatever state they are in.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to who runs it")]

mod bench;
mod cargo;
mod chaos;
mod ci;
mod deny;
mod features;
mod fuzz;
mod setup;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let chore = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let done = match (chore.as_deref(), rest.as_slice()) {
        (Some("setup"), []) => setup::run(),
        (Some("setup"), [option]) if option == "--bench" => setup::run_for_benchmarks(),
        (Some("test"), extra) => test::run(extra),
        (Some("chaos"), arguments) => chaos::run(arguments),
        (Some("ci"), []) => ci::run(),
        (Some("deny"), []) => deny::run(),
        (Some("fuzz"), options) => fuzz::run(options),
        (Some("features"), []) => features::run(),
        (Some("tidy"), []) => tidy::run(),
        (Some("bench"), arguments) => bench::run(arguments),
        (Some("help" | "-h" | "--help"), []) => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "\
The project's chores.

Usage: cargo xtask CHORE

  setup              install what the tests need and this machine lacks (Debian packages, Python)
  setup --bench      and what the benchmarks need besides (C)
  test [ARGUMENT]…   setup, then every test, with these arguments to `cargo test`
  tidy               the invariants of the code
  features           every feature of the facade builds alone, and brings nothing of the others
  bench [ARGUMENT]…  the project beside its peers, with these arguments: --quick, --json, --help
  chaos [ARGUMENT]…  breaks everything around a process that emits, and counts what was lost:
                     [--minutes N | --short] [--seed S] [--fault NAME [--tries N]]
  deny               licences, sources, duplicates and known weaknesses of what this is built on
  fuzz [--seconds N] [--target NAME]
                     libFuzzer looks for input that breaks a promise, a minute for each target
  ci                 most of that and more, as it runs on every change
";
