//! The task that waits for receipts, writes the output files, and decides when to stop.
//!
//! It is the only place that gives up:
//!
//! * at once, if the destination reports a permanent error before it has accepted
//!   anything. After the first delivery the configuration is known to work, so the
//!   command waits for the destination to recover;
//! * after `--timeout` seconds without a delivery;
//! * after a signal, once `queue.drain_timeout` has expired or a second signal arrives.
//!
//! Giving up shuts the notifier down. Every receipt then resolves, so that the loop ends
//! without a special case, and each notification that was not delivered reaches `--failed`.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use glance_notify::pipeline::{DestinationAccount, Stats};
use glance_notify::{Config, Error, Notification, Notifier, Outcome};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use super::args::EmitArgs;
use super::intake::{Intake, Submission};
use super::output_files::OutputFiles;
use super::summary::EmitSummary;
use crate::exit_status::CommandError;
use crate::held_log;
use crate::progress::ProgressLine;
use crate::signals::StopSignals;
use crate::stop_reason::{StdoutNeed, StopReason, deciding, last_error, permanent_error};
use crate::terminal::{print_error, print_note};

/// The state of a running `emit`.
pub(super) struct DeliveryMonitor {
    /// The handle through which the monitor reads the account and shuts down.
    notifier: Notifier,
    /// The submissions, and the switch that stops the reading.
    intake: Intake,
    /// The files of `--acks` and `--failed`.
    outputs: OutputFiles,
    /// `queue.drain_timeout`: the time for pending messages after a signal.
    drain_timeout: Duration,
    /// `--timeout`: the longest time without a delivery.
    timeout: Duration,
    signals: StopSignals,
    /// The time of the last delivery, or of the first submission after an idle time.
    last_progress: Instant,
    /// After a signal, the time at which the monitor gives up.
    drain_until: Option<Instant>,
    /// The most serious reason to stop so far.
    stop_reason: StopReason,
    /// The number of undelivered notifications that messages have named so far.
    reported: u64,
    progress_line: ProgressLine,
    /// The need for standard output, to which a deciding destination or `--acks -` writes.
    stdout_need: StdoutNeed,
}

/// A submission with its outcome.
struct SubmissionOutcome {
    /// The line number in the input.
    line: u64,
    notification: Notification,
    /// Whether the notifier queued the notification. A suppressed one is neither
    /// delivered nor lost.
    queued: bool,
    result: Result<(), Error>,
}

impl DeliveryMonitor {
    /// Creates the monitor and starts to listen for signals.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system refuses the signal handlers.
    pub(super) fn new(
        notifier: Notifier,
        intake: Intake,
        outputs: OutputFiles,
        config: &Config,
        args: &EmitArgs,
    ) -> Result<Self, CommandError> {
        // Lines of the log about a delivery wait for the words of this monitor.
        held_log::hold_problems();
        let prints_acks = args.acks.as_deref() == Some(Path::new("-"));
        Ok(Self {
            notifier,
            progress_line: ProgressLine::new(intake.size),
            intake,
            outputs,
            drain_timeout: config.drain_timeout(),
            timeout: args.timeout,
            signals: StopSignals::listen()?,
            last_progress: Instant::now(),
            drain_until: None,
            stop_reason: StopReason::Completed,
            reported: 0,
            stdout_need: StdoutNeed::of(config).or(prints_acks),
        })
    }

    /// Runs until every submission has its outcome, then closes the notifier.
    ///
    /// Handles signals first, then ticks, then outcomes, and only then new submissions:
    /// a flood of input must not delay a signal or a timeout.
    pub(super) async fn run(mut self) -> EmitSummary {
        let mut pending = FuturesUnordered::new();
        let mut intake_done = false;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !(intake_done && pending.is_empty()) {
            tokio::select! {
                biased;
                () = self.signals.next() => self.handle_signal(),
                _ = ticks.tick() => self.tick(!pending.is_empty()),
                Some(outcome) = pending.next(), if !pending.is_empty() => {
                    self.record(&outcome);
                }
                submission = self.intake.submissions.recv(),
                    if !intake_done && pending.len() < MAX_RECEIPTS =>
                {
                    match submission {
                        None => intake_done = true,
                        Some(submission) => {
                            if pending.is_empty() {
                                self.last_progress = Instant::now();
                            }
                            pending.push(wait_for_outcome(submission));
                        }
                    }
                }
            }
        }
        self.progress_line.clear();
        self.finish().await
    }

