//! `cargo xtask bench`: the benchmarks, built for speed, with the arguments that they take.

use anyhow::Result;

use crate::cargo::{self, cargo};

/// Builds the benchmarks and runs them.
///
/// # Errors
///
/// When they do not build, or something cannot be measured. Never for what was measured.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let release = ["--quiet", "--release", "--package=notify-bench"];
    cargo::run(cargo(&["build"]).args(release).arg("--bins"))?;
    cargo::run(cargo(&["run"]).args(release).arg("--").args(arguments))
}
