//! `cargo xtask chaos`: breaks everything around a process that emits, and counts what was lost.
//!
//! The work is done by a program of its own, for chores know none of the libraries.

use anyhow::Result;

use crate::cargo::{self, cargo};
use crate::setup;

/// Builds the program as it would be released, and runs it with `arguments`.
///
/// # Errors
///
/// When the machine cannot be set up, or anything was lost or not as promised.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    setup::run()?;
    cargo::run(cargo(&["run", "--quiet", "--release", "-p", "notify-chaos", "--"]).args(arguments))
}
