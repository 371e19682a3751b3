//! All output of the command to standard output and standard error.
//!
//! Two rules hold for every function here:
//!
//! * Text from outside never reaches the terminal unescaped: a control character or a
//!   bidirectional override in a file name, a payload or a broker's answer could change
//!   how the terminal shows the lines around it (CWE-150).
//! * A closed pipe is no error and no panic, so nothing here uses `println!`.

use std::fmt;
use std::io::{self, Write};

use glance_notify::transport::printable;

use crate::exit_status::{CommandError, ExitStatus};

/// Prints one line to standard error, prefixed with the name of the command.
///
/// Escapes the message, and ignores write errors: there is no better place to report
/// them.
pub(crate) fn print_message(message: fmt::Arguments<'_>) {
    // One write, so that lines of several threads do not mix.
    let line = format!("glance-notify: {}\n", printable(&message.to_string(), usize::MAX));
    drop(io::stderr().write_all(line.as_bytes()));
}

/// Returns `text` with its line breaks kept and every other control character escaped.
pub(crate) fn escape_lines(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| match line.strip_suffix('\n') {
        Some(line) => format!("{}\n", printable(line, usize::MAX)),
        None => printable(line, usize::MAX).to_string(),
    });
    lines.collect()
}

/// Prints what clap reports instead of parsed arguments, and returns the exit status.
///
/// A usage error goes to standard error and is a permanent error. The texts of `--help`
/// and `--version` go to standard output.
pub(crate) fn print_usage(error: &clap::Error) -> ExitStatus {
    // clap repeats the arguments, and you may have pasted those from anywhere.
    let text = escape_lines(&error.render().to_string());
    if error.use_stderr() {
        drop(io::stderr().write_all(text.as_bytes()));
        return ExitStatus::PermanentError;
    }
    match write_stdout(|out| out.write_all(text.as_bytes())) {
        Ok(()) => ExitStatus::Success,
        Err(error) => error.status,
    }
}

/// Writes the result of a command to standard output, buffered.
///
/// A broken pipe counts as success: the reader has seen enough. `glance-notify schema |
/// head -1` therefore exits with 0.
///
/// # Errors
///
/// Returns an error if the write fails for any other reason, such as a full disk.
pub(crate) fn write_stdout(
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), CommandError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CommandError::new(
            ExitStatus::PermanentError,
            format!("cannot write to standard output: {error}"),
        )),
        _ => Ok(()),
    }
}
