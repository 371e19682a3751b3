//! Fresh Debian systems in directories, which a program enters with `chroot`. Needs root.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::{setup, tools};

/// Installs a release of Debian with some packages into the user's cache directory, unless it is there, and
/// returns its directory, which has this name.
///
/// # Errors
///
/// When the user is not root, or the installation fails.
pub(crate) fn install(name: &str, release: &str, packages: &[&str]) -> Result<PathBuf> {
    if cargo::output(Command::new("id").arg("--user"))?.trim() != "0" {
        bail!("this command needs `chroot` and mounts: run it as root");
    }
    let directory = tools::cache()?.join(name);
    if directory.exists() {
        return Ok(directory);
    }
    setup::packages(&["debootstrap"])?;
    println!("installing Debian {release} into {}", directory.display());
    // Two processes may install at the same time.
    let partial = directory.with_extension(format!("partial-{}", std::process::id()));
    if partial.exists() {
        fs::remove_dir_all(&partial).context("cannot remove an unfinished installation")?;
    }
    fs::create_dir_all(&partial)?;
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.arg("--variant=minbase");
    if !packages.is_empty() {
        debootstrap.arg(format!("--include={}", packages.join(",")));
    }
    debootstrap.arg(release).arg(&partial);
    cargo::run(debootstrap.stdin(Stdio::null()).stdout(Stdio::null()))?;
    // Last, because a directory of this name is complete.
    match fs::rename(&partial, &directory) {
        // Another process was faster.
        Err(_) if directory.exists() => {
            fs::remove_dir_all(&partial).context("cannot remove a second installation")?;
        }
        renamed => renamed.context("cannot finish the installation of Debian")?,
    }
    Ok(directory)
}
