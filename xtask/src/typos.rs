//! `cargo xtask typos`: looks for misspelt words. `.typos.toml` has the words that are none.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::{cargo, tools};

/// Looks through every file that git does not ignore.
///
/// # Errors
///
/// When a word is misspelt.
pub(crate) fn run() -> Result<()> {
    let mut typos = Command::new(tools::get_from_pypi("typos", VERSION)?);
    cargo::run(typos.current_dir(cargo::root()).stdin(Stdio::null()))
}

const VERSION: &str = "1.52.0";
