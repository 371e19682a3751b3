//! `cargo xtask fuzz [--seconds N] [--target NAME]`: libFuzzer searches for input that violates a promise.
//!
//! Runs on the stable toolchain, so without sanitizers; code without `unsafe` needs them little. The
//! next run continues with the inputs that this run keeps in the target directory. Copy every finding
//! into the corpus of `notify-fuzz`: the tests replay that corpus.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{self, root};
use crate::{setup, tools};

/// Runs the chosen targets one after the other, and goes on after a finding. The default is all
/// targets.
///
/// # Errors
///
/// When a target has a finding. The error names the targets; each prints the path of its log.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let FuzzOptions { seconds, targets } = FuzzOptions::parse(arguments)?;
    setup::packages(&["g++"])?;
    let program = tools::get("cargo-fuzz", VERSION, &[])?;
    let mut failed = Vec::new();
    for target in &targets {
        if let Err(error) = fuzz(&program, target, seconds) {
            eprintln!("error: {error:#}");
            failed.push(target.as_str());
        }
    }
    if !failed.is_empty() {
        bail!("findings in: {}", failed.join(", "));
    }
    Ok(())
}

/// The arguments of the command.
#[derive(Debug, PartialEq, Eq)]
struct FuzzOptions {
    seconds: u64,
    targets: Vec<String>,
}

impl FuzzOptions {
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

/// Returns the names of the fuzz targets.
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

/// Runs one target for `seconds`, or until its first finding.
fn fuzz(program: &Path, target: &str, seconds: u64) -> Result<()> {
    let directory = cargo::target_directory()?.join("fuzz");
    let (corpus, findings) = (directory.join("corpus").join(target), directory.join("findings"));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&findings)?;
    let cargo_fuzz = |action: &str| {
        let mut command = Command::new(program);
        command.current_dir(root()).env_remove("CARGO_TARGET_DIR");
        command.args(["fuzz", action, "--sanitizer", "none", "--fuzz-dir", CRATE, "--target-dir"]);
        command.arg(&directory).arg(target);
        command
    };
    cargo::run(&mut cargo_fuzz("build"))?;

    let mut command = cargo_fuzz("run");
    command.arg(&corpus).arg(root().join(CRATE).join("corpus").join(target));
    command.args(["--", "-print_final_stats=1", "-timeout=20", "-rss_limit_mb=2048"]);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/{target}-", findings.display()));
    let log = directory.join(format!("{target}.log"));
    let status = command.stderr(File::create(&log)?).status().context("cannot start cargo-fuzz")?;
    let output = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let executed =
        output.lines().find_map(|line| line.strip_prefix(EXECUTED)).unwrap_or("?").trim();
    ensure!(status.success(), "{target}: finding, see {}", log.display());
    println!("{target}: {executed} inputs in {seconds} s, no finding");
    Ok(())
}

const CRATE: &str = "tests/fuzz";
const VERSION: &str = "0.13.2";
/// The line of libFuzzer's statistics with the number of inputs.
const EXECUTED: &str = "stat::number_of_executed_units:";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<FuzzOptions> {
        FuzzOptions::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_default_is_a_minute_for_each_target() {
        let all = parse("").unwrap();
        assert_eq!((all.seconds, all.targets), (60, targets().unwrap()));
        let one = parse("--target config --seconds 5").unwrap();
        assert_eq!(one, FuzzOptions { seconds: 5, targets: vec!["config".to_owned()] });
        for wrong in ["--target nonsense", "--seconds", "--seconds x", "config"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
