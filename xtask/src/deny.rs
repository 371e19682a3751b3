//! `cargo xtask deny`: licences, sources, bans and advisories of every dependency.
//!
//! `.cargo/deny.toml` holds the rules with their reasons. The check fetches the advisory database
//! over the network. Without network it prints that it skipped the advisories, and does not fail.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cargo;
use crate::tools;

/// Runs every check that this machine allows.
///
/// # Errors
///
/// When a dependency violates a rule or has an advisory.
pub(crate) fn run() -> Result<()> {
    // It runs for two seconds, and a release build takes a minute and a half longer.
    let program = tools::get("cargo-deny", VERSION, &["--debug"])?;
    cargo::run(&mut deny(&program, &["check", "bans", "licenses", "sources"]))?;
    if fetch(&program)? {
        return cargo::run(&mut deny(&program, &["check", "--disable-fetch", "advisories"]));
    }
    println!("advisories: SKIPPED, the advisory database is unreachable");
    Ok(())
}

/// Returns a command that runs cargo-deny with `arguments`.
fn deny(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(["--all-features", "--locked"]).args(arguments);
    command.current_dir(cargo::root()).stdin(Stdio::null());
    command
}

/// Fetches the advisory database within [`FETCH_TIMEOUT`]. Returns whether that succeeded.
fn fetch(program: &Path) -> Result<bool> {
    let mut fetching = deny(program, &["fetch", "db"])
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start `cargo-deny`")?;
    let deadline = Instant::now() + FETCH_TIMEOUT;
    loop {
        if let Some(status) = fetching.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() > deadline {
            fetching.kill()?;
            fetching.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

const VERSION: &str = "0.20.2";

/// The database has a few megabytes.
const FETCH_TIMEOUT: Duration = Duration::from_secs(120);
