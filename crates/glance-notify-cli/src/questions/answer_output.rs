//! Answers on standard output: tables, CSV and JSON.
//!
//! Text from outside never reaches the terminal unescaped.

use std::io::{self, Write};

use glance_notify::event::Priority;
use glance_notify::transport::printable;
use glance_notify_cli::json_output::write_json;
use glance_notify_cli::units::short_bytes;
use notify_archive::question::{AnswerCell, AnswerTable};
use serde::Serialize;

use super::answer_coverage::{AnswerCoverage, write_lines};
use super::question_args::AnswerFormat;
use crate::console::Tone;
use crate::exit_status::CommandError;
use crate::table::{Cell, Column, Table};
use crate::terminal::write_stdout;

/// Prints the answer of a report, with its notes and its coverage.
///
/// # Errors
///
/// Returns an error if standard output cannot be written.
pub(super) fn print_answer(
    table: &AnswerTable,
    coverage: &AnswerCoverage,
    format: AnswerFormat,
) -> Result<(), CommandError> {
    /// An answer with its coverage as JSON.
    #[derive(Serialize)]
    struct CoveredAnswer<'a> {
        answer: &'a AnswerTable,
        #[serde(flatten)]
        coverage: &'a AnswerCoverage,
    }
    write_stdout(|out| match format {
        AnswerFormat::Json => write_json(out, &CoveredAnswer { answer: table, coverage }),
        AnswerFormat::Csv => write_csv(out, table),
        AnswerFormat::Text | AnswerFormat::Raw => {
            write_table(out, table)?;
            write_lines(out, &table.notes)?;
            coverage.write(out)
        }
    })?;
    if !format.has_notes() {
        coverage.print(&table.notes);
    }
    Ok(())
}

/// Writes columns that fit the terminal, with a line of totals below.
pub(super) fn write_table(out: &mut dyn Write, table: &AnswerTable) -> io::Result<()> {
    let is_number = |index: usize| {
        let mut cells = table.rows.iter().chain([&table.totals]).filter_map(|row| row.get(index));
        cells.any(AnswerCell::is_number)
    };
    let column = |(index, name): (usize, &&'static str)| {
        if is_number(index) { Column::number(name) } else { Column::text(name) }
    };
    let columns: Vec<_> = table.columns.iter().enumerate().map(column).collect();
    let cell = |(name, cell): (&&'static str, &AnswerCell)| {
        let tone = || cell.text().parse::<Priority>().ok().and_then(Tone::of_priority);
        Cell::new(shown_cell(cell), (*name == "priority").then(tone).flatten())
    };
    let mut lines = Table::new(out, &columns);
    for row in &table.rows {
        lines.row(table.columns.iter().zip(row).map(cell).collect())?;
    }
    if !table.totals.is_empty() {
        let total = |cell| Cell::new(shown_cell(cell), Some(Tone::Heading));
        lines.row(table.totals.iter().map(total).collect())?;
    }
    lines.finish()
}

/// Writes comma-separated values as in RFC 4180, without totals. Text is escaped as in tables.
pub(super) fn write_csv(out: &mut dyn Write, table: &AnswerTable) -> io::Result<()> {
    let header = table.columns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let rows = table.rows.iter().map(|row| row.iter().map(AnswerCell::text).collect());
    std::iter::once(header).chain(rows).try_for_each(|row: Vec<String>| write_csv_row(out, &row))
}

/// Writes one row of comma-separated values.
pub(crate) fn write_csv_row(out: &mut dyn Write, row: &[String]) -> io::Result<()> {
    let fields: Vec<_> = row.iter().map(|field| csv_field(field)).collect();
    write!(out, "{}\r\n", fields.join(","))
}

/// Quotes a field if it needs quotes.
fn csv_field(text: &str) -> String {
    // A spreadsheet evaluates a field that begins like a formula, also behind white space.
    let is_formula = text.trim_start().starts_with(['=', '+', '-', '@']);
    let text = printable(text, usize::MAX).to_string();
    if is_formula || text.contains([',', '"']) {
        let guard = if is_formula { "'" } else { "" };
        return format!("\"{guard}{}\"", text.replace('"', "\"\""));
    }
    text
}

/// Returns a cell for people: bytes with their size in binary units.
fn shown_cell(cell: &AnswerCell) -> String {
    match cell {
        AnswerCell::Bytes(bytes) => shown_bytes(*bytes),
        AnswerCell::Missing => "-".to_owned(),
        other => printable(&other.text(), 256).to_string(),
    }
}

/// Returns an exact number of bytes, with its size in binary units if it has one.
pub(super) fn shown_bytes(bytes: u128) -> String {
    if bytes < 1024 { bytes.to_string() } else { format!("{bytes} ({})", short_bytes(bytes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> AnswerTable {
        let mut table = AnswerTable::default();
        table.columns = vec!["image", "bytes_sent"];
        table.rows = vec![
            vec![AnswerCell::Text("a\u{1b}[2J,\"b\"".into()), AnswerCell::Bytes(1536)],
            vec![AnswerCell::Text("=1+1".into()), AnswerCell::Bytes(7)],
        ];
        table.totals = vec![AnswerCell::Text("total".into()), AnswerCell::Bytes(1543)];
        table
    }

    fn written(write: impl Fn(&mut dyn Write, &AnswerTable) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out, &table()).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Numbers are aligned to the right, and names from outside are escaped.
    #[test]
    fn tables_are_aligned_and_escaped() {
        let expected = "image               bytes_sent\n\
                        a\\u{1b}[2J,\"b\"  1536 (1.5 KiB)\n\
                        =1+1                         7\n\
                        total           1543 (1.5 KiB)\n";
        assert_eq!(written(write_table), expected);
    }

    /// A program can read the values again, and a spreadsheet evaluates none of them.
    #[test]
    fn csv_fields_are_quoted_and_no_formula() {
        let expected = "image,bytes_sent\r\n\"a\\u{1b}[2J,\"\"b\"\"\",1536\r\n\"'=1+1\",7\r\n";
        assert_eq!(written(write_csv), expected);
        for (text, expected) in [
            ("\t=1+1", r#""'\t=1+1""#),
            (" @a", r#""' @a""#),
            ("a\u{202e}b\u{2028}c\nd", r"a\u{202e}b\u{2028}c\nd"),
        ] {
            assert_eq!(csv_field(text), expected);
        }
    }
}
