//! Talking to a node through its standard input and output.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::broker::PATIENCE;

/// Evaluates Erlang in a running node.
#[derive(Debug)]
pub(super) struct Console(Mutex<Channel>);

#[derive(Debug)]
struct Channel {
    expressions: ChildStdin,
    answers: Receiver<Result<String, String>>,
    /// An answer that came too late would be taken for the next one.
    lost: bool,
}

impl Console {
    /// Takes the input and output of a node that was started with [`SOURCE`].
    pub(super) fn new(node: &mut Child) -> Self {
        let expressions = node.stdin.take().expect("the input is a pipe");
        let answers = read_answers(node.stdout.take().expect("the output is a pipe"));
        Self(Mutex::new(Channel { expressions, answers, lost: false }))
    }

    /// The value of an expression: a binary as it is, anything else as Erlang writes it.
    ///
    /// # Errors
    ///
    /// The exception that it raised, or that the node has ended or does not answer.
    pub(super) fn evaluate(&self, expression: &str) -> Result<String, String> {
        let mut channel = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if channel.lost {
            return Err("the node did not answer before".to_owned());
        }
        let line = expression.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(channel.expressions, "{}.", line.trim_end_matches('.'))
            .map_err(|error| format!("the node has ended: {error}"))?;
        match channel.answers.recv_timeout(PATIENCE) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Disconnected) => Err("the node has ended".to_owned()),
            Err(RecvTimeoutError::Timeout) => {
                channel.lost = true;
                Err(format!("the node did not answer within {PATIENCE:?}"))
            }
        }
    }
}

fn read_answers(output: impl Read + Send + 'static) -> Receiver<Result<String, String>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            // Whatever else the node prints is in its log too.
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

/// To be evaluated by the node when it has started.
pub(super) const SOURCE: &str = include_str!("evaluate.erl");
