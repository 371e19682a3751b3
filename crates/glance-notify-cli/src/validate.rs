//! `glance-notify validate`: everything that is wrong with notifications, line by line.

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use glance_notify::codec::{Problem, serde_json};
use glance_notify::transport::printable;
use serde::Serialize;

use crate::exit::{Exit, Failure, print, say};
use crate::lines::Lines;
use crate::source::{Source, unreadable};

/// Tell every problem of notifications: line, JSON pointer, what was expected and what was found.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Lines of JSON, each `{"event_type", "priority", "payload"}` or a whole notification; standard
    /// input where none or `-` is given.
    input: Option<PathBuf>,

    /// How the problems are told, on standard output.
    #[arg(long, value_enum, default_value_t = Report::Human)]
    report: Report,
}

#[derive(Clone, Copy, ValueEnum)]
enum Report {
    /// A line for each problem.
    Human,
    /// One object: `{"problems": [{"line", "pointer", "expected", "found"}, …], "read", "invalid"}`.
    Json,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let Source { name, reader, .. } = Source::open(args.input.as_ref())?;
    let mut lines = Lines::new(reader);
    let mut count = Count::default();
    let mut failure = None;
    print(|out| {
        // Written as it is read: input has no end that memory knows of.
        if let Report::Json = args.report {
            out.write_all(b"{\"problems\":[")?;
        }
        loop {
            let line = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    failure = Some(unreadable(&name, &error));
                    break;
                }
            };
            count.read += 1;
            let Err(problems) = line.input else { continue };
            count.invalid += 1;
            for problem in &problems {
                count.problems += 1;
                match args.report {
                    Report::Human => writeln!(out, "{name}:{}: {problem}", line.number)?,
                    Report::Json => json(out, line.number, problem, count.problems == 1)?,
                }
            }
        }
        if let Report::Json = args.report {
            writeln!(out, "],\"read\":{},\"invalid\":{}}}", count.read, count.invalid)?;
        }
        Ok(())
    })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let Count { read, invalid, problems } = count;
    if problems == 0 {
        say(format_args!("{read} read, nothing wrong"));
        return Ok(Exit::Done);
    }
    say(format_args!("{read} read, {invalid} invalid, {problems} problems"));
    Ok(Exit::Invalid)
}

#[derive(Default)]
struct Count {
    read: u64,
    invalid: u64,
    problems: u64,
}

#[derive(Serialize)]
struct Row<'a> {
    line: u64,
    pointer: String,
    expected: &'a str,
    found: &'a str,
}

fn json(out: &mut dyn Write, line: u64, problem: &Problem, first: bool) -> std::io::Result<()> {
    if !first {
        out.write_all(b",")?;
    }
    let Problem { pointer, expected, found } = problem;
    let pointer = printable(pointer, POINTER_CHARS).to_string();
    serde_json::to_writer(out, &Row { line, pointer, expected, found })?;
    Ok(())
}

const POINTER_CHARS: usize = 1024;
