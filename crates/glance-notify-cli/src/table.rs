//! Tables of text that fit the width of the terminal.
//!
//! The first rows choose the widths of the columns; later rows follow at once, so that a table of any length
//! takes bounded memory. On a terminal too narrow for the columns, each row becomes a block of lines with one
//! field each: nothing is cut off. Where standard output is no terminal, the width has no limit.
//!
//! ```text
//! slot  owner         pending          slot     0
//! 0     process 4711       14          owner    process 4711
//! 1     free                0          pending  14
//! ```
//!
//! Cells must be printable: the table writes them without escapes.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use crate::console::{Stream, Tone, paint};

/// A column of a table.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    /// The heading. Also the name of the field in a block.
    title: &'static str,
    /// Whether the column holds numbers, which stand at its right end.
    is_number: bool,
}

/// One value of a row.
#[derive(Clone, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Option<Tone>,
}

/// A writer of one table.
pub(crate) struct Table<'a> {
    out: &'a mut dyn Write,
    columns: &'a [Column],
    /// Whether the headings appear.
    has_headings: bool,
    /// The width of the terminal, if standard output is one.
    limit: Option<usize>,
    /// The first rows, until the widths are known.
    waiting: Vec<Vec<Cell>>,
    /// The form of the rows, once it is known.
    layout: Option<Layout>,
}

/// The form of the rows.
enum Layout {
    /// Columns of these widths, with two spaces in between.
    Columns(Vec<usize>),
    /// One line a field.
    Blocks,
}

impl Column {
    /// Creates a column of text.
    pub(crate) const fn text(title: &'static str) -> Self {
        Self { title, is_number: false }
    }

    /// Creates a column of numbers.
    pub(crate) const fn number(title: &'static str) -> Self {
        Self { title, is_number: true }
    }
}

impl Cell {
    /// Creates a cell in the colour of `tone`.
    pub(crate) fn new(text: impl Into<String>, tone: Option<Tone>) -> Self {
        Self { text: text.into(), tone }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, tone: None }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl<'a> Table<'a> {
    /// Creates a table that fits the terminal of standard output.
    pub(crate) fn new(out: &'a mut dyn Write, columns: &'a [Column]) -> Self {
        Self::with_limit(out, columns, Stream::Stdout.width())
    }

    /// Creates a table at most `limit` columns wide.
    fn with_limit(out: &'a mut dyn Write, columns: &'a [Column], limit: Option<usize>) -> Self {
        Self { out, columns, has_headings: true, limit, waiting: Vec::new(), layout: None }
    }

    /// Leaves the headings out.
    pub(crate) fn without_headings(mut self) -> Self {
        self.has_headings = false;
        self
    }

    /// Adds a row with one cell a column. Missing cells at its end are empty.
    ///
    /// # Errors
    ///
    /// Returns an error if the write fails.
    pub(crate) fn row(&mut self, row: Vec<Cell>) -> io::Result<()> {
        if self.layout.is_some() {
            return self.write_row(&row);
        }
        self.waiting.push(row);
        if self.waiting.len() < MEASURED_ROWS { Ok(()) } else { self.flush() }
    }

    /// Writes the rows that still wait. A table without rows has its headings only.
    ///
    /// # Errors
    ///
    /// Returns an error if the write fails.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush()
    }

    /// Chooses the layout, and writes the headings and the waiting rows.
    fn flush(&mut self) -> io::Result<()> {
        if self.layout.is_none() {
            let widths: Vec<_> = (0..self.columns.len()).map(|at| self.width_of(at)).collect();
            let total = widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
            let fits = self.limit.is_none_or(|limit| total <= limit);
            self.layout = Some(if fits { Layout::Columns(widths) } else { Layout::Blocks });
            if fits && self.has_headings {
                let headings =
                    self.columns.iter().map(|column| Cell::new(column.title, Some(Tone::Heading)));
                self.write_row(&headings.collect::<Vec<_>>())?;
            }
        }
        std::mem::take(&mut self.waiting).iter().try_for_each(|row| self.write_row(row))
    }

    /// Returns the width of the widest cell of a column among the waiting rows.
    fn width_of(&self, at: usize) -> usize {
        let heading = if self.has_headings { self.columns[at].title.width() } else { 0 };
        let cells = self.waiting.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.text.width()).fold(heading, usize::max)
    }

    /// Writes one row in the chosen layout.
    fn write_row(&mut self, row: &[Cell]) -> io::Result<()> {
        match &self.layout {
            Some(Layout::Columns(widths)) => write_columns(self.out, self.columns, widths, row),
            _ => write_block(self.out, self.columns, self.limit, row),
        }
    }
}

