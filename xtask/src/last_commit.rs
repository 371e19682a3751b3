//! The last commit: its files, and its time.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo::{self, root};

/// Copies the files of the last commit into a directory, whose old content it removes.
///
/// # Errors
///
/// When git or the file system reports an error.
pub(crate) fn copy_to(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let archive = directory.with_extension("tar");
    let mut git = Command::new("git");
    git.args(["archive", "--format=tar", "HEAD", "--output"]).arg(&archive);
    cargo::run(git.current_dir(root()))?;
    let mut tar = Command::new("tar");
    cargo::run(tar.arg("--extract").arg("--file").arg(&archive).current_dir(directory))?;
    fs::remove_file(&archive).context("cannot remove the archive of the sources")
}

/// Returns the time of the last commit in seconds.
///
/// # Errors
///
/// When git reports an error.
pub(crate) fn time() -> Result<String> {
    let mut git = Command::new("git");
    let time = cargo::output(git.args(["log", "-1", "--format=%ct"]).current_dir(root()))?;
    Ok(time.trim().to_owned())
}
