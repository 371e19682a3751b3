//! How the command ends, and how it speaks on its way there: no `println!`, which panics when a pipe
//! breaks.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use glance_notify::Error;
use glance_notify::transport::printable;

/// What the command's exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: everything that was asked for.
    Done,
    /// 2: usage, configuration, or what nobody but an operator can mend.
    Permanent,
    /// 3: something was not delivered, or cannot be reached now.
    Undelivered,
    /// 4: the input is invalid.
    Invalid,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Permanent => 2,
            Exit::Undelivered => 3,
            Exit::Invalid => 4,
        })
    }
}

/// Why the command ends before it is done.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// Safe to show: what came from outside is escaped.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = if error.is_transient() { Exit::Undelivered } else { Exit::Permanent };
        Self { exit, message: format!("{error:#}") }
    }
}

/// Says something to the person at the terminal, on one line; where nobody listens, nothing.
pub(crate) fn say(message: fmt::Arguments<'_>) {
    // One write, so that lines of several threads do not mix.
    let line = format!("glance-notify: {}\n", printable(&message.to_string(), usize::MAX));
    drop(io::stderr().write_all(line.as_bytes()));
}

/// `text`, of several lines, with all else escaped that does something to a terminal.
pub(crate) fn harmless(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| match line.strip_suffix('\n') {
        Some(line) => format!("{}\n", printable(line, usize::MAX)),
        None => printable(line, usize::MAX).to_string(),
    });
    lines.collect()
}

/// Says how the command is used, and what is wrong with how it was; help, on standard output, as its
/// own.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    // What was typed is repeated, and may have been pasted from anywhere.
    let text = harmless(&error.render().to_string());
    if error.use_stderr() {
        drop(io::stderr().write_all(text.as_bytes()));
        return Exit::Permanent;
    }
    match print(|out| out.write_all(text.as_bytes())) {
        Ok(()) => Exit::Done,
        Err(failure) => failure.exit,
    }
}

/// Writes what the command is for to standard output. A reader that has gone away has seen enough.
pub(crate) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Permanent, format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
