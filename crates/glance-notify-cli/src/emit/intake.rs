//! The way from lines of input to receipts.
//!
//! The reader thread parses lines, and the submitter task hands their notifications to
//! the notifier. The notifier's queue is bounded: when it is full, the submitter waits,
//! and with it the reader thread.
//!
//! The submitter works in the order of the input and one line at a time, so that first
//! attempts keep that order too.

use std::sync::Arc;
use std::time::Duration;

use glance_notify::codec::NotificationInput;
use glance_notify::{Notification, Notifier, Receipt};
use tokio::sync::mpsc;

use super::args::EmitArgs;
use super::line_reader::{IntakeState, LineBlock, read_lines};
use super::output_files::OutputFile;
use crate::exit_status::{CommandError, ExitStatus};
use crate::input_lines::{InputLine, InvalidLine};
use crate::input_source::{InputSource, read_error};
use crate::terminal::{print_error, print_warning};

/// A running intake: the submissions that come out of it, and its state.
pub(super) struct Intake {
    /// The submissions in the order of the input. Closes after the last one.
    pub(super) submissions: mpsc::Receiver<Submission>,
    /// The progress, and the way to stop.
    pub(super) state: Arc<IntakeState>,
    /// Whether the input is a file, so that reading all of it needs no writer.
    pub(super) is_file: bool,
    /// The number of bytes to read, if the input has an end that is known.
    pub(super) size: Option<u64>,
}

/// A notification that the notifier has taken, with the receipt of its outcome.
pub(super) struct Submission {
    /// The line number in the input.
    pub(super) line: u64,
    pub(super) notification: Notification,
    pub(super) receipt: Receipt,
}

impl Intake {
    /// Starts to read `input` and to submit its notifications to `notifier`. Lines that are none go to
    /// `rejected`.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system refuses the reader thread.
    pub(super) fn start(
        input: InputSource,
        notifier: Notifier,
        rejected: Option<OutputFile>,
        args: &EmitArgs,
    ) -> Result<Self, CommandError> {
        let state = Arc::new(IntakeState::default());
        let (lines_in, lines) = mpsc::channel(MAX_BLOCKS);
        let (submissions_in, submissions) = mpsc::channel(MAX_SUBMISSIONS);
        let InputSource { is_file, size, .. } = input;
        let name = input.name.clone();
        std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn({
                let state = Arc::clone(&state);
                move || read_lines(input, &lines_in, &state)
            })
            .map_err(|error| read_error(&name, &error))?;
        let submitter = Submitter {
            name,
            is_file,
            skip_invalid: args.skips_invalid(),
            rejected,
            has_warned: false,
            notifier,
            lines,
            submissions: submissions_in,
            state: Arc::clone(&state),
        };
        tokio::spawn(submitter.run());
        Ok(Self { submissions, state, is_file, size })
    }
}

/// The task that submits lines to the notifier.
struct Submitter {
    /// The name of the input in messages.
    name: String,
    /// Whether the input is a file, so that the reader thread never waits for a writer.
    is_file: bool,
    /// `--skip-invalid`: whether an invalid line does not end the reading.
    skip_invalid: bool,
    /// The file of `--rejected`.
    rejected: Option<OutputFile>,
    /// Whether a warning has named an attribute that is not sent. More of them say nothing new.
    has_warned: bool,
    notifier: Notifier,
    lines: mpsc::Receiver<LineBlock>,
    submissions: mpsc::Sender<Submission>,
    state: Arc<IntakeState>,
}

impl Submitter {
    /// Submits lines until the input ends, an invalid line stops it, or the monitor is
    /// gone. Records at the end whether it processed the whole input.
    async fn run(mut self) {
        let mut rest = false;
        'input: while let Some(block) = self.next_block().await {
            let mut lines = block.into_iter();
            while let Some(line) = lines.next() {
                if !self.submit(line).await {
                    rest = lines.next().is_some();
                    // Only a file is sure to say soon whether another line follows.
                    rest = rest || (self.is_file && self.lines.recv().await.is_some());
                    break 'input;
                }
            }
        }
        self.state.set_exhausted(!rest && self.state.has_ended());
    }

    /// Waits for the next lines. After a stop, returns only those already read.
    ///
    /// The reader thread may block in a read that never returns. The flag that it sets
    /// before it waits tells this task that no further lines are on their way.
    async fn next_block(&mut self) -> Option<LineBlock> {
        loop {
            match tokio::time::timeout(STOP_CHECK_INTERVAL, self.lines.recv()).await {
                Ok(block) => return block,
                Err(_) if !self.state.is_stopped() => {}
                Err(_) if self.state.is_waiting() => return self.lines.try_recv().ok(),
                Err(_) => {}
            }
        }
    }

    /// Submits the notification of one line. Returns `false` to end the reading.
    ///
    /// A whole notification keeps its id, publisher and timestamp. A line without them
    /// gets new ones here. Waits while the notifier's queue is full.
    async fn submit(&mut self, line: InputLine) -> bool {
        let InputLine { number, input } = line;
        self.state.count_line(number);
        let (input, warnings) = match input {
            Ok(read) => read,
            Err(invalid) => return self.reject(number, &invalid),
        };
        if let Some(warning) = warnings.first()
            && !std::mem::replace(&mut self.has_warned, true)
        {
            print_warning(format_args!(
                "{}, line {number}: {warning}, which is not sent (`glance-notify validate` lists all)",
                self.name
            ));
        }
        let notification = match input {
            NotificationInput::Notification(notification) => notification,
            NotificationInput::Event(event) => self.notifier.stamp(event),
        };
        let receipt = self.notifier.resend(&notification).await;
        let submission = Submission { line: number, notification, receipt };
        self.submissions.send(submission).await.is_ok()
    }

    /// Reports an invalid line and writes it to the file of `--rejected`. Returns `false` to end the
    /// reading, which is the default without `--skip-invalid`.
    fn reject(&mut self, number: u64, invalid: &InvalidLine) -> bool {
        self.state.count_invalid();
        let InvalidLine { problems, text, is_cut } = invalid;
        let problem = match problems.as_slice() {
            [] => String::new(),
            [problem] => problem.to_string(),
            [problem, rest @ ..] => format!("{problem} (and {} more)", rest.len()),
        };
        let mut message = format!("{}, line {number}: {problem}", self.name);
        if let Some(rejected) = &mut self.rejected {
            if let Err(error) = rejected.append(text) {
                // Reading more would lose lines that you want to keep.
                self.state.stop();
                self.state.fail(error);
                return false;
            }
            if *is_cut {
                message = format!("{message}: `--rejected` has its first {} bytes", text.len());
            }
        }
        if self.skip_invalid {
            print_error(format_args!("skipped {message}"));
        } else {
            // The monitor prints this error after it has delivered the earlier lines.
            self.state.stop();
            self.state.fail(CommandError::new(ExitStatus::InvalidInput, message));
        }
        self.skip_invalid
    }
}

/// The number of blocks that the thread reads ahead.
const MAX_BLOCKS: usize = 4;

/// The number of submissions that wait for the monitor.
const MAX_SUBMISSIONS: usize = 1024;

/// The interval at which a submitter without lines checks for a stop.
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(50);
