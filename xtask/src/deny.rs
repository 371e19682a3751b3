//! `cargo xtask deny`: what the project is built on: licences, sources, bans, and known weaknesses.
//!
//! The rules, each with its reason, are in `.cargo/deny.toml`. The database of weaknesses is fetched over
//! the network; where it cannot be reached this says so, and does not fail for it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cargo;
use crate::tools;

/// Checks everything that can be checked here.
///
/// # Errors
///
/// Names what is not allowed, or a crate with a known weakness.
pub(crate) fn run() -> Result<()> {
    let program = tools::get("cargo-deny", VERSION)?;
    cargo::run(&mut deny(&program, &["check", "bans", "licenses", "sources"]))?;
    if fetch(&program)? {
        return cargo::run(&mut deny(&program, &["check", "--disable-fetch", "advisories"]));
    }
    println!("advisories: NOT CHECKED, their database cannot be reached from here");
    Ok(())
}

fn deny(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(["--all-features", "--locked"]).args(arguments);
    command.current_dir(cargo::root()).stdin(Stdio::null());
    command
}

/// Fetches the database of advisories, within a deadline; whether it is there now.
fn fetch(program: &Path) -> Result<bool> {
    let mut fetching = deny(program, &["fetch", "db"])
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start `cargo-deny`")?;
    let deadline = Instant::now() + PATIENCE;
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

/// The database is a few megabytes.
const PATIENCE: Duration = Duration::from_secs(120);
