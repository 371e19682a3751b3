//! The loop of `listen`: it selects notifications, hands them over, settles the rest, and decides when to
//! stop.

use std::collections::HashMap;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use glance_notify::listen::{
    Delivery, DeliveryBatch, Listener, ListenerStats, SourceConfig, SourceState, SourceStats,
};
use notify_archive::question::EventFilter;
use notify_archive::record::{Arrival, EventRecord};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::notification_handler::{HandlerJob, JobOutcome, NotificationHandler, SelectedDelivery};
use super::recent_ids::ContentId;
use super::session_filter::SessionFilter;
use super::summary::{ListenEnd, ListenSummary};
use super::work_ledger::WorkLedger;
use crate::exit_status::CommandError;
use crate::progress::ProgressLine;
use crate::signals::StopSignals;
use crate::stop_reason::STDOUT_CLOSED;
use crate::terminal::{print_error, print_note, print_warning};

/// The state of a running `listen`.
pub(crate) struct ListenSession {
    filter: SessionFilter,
    /// The regions of the sources, by name.
    regions: HashMap<String, Arc<str>>,
    handler: NotificationHandler,
    /// The work that has begun.
    jobs: FuturesUnordered<HandlerJob>,
    /// The notifications whose work had not begun when a signal came.
    unstarted: Vec<SelectedDelivery>,
    ledger: WorkLedger,
    signals: StopSignals,
    idle: Option<Duration>,
    /// The shortest time between the starts of two jobs.
    interval: Option<Duration>,
    /// The time before which no job starts.
    next_start: Instant,
    /// Whether a signal before the end of the sources cuts the command short.
    is_bounded: bool,
    keeps_dead_letters: bool,
    progress: ProgressLine,
    /// The time of the last notification, or of the start.
    last_arrival: Instant,
    /// The messages that the sources had passed over at that time.
    skipped: u64,
}

/// The bounds of a session.
pub(crate) struct SessionOptions {
    /// The largest number of notifications that are handed over.
    pub(crate) limit: Option<u64>,
    /// The longest time without a notification.
    pub(crate) idle: Option<Duration>,
    /// The largest number of jobs that start per second.
    pub(crate) rate: Option<u32>,
    /// Whether the command is to read its sources to their end, so that a signal cuts it short.
    pub(crate) is_bounded: bool,
    /// Whether a file keeps the dead letters.
    pub(crate) keeps_dead_letters: bool,
}

impl ListenSession {
    /// Creates the session and starts to listen for signals.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system refuses the signal handlers.
    pub(crate) fn new(
        options: &SessionOptions,
        filter: EventFilter,
        sources: &[SourceConfig],
        handler: NotificationHandler,
    ) -> Result<Self, CommandError> {
        let region =
            |source: &SourceConfig| Some((source.name().to_owned(), Arc::from(source.region()?)));
        Ok(Self {
            filter: SessionFilter::new(filter),
            regions: sources.iter().filter_map(region).collect(),
            handler,
            jobs: FuturesUnordered::new(),
            unstarted: Vec::new(),
            ledger: WorkLedger::new(options.limit),
            signals: StopSignals::listen()?,
            idle: options.idle,
            interval: options.rate.map(|rate| Duration::from_secs(1) / rate),
            next_start: Instant::now(),
            is_bounded: options.is_bounded,
            keeps_dead_letters: options.keeps_dead_letters,
            progress: ProgressLine::new(None),
            last_arrival: Instant::now(),
            skipped: 0,
        })
    }

    /// Runs until the end, closes the listener, and sums up. Errors are part of the summary.
    ///
    /// A source that fails for good stops no other. The first such error decides the exit status.
    pub(crate) async fn run(mut self, mut listener: Listener) -> ListenSummary {
        let mut first_error = None;
        let end = loop {
            let next = self.next_batch(&mut listener).await;
            let stats = listener.stats();
            // A source that passes over lines is not idle.
            let skipped = std::mem::replace(&mut self.skipped, stats.total.skipped);
            if matches!(next, Err(ListenEnd::Idle)) && skipped < self.skipped {
                self.last_arrival = Instant::now();
                continue;
            }
            match next {
                Ok(Some(batch)) => match self.handle(batch).await {
                    Ok(()) => {}
                    Err(end) => break end,
                },
                Ok(None) => break ListenEnd::SourcesEnded,
                Err(ListenEnd::Failed(error)) if stats.sources.iter().any(has_ended) => {
                    // The end of the command prints the error of a single source.
                    if stats.sources.len() > 1 {
                        print_error(format_args!("a source failed: {}", error.message));
                    }
                    first_error.get_or_insert(error);
                }
                Err(end) => break end,
            }
        };
        let end = match (end, first_error) {
            (end @ ListenEnd::Failed(_), _) | (end, None) => end,
            (_, Some(error)) => ListenEnd::Failed(error),
        };
        self.finish(listener, end).await
    }