/// Writes a row as one line, without spaces at its end.
fn write_columns(
    out: &mut dyn Write,
    columns: &[Column],
    widths: &[usize],
    row: &[Cell],
) -> io::Result<()> {
    let last = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |at| at + 1);
    for (at, cell) in row.iter().enumerate().take(last) {
        let padding = " ".repeat(widths[at].saturating_sub(cell.text.width()));
        let text = paint(Stream::Stdout, cell.tone, &cell.text);
        let gap = if at == 0 { "" } else { GAP };
        match columns[at].is_number {
            true => write!(out, "{gap}{padding}{text}")?,
            false if at + 1 == last => write!(out, "{gap}{text}")?,
            false => write!(out, "{gap}{text}{padding}")?,
        }
    }
    writeln!(out)
}

/// Writes a row as one line a field, and an empty line after them. Leaves empty fields out.
///
/// A text that is longer than the terminal is wide goes on below itself.
fn write_block(
    out: &mut dyn Write,
    columns: &[Column],
    limit: Option<usize>,
    row: &[Cell],
) -> io::Result<()> {
    let titles = columns.iter().map(|column| column.title.width()).max().unwrap_or_default();
    let room = limit.unwrap_or(usize::MAX).saturating_sub(titles + GAP.len()).max(MIN_FIELD);
    for (column, cell) in columns.iter().zip(row).filter(|(_, cell)| !cell.text.is_empty()) {
        let mut title = column.title;
        for line in wrap(&cell.text, room) {
            let padded = format!("{title:<titles$}");
            let heading = paint(Stream::Stdout, Some(Tone::Heading), padded);
            writeln!(out, "{heading}{GAP}{}", paint(Stream::Stdout, cell.tone, line))?;
            title = "";
        }
    }
    writeln!(out)
}

/// Splits a text into lines at most `room` columns wide, at spaces where there are any.
fn wrap(text: &str, room: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while rest.width() > room {
        let mut end = 0;
        for (at, c) in rest.char_indices() {
            if rest[..at + c.len_utf8()].width() > room {
                break;
            }
            end = at + c.len_utf8();
        }
        // A character that is wider than the room still needs a line.
        let end = end.max(rest.chars().next().map_or(0, char::len_utf8));
        let end = rest[..end].rfind(' ').map_or(end, |space| space + 1);
        lines.push(rest[..end].trim_end());
        rest = &rest[end..];
    }
    lines.push(rest);
    lines
}

/// The space between two columns.
const GAP: &str = "  ";

/// The number of rows that choose the widths of the columns.
const MEASURED_ROWS: usize = 256;

/// The smallest width of a field in a block.
const MIN_FIELD: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] =
        [Column::text("slot"), Column::number("pending"), Column::text("reason")];

    /// Returns two rows as a table at most `limit` columns wide.
    fn table(limit: Option<usize>) -> String {
        let mut out = Vec::new();
        let mut table = Table::with_limit(&mut out, &COLUMNS, limit);
        table.row(vec!["0".into(), "14".into(), "the queue of images is full".into()]).unwrap();
        table.row(vec!["11".into(), "7".into(), "".into()]).unwrap();
        table.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Numbers stand at the right end of their column, and lines have no spaces at their end.
    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let expected = "slot  pending  reason\n\
                        0          14  the queue of images is full\n\
                        11          7\n";
        assert_eq!(table(None), expected);
        assert_eq!(table(Some(44)), expected);
    }

    /// A narrow terminal gets one line a field, and every line fits.
    #[test]
    fn rows_become_blocks_on_a_narrow_terminal() {
        let expected = "slot     0\n\
                        pending  14\n\
                        reason   the queue of images\n         is full\n\
                        \n\
                        slot     11\n\
                        pending  7\n\
                        \n";
        assert_eq!(table(Some(30)), expected);
    }

    /// Wide characters count for two columns, and a text without spaces is cut anywhere.
    #[test]
    fn wraps_by_the_width_of_characters() {
        assert_eq!(wrap("画像画像", 4), ["画像", "画像"]);
        assert_eq!(wrap("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(wrap("", 4), [""]);
    }

    /// A long table does not wait for its end, and keeps no more than the measured rows.
    #[test]
    fn later_rows_are_written_at_once() {
        let mut out = Vec::new();
        let mut table = Table::with_limit(&mut out, &COLUMNS, None).without_headings();
        for number in 0..MEASURED_ROWS + 10 {
            table.row(vec![number.to_string().into()]).unwrap();
            assert!(table.waiting.len() < MEASURED_ROWS);
        }
        table.finish().unwrap();
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), MEASURED_ROWS + 10);
    }
}
