//! `glance-notify spool drain`: forwards the messages of all slots that no process owns.
//!
//! A running service forwards its own messages and those of orphans. This command is for
//! the time after the last service has stopped: before you move to another machine, or
//! when you remove a service for good.
//!
//! The forwarder of `notify-spool` does the work. This module starts it, watches its
//! account, and stops it for the same reasons as `emit` stops: a permanent error before
//! the first delivery, `--timeout` seconds without progress, or a signal. A drain that is
//! killed loses nothing, but the next one may deliver some messages again.
//!
//! The spools of several destinations drain at the same time, so that an unreachable destination delays
//! no other.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use glance_notify::config::DestinationConfig;
use glance_notify::event::EventType;
use glance_notify::pipeline::{Stage, StageAccount, Stats, WorkerState};
use glance_notify::transport::spool::{self, Forwarder, Spool, admin};
use glance_notify::{Config, Result as NotifyResult};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::drain_summary::{DrainSummary, FinishedDrain, SlotList};
use super::slots::{ask_disk, check_readable};
use crate::arguments::parse_seconds;
use crate::exit_status::{CommandError, ExitStatus};
use crate::held_log;
use crate::input_source::display_path;
use crate::output_format::TextOrJson;
use crate::progress::ProgressLine;
use crate::runtime;
use crate::signals::StopSignals;
use crate::stop_reason::{StdoutNeed, StopReason, last_error};
use crate::terminal::{print_error, print_note, print_warning};

/// Forward all messages that no process forwards, with the configured strategy.
///
/// Of several destinations, drains the spools of all at the same time, unless `--destination` names one.
///
/// Exits with 0 once no message is pending and the destination refused none. A slot in use belongs to
/// its process, which forwards the messages in it; while any remain there, the command names the
/// process and exits with 3. After Ctrl-C or SIGTERM, the attempt in flight may finish, and the
/// other messages stay in the spool.
#[derive(clap::Args)]
pub(super) struct SpoolDrainArgs {
    /// Give up after this many seconds without a delivery.
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = parse_seconds)]
    timeout: Duration,

    #[command(flatten)]
    output: TextOrJson,
}

