//! The project's chores: `cargo xtask CHORE`.
//!
//! Depends on none of the library crates, so that it builds and runs whatever state they are in.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to who runs it")]

mod cargo;
mod chaos;
mod ci;
mod features;
mod setup;
mod test;
mod tidy;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let chore = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let done = match (chore.as_deref(), rest.as_slice()) {
        (Some("setup"), []) => setup::run(),
        (Some("test"), extra) => test::run(extra),
        (Some("chaos"), arguments) => chaos::run(arguments),
        (Some("ci"), []) => ci::run(),
        (Some("features"), []) => features::run(),
        (Some("tidy"), []) => tidy::run(),
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
  test [ARGUMENT]…   setup, then every test, with these arguments to `cargo test`
  tidy               the invariants of the code
  features           every feature of the facade builds alone, and brings nothing of the others
  chaos [ARGUMENT]…  breaks everything around a process that emits, and counts what was lost:
                     [--minutes N | --short] [--seed S] [--fault NAME [--tries N]]
  ci                 all of that and more, as it runs on every change; chaos in its short form
";
