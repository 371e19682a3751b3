//! The console of a node: Erlang expressions to its standard input, values from its standard
//! output.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::wait::HANG_TIMEOUT;

/// The console of a running node. It evaluates one expression at a time.
#[derive(Debug)]
pub(super) struct ErlangConsole(Mutex<ConsolePipes>);

#[derive(Debug)]
struct ConsolePipes {
    expressions: ChildStdin,
    answers: Receiver<Result<String, String>>,
    /// Whether an answer timed out. A late answer would look like the answer to the next
    /// expression, so the console answers no more.
    out_of_step: bool,
}

impl ErlangConsole {
    /// Takes the standard input and output of a node that evaluates [`SOURCE`] at its start.
    pub(super) fn new(node: &mut Child) -> Self {
        let expressions = node.stdin.take().expect("the input is a pipe");
        let answers = read_answers(node.stdout.take().expect("the output is a pipe"));
        Self(Mutex::new(ConsolePipes { expressions, answers, out_of_step: false }))
    }

    /// Evaluates an expression. Returns a binary as it is, and any other value in Erlang's
    /// notation.
    ///
    /// # Errors
    ///
    /// The exception that the expression raised, or a text if the node has exited or does not
    /// answer.
    pub(super) fn evaluate(&self, expression: &str) -> Result<String, String> {
        let mut pipes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pipes.out_of_step {
            return Err("the node did not answer an earlier expression".to_owned());
        }
        let line = expression.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(pipes.expressions, "{}.", line.trim_end_matches('.'))
            .map_err(|error| format!("the node has exited: {error}"))?;
        match pipes.answers.recv_timeout(HANG_TIMEOUT) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Disconnected) => Err("the node has exited".to_owned()),
            Err(RecvTimeoutError::Timeout) => {
                pipes.out_of_step = true;
                Err(format!("the node did not answer within {HANG_TIMEOUT:?}"))
            }
        }
    }
}

fn read_answers(output: impl Read + Send + 'static) -> Receiver<Result<String, String>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            // The node's log has the other lines too.
            let answer = match (line.strip_prefix("=ok "), line.strip_prefix("=error ")) {
                (Some(value), _) => Ok(value.to_owned()),
                (_, Some(reason)) => Err(reason.to_owned()),
                _ => continue,
            };
            if sender.send(answer).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The Erlang program that a node evaluates at its start. It serves the console.
pub(super) const SOURCE: &str = include_str!("evaluate.erl");
