//! The public interfaces of the libraries: the types of other crates in them, and changes since the last release.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::cargo::{self, Package, root};
use crate::{toolchain, tools};

/// Checks that each library shows only the types of other crates that `.cargo/external-types.toml` allows.
///
/// A type of another crate is a promise: a new major version of that crate is one of ours.
///
/// # Errors
///
/// When a library shows another type.
pub(super) fn check_external_types(_directory: &Path) -> Result<()> {
    let program = tools::get("cargo-check-external-types", EXTERNAL_TYPES, &[])?;
    let program = program.to_str().context("the path of the cache is not UTF-8")?;
    let libraries = cargo::members()?.into_iter().filter(Package::is_published);
    for library in libraries.filter(|package| package.name != "glance-notify-cli") {
        println!("{}", library.name);
        let mut check = toolchain::command(toolchain::NIGHTLY, program)?;
        check
            .args(["check-external-types", "--all-features", "--config"])
            .arg(root().join(ALLOWED));
        cargo::run(check.arg("--manifest-path").arg(&library.manifest_path)).with_context(
            || format!("remove the type from {}, or allow it in {ALLOWED}", library.name),
        )?;
    }
    Ok(())
}

/// Checks that the version number announces every change of an interface since the last tag.
///
/// # Errors
///
/// When the version has to be a greater one.
pub(super) fn check_semver(_directory: &Path) -> Result<()> {
    let mut tags = Command::new("git");
    tags.args(["describe", "--tags", "--abbrev=0", "--match=v*"]).current_dir(root());
    let tag = tags.stderr(Stdio::null()).output().context("cannot run `git`")?;
    if !tag.status.success() {
        println!("no release is tagged `v…` yet, so there is no interface to compare with");
        return Ok(());
    }
    let tag = String::from_utf8(tag.stdout)?;
    let mut check = Command::new(tools::get("cargo-semver-checks", SEMVER_CHECKS, &[])?);
    check.args(["semver-checks", "--all-features", "--baseline-rev", tag.trim()]);
    for library in cargo::members()?.iter().filter(|package| package.is_published()) {
        if library.name != "glance-notify-cli" {
            check.args(["--package", &library.name]);
        }
    }
    cargo::run(check.current_dir(root()).stdin(Stdio::null()))
}

/// The list of the allowed types.
const ALLOWED: &str = ".cargo/external-types.toml";
const EXTERNAL_TYPES: &str = "0.5.0";
const SEMVER_CHECKS: &str = "0.51.0";
