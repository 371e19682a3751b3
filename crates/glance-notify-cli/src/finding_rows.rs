//! Findings as `check` and `doctor` print them: one line each, or an object of JSON.

use std::io::{self, Write};

use glance_notify::transport::{Finding, FindingState, printable};
use serde::Serialize;

use crate::console::{Stream, Tone, paint};

/// One finding. Scripts read these fields: never rename them.
#[derive(Serialize)]
pub(crate) struct FindingRow {
    /// `good`, `warning` or `bad`.
    state: &'static str,
    pub(crate) subject: String,
    pub(crate) details: String,
}

impl FindingRow {
    /// Creates the row of a finding.
    pub(crate) fn new(finding: &Finding) -> Self {
        let (state, details) = match &finding.state {
            FindingState::Good(details) => ("good", printable(details, MAX_CHARS).to_string()),
            FindingState::Warning(text) => ("warning", printable(text, MAX_CHARS).to_string()),
            FindingState::Bad(error) => {
                ("bad", printable(&format!("{error:#}"), usize::MAX).to_string())
            }
        };
        Self { state, subject: printable(&finding.subject, MAX_CHARS).to_string(), details }
    }

    /// Writes the finding as a line of text.
    ///
    /// # Errors
    ///
    /// Returns an error if the write fails.
    pub(crate) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { state, subject, details } = self;
        let tone = match *state {
            "good" => Tone::Good,
            "warning" => Tone::Warning,
            _ => Tone::Bad,
        };
        let state = paint(Stream::Stdout, Some(tone), format_args!("{state:<8}"));
        writeln!(out, "{state} {subject}: {details}")
    }
}

/// The largest number of characters of a detail.
const MAX_CHARS: usize = 1024;
