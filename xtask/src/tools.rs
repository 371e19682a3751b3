//! Third-party programs that xtask runs, each in one version and installed once.
//!
//! They are in the user's cache directory, where every clone of the project finds them independently
//! of its target directory.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cargo::{self, cargo};
use crate::setup;

/// Returns the path of the program `name` from the crate of that name. Builds it on first use, with
/// these options of `cargo install`.
///
/// # Errors
///
/// When the program cannot be built.
pub(crate) fn get(name: &str, version: &str, options: &[&str]) -> Result<PathBuf> {
    let root = cache()?.join(format!("{name}-{version}"));
    let program = root.join("bin").join(name);
    if !program.exists() {
        println!("building {name} {version} into {}", root.display());
        let mut install = cargo(&["install", "--quiet", "--locked", "--root"]);
        cargo::run(install.arg(&root).args(options).arg(format!("{name}@{version}")))?;
    }
    Ok(program)
}

/// Returns the path of the program `name` from the package of that name on `PyPI`. Installs it on first use.
///
/// # Errors
///
/// When the program cannot be installed.
pub(crate) fn get_from_pypi(name: &str, version: &str) -> Result<PathBuf> {
    let root = cache()?.join(format!("{name}-{version}"));
    let program = root.join("bin").join(name);
    if !program.exists() {
        setup::packages(&["python3-venv"])?;
        println!("installing {name} {version} into {}", root.display());
        setup::python_packages(&root, &[&format!("{name}=={version}")])?;
    }
    Ok(program)
}

/// Returns the project's directory in the user's cache.
///
/// # Errors
///
/// When the environment names neither the cache nor the home directory.
pub(crate) fn cache() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty());
    let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache")));
    Ok(cache.context("neither XDG_CACHE_HOME nor HOME is set")?.join("glance-notify"))
}
