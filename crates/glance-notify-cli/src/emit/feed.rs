//! From lines of input to receipts: a thread that reads and parses, and a task that queues.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use glance_notify::codec::{NotificationInput, Problem};
use glance_notify::{Notification, Notifier, Receipt};
use tokio::sync::mpsc;

use super::Args;
use crate::exit::{Exit, Failure, say};
use crate::lines::{Line, Lines};
use crate::source::{Source, unreadable};

/// Notifications on their way, in the order of the input.
pub(super) struct Feed {
    pub(super) queued: mpsc::Receiver<Queued>,
    pub(super) control: Arc<Control>,
    /// Whether the input has an end, so that all of it may be read whatever happens.
    pub(super) is_file: bool,
}

/// A notification that was handed to the notifier.
pub(super) struct Queued {
    pub(super) line: u64,
    pub(super) notification: Notification,
    pub(super) receipt: Receipt,
}

/// What the feeder has done, and whether it is to go on.
#[derive(Default)]
pub(super) struct Control {
    stop: AtomicBool,
    /// Whether the reader's thread waits for input, with nothing in its hands.
    waiting: AtomicBool,
    /// Whether the reader's thread has come to the end of the input.
    ended: AtomicBool,
    /// Whether everything in the input was taken up.
    exhausted: AtomicBool,
    read: AtomicU64,
    invalid: AtomicU64,
    last_line: AtomicU64,
    /// Why reading ended before the input did.
    failure: std::sync::Mutex<Option<Failure>>,
}

impl Control {
    /// Reads no further. What was read is still queued.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::SeqCst)
    }

    pub(super) fn invalid(&self) -> u64 {
        self.invalid.load(Ordering::SeqCst)
    }

    pub(super) fn last_line(&self) -> u64 {
        self.last_line.load(Ordering::SeqCst)
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted.load(Ordering::SeqCst)
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    fn fail(&self, failure: Failure) {
        *self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(failure);
    }
}

impl Feed {
    /// Begins to read `source` and to queue what it holds.
    pub(super) fn start(source: Source, notifier: Notifier, args: &Args) -> Result<Self, Failure> {
        let control = Arc::new(Control::default());
        let (lines_in, lines) = mpsc::channel(BLOCKS);
        let (queued_in, queued) = mpsc::channel(QUEUED);
        let is_file = source.is_file;
        let name = source.name.clone();
        std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn({
                let control = Arc::clone(&control);
                move || read(source, &lines_in, &control)
            })
            .map_err(|error| unreadable(&name, &error))?;
        let feeder = Feeder {
            name,
            is_file,
            skip_invalid: args.skip_invalid,
            notifier,
            lines,
            queued: queued_in,
            control: Arc::clone(&control),
        };
        tokio::spawn(feeder.run());
        Ok(Self { queued, control, is_file })
    }
}

/// Lines that were read without waiting in between.
type Block = Vec<Line>;

/// Reads and parses until the input ends, fails, or nobody wants more.
fn read(source: Source, out: &mpsc::Sender<Block>, control: &Control) {
    let Source { name, reader, is_file } = source;
    let mut lines = Lines::new(reader);
    let mut block = Block::new();
    loop {
        if !lines.is_ready() {
            if !block.is_empty() && out.blocking_send(std::mem::take(&mut block)).is_err() {
                return;
            }
            if control.is_stopped() {
                let ended = is_file && matches!(lines.next(), Ok(None));
                control.ended.store(ended, Ordering::SeqCst);
                return;
            }
            control.waiting.store(true, Ordering::SeqCst);
        }
        let line = lines.next();
        control.waiting.store(false, Ordering::SeqCst);
        match line {
            Ok(Some(line)) => block.push(line),
            Ok(None) => {
                control.ended.store(true, Ordering::SeqCst);
                break;
            }
            Err(error) => {
                control.fail(unreadable(&name, &error));
                break;
            }
        }
        if block.len() >= BLOCK_LINES && out.blocking_send(std::mem::take(&mut block)).is_err() {
            return;
        }
    }
    if !block.is_empty() {
        // Where nobody wants it, nobody is there to be told.
        drop(out.blocking_send(block));
    }
}

struct Feeder {
    name: String,
    is_file: bool,
    skip_invalid: bool,
    notifier: Notifier,
    lines: mpsc::Receiver<Block>,
    queued: mpsc::Sender<Queued>,
    control: Arc<Control>,
}

impl Feeder {
    async fn run(mut self) {
        let mut rest = false;
        'input: while let Some(block) = self.next().await {
            let mut lines = block.into_iter();
            while let Some(line) = lines.next() {
                if !self.feed(line).await {
                    rest = lines.next().is_some();
                    // Only a file is sure to say soon whether there is more.
                    rest = rest || (self.is_file && self.lines.recv().await.is_some());
                    break 'input;
                }
            }
        }
        let exhausted = !rest && self.control.ended.load(Ordering::SeqCst);
        self.control.exhausted.store(exhausted, Ordering::SeqCst);
    }

    /// The next lines. Once stopped, only those that were read already.
    async fn next(&mut self) -> Option<Block> {
        loop {
            match tokio::time::timeout(LOOK_AGAIN, self.lines.recv()).await {
                Ok(block) => return block,
                Err(_) if !self.control.is_stopped() => {}
                Err(_) if self.control.waiting.load(Ordering::SeqCst) => {
                    return self.lines.try_recv().ok();
                }
                Err(_) => {}
            }
        }
    }

    /// Queues what one line holds; `false` ends the reading.
    async fn feed(&mut self, line: Line) -> bool {
        let Line { number, input } = line;
        self.control.read.fetch_add(1, Ordering::SeqCst);
        self.control.last_line.store(number, Ordering::SeqCst);
        let notification = match input {
            Ok(NotificationInput::Notification(notification)) => notification,
            Ok(NotificationInput::Body(body)) => self.notifier.stamp(body),
            Err(problems) => return self.report(number, &problems),
        };
        let receipt = self.notifier.resend(&notification).await;
        let queued = Queued { line: number, notification, receipt };
        self.queued.send(queued).await.is_ok()
    }

    fn report(&self, number: u64, problems: &[Problem]) -> bool {
        self.control.invalid.fetch_add(1, Ordering::SeqCst);
        let problem = match problems {
            [] => String::new(),
            [problem] => problem.to_string(),
            [problem, rest @ ..] => format!("{problem} (and {} more)", rest.len()),
        };
        let message = format!("{}, line {number}: {problem}", self.name);
        if self.skip_invalid {
            say(format_args!("skipped {message}"));
        } else {
            // Told once what came before is delivered.
            self.control.stop();
            self.control.fail(Failure::new(Exit::Invalid, message));
        }
        self.skip_invalid
    }
}

/// How many blocks are read ahead; a block holds at most what one read of the input gave.
const BLOCKS: usize = 4;
const BLOCK_LINES: usize = 256;
/// How many receipts wait to be followed.
const QUEUED: usize = 1024;
const LOOK_AGAIN: Duration = Duration::from_millis(50);
