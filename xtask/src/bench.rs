//! `cargo xtask bench`: builds and runs the benchmarks.

use anyhow::Result;

use crate::cargo::{self, cargo};

/// Builds the benchmarks in release mode and runs them with `arguments`.
///
/// # Errors
///
/// When they do not build or cannot measure. A slow result is no error.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let cargo = |subcommand, package: &str| {
        cargo(&[subcommand, "--quiet", "--release", "--package", package])
    };
    cargo::run(cargo("build", BENCH).arg("--bins"))?;
    if !arguments.iter().any(|argument| argument == "--quick") {
        // A row runs the command. Apart, because another package may need other features.
        cargo::run(cargo("build", "glance-notify-cli").arg("--bins"))?;
    }
    cargo::run(cargo("run", BENCH).arg("--").args(arguments))
}

const BENCH: &str = "notify-bench";
