//! `glance-notify spool drain`: forwards what is in the spool and belongs to no process any more.

use std::time::Duration;

use glance_notify::event::EventType;
use glance_notify::pipeline::{Stage, StageAccount, Stats, WorkerState};
use glance_notify::transport::spool::{self, Forwarder, Spool};
use glance_notify::{Config, Result as NotifyResult};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::left::Left;
use crate::emit::seconds;
use crate::end::{End, last_error};
use crate::exit::{Exit, Failure, say};
use crate::progress::ProgressLine;
use crate::signals::Signals;

/// Forward what no process forwards by the configured strategy, until nothing is left.
///
/// Exit 0 says that nothing is to be forwarded any more and nothing was refused. What a process holds is
/// forwarded by that process; as long as something is left there, it is named and the exit is 3.
/// Ctrl-C and SIGTERM end it in good order: what is under way may be concluded, the rest stays.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Give up when nothing was delivered for so many seconds.
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    timeout: Duration,

    /// Give the summary as one JSON object on standard output.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, config: &Config, spool: spool::Config) -> Result<Exit, Failure> {
    let dir = spool.dir.clone();
    // A directory that is not there is told as everywhere else.
    spool::admin::slot_numbers(&dir)?;
    for warning in config.warnings() {
        say(format_args!("{warning}"));
    }
    let transport = glance_notify::transport::open(config)?;
    let strategy = transport.name();
    if !EventType::ALL.iter().all(|&event_type| transport.wants(event_type)) {
        let message = format!(
            "the strategy `{strategy}` sends nothing, and what is in the spool would be gone: set \
             `strategy`"
        );
        return Err(Failure::new(Exit::Permanent, message));
    }
    let (_, forwarder) = Spool::open(spool, transport)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Undelivered, format!("cannot start: {error}")))?;
    let drained = runtime.block_on(async {
        let drain = Drain::new(&forwarder, config.drain_timeout(), args.timeout)?;
        Ok::<_, Failure>(drain.run(forwarder).await)
    });
    runtime.shutdown_background();
    let (end, stats) = drained?;
    Left::look(&dir, strategy, stats, end)?.tell(args.json)
}

/// A draining under way, and what is done about it.
struct Drain {
    account: StageAccount,
    /// How long what is under way may take once a signal came.
    patience: Duration,
    timeout: Duration,
    signals: Signals,
    /// When something was delivered or refused last, and how much was then.
    progress: Instant,
    decided: u64,
    /// Asks for the end, and says how long what is under way may take. Gone once it has.
    stop: Option<oneshot::Sender<Duration>>,
    end: End,
    line: ProgressLine,
}

impl Drain {
    fn new(forwarder: &Forwarder, patience: Duration, timeout: Duration) -> Result<Self, Failure> {
        Ok(Self {
            account: forwarder.account(),
            patience,
            timeout,
            signals: Signals::listen()?,
            progress: Instant::now(),
            decided: 0,
            stop: None,
            end: End::Done,
            line: ProgressLine::new(),
        })
    }

    /// Drains until nothing is left, or it is time to stop.
    async fn run(mut self, forwarder: Forwarder) -> (End, Stats) {
        let (stop, stopped) = oneshot::channel();
        self.stop = Some(stop);
        let closing = async { stopped.await.unwrap_or_default() };
        let mut draining = tokio::spawn(forwarder.drain(Box::pin(closing)));
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let drained = loop {
            tokio::select! {
                biased;
                () = self.signals.next() => if !self.interrupted() {
                    draining.abort();
                },
                _ = ticks.tick() => self.look(),
                drained = &mut draining => break drained,
            }
        };
        self.line.clear();
        match drained {
            Ok(result) => self.conclude(result),
            // Aborted: what was not concluded is still on the disk.
            Err(_) => self.end.becomes(End::NotDrained(last_error(&(self.account)()))),
        }
        (self.end, (self.account)())
    }

    fn conclude(&mut self, result: NotifyResult<Stats>) {
        if let Err(error) = result {
            self.end.becomes(End::Failed(error.into()));
        }
    }

    /// Looks whether it is time to give up, and shows progress.
    fn look(&mut self) {
        let stats = (self.account)();
        let Stats { delivered, refused, pending, .. } = &stats;
        self.line.show(format_args!("{delivered} delivered, {} pending", pending.messages));
        if delivered + refused > self.decided {
            (self.decided, self.progress) = (delivered + refused, Instant::now());
        }
        if self.stop.is_none() {
            return;
        }
        if *delivered == 0
            && let WorkerState::Retrying { error, permanent: true, .. } = &stats.state
        {
            self.stop(End::Permanent(error.clone()), Duration::ZERO);
        } else if self.progress.elapsed() >= self.timeout {
            self.stop(End::Stalled(self.timeout, last_error(&stats)), Duration::ZERO);
        }
    }

    /// Begins to stop; `false` where it has done so already.
    fn interrupted(&mut self) -> bool {
        self.line.clear();
        let first = self.stop.is_some();
        if first {
            let left = self.patience;
            say(format_args!(
                "interrupted: concluding what is under way, for {} s",
                left.as_secs_f64()
            ));
            self.stop(End::Interrupted, left);
        }
        first
    }

    fn stop(&mut self, end: End, left: Duration) {
        self.end.becomes(end);
        if let Some(stop) = self.stop.take() {
            // Nobody is there any more if it has just ended.
            stop.send(left).ok();
        }
    }
}

/// How often it is looked whether to give up.
const TICK: Duration = Duration::from_millis(50);
