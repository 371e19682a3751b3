//! One line on standard error that is written over again and again, where that is a terminal.

use std::fmt;
use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// The line, and whether it is shown.
pub(crate) struct ProgressLine {
    shown: bool,
    last: Option<Instant>,
}

impl ProgressLine {
    pub(crate) fn new() -> Self {
        Self { shown: false, last: stderr().is_terminal().then(Instant::now) }
    }

    /// Shows how far it is, a few times a second at most.
    pub(crate) fn show(&mut self, how_far: fmt::Arguments<'_>) {
        let Some(last) = &mut self.last else { return };
        if last.elapsed() < REDRAW {
            return;
        }
        *last = Instant::now();
        self.shown = true;
        let line = format!("\r\x1b[K{how_far}");
        drop(stderr().write_all(line.as_bytes()));
    }

    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            drop(stderr().write_all(b"\r\x1b[K"));
        }
    }
}

const REDRAW: Duration = Duration::from_millis(200);
