//! Following receipts until all are resolved, and deciding when to give up.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use glance_notify::pipeline::{Stats, WorkerState};
use glance_notify::{Config, Error, Notification, Notifier, Outcome};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::feed::{Feed, Queued};
use super::outputs::Outputs;
use super::summary::Summary;
use super::{Args, say};
use crate::end::{End, last_error};
use crate::exit::Failure;
use crate::progress::ProgressLine;
use crate::signals::Signals;

/// Everything that is on its way, and what is done about it.
pub(super) struct Follow {
    notifier: Notifier,
    feed: Feed,
    outputs: Outputs,
    strategy: &'static str,
    drain_timeout: Duration,
    timeout: Duration,
    signals: Signals,
    /// When something was delivered last, or when there was first something to wait for.
    progress: Instant,
    /// Once interrupted: when what is pending is given up.
    drain_until: Option<Instant>,
    end: End,
    told: u64,
    line: ProgressLine,
}

struct Resolved {
    line: u64,
    notification: Notification,
    /// Whether it went anywhere: one that nobody wants is neither delivered nor lost.
    wanted: bool,
    result: Result<(), Error>,
}

impl Follow {
    pub(super) fn new(
        notifier: Notifier,
        feed: Feed,
        outputs: Outputs,
        config: &Config,
        args: &Args,
    ) -> Result<Self, Failure> {
        Ok(Self {
            // The first stage: with a spool, delivered means in the spool.
            strategy: notifier.stages().first().map_or("", |(name, _)| name),
            notifier,
            feed,
            outputs,
            drain_timeout: config.drain_timeout(),
            timeout: args.timeout,
            signals: Signals::listen()?,
            progress: Instant::now(),
            drain_until: None,
            end: End::Done,
            told: 0,
            line: ProgressLine::new(),
        })
    }

    /// Follows until everything that was read is decided; then closes the notifier.
    pub(super) async fn run(mut self) -> Summary {
        let mut pending = FuturesUnordered::new();
        let mut fed = false;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !(fed && pending.is_empty()) {
            tokio::select! {
                biased;
                () = self.signals.next() => self.interrupted(),
                _ = ticks.tick() => self.look(!pending.is_empty()),
                Some(resolved) = pending.next(), if !pending.is_empty() => {
                    self.note(&resolved);
                }
                queued = self.feed.queued.recv(), if !fed && pending.len() < FOLLOWED => match queued {
                    None => fed = true,
                    Some(queued) => {
                        if pending.is_empty() {
                            self.progress = Instant::now();
                        }
                        pending.push(resolve(queued));
                    }
                },
            }
        }
        self.line.clear();
        self.finish().await
    }

    fn note(&mut self, resolved: &Resolved) {
        let Resolved { line, notification, wanted, result } = resolved;
        if result.is_ok() {
            self.progress = Instant::now();
        }
        let written = match result {
            Ok(()) if *wanted => self.outputs.ack(notification.message_id),
            Ok(()) => Ok(()),
            Err(error) => {
                self.tell(*line, notification, error);
                self.outputs.fail(notification, self.notifier.encoding())
            }
        };
        if let Err(failure) = written {
            // Without its record nothing more is read.
            self.feed.control.stop();
            self.end.becomes(End::Failed(failure));
        }
    }

    /// Says why single notifications were not taken; not of those that are given up together.
    fn tell(&mut self, line: u64, notification: &Notification, error: &Error) {
        if self.end.is_given_up() && error.outcome() != Outcome::Rejected {
            return;
        }
        self.told += 1;
        let id = notification.message_id;
        match self.told {
            ..=TOLD => say(format_args!("line {line}: {id} was not delivered: {error:#}")),
            n if n == TOLD + 1 => say(format_args!("and more that were not delivered")),
            _ => {}
        }
    }

    /// Looks whether it is time to give up, and shows progress.
    fn look(&mut self, waits: bool) {
        let stats = self.notifier.stats();
        let Stats { delivered, pending, .. } = &stats;
        let (read, pending) = (self.feed.control.read(), pending.messages);
        self.line.show(format_args!("{read} read, {delivered} delivered, {pending} pending"));
        if self.end.is_given_up() || !waits {
            return;
        }
        if self.drain_until.is_some_and(|end| Instant::now() >= end) {
            self.give_up(End::NotDrained(last_error(&stats)));
        } else if stats.delivered == 0
            && let WorkerState::Retrying { error, permanent: true, .. } = &stats.state
        {
            self.give_up(End::Permanent(error.clone()));
        } else if self.progress.elapsed() >= self.timeout {
            self.give_up(End::Stalled(self.timeout, last_error(&stats)));
        }
    }

    /// Lets go of what is pending. Of a file, what was not read yet goes the same way, for `--failed`.
    fn give_up(&mut self, end: End) {
        self.end.becomes(end);
        if !(self.feed.is_file && self.outputs.keeps_failed() && self.drain_until.is_none()) {
            self.feed.control.stop();
        }
        let notifier = self.notifier.clone();
        tokio::spawn(async move { notifier.shutdown(Duration::ZERO).await });
    }

    fn interrupted(&mut self) {
        self.line.clear();
        self.feed.control.stop();
        if self.drain_until.is_some() {
            self.give_up(End::NotDrained(last_error(&self.notifier.stats())));
            return;
        }
        self.drain_until = Some(Instant::now() + self.drain_timeout);
        self.end.becomes(End::Interrupted);
        say(format_args!(
            "interrupted: delivering what was read, for {} s",
            self.drain_timeout.as_secs_f64()
        ));
    }

    async fn finish(mut self) -> Summary {
        if let Err(failure) = self.outputs.finish() {
            self.end.becomes(End::Failed(failure));
        }
        // Everything is decided. Behind a spool, what is on its way to the destination may arrive.
        let left = if self.end.is_given_up() { Duration::ZERO } else { self.drain_timeout };
        let stats = self.notifier.shutdown(left).await;
        let behind = self.notifier.stages().into_iter().nth(1);
        let control = &self.feed.control;
        if let Some(failure) = control.failure() {
            self.end.becomes(End::Failed(failure));
        }
        Summary {
            strategy: self.strategy,
            read: control.read(),
            invalid: control.invalid(),
            last_line: control.last_line(),
            unread: self.feed.is_file && !control.is_exhausted(),
            stats,
            behind,
            end: self.end,
        }
    }
}

async fn resolve(queued: Queued) -> Resolved {
    let Queued { line, notification, receipt } = queued;
    let known = receipt.message_id().is_some();
    let result = receipt.await;
    Resolved { line, notification, wanted: known, result }
}

/// How many receipts are followed at once. Those that are resolved do not count in the notifier's
/// queue, so its bound is none for them.
const FOLLOWED: usize = 16 * 1024;
/// How often it is looked whether to give up.
const TICK: Duration = Duration::from_millis(50);
/// How many single notifications that were not taken are told of.
const TOLD: u64 = 10;
