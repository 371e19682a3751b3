//! The state of a running service: [`ServiceStatus`], as metrics and health checks show it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify_core::listener::{ListenerStats, SequenceGaps, SourceState};
use time::OffsetDateTime;

use crate::store::{AppendOutcome, ArchiveBatch};

/// The state of a service at one moment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ServiceStatus {
    /// The account of the listener, with the state of each source.
    pub listener: ListenerStats,
    /// The progress of each source, by its name.
    pub sources: BTreeMap<String, SourceProgress>,
    /// The sums over all batches that are stored.
    pub totals: AppendOutcome,
    /// The number of attempts to store a batch that failed.
    pub failed_writes: u64,
    /// The error of the archive, while the last attempt failed.
    pub error: Option<String>,
    /// The time of the last commit, in UTC.
    pub committed_at: Option<OffsetDateTime>,
    /// The number of notifications that their publishers numbered, and that did not come since the service
    /// started, between the first and the last that came.
    pub missing_numbers: u64,
    /// The number of uploads and imports without an outcome for an hour. `None` before the first look.
    pub stuck_uploads: Option<u64>,
    /// The time since the service last showed that it works or waits as it should.
    pub idle: Duration,
}

/// The progress of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceProgress {
    /// The timestamp of the newest notification that was stored since the service started, in UTC. A
    /// timestamp after the reception counts as the time of the reception.
    pub last_event: Option<OffsetDateTime>,
    /// The time from the sender's timestamp to the reception, of the notification that was stored last.
    pub lag: Option<time::Duration>,
    /// The time during which the source was not attached since the service started.
    pub blind: Duration,
}

/// A handle on the state of a service. Clones share it.
///
/// # Examples
///
/// ```
/// use notify_archive::service::ServiceMonitor;
///
/// let monitor = ServiceMonitor::default();
/// assert_eq!(monitor.status().totals.stored, 0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ServiceMonitor(Arc<Mutex<MonitorState>>);

/// The state behind the lock.
#[derive(Debug)]
struct MonitorState {
    status: ServiceStatus,
    /// The last sign of life.
    seen: Instant,
    /// The last look at the states of the sources.
    looked_at: Instant,
    /// The gaps in the numbers of the stored notifications.
    gaps: SequenceGaps,
    /// The time of the oldest event that was stored since the last look.
    oldest_stored: Option<OffsetDateTime>,
}

impl Default for MonitorState {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            status: ServiceStatus::default(),
            seen: now,
            looked_at: now,
            gaps: SequenceGaps::default(),
            oldest_stored: None,
        }
    }
}

impl ServiceMonitor {
    /// Returns the state at this moment.
    pub fn status(&self) -> ServiceStatus {
        let state = self.lock();
        ServiceStatus {
            idle: state.seen.elapsed(),
            missing_numbers: state.gaps.missing(),
            ..state.status.clone()
        }
    }

    /// Returns the time of the oldest event that was stored since the last call.
    pub fn take_oldest_stored(&self) -> Option<OffsetDateTime> {
        self.lock().oldest_stored.take()
    }

    /// Sets the number of stuck uploads.
    pub fn set_stuck_uploads(&self, count: u64) {
        self.lock().status.stuck_uploads = Some(count);
    }

    /// Notes that the service works, and the account of its listener.
    pub(super) fn beat(&self, listener: ListenerStats) {
        let mut state = self.lock();
        let now = Instant::now();
        let since = now.duration_since(state.looked_at);
        (state.seen, state.looked_at) = (now, now);
        for source in &listener.sources {
            let progress = state.status.sources.entry(source.name.clone()).or_default();
            if !matches!(source.state, SourceState::Attached { .. }) {
                progress.blind += since;
            }
        }
        state.status.listener = listener;
    }