    /// Waits for deliveries while the work that has begun goes on.
    ///
    /// # Errors
    ///
    /// Returns the end if there is a reason to stop. [`ListenEnd::Failed`] may be the error of one source: call
    /// again to read from the others.
    async fn next_batch(
        &mut self,
        listener: &mut Listener,
    ) -> Result<Option<DeliveryBatch>, ListenEnd> {
        let batch = self.handler.batch();
        let linger = if batch > 1 { LINGER } else { Duration::ZERO };
        // One wait for the whole call: the time for more deliveries must not begin again at each tick.
        let mut next = pin!(listener.next_batch(batch.max(BATCH), linger));
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_busy = self.jobs.len() >= self.handler.jobs();
            tokio::select! {
                biased;
                () = self.signals.next() => return Err(ListenEnd::Interrupted),
                _ = ticks.tick() => {
                    let is_idle = self.idle.is_some_and(|idle| self.last_arrival.elapsed() >= idle);
                    if !self.handler.is_printing() {
                        let (done, word) = (self.ledger.counts.done, self.handler.done_word());
                        self.progress.show(0, done, format_args!("{done} {word}"));
                    }
                    if let Some(end) = self.handler.end_without_reader() {
                        return Err(end);
                    }
                    if is_idle && self.jobs.is_empty() {
                        return Err(ListenEnd::Idle);
                    }
                }
                Some(outcome) = self.jobs.next(), if !self.jobs.is_empty() => self.ledger.record(outcome),
                batch = &mut next, if !is_busy => {
                    return batch.map_err(|error| ListenEnd::Failed(error.into()));
                }
            }
        }
    }

    /// Selects the deliveries of a batch and hands them over.
    ///
    /// # Errors
    ///
    /// Returns the end if there is a reason to stop, such as an error of standard output.
    async fn handle(&mut self, batch: DeliveryBatch) -> Result<(), ListenEnd> {
        self.last_arrival = Instant::now();
        let mut out = io::BufWriter::new(io::stdout());
        let mut written = Ok(());
        let mut selected = Vec::new();
        for delivery in batch {
            if self.ledger.left == Some(0) || written.is_err() {
                // The source delivers it to the next reader.
                drop(delivery.release());
                continue;
            }
            let Some(record) = self.record_of(&delivery) else {
                drop(delivery.refuse("the message is no notification"));
                continue;
            };
            if let Some(sequence) = delivery.sequence() {
                self.ledger.gaps.add(sequence);
            }
            if !self.filter.accepts(&record) {
                self.ledger.counts.left_out += 1;
                drop(delivery.ack());
                continue;
            }
            let id = ContentId::of(&record.body);
            let Some(delivery) = self.ledger.begin(id, delivery) else { continue };
            self.ledger.left = self.ledger.left.map(|left| left - 1);
            let next = SelectedDelivery { delivery, id, record };
            written = self.handler.print(&mut out, &next);
            selected.push(next);
        }
        if !self.handler.is_immediate() {
            return self.start_jobs(selected).await;
        }
        match written.and_then(|()| out.flush()) {
            Ok(()) => {
                let mut ids = Vec::with_capacity(selected.len());
                for SelectedDelivery { delivery, id, .. } in selected {
                    ids.push(id);
                    drop(delivery.ack());
                }
                self.ledger.record(JobOutcome { ids, failure: None, is_suppressed: false });
                self.check_limit()
            }
            Err(error) => {
                // Some of them may have been read: they come again.
                for SelectedDelivery { delivery, .. } in selected {
                    drop(delivery.release());
                }
                if error.kind() == io::ErrorKind::BrokenPipe {
                    return Err(ListenEnd::Stopped);
                }
                let error = CommandError::file("cannot write to standard output", &error);
                Err(ListenEnd::Failed(error))
            }
        }
    }

    /// Starts the work for notifications, as soon as there is room.
    ///
    /// If there is a reason to stop first, keeps those whose work has not begun, and [`finish`](Self::finish)
    /// gives them back.
    ///
    /// # Errors
    ///
    /// Returns the end if a signal comes or the reader of standard output goes first, or if nothing more is
    /// wanted.
    async fn start_jobs(&mut self, selected: Vec<SelectedDelivery>) -> Result<(), ListenEnd> {
        let size = self.handler.batch();
        let mut rest = selected.into_iter().peekable();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while rest.peek().is_some() {
            if let Some(interval) = self.interval {
                self.next_start = self.next_start.max(Instant::now() - BURST) + interval;
            }
            let next_start = self.next_start;
            let mut batch: Vec<_> = rest.by_ref().take(size).collect();
            let started = {
                let mut start = pin!(self.handler.start(&mut batch));
                loop {
                    tokio::select! {
                        biased;
                        () = self.signals.next() => break Err(ListenEnd::Interrupted),
                        _ = ticks.tick() => if let Some(end) = self.handler.end_without_reader() {
                            break Err(end);
                        },
                        () = sleep_until(next_start), if Instant::now() < next_start => {}
                        job = &mut start, if self.jobs.len() < self.handler.jobs()
                            && Instant::now() >= next_start => break Ok(job),
                        Some(outcome) = self.jobs.next() => self.ledger.record(outcome),
                    }
                }
            };
            match started {
                Ok(job) => self.jobs.extend(job),
                Err(end) => {
                    self.unstarted = batch.into_iter().chain(rest).collect();
                    return Err(end);
                }
            }
        }
        self.check_limit()
    }

    /// Returns the end if `-n` wants nothing more.
    fn check_limit(&self) -> Result<(), ListenEnd> {
        if self.ledger.left == Some(0) { Err(ListenEnd::Stopped) } else { Ok(()) }
    }

    /// Returns the record of a delivery, or `None` if it holds no notification.
    fn record_of(&self, delivery: &Delivery) -> Option<EventRecord> {
        let arrival = Arrival {
            received_at: Some(delivery.received_at()),
            source: Some(delivery.source().into()),
            region: self.regions.get(delivery.source()).cloned(),
        };
        EventRecord::from_delivery(delivery, arrival)
    }

    /// Waits for the work that has begun, closes the listener and the destination, and sums up.
    async fn finish(mut self, listener: Listener, end: ListenEnd) -> ListenSummary {
        let deadline = Instant::now() + GRACE;
        let mut ticks = interval(TICK);
        if !self.jobs.is_empty() && self.handler.end_without_reader().is_none() {
            print_note(format_args!(
                "waiting up to {} s for the work that has begun (a signal stops at once)",
                GRACE.as_secs()
            ));
        }
        while !self.jobs.is_empty() {
            tokio::select! {
                biased;
                () = self.signals.next() => break,
                () = sleep_until(deadline) => {
                    print_warning(format_args!(
                        "the work did not end in time: a file or a queue that stays delivers it \
                         again, a temporary tap or standard input does not"
                    ));
                    break;
                }
                Some(outcome) = self.jobs.next() => self.ledger.record(outcome),
                // The outcomes that are there come first: without a reader, no other follows.
                _ = ticks.tick() => if self.handler.end_without_reader().is_some() { break },
            }
        }
        self.progress.clear();
        let shortfall = self.shortfall(&end, &listener.stats());
        let done_word = self.handler.done_word();
        // Dropping the work drops its deliveries. A listener that closes gives them back; before that, each
        // would count as a failure, and too many failures discard a notification.
        let give_back = async {
            self.jobs.clear();
            self.unstarted.clear();
            self.ledger.release_copies();
        };
        let (stats, ()) = tokio::join!(biased; listener.close(GRACE), give_back);
        if let NotificationHandler::Forward(target) = self.handler {
            target.close().await;
        }
        ListenSummary {
            counts: self.ledger.counts,
            missing: self.ledger.gaps.missing(),
            stats,
            done_word,
            keeps_dead_letters: self.keeps_dead_letters,
            end,
            shortfall,
        }
    }

    /// Returns the message if not everything was done: work failed or did not end, the reader of standard output
    /// or a signal ended it before the end of the sources, or a source that stayed silent was not connected.
    fn shortfall(&self, end: &ListenEnd, stats: &ListenerStats) -> Option<String> {
        let word = self.handler.done_word();
        let failure = self.ledger.last_failure.as_deref();
        let failure = failure.filter(|_| !self.ledger.failed.is_empty());
        let is_unread = matches!(end, ListenEnd::StdoutClosed)
            || !self.jobs.is_empty() && self.handler.end_without_reader().is_some();
        if let Some(reason) = is_unread.then_some(STDOUT_CLOSED).or(failure) {
            return Some(format!("not everything was {word}: {reason}"));
        }
        if !self.jobs.is_empty() {
            return Some(format!("not everything was {word}: the command stopped first"));
        }
        match end {
            ListenEnd::Interrupted if self.is_bounded => {
                Some("a signal came before the end: run the command again".to_owned())
            }
            ListenEnd::Idle => stats.sources.iter().find_map(|source| {
                let reason = match &source.state {
                    SourceState::Connecting => String::new(),
                    SourceState::Detached { reason, .. } => format!(" ({reason})"),
                    _ => return None,
                };
                Some(format!(
                    "the source `{}` is not connected{reason}: run the command again later",
                    source.name
                ))
            }),
            _ => None,
        }
    }
}

