//! A candidate: a program that performs a task and prints a measurement.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use glance_notify::codec::serde_json;

use crate::task::{BenchTask, Measurement};

/// A program with a task. Each run is a process of its own.
pub(crate) struct Candidate {
    pub(crate) label: &'static str,
    program: CandidateProgram,
    task: BenchTask,
    /// The time in seconds after which a run counts as hung.
    timeout: u32,
    /// A variable of its environment.
    variable: Option<(&'static str, &'static str)>,
}

enum CandidateProgram {
    /// This program, with the name of a function in [`candidates`](crate::candidates).
    Rust(&'static str),
    /// A Python interpreter and the source of a program.
    Python(PathBuf, &'static str),
    /// The compiled `peers/librabbitmq.c`.
    C(PathBuf),
}

impl Candidate {
    /// Creates a candidate of this program, by its name in [`candidates`](crate::candidates).
    pub(crate) fn rust(label: &'static str, name: &'static str, task: BenchTask) -> Self {
        Self::new(label, CandidateProgram::Rust(name), task)
    }

    /// Creates a candidate on oslo.messaging, with one of its drivers.
    pub(crate) fn oslo(label: &'static str, driver: &str, task: BenchTask) -> Self {
        let source = concat!(include_str!("../peers/common.py"), include_str!("../peers/oslo.py"));
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
        let task = BenchTask { config: driver.to_owned(), ..task };
        Self::new(label, CandidateProgram::Python(python, source), task)
    }

    /// Creates a candidate that listens with oslo.messaging.
    pub(crate) fn oslo_listener(label: &'static str, task: BenchTask) -> Self {
        let source =
            concat!(include_str!("../peers/common.py"), include_str!("../peers/oslo_listener.py"));
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
        Self::new(label, CandidateProgram::Python(python, source), task)
    }

    /// Creates a candidate on Qpid Proton, in the system's own Python.
    pub(crate) fn proton(label: &'static str, task: BenchTask) -> Self {
        let source =
            concat!(include_str!("../peers/common.py"), include_str!("../peers/proton.py"));
        let program = CandidateProgram::Python("/usr/bin/python3".into(), source);
        Self::new(label, program, task)
    }

    /// Compiles `peers/librabbitmq.c` into `directory`, and creates a candidate that runs it.
    pub(crate) fn librabbitmq(
        label: &'static str,
        directory: &Path,
        task: BenchTask,
    ) -> Result<Self> {
        let program = directory.join("librabbitmq");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/librabbitmq.c");
        let mut compiler = Command::new("cc");
        compiler.arg("-O2").arg("-o").arg(&program).arg(source).arg("-lrabbitmq");
        let status = compiler.status().with_context(|| format!("cannot run `cc`: {SETUP}"))?;
        if !status.success() {
            bail!("cannot compile peers/librabbitmq.c: {SETUP}");
        }
        Ok(Self::new(label, CandidateProgram::C(program), task))
    }

    fn new(label: &'static str, program: CandidateProgram, task: BenchTask) -> Self {
        Self { label, program, task, timeout: TIMEOUT, variable: None }
    }

    /// Sets a variable of its environment.
    pub(crate) fn variable(self, name: &'static str, value: &'static str) -> Self {
        Self { variable: Some((name, value)), ..self }
    }

    /// Runs the candidate once and discards the measurement.
    pub(crate) fn prepare(&self) -> Result<()> {
        self.run().map(drop)
    }

    /// Raises the timeout to one hour.
    pub(crate) fn with_long_timeout(self) -> Self {
        Self { timeout: 3600, ..self }
    }

    /// Runs the candidate once.
    pub(crate) fn run(&self) -> Result<Measurement> {
        let task = serde_json::to_string(&self.task)?;
        // `timeout` kills a program that hangs.
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", &self.timeout.to_string()]);
        match &self.program {
            CandidateProgram::Rust(name) => {
                command.arg(std::env::current_exe()?).args(["run-candidate", name, &task])
            }
            CandidateProgram::Python(python, source) => {
                command.arg(python).args(["-I", "-W", "ignore", "-c", source, &task])
            }
            CandidateProgram::C(program) => command
                .arg(program)
                .arg(self.task.port.to_string())
                .arg(&self.task.samples)
                .args([self.task.messages.to_string(), self.task.window.to_string()]),
        };
        let output = command
            .stdin(Stdio::null())
            .env_remove("RUST_BACKTRACE")
            .envs(self.variable)
            .output()
            .context("cannot run `timeout`")?;
        let printed = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("{} failed: {}: {} ({SETUP})", self.label, output.status, errors.trim_end());
        }
        let line = printed.lines().last();
        let line = line.with_context(|| format!("{} printed no measurement", self.label))?;
        serde_json::from_str(line).with_context(|| format!("{} printed: {line}", self.label))
    }
}

/// The timeout of a run in seconds. Every candidate normally takes a small part of it.
const TIMEOUT: u32 = 300;

const SETUP: &str = "if a package is missing, run `cargo xtask setup --bench`";