    /// Notes that a batch is stored.
    pub(super) fn stored(&self, batch: &ArchiveBatch, outcome: AppendOutcome) {
        let mut state = self.lock();
        let MonitorState { status, gaps, oldest_stored, .. } = &mut *state;
        let stored = batch.records.iter().map(|record| record.timestamp);
        *oldest_stored = oldest_stored.iter().copied().chain(stored).min();
        let totals = &mut status.totals;
        totals.stored += outcome.stored;
        totals.copies += outcome.copies;
        totals.reused += outcome.reused;
        totals.unreadable += outcome.unreadable;
        status.error = None;
        status.committed_at = Some(OffsetDateTime::now_utc());
        // A message that holds no notification did arrive.
        let of_unreadable = batch.unreadable.iter().filter_map(|message| message.sequence.as_ref());
        let of_records = batch.records.iter().filter_map(|record| record.sequence.as_ref());
        for sequence in of_records.chain(of_unreadable) {
            gaps.add(sequence);
        }
        for record in &batch.records {
            let Some(source) = record.arrival.source.as_deref() else { continue };
            let Some(progress) = status.sources.get_mut(source) else { continue };
            let received_at = record.arrival.received_at;
            // A sender with a wrong clock must not hide that the source falls silent.
            let event = received_at.map_or(record.timestamp, |at| at.min(record.timestamp));
            progress.last_event = progress.last_event.max(Some(event));
            progress.lag = received_at.map(|received| received - record.timestamp);
        }
    }

    /// Notes that an attempt to store a batch failed. Returns `true` for an error that is news.
    pub(super) fn failed(&self, error: &str) -> bool {
        let mut state = self.lock();
        let is_news = state.status.error.as_deref() != Some(error);
        state.status.failed_writes += 1;
        state.status.error = Some(error.to_owned());
        is_news
    }

    fn lock(&self) -> MutexGuard<'_, MonitorState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use notify_core::codec::Sequence;
    use uuid::Uuid;

    use super::*;
    use crate::record::RecordReader;
    use crate::store::UnreadableContent;

    /// A notification from the future counts as one of the moment at which it arrived.
    #[test]
    fn a_timestamp_in_the_future_is_not_the_last_event() {
        let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h","event_type":"image.send","priority":"INFO","timestamp":"2099-11-24 12:00:00.000000","payload":{}}"#;
        let mut record = RecordReader::new("north").read(line).unwrap();
        let received_at = OffsetDateTime::UNIX_EPOCH;
        record.arrival.source = Some("north".into());
        record.arrival.received_at = Some(received_at);
        let monitor = ServiceMonitor::default();
        monitor.lock().status.sources.insert("north".to_owned(), SourceProgress::default());
        let batch = ArchiveBatch { records: vec![record], ..ArchiveBatch::default() };
        monitor.stored(&batch, AppendOutcome::default());
        assert_eq!(monitor.status().sources["north"].last_event, Some(received_at));
    }

    /// The status names how many numbered notifications are missing between the first and the last stored.
    #[test]
    fn counts_missing_numbers() {
        let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h","event_type":"image.send","priority":"INFO","timestamp":"2026-11-24 12:00:00.000000","payload":{}}"#;
        let record = RecordReader::new("north").read(line).unwrap();
        let monitor = ServiceMonitor::default();
        for number in [3, 7, 4] {
            let mut record = record.clone();
            record.sequence = Some(Sequence::new(Uuid::from_u128(1), "info", number));
            let batch = ArchiveBatch { records: vec![record], ..ArchiveBatch::default() };
            monitor.stored(&batch, AppendOutcome::default());
        }
        assert_eq!(monitor.status().missing_numbers, 2);
        let unreadable = UnreadableContent {
            source: "north".into(),
            received_at: OffsetDateTime::UNIX_EPOCH,
            reason: "not JSON".into(),
            length: 1,
            content: b"x".to_vec(),
            sequence: Some(Sequence::new(Uuid::from_u128(1), "info", 5)),
        };
        let batch = ArchiveBatch { unreadable: vec![unreadable], ..ArchiveBatch::default() };
        monitor.stored(&batch, AppendOutcome::default());
        assert_eq!(monitor.status().missing_numbers, 1, "an unreadable message did arrive");
    }
}
