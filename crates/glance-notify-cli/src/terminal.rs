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

use glance_notify::config::Redact;
use glance_notify::transport::printable;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::console::{LogFormat, is_quiet, log_format};
use crate::exit_status::{CommandError, ExitStatus};
use crate::held_log;
use crate::log_line::{Level, LogLine};
use crate::progress::write_beside_progress;

/// Prints an error or another message that you must not miss to standard error, as one line.
///
/// Escapes the message, and ignores write errors: there is no better place to report them.
pub(crate) fn print_error(message: fmt::Arguments<'_>) {
    print(Level::Error, message);
}

/// Prints a warning to standard error, as one line, unless `-q` is given.
pub(crate) fn print_warning(message: fmt::Arguments<'_>) {
    if !is_quiet() {
        print(Level::Warning, message);
    }
}

/// Prints a message that reports no problem, such as a summary, to standard error, as one line, unless
/// `-q` is given.
pub(crate) fn print_note(message: fmt::Arguments<'_>) {
    if !is_quiet() {
        print(Level::Info, message);
    }
}

/// Prints one line to standard error, above the progress line.
fn print(level: Level, message: fmt::Arguments<'_>) {
    let message = message.to_string();
    let line = LogLine { level, message: &message, target: None, fields: &[] };
    let text = match log_format() {
        LogFormat::Text => line.message_text(),
        LogFormat::Json => line.json(),
    };
    write_beside_progress(text.as_bytes());
    held_log::record(message);
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
    let text = escape_lines(&error.render().to_string());
    if error.use_stderr() {
        // clap repeats the arguments, and you may have pasted those from anywhere: also the URL of a broker.
        write_beside_progress(Redact::Secrets.text(&text).as_bytes());
        return ExitStatus::PermanentError;
    }
    match write_stdout(|out| out.write_all(text.as_bytes())) {
        Ok(()) => ExitStatus::Success,
        Err(error) => {
            print_error(format_args!("{}", error.message));
            error.status
        }
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
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::file("cannot write to standard output", &error))
        }
        _ => Ok(()),
    }
}

/// Returns whether standard output is a pipe or a socket that no process reads any more.
///
/// A command that waits for input or for a broker calls this from time to time, so that `… | head -1` ends
/// it at once and not at the next write.
pub(crate) fn stdout_is_closed() -> bool {
    let stdout = rustix::stdio::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    // A terminal that hangs up and an error of `poll` itself are left to the next write.
    poll(&mut fds, Some(&at_once)).is_ok() && fds[0].revents().contains(PollFlags::ERR)
}

/// Returns a count with its noun: "1 message", "2 messages".
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
