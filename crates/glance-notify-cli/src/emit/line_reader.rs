//! The thread that reads and parses input, and the state that it shares with the tasks.
//!
//! Reading standard input blocks and cannot be cancelled, so it happens on a thread of
//! its own that the process never joins. The thread talks to the runtime only through a
//! bounded channel and through [`IntakeState`].
//!
//! # Stopping
//!
//! [`IntakeState::stop`] cannot wake a thread that blocks in a read. The thread therefore
//! sets a flag before each read that may block, and clears it afterwards. While the flag
//! is set, the thread holds no line that it has not sent: the submitter may stop waiting
//! for it without losing a line.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::exit_status::CommandError;
use crate::input_lines::{InputLine, InputLines};
use crate::input_source::{InputSource, read_error};

/// Lines that the thread read without waiting for more input in between.
pub(super) type LineBlock = Vec<InputLine>;

/// The progress of the reader thread and the submitter, and the request to stop.
#[derive(Default)]
pub(super) struct IntakeState {
    /// Whether to stop reading.
    stop: AtomicBool,
    /// Whether the thread waits for input and holds no unsent lines.
    waiting: AtomicBool,
    /// Whether the thread has reached the end of the input.
    ended: AtomicBool,
    /// Whether the submitter has processed the whole input.
    exhausted: AtomicBool,
    /// The number of lines that the submitter has processed.
    read: AtomicU64,
    /// The number of invalid lines among them.
    invalid: AtomicU64,
    /// The line number of the last one.
    last_line: AtomicU64,
    /// The number of bytes that the thread has read.
    bytes: AtomicU64,
    /// The error that ended the reading before the end of the input.
    error: Mutex<Option<CommandError>>,
}

impl IntakeState {
    /// Stops the reading. The submitter still submits the lines that the thread has read.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Returns whether [`stop`](Self::stop) was called.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Returns whether the reader thread waits for input and holds no unsent lines.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Returns whether the reader thread has reached the end of the input.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Returns whether the submitter has processed every line of the input.
    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted.load(Ordering::SeqCst)
    }

    /// Records whether the submitter has processed every line of the input.
    pub(super) fn set_exhausted(&self, exhausted: bool) {
        self.exhausted.store(exhausted, Ordering::SeqCst);
    }

    /// Counts a line that the submitter processes.
    pub(super) fn count_line(&self, number: u64) {
        self.read.fetch_add(1, Ordering::SeqCst);
        self.last_line.store(number, Ordering::SeqCst);
    }

    /// Counts an invalid line.
    pub(super) fn count_invalid(&self) {
        self.invalid.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns the number of processed lines. Blank lines do not count.
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::SeqCst)
    }

    /// Returns the number of bytes that the thread has read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    /// Returns the number of invalid lines.
    pub(super) fn invalid(&self) -> u64 {
        self.invalid.load(Ordering::SeqCst)
    }

    /// Returns the line number of the last processed line, or 0 before the first.
    pub(super) fn last_line(&self) -> u64 {
        self.last_line.load(Ordering::SeqCst)
    }

    /// Records the error that ends the reading.
    pub(super) fn fail(&self, error: CommandError) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// Takes the error that ended the reading, if any.
    pub(super) fn take_error(&self) -> Option<CommandError> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Reads and parses `input` until it ends or fails, or until the submitter is gone.
///
/// Sends a block as soon as reading on would wait, so that a line from a pipe is
/// delivered before the next one arrives. Once the intake is stopped, the thread reads
/// no more than the rest of its buffer; at the end of a file it still looks whether
/// another line follows.
pub(super) fn read_lines(input: InputSource, out: &mpsc::Sender<LineBlock>, state: &IntakeState) {
    let InputSource { name, reader, is_file, .. } = input;
    let mut lines = InputLines::new(reader);
    let mut block = LineBlock::new();
    let mut block_bytes = 0;
    loop {
        if !lines.is_ready() {
            block_bytes = 0;
            if !block.is_empty() && out.blocking_send(std::mem::take(&mut block)).is_err() {
                return;
            }
            if state.is_stopped() {
                let ended = is_file && matches!(lines.next(), Ok(None));
                state.ended.store(ended, Ordering::SeqCst);
                return;
            }
            state.waiting.store(true, Ordering::SeqCst);
        }
        let line = lines.next();
        state.waiting.store(false, Ordering::SeqCst);
        state.bytes.store(lines.bytes(), Ordering::SeqCst);
        match line {
            Ok(Some(line)) => {
                block_bytes += lines.text().len();
                block.push(line);
            }
            Ok(None) => {
                state.ended.store(true, Ordering::SeqCst);
                break;
            }
            Err(error) => {
                state.fail(read_error(&name, &error));
                break;
            }
        }
        if block.len() >= BLOCK_LINES || block_bytes >= BLOCK_BYTES {
            block_bytes = 0;
            if out.blocking_send(std::mem::take(&mut block)).is_err() {
                return;
            }
        }
    }
    if !block.is_empty() {
        // A submitter that is gone needs no more lines.
        drop(out.blocking_send(block));
    }
}

/// The size at which a block is full, in bytes of input. One line may exceed it.
const BLOCK_BYTES: usize = 1024 * 1024;

/// The largest number of lines in a block.
const BLOCK_LINES: usize = 256;