/// Returns `true` if a source is at its end, or its task has ended.
fn has_ended(source: &SourceStats) -> bool {
    matches!(source.state, SourceState::Ended | SourceState::Closed)
}

/// The number of deliveries that the session takes at once.
const BATCH: usize = 500;
/// The longest wait for a full batch of `--exec-batch`.
const LINGER: Duration = Duration::from_millis(500);
/// The interval of the checks whether to stop.
const TICK: Duration = Duration::from_millis(50);
/// The time that a session behind its rate may catch up.
const BURST: Duration = Duration::from_millis(100);
/// The time for work that has begun, once the command stops.
const GRACE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use glance_notify::listen::DeadLetters;
    use notify_conformance::samples;
    use notify_conformance::source_script::{SourceFault, SourceScript};
    use tokio::time::{sleep, timeout};

    use super::super::exec_command::ExecCommand;
    use super::*;

    /// A redelivery that comes while the notification is in work is handled if that work fails: the first
    /// delivery is stale, so nothing else would come again.
    #[tokio::test]
    async fn a_redelivery_is_handled_if_the_work_in_progress_fails() {
        let long = Duration::from_secs(60);
        let directory = tempfile::tempdir().unwrap();
        let (began, go) = (directory.path().join("began"), directory.path().join("go"));
        // The first run fails as soon as it may.
        let text = format!(
            "cd {}; [ -e began ] && exit 0; touch began; until [ -e go ]; do sleep 0.01; done; exit 1",
            directory.path().display()
        );
        let command = ExecCommand { text, timeout: long };
        let handler = NotificationHandler::Exec { command, batch: 1, jobs: 2 };
        let options = SessionOptions {
            limit: None,
            idle: None,
            rate: None,
            is_bounded: false,
            keeps_dead_letters: false,
        };
        let session = ListenSession::new(&options, EventFilter::default(), &[], handler).unwrap();
        let script = SourceScript::default();
        script.publish(samples::messages(0..1));
        let listener = Listener::builder(script.source(), DeadLetters::Discard).start().unwrap();
        let redeliver = async {
            while !began.exists() {
                sleep(TICK).await;
            }
            script.add_fault(SourceFault::FailReceive);
            while script.deliveries() < 2 {
                sleep(TICK).await;
            }
            script.end();
            // The session takes the redelivery.
            sleep(10 * TICK).await;
            std::fs::write(go, "").unwrap();
        };
        let run = async { tokio::join!(session.run(listener), redeliver).0 };
        let summary = timeout(long, run).await.unwrap();
        let counts = &summary.counts;
        assert_eq!((counts.done, counts.failures, counts.copies), (1, 1, 0));
        assert_eq!(summary.shortfall, None);
        assert_eq!((script.acked().len(), script.unacked()), (1, 0));
    }
}
