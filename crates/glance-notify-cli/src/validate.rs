//! `glance-notify validate`: reports every problem of every line, and sends nothing.
//!
//! The command needs no configuration and no destination, so it suits a build or a
//! commit hook. It uses the decoder of `emit`: a line that it accepts is a line that
//! `emit` accepts. A payload that the JSON Schema refuses is a warning, and with
//! `--strict` a problem.
//!
//! # Output
//!
//! The report goes to standard output and the counts to standard error:
//!
//! ```text
//! $ glance-notify validate broken.jsonl
//! broken.jsonl:1: /priority: expected "INFO", "WARN", "ERROR", "AUDIT", "CRITICAL", "DEBUG" or "SAMPLE", found "LOUD"
//! broken.jsonl:2: not JSON: unexpected character at column 1
//! glance-notify: 2 read, 2 invalid, 2 problems
//! ```
//!
//! `--report json` prints one object with the same problems, for tools.

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use glance_notify::codec::{Problem, serde_json};
use glance_notify::transport::printable;
use serde::Serialize;

use crate::exit_status::{CommandError, ExitStatus};
use crate::input_lines::InputLines;
use crate::input_source::{InputSource, read_error};
use crate::schema_check::SchemaCheck;
use crate::terminal::{print_message, write_stdout};

/// Report all problems of notifications: line, JSON pointer, expected and found value.
#[derive(clap::Args)]
pub(crate) struct ValidateArgs {
    /// File of notifications, one JSON object a line: `{"event_type", "priority", "payload"}`, or a
    /// whole notification. Without it, or with `-`, the command reads standard input.
    input: Option<PathBuf>,

    /// Treat warnings as problems: what the JSON Schema refuses in the payload of a documented event.
    #[arg(long)]
    strict: bool,

    /// Form of the report on standard output.
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    report: ReportFormat,
}

/// The form of the report.
#[derive(Clone, Copy, ValueEnum)]
enum ReportFormat {
    /// One line for each problem.
    Human,
    /// One object: `{"problems": [{"line", "pointer", "expected", "found", "warning"}, …], "read",
    /// "invalid"}`. A problem has `"warning": true` if it is none without `--strict`.
    Json,
}

/// Validates the input and prints each problem as soon as it is known.
///
/// # Errors
///
/// Returns an error if the input cannot be read or standard output cannot be written.
pub(crate) fn run(args: &ValidateArgs) -> Result<ExitStatus, CommandError> {
    let InputSource { name, reader, .. } = InputSource::open(args.input.as_ref())?;
    let mut lines = InputLines::new(reader);
    let mut counts = ValidationCounts::default();
    let mut schema_check = SchemaCheck::default();
    let mut failure = None;
    write_stdout(|out| {
        // The JSON object grows on the way, because input may be larger than the memory.
        if let ReportFormat::Json = args.report {
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
            counts.read += 1;
            let (problems, is_warning) = match line.input {
                Err(problems) => (problems, false),
                Ok(input) => (schema_check.problems(&input), !args.strict),
            };
            counts.invalid += u64::from(!is_warning && !problems.is_empty());
            for problem in &problems {
                let first = counts.problems + counts.warnings == 0;
                if is_warning {
                    counts.warnings += 1;
                } else {
                    counts.problems += 1;
                }
                match args.report {
                    ReportFormat::Human => {
                        let warning = if is_warning { "warning: " } else { "" };
                        writeln!(out, "{name}:{}: {warning}{problem}", line.number)?;
                    }
                    ReportFormat::Json => {
                        write_row(out, line.number, problem, is_warning, first)?;
                    }
                }
            }
        }
        if let ReportFormat::Json = args.report {
            writeln!(out, "],\"read\":{},\"invalid\":{}}}", counts.read, counts.invalid)?;
        }
        Ok(())
    })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let ValidationCounts { read, invalid, problems, warnings } = counts;
    let warnings = match warnings {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        count => format!(", {count} warnings"),
    };
    if problems == 0 {
        print_message(format_args!("{read} read, all valid{warnings}"));
        return Ok(ExitStatus::Success);
    }
    let noun = if problems == 1 { "problem" } else { "problems" };
    print_message(format_args!("{read} read, {invalid} invalid, {problems} {noun}{warnings}"));
    Ok(ExitStatus::InvalidInput)
}

/// The counts of a validation.
#[derive(Default)]
struct ValidationCounts {
    /// Lines that are not blank.
    read: u64,
    /// Lines with at least one problem.
    invalid: u64,
    /// Problems of all lines.
    problems: u64,
    /// Warnings of all lines.
    warnings: u64,
}

/// A problem in the JSON report. Scripts read these fields: never rename them.
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
    /// Whether the row is no problem without `--strict`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    warning: bool,
}

/// Writes one problem as a JSON object, after a comma unless it is the first.
fn write_row(
    out: &mut dyn Write,
    line: u64,
    problem: &Problem,
    warning: bool,
    first: bool,
) -> std::io::Result<()> {
    if !first {
        out.write_all(b",")?;
    }
    let Problem { pointer, expected, found } = problem;
    let pointer = printable(pointer, MAX_POINTER_CHARS).to_string();
    serde_json::to_writer(out, &ProblemRow { line, pointer, expected, found, warning })?;
    Ok(())
}

/// The largest number of characters of a JSON pointer in the report.
const MAX_POINTER_CHARS: usize = 1024;
