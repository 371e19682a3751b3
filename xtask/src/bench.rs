//! `cargo xtask bench`: builds and runs the benchmarks.

use anyhow::Result;

use crate::cargo::{self, cargo};

/// Builds the benchmarks in release mode and runs them with `arguments`.
///
/// # Errors
///
/// When they do not build or cannot measure. A slow result is no error.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let release = ["--quiet", "--release", "--package=notify-bench"];
    cargo::run(cargo(&["build"]).args(release).arg("--bins"))?;
    if !arguments.iter().any(|argument| argument == "--quick") {
        // A row runs the command. Apart, because another package may need other features.
        let command = ["--quiet", "--release", "--package=glance-notify-cli", "--bins"];
        cargo::run(cargo(&["build"]).args(command))?;
    }
    cargo::run(cargo(&["run"]).args(release).arg("--").args(arguments))
}
