//! `cargo xtask fuzz [--seconds N] [--target NAME]`: libFuzzer looks for input that breaks a promise.
//!
//! Runs on the stable toolchain: without sanitizers, which our code without `unsafe` has little use for.
//! What it learns is kept in the target directory and taken up by the next run; what it finds is to be
//! copied into the corpus of `notify-fuzz`, which the tests replay.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{self, root};
use crate::{setup, tools};

/// Runs the chosen targets one by one, all unless one is named, also after one that found something.
///
/// # Errors
///
/// Names the targets that found something, and where it is.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let Options { seconds, targets } = Options::parse(arguments)?;
    setup::packages(&["g++"])?;
    let program = tools::get("cargo-fuzz", VERSION)?;
    let mut failed = Vec::new();
    for target in &targets {
        if let Err(error) = fuzz(&program, target, seconds) {
            eprintln!("error: {error:#}");
            failed.push(target.as_str());
        }
    }
    if !failed.is_empty() {
        bail!("found something: {}", failed.join(", "));
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    seconds: u64,
    targets: Vec<String>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let all = targets()?;
        let mut options = Self { seconds: 60, targets: all.clone() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let value = arguments.next().with_context(|| format!("{argument} needs a value"))?;
            match argument.as_str() {
                "--seconds" => options.seconds = value.parse().context("--seconds")?,
                "--target" => {
                    ensure!(all.contains(value), "the targets are {}", all.join(", "));
                    options.targets = vec![value.clone()];
                }
                _ => bail!("expected --seconds N or --target NAME, found {argument}"),
            }
        }
        Ok(options)
    }
}

/// The names of the programs of `notify-fuzz`.
fn targets() -> Result<Vec<String>> {
    let programs = fs::read_dir(root().join(CRATE).join("fuzz_targets"))?;
    let mut names = Vec::new();
    for program in programs {
        let path = program?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Runs one target for so long, or until it finds something.
fn fuzz(program: &Path, target: &str, seconds: u64) -> Result<()> {
    let directory = cargo::target_directory()?.join("fuzz");
    let (learnt, found) = (directory.join("corpus").join(target), directory.join("found"));
    fs::create_dir_all(&learnt)?;
    fs::create_dir_all(&found)?;
    let cargo_fuzz = |action: &str| {
        let mut command = Command::new(program);
        command.current_dir(root()).env_remove("CARGO_TARGET_DIR");
        command.args(["fuzz", action, "--sanitizer", "none", "--fuzz-dir", CRATE, "--target-dir"]);
        command.arg(&directory).arg(target);
        command
    };
    cargo::run(&mut cargo_fuzz("build"))?;

    let mut command = cargo_fuzz("run");
    command.arg(&learnt).arg(root().join(CRATE).join("corpus").join(target));
    command.args(["--", "-print_final_stats=1", "-timeout=20", "-rss_limit_mb=2048"]);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/{target}-", found.display()));
    let log = directory.join(format!("{target}.log"));
    let status = command.stderr(File::create(&log)?).status().context("cannot start cargo-fuzz")?;
    let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let executed = said.lines().find_map(|line| line.strip_prefix(EXECUTED)).unwrap_or("?").trim();
    ensure!(status.success(), "{target} found something, see {}", log.display());
    println!("{target}: {executed} inputs in {seconds} s, nothing found");
    Ok(())
}

const CRATE: &str = "tests/fuzz";
const VERSION: &str = "0.13.2";
/// How libFuzzer begins to say how many inputs it has tried.
const EXECUTED: &str = "stat::number_of_executed_units:";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_minute_for_each_target_unless_said_otherwise() {
        let all = parse("").unwrap();
        assert_eq!((all.seconds, all.targets), (60, targets().unwrap()));
        let one = parse("--target config --seconds 5").unwrap();
        assert_eq!(one, Options { seconds: 5, targets: vec!["config".to_owned()] });
        for wrong in ["--target nonsense", "--seconds", "--seconds x", "config"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
