//! Programs of others that a chore needs: each in one version, built from source once.
//!
//! They are kept in the user's cache, where every clone of the project finds them whatever its target
//! directory is.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cargo::{self, cargo};

/// The program `name` of the crate of that name. Builds it if it is not there yet.
///
/// # Errors
///
/// When it cannot be built.
pub(crate) fn get(name: &str, version: &str) -> Result<PathBuf> {
    let root = cache()?.join(format!("{name}-{version}"));
    let program = root.join("bin").join(name);
    if !program.exists() {
        println!("building {name} {version} into {}", root.display());
        let mut install = cargo(&["install", "--quiet", "--locked", "--root"]);
        cargo::run(install.arg(&root).arg(format!("{name}@{version}")))?;
    }
    Ok(program)
}

fn cache() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty());
    let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache")));
    Ok(cache.context("neither XDG_CACHE_HOME nor HOME is set")?.join("glance-notify"))
}
