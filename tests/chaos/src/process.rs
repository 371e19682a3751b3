//! A [producer](crate::producer) as its parent holds it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use notify_testbed::wait::wait_until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::place::Place;
use crate::resources::Resources;

/// How to start a producer, again and again with the same files.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) configuration: PathBuf,
    pub(crate) ledger: PathBuf,
    /// What it logs, one run after the other.
    pub(crate) log: PathBuf,
}

/// A running producer. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Producer {
    process: Child,
    commands: ChildStdin,
    answers: Receiver<Value>,
}

/// The account of a producer and what it holds.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Messages that each stage has not decided yet, the first stage first.
    pub(crate) pending: Vec<u64>,
    /// Messages that a stage behind the first has refused for good.
    pub(crate) refused_later: u64,
    pub(crate) resources: Resources,
    /// What it saw of an account that did not balance.
    pub(crate) unbalanced: Option<String>,
}

impl Producer {
    pub(crate) fn start(place: &Place, files: &Files) -> Self {
        let log = File::options().create(true).append(true).open(&files.log).expect("a log");
        let mut process = place
            .command(std::env::current_exe().expect("this program has a path"))
            .arg(ROLE)
            .arg(&files.configuration)
            .arg(&files.ledger)
            // What is free is given back at once, so that what is resident is what is held.
            .envs([("MALLOC_ARENA_MAX", "1"), ("MALLOC_TRIM_THRESHOLD_", "65536")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("cannot start a producer");
        let commands = process.stdin.take().expect("its input is a pipe");
        let output = BufReader::new(process.stdout.take().expect("its output is a pipe"));
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let answer = serde_json::from_str(&line).expect("it answers in JSON");
                if sender.send(answer).is_err() {
                    return;
                }
            }
        });
        Self { process, commands, answers }
    }

    /// Lets it emit so many a second.
    ///
    /// # Errors
    ///
    /// As all that follow, when it does not answer.
    pub(crate) fn go(&mut self, rate: u64) -> Result<(), String> {
        self.ask(&format!("go {rate}")).map(drop)
    }

    /// Lets it emit so many as fast as it goes, besides.
    pub(crate) fn emit(&mut self, count: u64) -> Result<(), String> {
        self.ask(&format!("emit {count}")).map(drop)
    }

    /// Lets it emit no more, and waits until all is decided.
    pub(crate) fn pause(&mut self) -> Result<(), String> {
        self.ask("pause").map(drop)
    }

    /// Emits one notification and waits until it is accepted.
    pub(crate) fn fresh(&mut self) -> Result<(), String> {
        match self.ask("fresh")? {
            Value::Null => Ok(()),
            error => Err(error.to_string()),
        }
    }

    /// Waits until nothing is left to deliver in any stage.
    pub(crate) fn settle(&mut self) -> Result<Measured, String> {
        let start = Instant::now();
        loop {
            let measured = self.measure()?;
            if measured.pending.iter().all(|&pending| pending == 0) {
                return Ok(measured);
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("{:?} are pending after {PATIENCE:?}", measured.pending));
            }
            sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn measure(&mut self) -> Result<Measured, String> {
        self.ask("measure").map(|answer| Measured::read(&answer))
    }

    /// Shuts it down, and returns its last account.
    ///
    /// # Errors
    ///
    /// When it does not end as it should.
    pub(crate) fn end(mut self) -> Result<Measured, String> {
        let last = self.ask("end")?;
        wait_until("a producer ends", || self.has_ended());
        let status = self.process.wait().expect("it was ours");
        if !status.success() {
            return Err(format!("it ended with {status}"));
        }
        Ok(Measured::read(&last))
    }

    /// Ends it as a loss of power would, but for what the system has in memory.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself, which the round will show.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("the producer runs");
    }

    fn has_ended(&mut self) -> bool {
        self.process.try_wait().expect("it is ours").is_some()
    }

    fn ask(&mut self, command: &str) -> Result<Value, String> {
        writeln!(self.commands, "{command}").map_err(|_| self.gone())?;
        match self.answers.recv_timeout(PATIENCE) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Disconnected) => Err(self.gone()),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("no answer to `{command}` within {PATIENCE:?}"))
            }
        }
    }

    fn gone(&mut self) -> String {
        match self.process.wait() {
            Ok(status) => format!("the producer has ended: {status}"),
            Err(error) => format!("the producer has ended: {error}"),
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Measured {
    fn read(answer: &Value) -> Self {
        let stages = answer["stages"].as_array().expect("a list");
        let number = |value: &Value| value.as_u64().expect("a number");
        Self {
            pending: stages.iter().map(|stage| number(&stage["pending"]["messages"])).collect(),
            refused_later: stages.iter().skip(1).map(|stage| number(&stage["refused"])).sum(),
            resources: Resources::read(&answer["resources"]),
            unbalanced: answer["unbalanced"].as_str().map(str::to_owned),
        }
    }
}

/// The word by which this program is told to be a producer.
pub(crate) const ROLE: &str = "producer";

/// Longer than the library needs from any fault to a decision: its longest wait between two attempts,
/// and an attempt.
const PATIENCE: Duration = Duration::from_secs(150);