    /// Writes an outcome to the output files. Stops the reading if that fails.
    fn record(&mut self, outcome: &SubmissionOutcome) {
        let SubmissionOutcome { line, notification, queued, result } = outcome;
        if result.is_ok() {
            self.last_progress = Instant::now();
        }
        let written = match result {
            Ok(()) if *queued => self.outputs.write_ack(notification.message_id),
            Ok(()) => Ok(()),
            Err(error) => {
                self.report_failure(*line, notification, error);
                self.outputs.write_failed(notification, self.notifier.encoding())
            }
        };
        if let Err(error) = written {
            if self.gives_up_without_stdout() {
                return;
            }
            // Reading more would deliver notifications without the record that you want.
            self.intake.state.stop();
            self.stop_reason.escalate(StopReason::Failed(error));
        }
    }

    /// Prints why a notification was not delivered, for the first few of them.
    ///
    /// Once the monitor has given up, a single message at the end covers the rest, and
    /// only rejections by the destination are still worth a line of their own.
    fn report_failure(&mut self, line: u64, notification: &Notification, error: &Error) {
        if self.stop_reason.abandons_pending() && error.outcome() != Outcome::Rejected {
            return;
        }
        self.reported += 1;
        let id = notification.message_id;
        match self.reported {
            ..=MAX_REPORTED => {
                print_error(format_args!("line {line}: {id} was not delivered: {error:#}"));
            }
            n if n == MAX_REPORTED + 1 => print_error(format_args!(
                "more notifications were not delivered (`--failed FILE` collects all of them)"
            )),
            _ => {}
        }
    }

    /// Draws the progress line, and gives up if it is time to.
    ///
    /// `waiting` says whether any submission still has no outcome.
    fn tick(&mut self, waiting: bool) {
        held_log::release_due();
        // The first stage counts: with a spool, delivered means stored on the disk.
        let accounts = deciding(self.notifier.destinations());
        self.show_progress(&accounts);
        if self.gives_up_without_stdout() {
            return;
        }
        if self.stop_reason.abandons_pending() || !waiting {
            return;
        }
        if self.drain_until.is_some_and(|end| Instant::now() >= end) {
            self.give_up(StopReason::DrainCutShort(last_error_of(&accounts)));
        } else if let Some(error) = permanent_error(&accounts) {
            self.give_up(StopReason::PermanentError(error));
        } else if self.last_progress.elapsed() >= self.timeout {
            self.give_up(StopReason::NoProgress(self.timeout, last_error_of(&accounts)));
        }
    }

    /// Gives up if standard output is needed and no process reads it. Returns whether it does.
    fn gives_up_without_stdout(&mut self) -> bool {
        let gives_up = !self.stop_reason.abandons_pending() && self.stdout_need.is_lost();
        if gives_up {
            self.give_up(StopReason::StdoutClosed);
        }
        gives_up
    }

    /// Draws the progress line.
    ///
    /// The part of the input that is done is the part that was read, without what still waits for delivery.
    /// Of several destinations, the slowest counts.
    fn show_progress(&mut self, accounts: &[DestinationAccount]) {
        let slowest = accounts.iter().map(|it| &it.stats).max_by_key(|it| it.pending.messages);
        let Some(stats) = slowest else { return };
        let Stats { delivered, refused, pending, .. } = stats;
        let (intake, pending) = (&self.intake.state, pending.messages);
        let (read, settled) = (intake.read(), delivered + refused);
        let done = u128::from(intake.bytes()) * u128::from(read.saturating_sub(pending));
        let done = u64::try_from(done / u128::from(read.max(1))).unwrap_or_default();
        let counts = format_args!("{delivered} delivered, {pending} pending");
        self.progress_line.show(done, settled, counts);
    }

    /// Drops the pending messages.
    ///
    /// If `--failed` is given, the reading of a file continues: the closed notifier drops
    /// the rest of the file too, so that the file of failed notifications is complete.
    fn give_up(&mut self, reason: StopReason) {
        self.stop_reason.escalate(reason);
        if !(self.intake.is_file && self.outputs.keeps_failed() && self.drain_until.is_none()) {
            self.intake.state.stop();
        }
        let notifier = self.notifier.clone();
        tokio::spawn(async move { notifier.shutdown(Duration::ZERO).await });
    }

