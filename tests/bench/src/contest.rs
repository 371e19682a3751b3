//! Lets contenders run side by side: in rounds, each a process of its own, in rotated order, so that
//! what the machine does meanwhile hits all alike.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use glance_notify::codec::serde_json;

use crate::table::print_contested;
use crate::task::{Outcome, Task};

/// One that is measured.
pub(crate) struct Contender {
    pub(crate) label: &'static str,
    program: Program,
    task: Task,
    /// In seconds: longer than it can take, unless it hangs.
    patience: u32,
}

enum Program {
    /// This one, as the contender of that name.
    Rust(&'static str),
    /// A Python and a source.
    Python(PathBuf, &'static str),
    /// What was built of `peers/librabbitmq.c`.
    C(PathBuf),
}

impl Contender {
    /// One of this program's own, by its name there.
    pub(crate) fn rust(label: &'static str, name: &'static str, task: Task) -> Self {
        Self { label, program: Program::Rust(name), task, patience: PATIENCE }
    }

    /// oslo.messaging, with one of its drivers.
    pub(crate) fn oslo(label: &'static str, driver: &str, task: Task) -> Self {
        let source = concat!(include_str!("../peers/common.py"), include_str!("../peers/oslo.py"));
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
        let task = Task { config: driver.to_owned(), ..task };
        Self { label, program: Program::Python(python, source), task, patience: PATIENCE }
    }

    /// Qpid Proton, in the system's own Python.
    pub(crate) fn proton(label: &'static str, task: Task) -> Self {
        let source =
            concat!(include_str!("../peers/common.py"), include_str!("../peers/proton.py"));
        Self {
            label,
            program: Program::Python("/usr/bin/python3".into(), source),
            task,
            patience: PATIENCE,
        }
    }

    /// The program on librabbitmq, which is built in `directory`.
    pub(crate) fn librabbitmq(label: &'static str, directory: &Path, task: Task) -> Result<Self> {
        let program = directory.join("librabbitmq");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/librabbitmq.c");
        let mut compiler = Command::new("cc");
        compiler.arg("-O2").arg("-o").arg(&program).arg(source).arg("-lrabbitmq");
        let built = compiler.status().context(SETUP)?;
        if !built.success() {
            bail!("peers/librabbitmq.c cannot be built: {SETUP}");
        }
        Ok(Self { label, program: Program::C(program), task, patience: PATIENCE })
    }

    /// Runs it once, for what it leaves behind.
    pub(crate) fn prepare(&self) -> Result<()> {
        self.run().map(drop)
    }

    /// Lets it take an hour.
    pub(crate) fn patient(self) -> Self {
        Self { patience: 3600, ..self }
    }

    /// Runs it once.
    pub(crate) fn run(&self) -> Result<Outcome> {
        let task = serde_json::to_string(&self.task)?;
        // A program that hangs is ended.
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", &self.patience.to_string()]);
        match &self.program {
            Program::Rust(name) => {
                command.arg(std::env::current_exe()?).args(["contend", name, &task])
            }
            Program::Python(python, source) => {
                command.arg(python).args(["-I", "-W", "ignore", "-c", source, &task])
            }
            Program::C(program) => command
                .arg(program)
                .arg(self.task.port.to_string())
                .arg(&self.task.samples)
                .args([self.task.messages.to_string(), self.task.window.to_string()]),
        };
        let output = command
            .stdin(Stdio::null())
            .env_remove("RUST_BACKTRACE")
            .output()
            .context("cannot run `timeout`")?;
        let printed = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{}: {}: {} ({SETUP})", self.label, output.status, said.trim_end());
        }
        let outcome = printed.lines().last().context("nothing was printed")?;
        serde_json::from_str(outcome).with_context(|| format!("{}: {outcome}", self.label))
    }
}

/// What came of one contender.
pub(crate) struct Contested {
    pub(crate) label: &'static str,
    /// One a round.
    pub(crate) outcomes: Vec<Outcome>,
}

impl Contested {
    /// A number of each round.
    pub(crate) fn each(&self, number: impl Fn(&Outcome) -> f64) -> Vec<f64> {
        self.outcomes.iter().map(number).collect()
    }
}

/// Lets every contender run once in each round, another one first each time. `before` prepares what
/// all share. Prints what came of it.
pub(crate) fn contest(
    rounds: usize,
    title: &str,
    contenders: &[Contender],
    before: impl Fn(),
) -> Result<Vec<Contested>> {
    let mut all: Vec<_> = contenders
        .iter()
        .map(|contender| Contested { label: contender.label, outcomes: Vec::new() })
        .collect();
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let at = (round + turn) % contenders.len();
            before();
            all[at].outcomes.push(contenders[at].run()?);
        }
    }
    print_contested(title, &all);
    Ok(all)
}

/// Many times what any of them takes, in seconds.
const PATIENCE: u32 = 300;

const SETUP: &str = "is everything there? run `cargo xtask setup --bench`";
