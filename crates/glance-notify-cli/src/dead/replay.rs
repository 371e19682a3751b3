//! `glance-notify dead replay`: sends dead letters to a destination, and removes those that it has.
//!
//! A letter leaves the file after the destination has its notification. If the command is killed in between, the
//! letter stays and is sent again by the next run, with the same id.

use std::collections::HashSet;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use glance_notify::codec::{Context, NotificationInput, SizeLimits};
use glance_notify::listen::{DeadLetterFile, DeadLetterLine};
use glance_notify::{Error, ErrorKind, Notification, Result as NotifyResult};
use glance_notify_cli::json_output::write_json;
use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until};

use super::dead_file::DeadFileArgs;
use super::letter_selection::{LetterId, LetterLookup, LetterSelection};
use crate::arguments::parse_seconds;
use crate::exit_status::{CommandError, ExitStatus};
use crate::listen::ForwardTarget;
use crate::output_format::TextOrJson;
use crate::runtime;
use crate::settings::ConfigArgs;
use crate::signals::StopSignals;
use crate::stop_reason::STDOUT_CLOSED;
use crate::terminal::{print_error, print_note, write_stdout};

/// Send dead letters to the destination of a configuration, unchanged and with their ids, and remove those
/// that it has.
///
/// Letters that hold no notification stay, and the command then exits with 4. Receivers drop copies by the
/// ids.
#[derive(clap::Args)]
pub(super) struct DeadReplayArgs {
    #[command(flatten)]
    selection: LetterSelection,

    #[command(flatten)]
    file: DeadFileArgs,

    /// Configuration of the destination.
    #[arg(long, value_name = "CONFIG")]
    to: PathBuf,

    /// Give up after this many seconds. What the destination does not have by then stays in the file.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, default_value = "60")]
    timeout: Duration,

    #[command(flatten)]
    output: TextOrJson,
}

/// Sends the chosen letters and prints how many the destination has.
///
/// # Errors
///
/// Returns an error if a file or the configuration cannot be read, or if the file cannot be replaced.
pub(super) fn run(args: &DeadReplayArgs, config: &ConfigArgs) -> Result<ExitStatus, CommandError> {
    let file = args.file.file(config)?;
    let mut lookup = args.selection.lookup();
    let runtime = runtime::start()?;
    let replay =
        runtime.block_on(async { DeadReplay::new(args)?.send_all(&file, &mut lookup).await });
    runtime.shutdown_background();
    let ReplayCounts { delivered, not_delivered, unreadable, last_failure, permanent_error } =
        replay?;
    file.remove(|line| delivered.contains(&LetterId::of(line)))?;
    let report = ReplayReport { replayed: delivered.len() as u64, not_delivered, unreadable };
    if let Some(reason) = permanent_error.as_ref().or(last_failure.as_ref()) {
        print_error(format_args!("not every letter was delivered: {reason}"));
    }
    if args.output.is_json() {
        write_stdout(|out| write_json(out, &report))?;
    } else {
        print_note(format_args!(
            "{} replayed, {} not delivered, {} unreadable",
            report.replayed, report.not_delivered, report.unreadable
        ));
    }
    Ok(match lookup.finish() {
        ExitStatus::Success if permanent_error.is_some() => ExitStatus::PermanentError,
        ExitStatus::Success if report.not_delivered > 0 => ExitStatus::NotDelivered,
        ExitStatus::Success if report.unreadable > 0 => ExitStatus::InvalidInput,
        status => status,
    })
}

/// The letters on their way to the destination.
struct DeadReplay {
    target: ForwardTarget,
    receipts: FuturesUnordered<LetterReceipt>,
    end: ReplayEnd,
    counts: ReplayCounts,
}

/// The reasons to end before every letter is sent.
struct ReplayEnd {
    signals: StopSignals,
    deadline: Instant,
}

/// The future outcome of one letter.
type LetterReceipt = Pin<Box<dyn Future<Output = (LetterId, NotifyResult<()>)> + Send>>;

/// What became of the letters so far.
#[derive(Default)]
struct ReplayCounts {
    /// The letters whose notifications the destination has.
    delivered: HashSet<LetterId>,
    not_delivered: u64,
    unreadable: u64,
    last_failure: Option<String>,
    /// The permanent error of the destination, if it ended the replay before the first delivery.
    permanent_error: Option<String>,
}

impl DeadReplay {
    /// Opens the destination.
    ///
    /// # Errors
    ///
    /// Returns an error if its configuration is invalid, or if the operating system refuses the signal
    /// handlers.
    fn new(args: &DeadReplayArgs) -> Result<Self, CommandError> {
        Ok(Self {
            target: ForwardTarget::open(&args.to, &[])?,
            receipts: FuturesUnordered::new(),
            end: ReplayEnd {
                signals: StopSignals::listen()?,
                deadline: Instant::now() + args.timeout,
            },
            counts: ReplayCounts::default(),
        })
    }