/// Drains the spools at the same time, and prints the summary of each.
///
/// A spool that cannot be drained stops no other. The most serious exit status decides.
///
/// # Errors
///
/// Returns an error if the runtime cannot start.
pub(super) fn run(
    args: &SpoolDrainArgs,
    config: &Config,
    spools: Vec<(DestinationConfig<'_>, spool::Config)>,
) -> Result<ExitStatus, CommandError> {
    for warning in config.warnings() {
        print_warning(format_args!("{warning}"));
    }
    // Several progress lines would overwrite each other.
    let has_progress_line = spools.len() == 1;
    let drains: Vec<_> = spools
        .into_iter()
        .map(|(destination, spool)| (destination.name(), Drain::open(destination.config(), spool)))
        .collect();
    let runtime = runtime::start()?;
    let finished = runtime.block_on(join_all(drains.into_iter().map(|(name, drain)| async move {
        let finished = match drain {
            Ok(drain) => drain.run(args.timeout, has_progress_line).await,
            Err(error) => Err(error),
        };
        (name, finished)
    })));
    runtime.shutdown_background();
    let mut worst = ExitStatus::Success;
    for (name, finished) in finished {
        let printed = finished
            .and_then(|finished| DrainSummary::new(name, finished))
            .and_then(|summary| summary.print(args.output.is_json()));
        let status = printed.unwrap_or_else(|CommandError { status, message }| {
            let name = if name.is_empty() { String::new() } else { format!("{name}: ") };
            print_error(format_args!("{name}{message}"));
            status
        });
        if status != ExitStatus::Success && worst != ExitStatus::PermanentError {
            worst = status;
        }
    }
    Ok(worst)
}

/// An open spool with its transport.
struct Drain {
    dir: PathBuf,
    strategy: &'static str,
    /// `queue.drain_timeout`.
    grace: Duration,
    stdout_need: StdoutNeed,
    forwarder: Forwarder,
}

impl Drain {
    /// Opens the spool and the transport of one destination.
    ///
    /// Refuses a strategy that sends nothing: the spool would count its messages as
    /// delivered and remove them.
    ///
    /// # Errors
    ///
    /// Returns an error if the directory or the transport cannot be opened.
    fn open(config: &Config, spool: spool::Config) -> Result<Self, CommandError> {
        let dir = spool.dir.clone();
        check_readable(&dir)?;
        let transport = glance_notify::transport::open(config)?;
        let strategy = transport.name();
        if !EventType::DOCUMENTED.iter().all(|event_type| transport.wants(event_type)) {
            let message = format!(
                "the strategy `{strategy}` sends nothing, and draining to it would lose the \
                 messages in the spool: set `strategy` to your destination"
            );
            return Err(CommandError::new(ExitStatus::PermanentError, message));
        }
        let (_, forwarder) = Spool::open(spool, transport)?;
        let (grace, stdout_need) = (config.drain_timeout(), StdoutNeed::of(config));
        Ok(Self { dir, strategy, grace, stdout_need, forwarder })
    }

    /// Drains the spool.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system refuses the signal handlers. Later failures are part of the
    /// result.
    async fn run(
        self,
        timeout: Duration,
        has_progress_line: bool,
    ) -> Result<FinishedDrain, CommandError> {
        let Self { dir, strategy, grace, stdout_need, forwarder } = self;
        let mut monitor = DrainMonitor::new(&forwarder, grace, timeout, stdout_need)?;
        monitor.progress_line = has_progress_line.then(|| ProgressLine::new(None));
        monitor.run(forwarder).await;
        let slots = monitor.look_at_slots(dir).await;
        let stats = (monitor.account)();
        Ok(FinishedDrain { strategy, stats, stop_reason: monitor.stop_reason, slots })
    }
}

/// The state of a running drain.
struct DrainMonitor {
    /// Returns the counters of the forwarder.
    account: StageAccount,
    /// `queue.drain_timeout`: the time for the attempt in flight after a signal.
    drain_timeout: Duration,
    /// `--timeout`: the longest time without a delivery or a refusal.
    timeout: Duration,
    stdout_need: StdoutNeed,
    signals: StopSignals,
    /// The time of the last delivery or refusal.
    last_progress: Instant,
    /// The number of deliveries and refusals at that time.
    settled: u64,
    /// Stops the forwarder, and tells it how much time the attempt in flight has.
    /// `None` once the monitor has sent that.
    stop: Option<oneshot::Sender<Duration>>,
    stop_reason: StopReason,
    /// The progress line, if this is the only drain.
    progress_line: Option<ProgressLine>,
}

impl DrainMonitor {
    /// Creates the monitor and starts to listen for signals.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system refuses the signal handlers.
    fn new(
        forwarder: &Forwarder,
        drain_timeout: Duration,
        timeout: Duration,
        stdout_need: StdoutNeed,
    ) -> Result<Self, CommandError> {
        held_log::hold_problems();
        Ok(Self {
            account: forwarder.account(),
            drain_timeout,
            timeout,
            stdout_need,
            signals: StopSignals::listen()?,
            last_progress: Instant::now(),
            settled: 0,
            stop: None,
            stop_reason: StopReason::Completed,
            progress_line: None,
        })
    }

    /// Drains until no message is left or the monitor stops it.
    ///
    /// The first signal or timeout asks the forwarder to stop, which lets the attempt in
    /// flight finish. A further signal aborts it.
    async fn run(&mut self, forwarder: Forwarder) {
        let (stop, stopped) = oneshot::channel();
        self.stop = Some(stop);
        let close_signal = async { stopped.await.unwrap_or_default() };
        let mut drain = tokio::spawn(forwarder.drain(Box::pin(close_signal)));
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let result = loop {
            tokio::select! {
                biased;
                () = self.signals.next() => if !self.handle_signal() {
                    drain.abort();
                },
                _ = ticks.tick() => self.tick(),
                result = &mut drain => break result,
            }
        };
        self.progress_line = None;
        match result {
            Ok(result) => self.record(result),
            // Aborted: unsettled messages are still on the disk.
            Err(_) => {
                self.stop_reason.escalate(StopReason::DrainCutShort(last_error(&(self.account)())));
            }
        }
    }

    /// Reads the slots of the spool `dir` after the drain.
    ///
    /// # Errors
    ///
    /// The outer error if the disk does not answer or a signal comes first, the inner one if the directory
    /// cannot be read.
    async fn look_at_slots(&mut self, dir: PathBuf) -> Result<SlotList, CommandError> {
        let name = display_path(&dir);
        let unanswered = |problem: &str| {
            let message = format!("the spool `{name}` {problem}");
            CommandError::new(ExitStatus::NotDelivered, message)
        };
        let look = tokio::task::spawn_blocking(move || ask_disk(&dir, admin::slots));
        tokio::select! {
            slots = look => slots.unwrap_or_else(|_| Err(unanswered("cannot be read"))),
            () = self.signals.next() => Err(unanswered("did not answer before the interruption")),
        }
    }

    /// Records the result of the forwarder: an error of the directory or of a slot.
    fn record(&mut self, result: NotifyResult<Stats>) {
        if let Err(error) = result {
            self.stop_reason.escalate(StopReason::Failed(error.into()));
        }
    }

    /// Draws the progress line, and gives up if it is time to.
    fn tick(&mut self) {
        held_log::release_due();
        let stats = (self.account)();
        let Stats { delivered, refused, pending, .. } = &stats;
        let settled = delivered + refused;
        if let Some(line) = &mut self.progress_line {
            line.set_total(settled + pending.messages);
            let counts = format_args!("{delivered} delivered, {} pending", pending.messages);
            line.show(settled, settled, counts);
        }
        if settled > self.settled {
            (self.settled, self.last_progress) = (settled, Instant::now());
        }
        if self.stop.is_none() {
            return;
        }
        if self.stdout_need.is_lost() {
            self.stop(StopReason::StdoutClosed, Duration::ZERO);
        } else if *delivered == 0
            && let WorkerState::Retrying { error, permanent: true, .. } = &stats.state
        {
            self.stop(StopReason::PermanentError(error.clone()), Duration::ZERO);
        } else if self.last_progress.elapsed() >= self.timeout {
            let reason = StopReason::NoProgress(self.timeout, last_error(&stats));
            self.stop(reason, Duration::ZERO);
        }
    }

    /// Starts to stop. Returns `false` if an earlier signal or timeout did so already.
    fn handle_signal(&mut self) -> bool {
        let first = self.stop.is_some();
        if first {
            let time = self.drain_timeout;
            print_note(format_args!(
                "interrupted: waiting up to {} s for the attempt in flight (a second signal stops \
                 at once)",
                time.as_secs_f64()
            ));
            self.stop(StopReason::Interrupted, time);
        }
        first
    }

    /// Asks the forwarder to stop within `time`.
    fn stop(&mut self, reason: StopReason, time: Duration) {
        self.stop_reason.escalate(reason);
        if let Some(stop) = self.stop.take() {
            // The forwarder no longer listens if it has just finished.
            stop.send(time).ok();
        }
    }
}

/// The interval of the checks whether to give up.
const TICK: Duration = Duration::from_millis(50);
