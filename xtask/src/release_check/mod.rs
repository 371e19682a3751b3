//! `cargo xtask release-check`: the checks of what strangers install, which take too long for every change.
//!
//! The checks look at the last commit, so commit first.

mod builds;
mod crate_archives;
mod interfaces;
mod packages;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo;

/// Runs the checks with these names, or all. Goes on after one that fails.
///
/// # Errors
///
/// Names the checks that failed, or an unknown name.
pub(crate) fn run(names: &[String]) -> Result<()> {
    for name in names {
        let known = CHECKS.iter().map(|check| check.name).collect::<Vec<_>>();
        ensure!(known.contains(&name.as_str()), "no check `{name}`: use {}", known.join(", "));
    }
    let chosen = |check: &&Check| names.is_empty() || names.iter().any(|name| name == check.name);
    // Builds and roots of Debian fill a `/tmp` in memory.
    let target = cargo::target_directory()?;
    fs::create_dir_all(&target).context("cannot create the target directory")?;
    let mut failed = Vec::new();
    for Check { name, run } in CHECKS.iter().filter(chosen) {
        println!("── {name}");
        let directory = tempfile::Builder::new().prefix("release-check-").tempdir_in(&target);
        let directory = directory.context("cannot make a temporary directory")?;
        if let Err(error) = run(directory.path()) {
            eprintln!("error: {error:#}");
            failed.push(*name);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// One check, which runs in an empty directory.
struct Check {
    name: &'static str,
    run: fn(&Path) -> Result<()>,
}

const CHECKS: &[Check] = &[
    Check { name: "crates", run: crate_archives::check },
    Check { name: "external-types", run: interfaces::check_external_types },
    Check { name: "feature-sets", run: builds::check_feature_sets },
    Check { name: "minimal-versions", run: builds::check_minimal_versions },
    Check { name: "packages", run: packages::check },
    Check { name: "rust-version", run: builds::check_rust_version },
    Check { name: "semver", run: interfaces::check_semver },
];
