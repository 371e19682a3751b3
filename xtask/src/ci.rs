//! `cargo xtask ci`: every check that a change must pass, cheap checks first.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::cargo::{self, cargo};
use crate::{deny, features, test, tidy, typos};

/// Runs every step, and goes on after a step that fails. Prints the time of each.
///
/// # Errors
///
/// Names the steps that failed.
pub(crate) fn run() -> Result<()> {
    let mut failed = Vec::new();
    let mut times = Vec::new();
    for Step { name, run } in STEPS {
        println!("── {name}");
        let start = Instant::now();
        if let Err(error) = run() {
            eprintln!("error: {error:#}");
            failed.push(name);
        }
        let took = start.elapsed();
        println!("── {name} took {}\n", seconds(took));
        times.push(format!("{name} {}", seconds(took)));
    }
    println!("── {}", times.join(", "));
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// One step of the run.
struct Step {
    name: &'static str,
    run: fn() -> Result<()>,
}

const STEPS: [Step; 9] = [
    // A release is built from the lock file that was tested.
    Step {
        name: "lock",
        run: || {
            cargo::output(&mut cargo(&["metadata", "--locked", "--format-version=1"])).map(drop)
        },
    },
    Step { name: "fmt", run: || cargo::run(&mut cargo(&["fmt", "--all", "--check"])) },
    Step { name: "tidy", run: tidy::run },
    Step { name: "typos", run: typos::run },
    Step { name: "deny", run: deny::run },
    Step { name: "clippy", run: clippy },
    Step { name: "doc", run: doc },
    Step { name: "features", run: features::run },
    Step { name: "test", run: || test::run(&["--no-fail-fast".to_owned()]) },
];

/// Runs clippy on every target with all features.
fn clippy() -> Result<()> {
    let everything = ["clippy", "--keep-going", "--workspace", "--all-targets", "--all-features"];
    cargo::run(cargo(&everything).args(["--", "--deny", "warnings"]))
}

/// Builds the documentation of every package; a warning is an error.
fn doc() -> Result<()> {
    let everything = ["doc", "--keep-going", "--workspace", "--all-features", "--no-deps"];
    cargo::run(cargo(&everything).env("RUSTDOCFLAGS", "--deny warnings"))
}

/// Formats a duration in seconds.
fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
