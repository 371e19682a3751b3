//! `cargo xtask bench`: builds and runs the benchmarks.

use anyhow::Result;

use crate::cargo::{self, cargo};

/// Builds the benchmarks in release mode and runs them with `arguments`.
///
/// # Errors
///
/// When they do not build or cannot measure. A slow result is no error.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    run_optimized(FULLY, arguments)
}

/// Runs the quick benchmarks, built with little optimization: that takes half the time, and shows that
/// every row can be measured.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn run_in_ci() -> Result<()> {
    println!(
        "built with little optimization: do not compare these ratios with docs/performance.md"
    );
    run_optimized("1", &[QUICK.to_owned()])
}

fn run_optimized(level: &str, arguments: &[String]) -> Result<()> {
    let cargo = |subcommand, package: &str| {
        let mut cargo = cargo(&[subcommand, "--quiet", "--release", "--package", package]);
        cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", level);
        cargo
    };
    cargo::run(cargo("build", BENCH).arg("--bins"))?;
    if !arguments.iter().any(|argument| argument == QUICK) {
        // A row runs the command. Apart, because another package may need other features.
        cargo::run(cargo("build", "glance-notify-cli").arg("--bins"))?;
    }
    cargo::run(cargo("run", BENCH).arg("--").args(arguments))
}

const BENCH: &str = "notify-bench";

const QUICK: &str = "--quick";

/// Cargo's own level of a release.
const FULLY: &str = "3";