    /// Sends the chosen letters, and waits for their receipts until the replay has to end.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read.
    async fn send_all(
        mut self,
        file: &DeadLetterFile,
        lookup: &mut LetterLookup<'_>,
    ) -> Result<ReplayCounts, CommandError> {
        let mut is_over = false;
        for line in file.lines()? {
            let line = line?;
            if !lookup.matches(&line) {
                continue;
            }
            let Some(notification) = notification_of(&line) else {
                self.counts.unreadable += 1;
                continue;
            };
            is_over = is_over || !self.send(LetterId::of(&line), &notification).await;
            if is_over {
                self.counts.fail("the time is over, or a signal came");
            }
        }
        while !is_over && !self.receipts.is_empty() {
            is_over = !self.next_receipt().await;
        }
        // Pending notifications have `queue.drain_timeout`; then their receipts fail. After a permanent error
        // no time helps.
        let Self { target, mut receipts, mut counts, .. } = self;
        let has_lost_stdout = target.has_lost_stdout();
        if counts.permanent_error.is_some() {
            target.close_within(Duration::ZERO).await;
        } else {
            target.close().await;
        }
        while let Some((id, result)) = receipts.next().await {
            counts.record(id, result);
        }
        if has_lost_stdout && counts.not_delivered > 0 {
            counts.last_failure = Some(STDOUT_CLOSED.to_owned());
        }
        Ok(counts)
    }

    /// Queues one notification as soon as there is room. Returns `false` if the replay has to end first.
    async fn send(&mut self, id: LetterId, notification: &Notification) -> bool {
        while self.receipts.len() >= MOST_RECEIPTS {
            if !self.next_receipt().await {
                return false;
            }
        }
        // A letter has no context.
        let context = Context::new();
        let send = pin!(self.target.send(notification, &context));
        let receipt = tokio::select! {
            biased;
            error = self.end.wait(&self.target) => {
                self.counts.permanent_error = error;
                return false;
            }
            receipt = send => receipt,
        };
        let has_destination = receipt.message_id().is_some();
        self.receipts.push(Box::pin(async move {
            let result = match receipt.await {
                Ok(()) if !has_destination => Err(Error::new(ErrorKind::Config, LEFT_OUT)),
                result => result,
            };
            (id, result)
        }));
        true
    }

    /// Waits for the next outcome. Returns `false` if the replay has to end first.
    async fn next_receipt(&mut self) -> bool {
        tokio::select! {
            biased;
            error = self.end.wait(&self.target) => {
                self.counts.permanent_error = error;
                return false;
            }
            Some((id, result)) = self.receipts.next() => self.counts.record(id, result),
        }
        true
    }
}

impl ReplayEnd {
    /// Waits for the timeout, a signal or the end of standard output's reader, or for a permanent error of a
    /// destination that has accepted nothing yet, which it returns.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no signal.
    async fn wait(&mut self, target: &ForwardTarget) -> Option<String> {
        let failure = async {
            loop {
                let error = target.permanent_error();
                if error.is_some() || target.has_lost_stdout() {
                    break error;
                }
                sleep(TICK).await;
            }
        };
        tokio::select! {
            biased;
            () = self.signals.next() => None,
            () = sleep_until(self.deadline) => None,
            error = failure => error,
        }
    }
}

impl ReplayCounts {
    /// Records what became of a letter.
    fn record(&mut self, id: LetterId, result: NotifyResult<()>) {
        match result {
            Ok(()) => drop(self.delivered.insert(id)),
            Err(error) => self.fail(format!("{error:#}")),
        }
    }

    /// Counts a letter that the destination does not have.
    fn fail(&mut self, reason: impl Into<String>) {
        self.not_delivered += 1;
        self.last_failure = Some(reason.into());
    }
}

/// Returns the notification of a letter, or `None` if it holds none.
fn notification_of(line: &DeadLetterLine) -> Option<Notification> {
    let letter = line.letter.as_ref().ok()?;
    let limits = SizeLimits { bytes: letter.body.len().max(1), ..SizeLimits::default() };
    match NotificationInput::decode(&letter.body, &limits) {
        Ok(NotificationInput::Notification(notification)) => Some(notification),
        _ => None,
    }
}

/// The JSON form of the result. Scripts read these fields: never rename them.
#[derive(Serialize)]
struct ReplayReport {
    replayed: u64,
    not_delivered: u64,
    unreadable: u64,
}

/// The number of letters that are on their way at once.
const MOST_RECEIPTS: usize = 1024;
/// The interval of the checks of the destination.
const TICK: Duration = Duration::from_millis(50);
/// The reason why a letter stays that the destination is not meant to get.
const LEFT_OUT: &str = "the configuration of `--to` leaves the notification out";
