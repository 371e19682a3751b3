//! The parent's handle of a [producer](crate::producer) process.

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

use crate::producer_host::ProducerHost;
use crate::resources::ProcessResources;

/// The files of a producer. Every process of a trial gets the same ones.
#[derive(Clone, Debug)]
pub(crate) struct ProducerFiles {
    pub(crate) configuration: PathBuf,
    pub(crate) journal: PathBuf,
    /// The log. Each process appends to it.
    pub(crate) log: PathBuf,
}

/// A running producer. Dropping the handle kills the process.
///
/// Methods that send a command return an error if the producer does not answer.
#[derive(Debug)]
pub(crate) struct ProducerHandle {
    process: Child,
    commands: ChildStdin,
    answers: Receiver<Value>,
}

/// The account and the resources of a producer.
#[derive(Clone, Debug)]
pub(crate) struct ProducerMeasurement {
    /// The pending messages of each stage, the first stage first.
    pub(crate) pending: Vec<u64>,
    /// The messages that the stages after the first have refused.
    pub(crate) refused_later: u64,
    pub(crate) resources: ProcessResources,
    /// An account that did not balance, if the producer has seen one.
    pub(crate) unbalanced: Option<String>,
}

impl ProducerHandle {
    pub(crate) fn start(host: &ProducerHost, files: &ProducerFiles) -> Self {
        let log = File::options().create(true).append(true).open(&files.log);
        let mut process = host
            .command(std::env::current_exe().expect("the current program has a path"))
            .arg(PRODUCER_ROLE)
            .arg(&files.configuration)
            .arg(&files.journal)
            // With these settings, the allocator returns free memory at once. Then the resident
            // memory is the memory in use.
            .envs([("MALLOC_ARENA_MAX", "1"), ("MALLOC_TRIM_THRESHOLD_", "65536")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.expect("the directory of the run is writable"))
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start a producer: {error}"));
        let commands = process.stdin.take().expect("the input is a pipe");
        let output = BufReader::new(process.stdout.take().expect("the output is a pipe"));
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let answer = serde_json::from_str(&line).expect("the producer answers in JSON");
                if sender.send(answer).is_err() {
                    return;
                }
            }
        });
        Self { process, commands, answers }
    }

    /// Makes the producer emit `rate` notifications per second.
    pub(crate) fn emit_at_rate(&mut self, rate: u64) -> Result<(), String> {
        self.send(&format!("rate {rate}")).map(drop)
    }

    /// Makes the producer emit `count` further notifications as fast as it can.
    pub(crate) fn emit_burst(&mut self, count: u64) -> Result<(), String> {
        self.send(&format!("burst {count}")).map(drop)
    }

    /// Stops emitting, and waits until every notification has its outcome.
    pub(crate) fn pause(&mut self) -> Result<(), String> {
        self.send("pause").map(drop)
    }

    /// Emits one notification, and waits until the library accepts it.
    pub(crate) fn emit_one(&mut self) -> Result<(), String> {
        match self.send("emit-one")? {
            Value::Null => Ok(()),
            error => Err(error.to_string()),
        }
    }

    /// Waits until no stage has pending messages.
    pub(crate) fn settle(&mut self) -> Result<ProducerMeasurement, String> {
        let start = Instant::now();
        loop {
            let measurement = self.measure()?;
            if measurement.pending.iter().all(|&pending| pending == 0) {
                return Ok(measurement);
            }
            if start.elapsed() > ANSWER_TIMEOUT {
                let pending = measurement.pending;
                return Err(format!(
                    "messages are still pending after {ANSWER_TIMEOUT:?}: {pending:?}"
                ));
            }
            sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn measure(&mut self) -> Result<ProducerMeasurement, String> {
        self.send("measure").map(|answer| ProducerMeasurement::read(&answer))
    }

    /// Shuts the producer down. Returns its last measurement.
    ///
    /// # Errors
    ///
    /// A description of the failure, if the producer does not exit with success.
    pub(crate) fn end(mut self) -> Result<ProducerMeasurement, String> {
        let last = self.send("end")?;
        wait_until("the producer exits", || self.has_exited());
        let status = self.process.wait().expect("the producer is a child of this process");
        if !status.success() {
            return Err(format!("the producer failed: {status}"));
        }
        Ok(ProducerMeasurement::read(&last))
    }

    /// Kills the producer with `kill -9`. The system keeps the bytes that it has written.
    pub(crate) fn kill(&mut self) {
        // If the producer has exited already, the audit of the round shows it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn unfreeze(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("the producer runs");
    }

    fn has_exited(&mut self) -> bool {
        self.process.try_wait().expect("the producer is a child of this process").is_some()
    }

    /// Sends a command and waits for its answer.
    fn send(&mut self, command: &str) -> Result<Value, String> {
        writeln!(self.commands, "{command}").map_err(|_| self.exit_error())?;
        match self.answers.recv_timeout(ANSWER_TIMEOUT) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Disconnected) => Err(self.exit_error()),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("no answer to `{command}` within {ANSWER_TIMEOUT:?}"))
            }
        }
    }

    fn exit_error(&mut self) -> String {
        match self.process.wait() {
            Ok(status) => format!("the producer has exited: {status}"),
            Err(error) => format!("the producer has exited: {error}"),
        }
    }
}

impl Drop for ProducerHandle {
    fn drop(&mut self) {
        self.kill();
    }
}

impl ProducerMeasurement {
    fn read(answer: &Value) -> Self {
        let stages = answer["stages"].as_array().expect("the producer lists its stages");
        let number = |value: &Value| value.as_u64().expect("counters are numbers");
        Self {
            pending: stages.iter().map(|stage| number(&stage["pending"]["messages"])).collect(),
            refused_later: stages.iter().skip(1).map(|stage| number(&stage["refused"])).sum(),
            resources: ProcessResources::read(&answer["resources"]),
            unbalanced: answer["unbalanced"].as_str().map(str::to_owned),
        }
    }
}

/// The first argument with which this program runs as a producer.
pub(crate) const PRODUCER_ROLE: &str = "producer";

/// The time that a producer has for an answer. It exceeds the library's longest backoff and one
/// attempt, so every notification has its outcome before.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(150);
