//! The build of a program on the default features, from scratch.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::BenchRun;
use crate::table::{ResultRow, RowGoal};

impl BenchRun {
    pub(super) fn build(&mut self) -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        let program = self.directory.path().join("program");
        fs::create_dir_all(program.join("src"))?;
        let facade = root.join("crates/glance-notify");
        fs::write(
            program.join("Cargo.toml"),
            format!(
                "[package]\nname = \"program\"\nedition = \"2024\"\n[workspace]\n\
                 [dependencies]\nglance-notify = {{ path = \"{}\" }}\n",
                facade.display()
            ),
        )?;
        fs::write(program.join("src/main.rs"), PROGRAM)?;
        // The program builds with the dependencies that the tests use.
        fs::copy(root.join("Cargo.lock"), program.join("Cargo.lock"))?;

        let tree = cargo(&program, &["tree", "--prefix=none", "--edges=normal,build"])?;
        let ours = |package: &str| package.contains(" (/");
        let packages = tree.lines().map(|line| line.trim_end_matches(" (*)"));
        let third_party: BTreeSet<_> = packages.filter(|package| !ours(package)).collect();
        let start = Instant::now();
        cargo(&program, &["build", "--release"])?;
        let seconds = start.elapsed().as_secs_f64();
        eprintln!(
            "\na program on default features: {} third-party crates, built in {seconds:.1} s",
            third_party.len()
        );
        let name = "third-party crates of a program on default features";
        self.rows.push(ResultRow::alone(
            name,
            "crates",
            &[third_party.len() as f64],
            RowGoal::OursAtMost(40.0),
        ));
        self.rows.push(ResultRow::alone(
            "building it from scratch",
            "s",
            &[seconds],
            RowGoal::None,
        ));
        Ok(())
    }
}

/// Runs cargo without network access, and returns its output.
fn cargo(directory: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .arg("--offline")
        .current_dir(directory)
        .env("CARGO_TARGET_DIR", directory.join("target"))
        .stdin(Stdio::null())
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "cargo failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).context("cargo printed invalid UTF-8")
}

/// The source of the program.
const PROGRAM: &str = "\
fn main() -> glance_notify::Result<()> {
    let config: glance_notify::Config = \"strategy = 'noop'\".parse()?;
    let (notifier, _) = glance_notify::start(&config)?;
    println!(\"{:?}\", notifier.stats());
    Ok(())
}
";
