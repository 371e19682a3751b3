//! The task that owns one source: it receives, settles, writes dead letters, and starts new sessions.
//!
//! It decides nothing about a delivery; the state does.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::content::DeliveryContent;
use super::dead_letter::DeadLetterRecord;
use super::dead_letter_writer::DeadLetterWriter;
use super::listener_handle::ListenerHandle;
use super::listener_state::{ClosePhase, LONGEST, wait_after};
use super::stats::SourceState;
use crate::error::{Error, ErrorKind, Result};
use crate::redact::printable::printable;
use crate::source::{Credit, Reception, Source};

/// The task of one source.
pub(super) struct SourceDriver {
    index: usize,
    source: Box<dyn Source>,
    name: Arc<str>,
    shared: Arc<ListenerHandle>,
    writer: Arc<DeadLetterWriter>,
    wake: Arc<Notify>,
    /// The consecutive sessions that failed within [`LONGEST`] of attaching, or before it.
    failures: u32,
    /// The time at which this session attached first.
    attached_at: Option<Instant>,
    /// Whether only an operator can fix the error of the last session.
    needs_operator: bool,
    /// The time until which the driver starts no session.
    retry_at: Option<Instant>,
    has_ended: bool,
    letter: LetterState,
}

/// The dead letter of a source that is being written.
#[derive(Default)]
struct LetterState {
    /// The session and the tag of the letter, and the answer of the writer.
    pending: Option<(u64, u64, oneshot::Receiver<Result<()>>)>,
    /// The time until which the driver waits for the answer, once the listener gives everything back.
    deadline: Option<Instant>,
    /// The time after which reading pauses if there is no answer.
    answer_due: Option<Instant>,
    /// Whether that time is over: the disk hangs.
    is_silent: bool,
    /// The consecutive failures of the file.
    failures: u32,
    /// The time until which the driver writes no letter.
    retry_at: Option<Instant>,
}

/// The next event that a driver waits for.
enum DriverEvent {
    /// The state changed.
    Wake,
    /// A wait of the state or of the driver is over.
    Timer,
    /// The writer answered.
    Letter(Result<()>),
    /// The source returned.
    Reception(Result<Reception>),
}

impl SourceDriver {
    /// Creates the driver of the source with this index.
    pub(super) fn new(
        index: usize,
        source: Box<dyn Source>,
        shared: Arc<ListenerHandle>,
        writer: Arc<DeadLetterWriter>,
    ) -> Self {
        let (name, wake) = {
            let state = shared.lock();
            let entry = &state.sources[index];
            (Arc::clone(&entry.name), Arc::clone(&entry.wake))
        };
        Self {
            index,
            source,
            name,
            shared,
            writer,
            wake,
            failures: 0,
            attached_at: None,
            needs_operator: false,
            retry_at: None,
            has_ended: false,
            letter: LetterState::default(),
        }
    }

