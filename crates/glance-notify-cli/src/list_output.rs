//! Lists on standard output: a table for people, and an object of JSON in each line for programs.

use std::io::{self, Write};

use glance_notify_cli::json_output::write_json;
use serde::Serialize;

use crate::table::{Cell, Column, Table};

/// One row of a list. Scripts read its fields as JSON: never rename them.
pub(crate) trait ListRow: Serialize {
    /// Returns the cells of the row in the table.
    fn cells(&self) -> Vec<Cell>;
}

/// A list that is written row by row.
pub(crate) enum ListWriter<'a> {
    Json(&'a mut dyn Write),
    Table(Table<'a>),
}

impl<'a> ListWriter<'a> {
    /// Creates an empty list, as JSON or as a table with these columns.
    pub(crate) fn new(out: &'a mut dyn Write, is_json: bool, columns: &'a [Column]) -> Self {
        if is_json { Self::Json(out) } else { Self::Table(Table::new(out, columns)) }
    }

    /// Leaves the headings of the table out.
    pub(crate) fn without_headings(self) -> Self {
        match self {
            Self::Table(table) => Self::Table(table.without_headings()),
            json @ Self::Json(_) => json,
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// Returns an error if the write fails.
    pub(crate) fn row(&mut self, row: &impl ListRow) -> io::Result<()> {
        match self {
            Self::Json(out) => write_json(*out, row),
            Self::Table(table) => table.row(row.cells()),
        }
    }

    /// Writes what still waits.
    ///
    /// # Errors
    ///
    /// Returns an error if the write fails.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self {
            Self::Json(_) => Ok(()),
            Self::Table(table) => table.finish(),
        }
    }
}
