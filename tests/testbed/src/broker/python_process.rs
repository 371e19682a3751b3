//! Python programs that read requests and write answers, one JSON value per line.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::Pid;
use serde_json::Value;

use crate::wait::HANG_TIMEOUT;

/// A running Python program. Dropping it kills the process. The program also exits by itself when
/// its standard input ends.
#[derive(Debug)]
pub(crate) struct PythonProcess {
    process: Child,
    requests: ChildStdin,
    answers: Receiver<Value>,
    errors: Arc<Mutex<VecDeque<String>>>,
}

impl PythonProcess {
    /// Starts the program `source` in the virtual environment that `cargo xtask setup` creates.
    pub(crate) fn start(source: &str, argument: &Value) -> Self {
        Self::start_with(&virtual_environment(), source, argument)
    }

    /// Starts the program `source` in the system's Python, which has Debian's packages.
    pub(crate) fn start_system(source: &str, argument: &Value) -> Self {
        Self::start_with(Path::new("/usr/bin/python3"), source, argument)
    }

    fn start_with(python: &Path, source: &str, argument: &Value) -> Self {
        let mut process = Command::new(python)
            // Deprecation warnings of the libraries do not concern the tests.
            .args(["-I", "-u", "-W", "ignore", "-c", source])
            .arg(argument.to_string())
            .env_remove("PYTHONPATH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", python.display()));
        let requests = process.stdin.take().unwrap();
        let errors = Arc::new(Mutex::new(VecDeque::new()));
        let answers = read_answers(process.stdout.take().unwrap());
        read_errors(process.stderr.take().unwrap(), Arc::clone(&errors));
        Self { process, requests, answers, errors }
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// Sends a request to the program.
    pub(crate) fn send(&mut self, request: &Value) {
        if let Err(error) = writeln!(self.requests, "{request}") {
            panic!("the Python program has exited: {error}\n{}", self.error_output());
        }
    }

    /// Waits for the next answer of the program.
    pub(crate) fn receive(&mut self) -> Value {
        match self.receive_within(HANG_TIMEOUT) {
            Some(answer) => answer,
            None => panic!("no answer from the Python program\n{}", self.error_output()),
        }
    }

    /// Waits for the next answer of the program; `None` if it sends none within `time`.
    pub(crate) fn receive_within(&mut self, time: Duration) -> Option<Value> {
        match self.answers.recv_timeout(time) {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                panic!("the Python program has exited\n{}", self.error_output())
            }
        }
    }

    /// Returns the last lines that the program wrote to its standard error.
    pub(crate) fn error_output(&self) -> String {
        let errors = self.errors.lock().unwrap();
        errors.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for PythonProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the interpreter in `.venv` at the root of the workspace.
pub(crate) fn virtual_environment() -> PathBuf {
    let python = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.venv/bin/python"));
    assert!(python.exists(), "{} does not exist: run `cargo xtask setup`", python.display());
    python
}

fn read_answers(output: impl Read + Send + 'static) -> Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let answer = serde_json::from_str(&line).unwrap_or_else(|error| {
                panic!("the Python program printed no JSON: {error}: {line}")
            });
            if sender.send(answer).is_err() {
                return;
            }
        }
    });
    receiver
}

fn read_errors(output: impl Read + Send + 'static, errors: Arc<Mutex<VecDeque<String>>>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let mut errors = errors.lock().unwrap();
            if errors.len() == ERROR_LINES {
                errors.pop_front();
            }
            errors.push_back(line);
        }
    });
}

/// The most lines of standard error that a program keeps.
const ERROR_LINES: usize = 200;