    /// Drives the source until the listener closes and nothing is held any more.
    pub(super) async fn run(mut self) {
        loop {
            self.settle().await;
            self.start_letter();
            if self.is_done() {
                break;
            }
            match self.next_event().await {
                DriverEvent::Wake => {}
                DriverEvent::Timer => {
                    self.shared.lock().advance(self.index, Instant::now());
                    self.note_silent_file();
                }
                DriverEvent::Letter(result) => self.finish_letter(result),
                DriverEvent::Reception(Ok(reception)) => self.receive(reception),
                DriverEvent::Reception(Err(error)) => self.end_session(&error),
            }
        }
        if self.letter.is_overdue() {
            tracing::warn!(
                source = %self.name,
                "the dead-letter file took no letter within 5 s: its message comes again"
            );
        }
        match timeout(CLOSE_TIMEOUT, self.source.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(source = %self.name, "cannot close the source: {error:#}");
            }
            Err(_) => tracing::warn!(source = %self.name, "the source did not close within 5 s"),
        }
    }

    /// Carries out all settlements that are decided.
    async fn settle(&mut self) {
        loop {
            let settlements = self.shared.lock().sources[self.index].ledger.take_settlements();
            let Some(settlements) = settlements else { return };
            let result = if settlements.is_empty() {
                Ok(())
            } else {
                timeout(SETTLE_TIMEOUT, self.source.settle(&settlements)).await.unwrap_or_else(
                    |_| {
                        let message = "the source did not take the acknowledgements within 30 s";
                        Err(Error::new(ErrorKind::Timeout, message))
                    },
                )
            };
            match result {
                Ok(()) => self.shared.lock().settled(self.index),
                Err(error) => self.end_session(&error),
            }
        }
    }

    /// Waits for the next event.
    async fn next_event(&mut self) -> DriverEvent {
        let now = Instant::now();
        let (mut timer, mut credit, is_over) = {
            let state = self.shared.lock();
            let config = &state.config;
            let room = state.sources[self.index].ledger.room();
            let max_bytes = config.limits.envelope_bytes();
            let credit = Credit { window: config.prefetch, room, max_bytes };
            (
                state.next_change(self.index),
                (state.close == ClosePhase::Open && !self.has_ended).then_some(credit),
                state.close == ClosePhase::Over,
            )
        };
        if (self.letter.failures > 0 || self.letter.is_silent)
            && let Some(credit) = &mut credit
        {
            // Dead letters that are full or whose disk hangs pause the reading.
            credit.room = 0;
        }
        if let Some(retry_at) = self.retry_at {
            credit = None;
            timer = Some(timer.map_or(retry_at, |timer| timer.min(retry_at)));
        }
        if is_over && self.letter.pending.is_some() {
            // The disk may hang.
            let deadline = *self.letter.deadline.get_or_insert(now + CLOSE_TIMEOUT);
            timer = Some(timer.map_or(deadline, |timer| timer.min(deadline)));
        }
        for due in [self.letter.retry_at, self.letter.answer_due].into_iter().flatten() {
            timer = Some(timer.map_or(due, |timer| timer.min(due)));
        }
        let event = tokio::select! {
            biased;
            // An answer that is there is not late. The source is last, because a busy one is always ready.
            result = written(&mut self.letter.pending) => DriverEvent::Letter(result),
            () = sleep_until(timer.unwrap_or(now)), if timer.is_some() => DriverEvent::Timer,
            () = self.wake.notified() => DriverEvent::Wake,
            reception = self.source.receive(credit.unwrap_or(NO_CREDIT)), if credit.is_some() => {
                DriverEvent::Reception(reception)
            }
        };
        let now = Instant::now();
        self.retry_at = self.retry_at.filter(|retry_at| *retry_at > now);
        self.letter.retry_at = self.letter.retry_at.filter(|retry_at| *retry_at > now);
        event
    }

    /// Takes in what the source returned.
    fn receive(&mut self, reception: Reception) {
        let now = OffsetDateTime::now_utc();
        let mut state = self.shared.lock();
        match reception {
            Reception::Deliveries(deliveries) => {
                let config = state.config.clone();
                // Decoding takes time: other tasks may have the state meanwhile.
                drop(state);
                let decode = |incoming: crate::source::IncomingDelivery| {
                    (incoming.tag, DeliveryContent::decode(incoming, now, &config))
                };
                let deliveries: Vec<_> = deliveries.into_iter().map(decode).collect();
                self.shared.lock().receive(self.index, deliveries);
            }
            Reception::Attached => {
                state.set_state(self.index, SourceState::Attached { since: now }, now);
                drop(state);
                if self.attached_at.is_none() {
                    self.attached_at = Some(Instant::now());
                    if self.failures > 0 {
                        tracing::info!(source = %self.name, "reading again");
                    }
                }
            }
            Reception::Detached { reason, since } => {
                tracing::warn!(source = %self.name, "messages may be missing: {reason}");
                let since = since.map_or(now, |since| {
                    let since = since.min(now.into()).max(SystemTime::UNIX_EPOCH).into();
                    // The last good look may have begun shortly before the source was attached.
                    match state.sources[self.index].state {
                        SourceState::Attached { since: attached } => attached.max(since),
                        _ => since,
                    }
                });
                state.set_state(self.index, SourceState::Detached { since, reason }, now);
            }
            Reception::Skipped(messages) => state.sources[self.index].ledger.skip(messages),
            Reception::End => {
                self.has_ended = true;
                state.set_state(self.index, SourceState::Ended, now);
            }
            Reception::Failed(error) => {
                tracing::error!(source = %self.name, "reading ended early: {error:#}");
                self.has_ended = true;
                state.sources[self.index].fatal = Some(error);
                state.set_state(self.index, SourceState::Ended, now);
            }
        }
    }

    /// Records the end of a session, and sets the time of the next one.
    fn end_session(&mut self, error: &Error) {
        let mut state = self.shared.lock();
        state.end_session(self.index, error, OffsetDateTime::now_utc());
        let attached_at = self.attached_at.take();
        // A session may attach and fail at once, again and again: only one that lasted is a recovery.
        if attached_at.is_some_and(|attached_at| attached_at.elapsed() >= LONGEST) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        let wait = if error.is_transient() {
            wait_after(self.failures, &mut state.random)
        } else {
            LONGEST
        };
        drop(state);
        let is_permanent = !error.is_transient();
        let was_permanent = std::mem::replace(&mut self.needs_operator, is_permanent);
        // A log that says "reading again" also says when that is over.
        if self.failures == 1 || attached_at.is_some() || is_permanent && !was_permanent {
            tracing::warn!(source = %self.name, "cannot read, and keeps trying: {error:#}");
        } else {
            tracing::debug!(source = %self.name, "cannot read yet: {error:#}");
        }
        // The session lost its deliveries, so the source has not ended: they come again.
        self.has_ended = false;
        self.retry_at = Some(Instant::now() + wait);
    }

    /// Hands the next dead letter to the writer, unless one is being written or the file fails.
    fn start_letter(&mut self) {
        if self.letter.pending.is_some() || self.letter.retry_at.is_some() {
            return;
        }
        let state = self.shared.lock();
        let ledger = &state.sources[self.index].ledger;
        let Some((tag, delivery)) = ledger.next_dying() else {
            // The session that had the letter is over. Reading must not wait for it.
            self.letter.failures = 0;
            return;
        };
        let session = ledger.session;
        drop(state);
        let (source, at) = (Arc::clone(&self.name), OffsetDateTime::now_utc());
        let result = self.writer.write(DeadLetterRecord { source, delivery, at });
        self.letter.pending = Some((session, tag, result));
        // A file that fails has paused the reading already.
        self.letter.answer_due =
            (self.letter.failures == 0).then(|| Instant::now() + LETTER_TIMEOUT);
    }

    /// Pauses the reading if the writer does not answer in time. The letter stays with the writer: the disk may
    /// have it already.
    fn note_silent_file(&mut self) {
        if self.letter.answer_due.is_some_and(|due| due <= Instant::now()) {
            self.letter.answer_due = None;
            self.letter.is_silent = true;
            tracing::error!(
                source = %self.name,
                "reading pauses: the dead-letter file does not answer within 30 s: check the disk"
            );
        }
    }

    /// Records the writer's answer.
    fn finish_letter(&mut self, result: Result<()>) {
        let Some((session, tag, _)) = self.letter.pending.take() else { return };
        (self.letter.deadline, self.letter.answer_due) = (None, None);
        let was_silent = std::mem::take(&mut self.letter.is_silent);
        match result {
            Ok(()) => {
                if std::mem::take(&mut self.letter.failures) > 0 || was_silent {
                    tracing::info!(source = %self.name, "writing dead letters again");
                }
                self.shared.lock().sources[self.index].ledger.bury(session, tag);
            }
            Err(error) => {
                self.letter.failures = self.letter.failures.saturating_add(1);
                if self.letter.failures == 1 {
                    tracing::error!(source = %self.name, "reading pauses: {error:#}");
                }
                let wait = wait_after(self.letter.failures, &mut self.shared.lock().random);
                self.letter.retry_at = Some(Instant::now() + wait);
            }
        }
    }

    /// Returns `true` if the listener closes and nothing is left to settle, or to wait for.
    fn is_done(&self) -> bool {
        let state = self.shared.lock();
        let ledger = &state.sources[self.index].ledger;
        match state.close {
            ClosePhase::Open => false,
            ClosePhase::Draining => ledger.is_empty(),
            // The message of a letter that the writer could not write, or not in time, comes again.
            ClosePhase::Over => {
                ledger.is_empty() || self.letter.retry_at.is_some() || self.letter.is_overdue()
            }
        }
    }
}

