//! `cargo xtask chaos`: injects faults around a process that emits and counts lost notifications.
//!
//! The package `notify-chaos` does the work, because xtask depends on none of the libraries.

use anyhow::Result;

use crate::cargo::{self, cargo};
use crate::setup;

/// Builds the program in release mode and runs it with `arguments`.
///
/// # Errors
///
/// When the machine cannot be set up, or when the run violates a promise.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    setup::run()?;
    let mut chaos = cargo(&["run", "--quiet", "--release", "-p", "notify-chaos", "--"]);
    // A `/tmp` in memory would make a spool on the disk one in memory. A later argument wins.
    chaos.arg("--dir").arg(cargo::target_directory()?);
    cargo::run(chaos.args(arguments))
}
