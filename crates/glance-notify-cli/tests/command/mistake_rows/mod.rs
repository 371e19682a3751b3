//! The rows of the matrix of mistakes: how each subcommand works, and how you can get it wrong.
//!
//! `mistakes` runs them. It also fails for a subcommand that has no row here, and for an option that names a
//! file and that no row uses.

mod archive;
mod configuration;
mod questions;
mod reading;
mod sending;
mod shell;
mod spool;

/// One way to run a subcommand: a command line that works, and the files and directories that it reads.
pub(crate) struct WorkingLine {
    pub(crate) line: &'static str,
    pub(crate) reads: &'static [&'static str],
}

/// The mistakes that one subcommand can meet.
pub(crate) struct MistakeRow {
    /// The names of the subcommand.
    pub(crate) subcommand: &'static str,
    /// Command lines that succeed in the prepared directory.
    pub(crate) works: &'static [WorkingLine],
    /// Command lines that write below the directory `locked`, which you may not enter.
    pub(crate) writes: &'static [&'static str],
    /// Command lines with a value of the wrong type.
    pub(crate) wrong_type: &'static [&'static str],
    /// Command lines with a name that does not exist: a key, an event type, a shell.
    pub(crate) unknown: &'static [&'static str],
    /// Command lines for input, a spool or an archive that is empty, with their exit codes.
    pub(crate) nothing: &'static [(&'static str, i32)],
}

/// The configuration. A subcommand that reads it has it among its files.
pub(crate) const CONFIG: &str = "notify.toml";

/// Describes a working line.
const fn line(line: &'static str, reads: &'static [&'static str]) -> WorkingLine {
    WorkingLine { line, reads }
}

/// Returns the rows of every subcommand.
pub(crate) fn rows() -> impl Iterator<Item = &'static MistakeRow> {
    let groups = [
        sending::ROWS,
        reading::ROWS,
        configuration::ROWS,
        spool::ROWS,
        archive::ROWS,
        questions::ROWS,
        shell::ROWS,
    ];
    groups.into_iter().flatten()
}