impl LetterState {
    /// Returns `true` if the writer did not answer in time.
    fn is_overdue(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }
}

/// Ends the session, so that no receipt waits for a task that does not exist: it was aborted, its
/// source panicked, or its runtime has no timer. While the listener is open, that is no end of the input.
impl Drop for SourceDriver {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let is_open = state.close == ClosePhase::Open;
        let entry = &mut state.sources[self.index];
        if is_open && !(self.has_ended && entry.ledger.is_empty()) {
            let message = format!(
                "the task of source `{}` ended: the source panicked, or the runtime that started \
                 the listener shut down or has no timer (`enable_time`)",
                printable(&self.name, 64)
            );
            entry.fatal = Some(Error::new(ErrorKind::Closed, message));
        }
        entry.ledger.end_session();
        state.set_state(self.index, SourceState::Closed, OffsetDateTime::now_utc());
    }
}

/// Waits for the writer's answer; without an end if the writer has no letter.
async fn written(pending: &mut Option<(u64, u64, oneshot::Receiver<Result<()>>)>) -> Result<()> {
    match pending {
        Some((_, _, result)) => result.await.unwrap_or_else(|_| {
            let message = "the thread that writes dead letters ended";
            Err(Error::new(ErrorKind::Bug, message))
        }),
        None => std::future::pending().await,
    }
}

/// The credit of a source that may not receive.
const NO_CREDIT: Credit = Credit { window: 0, room: 0, max_bytes: 0 };
/// The longest time that a source may take to settle.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The time after which the disk of the dead letters counts as hung.
const LETTER_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time that a source may take to close, and the writer to answer before that.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
