//! Builds that users make and the tests do not: the oldest compiler, the oldest dependencies, other features.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::cargo;
use crate::{last_commit, toolchain, tools};

/// Checks the published crates with the oldest compiler that they claim to support, and the lock file.
///
/// # Errors
///
/// When a crate does not compile.
pub(super) fn check_rust_version(_directory: &Path) -> Result<()> {
    let members = cargo::members()?;
    let version = members.iter().find_map(|member| member.rust_version.clone());
    let version = version.context("no manifest has a `rust-version`")?;
    println!("Rust {version}");
    let mut check = toolchain::command(&version, "cargo")?;
    cargo::run(check.args(["check", "--quiet", "--locked", "--all-features"]))
}

/// Checks the published crates with the oldest versions that the manifests allow of the crates that they name.
///
/// # Errors
///
/// When no choice of versions fits, or a crate does not compile.
pub(super) fn check_minimal_versions(directory: &Path) -> Result<()> {
    let source = directory.join("source");
    last_commit::copy_to(&source)?;
    fs::remove_file(source.join("Cargo.lock")).context("the last commit has no lock file")?;
    let mut lock = toolchain::command(toolchain::NIGHTLY, "cargo")?;
    lock.args(["generate-lockfile", "--quiet", "-Zdirect-minimal-versions"]);
    cargo::run(lock.current_dir(&source))?;
    let mut check = cargo::cargo(&["check", "--quiet", "--locked", "--all-features"]);
    check.current_dir(&source).env("CARGO_TARGET_DIR", cargo::target_directory()?);
    cargo::run(&mut check)
}

/// Checks every pair of features of every published crate, and none at all, with clippy.
///
/// # Errors
///
/// When a choice of features does not compile, or clippy warns.
pub(super) fn check_feature_sets(directory: &Path) -> Result<()> {
    // cargo-hack takes the dev-dependencies out of the manifests for a while.
    let source = directory.join("source");
    last_commit::copy_to(&source)?;
    let mut hack = Command::new(tools::get("cargo-hack", CARGO_HACK, &[])?);
    hack.args(["hack", "clippy", "--quiet", "--workspace", "--ignore-private", "--no-dev-deps"]);
    hack.args(["--feature-powerset", "--depth=2", "--exclude-features=default,full"]);
    hack.args(["--", "--deny=warnings"]).current_dir(&source).stdin(Stdio::null());
    cargo::run(hack.env("CARGO_TARGET_DIR", cargo::target_directory()?))
}

const CARGO_HACK: &str = "0.6.46";
