//! One failure, one message: warnings of the log that wait for the message of the command about the same thing.
//!
//! The worker logs a failed delivery for programs that do not watch it. `emit` and `spool drain` do watch it,
//! and report the same failure in their own words, usually a moment later. So their warnings and errors of
//! the log wait for a moment: if the command has named the same cause by then, the log's line is left out.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::progress::write_beside_progress;

/// Makes the problems of the log wait for a moment from now on. Call [`release_due`] from time to time.
pub(crate) fn hold_problems() {
    state().is_holding = true;
}

/// Writes a line about a problem of the log: at once, or after a moment if the command watches the delivery.
///
/// `message` is the text of the problem within `line`.
pub(crate) fn write_problem(line: String, message: String) {
    let mut state = state();
    if state.is_holding {
        state.held.push_back(HeldLine { line, message, since: Instant::now() });
    } else {
        state.write(&line, message);
    }
}

/// Records a message that the command itself has printed.
pub(crate) fn record(message: String) {
    state().record(message);
}

/// Writes the lines that have waited long enough, except those whose cause the command has named.
pub(crate) fn release_due() {
    let mut state = state();
    while state.held.front().is_some_and(|line| line.since.elapsed() >= HOLD_TIME) {
        state.release_first();
    }
}

/// Writes all lines that still wait, as [`release_due`] does, and holds no further ones.
pub(crate) fn release_all() {
    let mut state = state();
    state.is_holding = false;
    while !state.held.is_empty() {
        state.release_first();
    }
}

/// Leaves out the lines that still wait, because the command says the same in its own words.
pub(crate) fn discard() {
    state().held.clear();
}

/// Returns whether a line on standard error has named `cause` at its end.
pub(crate) fn has_shown(cause: &str) -> bool {
    state().shown.iter().any(|message| message.ends_with(cause))
}

/// The lines that wait, and the texts of the last lines that do not.
struct HeldLog {
    is_holding: bool,
    held: VecDeque<HeldLine>,
    /// The texts of the last lines on standard error, the newest first.
    shown: VecDeque<String>,
}

/// One line that waits.
struct HeldLine {
    line: String,
    message: String,
    since: Instant,
}

impl HeldLog {
    /// Writes the line that has waited longest, unless one with the same cause is on the screen.
    fn release_first(&mut self) {
        let Some(HeldLine { line, message, .. }) = self.held.pop_front() else { return };
        if !self.shown.iter().any(|shown| names_cause_of(shown, &message)) {
            self.write(&line, message);
        }
    }

    /// Writes a line and records its text.
    fn write(&mut self, line: &str, message: String) {
        write_beside_progress(line.as_bytes());
        self.record(message);
    }

    /// Records a text that standard error shows.
    fn record(&mut self, message: String) {
        self.shown.truncate(SHOWN_LINES - 1);
        self.shown.push_front(message);
    }
}

/// Returns whether `shown` ends with the cause of `message`: a part of it after a colon.
fn names_cause_of(shown: &str, message: &str) -> bool {
    let mut causes = message.match_indices(": ").map(|(at, colon)| &message[at + colon.len()..]);
    causes.any(|cause| cause.len() >= MIN_CAUSE && shown.ends_with(cause))
}

/// Locks the state of the process.
fn state() -> MutexGuard<'static, HeldLog> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

static STATE: Mutex<HeldLog> =
    Mutex::new(HeldLog { is_holding: false, held: VecDeque::new(), shown: VecDeque::new() });

/// The time for which a line waits.
const HOLD_TIME: Duration = Duration::from_millis(300);

/// The number of texts that are remembered.
const SHOWN_LINES: usize = 32;

/// The shortest text that counts as the cause of a problem, in bytes.
const MIN_CAUSE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// The words before the cause differ between the log and the command.
    #[test]
    fn a_cause_is_recognized_after_other_words() {
        let logged = "`log`: permanent error, retrying every 30 s: `log.file`: no such directory";
        assert!(names_cause_of("gave up: `log.file`: no such directory", logged));
        assert!(!names_cause_of("gave up: `log.file`: permission denied", logged));
        assert!(!names_cause_of("line 1: x", "dropping: x"));
    }
}
