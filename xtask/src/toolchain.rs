//! Other versions of the compiler than the one that builds this program. rustup installs them.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::cargo::root;

/// The nightly that the checks use. cargo-check-external-types reads the JSON that this one writes.
pub(crate) const NIGHTLY: &str = "nightly-2026-03-20";

/// Returns a command that runs `program` with a toolchain at the root of the workspace. Installs the
/// toolchain if it is missing.
///
/// # Errors
///
/// When rustup is missing or cannot install the toolchain.
pub(crate) fn command(toolchain: &str, program: &str) -> Result<Command> {
    let status = Command::new("rustup")
        .args(["toolchain", "install", "--no-self-update", "--profile=minimal", toolchain])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cannot run `rustup`: install it from https://rustup.rs")?;
    ensure!(status.success(), "rustup cannot install the toolchain {toolchain}");
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, program]).current_dir(root()).stdin(Stdio::null());
    // Of the cargo that runs this program.
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    Ok(command)
}
