//! Python programs that read requests and write answers, one JSON value a line.

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

use super::PATIENCE;

/// A running program. It ends when this is dropped; and by itself, when its input ends.
#[derive(Debug)]
pub(crate) struct Python {
    process: Child,
    requests: ChildStdin,
    answers: Receiver<Value>,
    said: Arc<Mutex<VecDeque<String>>>,
}

impl Python {
    /// Starts `source` in the environment that `cargo xtask setup` made.
    pub(crate) fn start(source: &str, argument: &Value) -> Self {
        Self::start_with(&environment(), source, argument)
    }

    /// Starts `source` in the system's own Python, which has what Debian packages.
    pub(crate) fn start_system(source: &str, argument: &Value) -> Self {
        Self::start_with(Path::new("/usr/bin/python3"), source, argument)
    }

    fn start_with(python: &Path, source: &str, argument: &Value) -> Self {
        let mut process = Command::new(python)
            // What the libraries deprecate is not what a test wants to know.
            .args(["-I", "-u", "-W", "ignore", "-c", source])
            .arg(argument.to_string())
            .env_remove("PYTHONPATH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", python.display()));
        let requests = process.stdin.take().unwrap();
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let answers = read_answers(process.stdout.take().unwrap());
        read_errors(process.stderr.take().unwrap(), Arc::clone(&said));
        Self { process, requests, answers, said }
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// Sends a request.
    pub(crate) fn ask(&mut self, request: &Value) {
        if let Err(error) = writeln!(self.requests, "{request}") {
            panic!("the Python program has ended: {error}\n{}", self.said());
        }
    }

    /// The next value that the program writes.
    pub(crate) fn answer(&mut self) -> Value {
        match self.answer_within(PATIENCE) {
            Some(answer) => answer,
            None => panic!("no answer from the Python program\n{}", self.said()),
        }
    }

    /// The next value that the program writes, if it does so in that time.
    pub(crate) fn answer_within(&mut self, time: Duration) -> Option<Value> {
        match self.answers.recv_timeout(time) {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                panic!("the Python program has ended\n{}", self.said())
            }
        }
    }

    /// The last lines that the program wrote to its standard error.
    pub(crate) fn said(&self) -> String {
        let said = self.said.lock().unwrap();
        said.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The interpreter, in `.venv` at the root of the workspace.
fn environment() -> PathBuf {
    let python = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.venv/bin/python"));
    assert!(python.exists(), "{} does not exist: run `cargo xtask setup`", python.display());
    python
}

fn read_answers(output: impl Read + Send + 'static) -> Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let answer = serde_json::from_str(&line)
                .unwrap_or_else(|error| panic!("not an answer: {error}: {line}"));
            if sender.send(answer).is_err() {
                return;
            }
        }
    });
    receiver
}

fn read_errors(output: impl Read + Send + 'static, said: Arc<Mutex<VecDeque<String>>>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let mut said = said.lock().unwrap();
            if said.len() == LINES_KEPT {
                said.pop_front();
            }
            said.push_back(line);
        }
    });
}

const LINES_KEPT: usize = 200;
