//! The project's own commands: `cargo xtask COMMAND`.
//!
//! Depends on none of the library crates, so that it builds and runs in whatever state they are.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the commands report to a person")]

mod bench;
mod brokers;
mod cargo;
mod chaos;
mod ci;
mod debian;
mod deny;
mod features;
mod fuzz;
mod last_commit;
mod package;
mod readme;
mod release_check;
mod samples;
mod setup;
mod test;
mod tidy;
mod toolchain;
mod tools;
mod typos;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let done = match (command.as_deref(), rest.as_slice()) {
        (Some("setup"), []) => setup::run(),
        (Some("setup"), [option]) if option == "--bench" => setup::run_for_benchmarks(),
        (Some("setup"), [option]) if option == "--brokers" => setup::run_for_brokers(),
        (Some("test"), extra) => test::run(extra),
        (Some("chaos"), arguments) => chaos::run(arguments),
        (Some("brokers"), [name, extra @ ..]) => brokers::run(name, extra),
        (Some("ci"), []) => ci::run(),
        (Some("deny"), []) => deny::run(),
        (Some("fuzz"), options) => fuzz::run(options),
        (Some("features"), []) => features::run(),
        (Some("readme"), []) => readme::write(),
        (Some("package"), []) => package::run(),
        (Some("release-check"), kinds) => release_check::run(kinds),
        (Some("tidy"), []) => tidy::run(),
        (Some("typos"), []) => typos::run(),
        (Some("samples"), []) => samples::rewrite(),
        (Some("samples"), [option]) if option == "--check" => samples::check(),
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
The project's own commands.

Usage: cargo xtask COMMAND

  setup              installs what the tests need and this machine lacks (Debian packages, Python,
                     axe-core)
  setup --brokers    installs what the tests of the brokers need
  setup --bench      also installs what the benchmarks need (C, jq)
  test [ARGUMENT]…   runs setup, then every test; passes the arguments on to `cargo test`
  tidy               checks the invariants of the code base
  package            builds the Debian package, the RPM and the software bill of materials of the last commit
  release-check [NAME]…
                     checks what strangers install: crates, external-types, feature-sets, minimal-versions,
                     packages (root only), rust-version and semver
  typos              looks for misspelt words in all files
  readme             writes the README of each published library from its documentation
  features           checks that each feature of the facade and of the command builds alone, and which
                     crates those of the facade add
  bench [ARGUMENT]…  runs the benchmarks beside their peers: --quick, --json, --help
  chaos [ARGUMENT]…  injects faults around a process that emits and counts lost notifications:
                     [--minutes N | --short | --archive EVENTS | --reader [--short]] [--seed S]
                     [--fault NAME [--tries N]] [--dir DIR]
  samples [--check]  runs OpenStack's own code and rewrites tests/samples/openstack-2026 with what it
                     notifies; with --check, compares and changes nothing
  brokers NAME [ARGUMENT]…
                     runs the tests of the brokers on one that this system does not have: rabbitmq4, in
                     a Debian 13 of its own (root only; some minutes)
  deny               checks licences, sources, duplicates and advisories of the dependencies
  fuzz [--seconds N] [--target NAME]
                     searches with libFuzzer for input that violates a promise, a minute per target
  help               prints this text
  ci                 runs every check that a change must pass
";