    /// Stops the reading on the first signal, and gives up on the second.
    fn handle_signal(&mut self) {
        self.intake.state.stop();
        if self.drain_until.is_some() {
            let accounts = deciding(self.notifier.destinations());
            self.give_up(StopReason::DrainCutShort(last_error_of(&accounts)));
            return;
        }
        self.drain_until = Some(Instant::now() + self.drain_timeout);
        self.stop_reason.escalate(StopReason::Interrupted);
        print_note(format_args!(
            "interrupted: draining for up to {} s (a second signal stops at once)",
            self.drain_timeout.as_secs_f64()
        ));
    }

    /// Waits until the spool has tried to forward, at most [`FIRST_ATTEMPT`].
    ///
    /// The exit code reports a permanent error behind a spool, and must not depend on how soon the input
    /// ends.
    async fn wait_for_first_attempt(&self) {
        let end = Instant::now() + FIRST_ATTEMPT;
        let is_untried = |account: DestinationAccount| {
            account.forwarded.is_some_and(|(_, stats)| {
                stats.pending.messages > 0
                    && stats.delivered + stats.refused == 0
                    && stats.last_error.is_none()
            })
        };
        while Instant::now() < end
            && deciding(self.notifier.destinations()).into_iter().any(is_untried)
        {
            tokio::time::sleep(TICK).await;
        }
    }

    /// Shuts the notifier down. During a long drain, warnings of the log appear, unless the summary says the
    /// same.
    async fn shut_down(&self, drain: Duration) {
        let abandons_pending = self.stop_reason.abandons_pending();
        let mut ticks = interval_at(Instant::now() + SHORT_DRAIN, TICK);
        let mut shutdown = pin!(self.notifier.shutdown(drain));
        loop {
            tokio::select! {
                _ = &mut shutdown => break,
                _ = ticks.tick(), if !abandons_pending => held_log::release_due(),
            }
        }
    }

    /// Closes the notifier and sums up.
    async fn finish(mut self) -> EmitSummary {
        if !self.stop_reason.abandons_pending() {
            self.wait_for_first_attempt().await;
        }
        // Every receipt is resolved by now. Behind a spool, the attempt in flight to the
        // destination may still complete within the drain timeout.
        let drain =
            if self.stop_reason.abandons_pending() { Duration::ZERO } else { self.drain_timeout };
        self.shut_down(drain).await;
        if self.stop_reason.abandons_pending() {
            // The summary says why everything was dropped.
            held_log::discard();
        }
        let destinations = self.notifier.destinations();
        for (_, stats) in
            deciding(destinations.clone()).iter().filter_map(|it| it.forwarded.as_ref())
        {
            if stats.pending.messages > 0 && stats.last_error_is_permanent {
                // The notifications are on the disk, but nothing forwards them until you fix this.
                let error = stats.last_error.clone().unwrap_or_default();
                self.stop_reason.escalate(StopReason::ForwardingFails(error));
            }
        }
        let intake = &self.intake.state;
        if let Some(error) = intake.take_error() {
            self.stop_reason.escalate(StopReason::Failed(error));
        }
        EmitSummary {
            read: intake.read(),
            invalid: intake.invalid(),
            last_line: intake.last_line(),
            stopped_early: self.intake.is_file && !intake.is_exhausted(),
            destinations,
            stop_reason: self.stop_reason,
        }
    }
}

/// Returns the last error of the destinations, if a worker is about to retry it.
fn last_error_of(accounts: &[DestinationAccount]) -> Option<String> {
    accounts.iter().find_map(|account| last_error(&account.stats))
}

/// Waits for the outcome of a submission.
async fn wait_for_outcome(submission: Submission) -> SubmissionOutcome {
    let Submission { line, notification, receipt } = submission;
    let queued = receipt.message_id().is_some();
    let result = receipt.await;
    SubmissionOutcome { line, notification, queued, result }
}

/// The number of receipts that the monitor holds at once.
///
/// The notifier's queue does not bound them: it no longer counts a message once its
/// receipt is resolved, even before the monitor has looked at that.
const MAX_RECEIPTS: usize = 16 * 1024;

/// The interval of the checks whether to give up.
const TICK: Duration = Duration::from_millis(50);

/// The drain that ends before the log needs to explain it: the summary follows at once.
const SHORT_DRAIN: Duration = Duration::from_secs(1);

/// The number of undelivered notifications that get a message each.
const MAX_REPORTED: u64 = 10;

/// The longest wait for the first attempt behind a spool. An attempt on a destination that refuses takes
/// milliseconds; one that does not answer must not hold up the end.
const FIRST_ATTEMPT: Duration = Duration::from_secs(1);
