//! `glance-notify validate`: reports every problem of every line, and sends nothing.
//!
//! The command needs no configuration and no destination, so it suits a build or a
//! commit hook. It uses the decoder of `emit`: a line without a problem is a line that
//! `emit` accepts.
//!
//! Values that the JSON Schema refuses in such a line are warnings: the documented shape
//! is stricter than `emit`. With `--strict`, they are problems.
//!
//! # Output
//!
//! The report goes to standard output and the counts to standard error:
//!
//! ```text
//! $ glance-notify validate broken.jsonl
//! broken.jsonl:1: /priority: expected "INFO", "WARN", "ERROR", "AUDIT", "CRITICAL", "DEBUG" or "SAMPLE", found "LOUD"
//! broken.jsonl:2: not JSON: unexpected character at column 1
//! broken.jsonl:3: warning: /payload/owner_id: missing, expected a string or null
//! glance-notify: 3 read, 2 invalid, 2 problems, 1 warning
//! ```
//!
//! `-o json` prints one object for tools: `{"problems": [{"line", "pointer", "expected", "found",
//! "warning"}, …], "read", "invalid", "warnings"}`. Warnings have `"warning": true`; problems have no such key.

mod event_schemas;
mod expectation;
mod pattern;
mod schema_check;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use glance_notify::codec::{Problem, serde_json};
use glance_notify::transport::printable;
use serde::Serialize;

use crate::exit_status::{CommandError, ExitStatus};
use crate::input_lines::InputLines;
use crate::input_source::{InputSource, announce_terminal_input, read_error};
use crate::output_format::TextOrJson;
use crate::terminal::{print_note, write_stdout};
use event_schemas::EventSchemas;

/// Report all problems of notifications: line, JSON pointer, expected and found value.
///
/// A problem means that `emit` would not accept the line. A warning means that `emit` accepts it, but that
/// the JSON Schema of its event type (see `glance-notify schema`) does not: a key is missing or misspelt,
/// or a value has another form. Event types without a schema have warnings only for attributes that are
/// not among the six and that `emit` does not send.
#[derive(clap::Args)]
pub(crate) struct ValidateArgs {
    /// File of notifications, one JSON object a line: `{"event_type", "priority", "payload"}`, or a
    /// whole notification. Without it, or with `-`, the command reads standard input.
    input: Option<PathBuf>,

    #[command(flatten)]
    output: TextOrJson,

    /// Count warnings as problems, and exit with 4 if there is one.
    #[arg(long)]
    strict: bool,
}

/// Validates the input and prints each problem as soon as it is known.
///
/// # Errors
///
/// Returns an error if the input cannot be read or standard output cannot be written.
pub(crate) fn run(args: &ValidateArgs) -> Result<ExitStatus, CommandError> {
    let InputSource { name, reader, .. } = InputSource::open(args.input.as_ref())?;
    announce_terminal_input(args.input.as_ref());
    let mut lines = InputLines::new(reader);
    let schemas = EventSchemas::new();
    let mut counts = ValidationCounts::default();
    let mut failure = None;
    write_stdout(|out| {
        // The JSON object grows on the way, because input may be larger than the memory.
        if args.output.is_json() {
            out.write_all(b"{\"problems\":[")?;
        }
        loop {
            let line = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    failure = Some(read_error(&name, &error));
                    break;
                }
            };
            let (problems, severity) = match line.input {
                Err(invalid) => (invalid.problems, Severity::Error),
                Ok((_, mut warnings)) => {
                    warnings.extend(schemas.warnings(lines.text()));
                    (warnings, if args.strict { Severity::Error } else { Severity::Warning })
                }
            };
            let is_first_row = counts.problems + counts.warnings == 0;
            counts.add(severity, problems.len());
            for (index, problem) in problems.iter().enumerate() {
                if args.output.is_json() {
                    if index > 0 || !is_first_row {
                        out.write_all(b",")?;
                    }
                    write_row(out, line.number, severity, problem)?;
                } else {
                    write_sentence(out, &name, line.number, severity, problem)?;
                }
            }
            if !lines.is_ready() {
                // The next line may be long in coming: show the problems of this one now.
                out.flush()?;
            }
        }
        if args.output.is_json() {
            let ValidationCounts { read, invalid, warnings, .. } = counts;
            writeln!(out, "],\"read\":{read},\"invalid\":{invalid},\"warnings\":{warnings}}}")?;
        }
        Ok(())
    })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    print_note(format_args!("{counts}"));
    Ok(if counts.problems == 0 { ExitStatus::Success } else { ExitStatus::InvalidInput })
}

/// The weight of a problem.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Severity {
    /// The line is invalid.
    Error,
    /// `emit` accepts the line, but the JSON Schema refuses it.
    Warning,
}

/// The counts of a validation.
#[derive(Default)]
struct ValidationCounts {
    /// Lines that are not blank.
    read: u64,
    /// Lines with at least one problem.
    invalid: u64,
    /// Problems of all lines, without warnings.
    problems: usize,
    /// Warnings of all lines.
    warnings: usize,
}

impl ValidationCounts {
    /// Adds one line with problems of one severity, or with none.
    fn add(&mut self, severity: Severity, problems: usize) {
        self.read += 1;
        match severity {
            Severity::Warning => self.warnings += problems,
            Severity::Error => {
                self.problems += problems;
                self.invalid += u64::from(problems > 0);
            }
        }
    }
}

/// Prints the summary: `3 read, 2 invalid, 4 problems, 1 warning`.
impl fmt::Display for ValidationCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, invalid, problems, warnings } = self;
        match problems {
            0 => write!(f, "{read} read, all valid")?,
            1 => write!(f, "{read} read, {invalid} invalid, 1 problem")?,
            _ => write!(f, "{read} read, {invalid} invalid, {problems} problems")?,
        }
        match warnings {
            0 => Ok(()),
            1 => write!(f, ", 1 warning"),
            _ => write!(f, ", {warnings} warnings"),
        }
    }
}

/// A problem or a warning in the JSON report. Scripts read these fields: never rename them.
#[derive(Serialize)]
struct ProblemRow<'a> {
    /// The line number, counted from 1.
    line: u64,
    /// The JSON pointer (RFC 6901) of the value. Empty for the whole line.
    pointer: String,
    /// The valid values.
    expected: &'a str,
    /// The value or its kind, shortened and without secrets.
    found: &'a str,
    /// Whether `emit` accepts the line nevertheless.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    warning: bool,
}

/// Writes one problem or warning as a line of text.
fn write_sentence(
    out: &mut dyn Write,
    name: &str,
    line: u64,
    severity: Severity,
    problem: &Problem,
) -> io::Result<()> {
    match severity {
        Severity::Error => writeln!(out, "{name}:{line}: {problem}"),
        Severity::Warning => writeln!(out, "{name}:{line}: warning: {problem}"),
    }
}

/// Writes one problem or warning as a JSON object.
fn write_row(
    out: &mut dyn Write,
    line: u64,
    severity: Severity,
    problem: &Problem,
) -> io::Result<()> {
    let Problem { pointer, expected, found } = problem;
    let warning = severity == Severity::Warning;
    let pointer = printable(pointer, MAX_POINTER_CHARS).to_string();
    serde_json::to_writer(out, &ProblemRow { line, pointer, expected, found, warning })?;
    Ok(())
}

/// The largest number of characters of a JSON pointer in the report.
const MAX_POINTER_CHARS: usize = 1024;
