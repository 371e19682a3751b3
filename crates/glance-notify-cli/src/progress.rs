//! The progress line: one line on standard error that the command overwrites.
//!
//! It appears only on a terminal, so that log files and pipes stay free of it. Call
//! [`ProgressLine::clear`] before a message, so that the message does not continue the
//! line.

use std::fmt;
use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// The progress line of one command.
pub(crate) struct ProgressLine {
    /// Whether the line is on the screen at the moment.
    shown: bool,
    /// The time of the last redraw. `None` if standard error is no terminal.
    last: Option<Instant>,
}

impl ProgressLine {
    /// Creates a line that is not on the screen yet.
    pub(crate) fn new() -> Self {
        Self { shown: false, last: stderr().is_terminal().then(Instant::now) }
    }

    /// Draws the line, at most five times a second. Any faster call does nothing.
    ///
    /// `progress` must be printable: it is written without escapes.
    pub(crate) fn show(&mut self, progress: fmt::Arguments<'_>) {
        let Some(last) = &mut self.last else { return };
        if last.elapsed() < REDRAW_INTERVAL {
            return;
        }
        *last = Instant::now();
        self.shown = true;
        let line = format!("\r\x1b[K{progress}");
        drop(stderr().write_all(line.as_bytes()));
    }

    /// Removes the line from the screen. Call it before you print anything else.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            drop(stderr().write_all(b"\r\x1b[K"));
        }
    }
}

/// The shortest time between two redraws.
const REDRAW_INTERVAL: Duration = Duration::from_millis(200);
