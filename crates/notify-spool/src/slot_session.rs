//! The work on one locked slot: it opens, stores, reads, records outcomes and maintains the file.
//!
//! Everything here blocks, so it must run on the slot's own thread and never on a runtime's. A session
//! ends with the lock: another slot gets a session of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use notify_core::{Error, ErrorKind, Outcome, Result};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::chunk_outcome::{ChunkOutcome, OutcomeCounts};
use crate::config::{Config, CorruptSlotPolicy};
use crate::counters::StageCounters;
use crate::error::{SlotError, printable_path, retry_delay};
use crate::records::{RecordBatch, RecordChunk};
use crate::slot::Slot;
use crate::slot_database::SlotDatabase;
use crate::slot_job::StoredPrefix;
use crate::slot_status::{MessageTotals, SlotContents, SlotStatus};

/// A locked slot, and the state of its file.
#[derive(Debug)]
pub(crate) struct SlotSession {
    slot: Slot,
    config: Config,
    counters: Arc<StageCounters>,
    /// Tells the forwarder that new messages are on the disk.
    stored: Arc<Notify>,
    /// The open database. After an error it is `None`, and the next request opens it again.
    database: Option<SlotDatabase>,
    /// The number of the next message after the last commit that succeeded.
    next_number: Option<u64>,
    /// Whether an opening of the database found messages to forward.
    had_messages: bool,
    /// The number of the first message of the present file. Earlier ones left the slot with their file.
    first_number: u64,
    /// The outcomes that the disk does not have yet, by chunk. The session records them by `flush_at`.
    outcomes: BTreeMap<u64, ChunkOutcome>,
    flush_at: Option<Instant>,
    /// The time of the next maintenance.
    maintain_at: Option<Instant>,
    /// The size of the file after the last compaction, in bytes.
    shrunk_to: u64,
}

impl SlotSession {
    /// Returns a session for `slot`. It opens nothing before its first request.
    pub(crate) fn new(
        slot: Slot,
        config: Config,
        counters: Arc<StageCounters>,
        stored: Arc<Notify>,
    ) -> Self {
        Self {
            slot,
            config,
            counters,
            stored,
            database: None,
            next_number: None,
            had_messages: false,
            first_number: 0,
            outcomes: BTreeMap::new(),
            flush_at: None,
            maintain_at: None,
            shrunk_to: 0,
        }
    }

    /// Returns the locked slot.
    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Stores as many of `records` as fit, in one transaction with the waiting outcomes.
    ///
    /// Messages of lanes that fail leave room for the others, see [`RecordBatch::fitting`].
    /// If the batch does not fit, the session first records the waiting outcomes: they may free room.
    pub(crate) fn store(&mut self, records: &RecordBatch) -> Result<StoredPrefix> {
        let Config { max_messages, max_bytes, .. } = self.config;
        let bounds = MessageTotals { messages: max_messages, bytes: max_bytes };
        let fitting = |SlotContents { pending, dead, .. }: SlotContents| {
            records.fitting(pending.plus(dead), bounds)
        };
        let mut messages = fitting(self.open_database()?.contents());
        if messages < records.count() && !self.outcomes.is_empty() {
            self.flush();
            messages = fitting(self.open_database()?.contents());
        }
        if messages > 0 {
            self.commit(records, messages)?;
        }
        // After the commit, so that the error counts what the spool now holds.
        let contents = self.database.as_ref().map(SlotDatabase::contents).unwrap_or_default();
        let full = (messages < records.count())
            .then(|| self.full_error(contents, records.lacks_working(messages)));
        Ok(StoredPrefix { messages, full })
    }

    /// Reads chunks from number `from` on, about `bytes` bytes of them, without the messages whose
    /// outcomes wait for the next commit.
    pub(crate) fn read(&mut self, from: u64, bytes: usize) -> Result<Vec<RecordChunk>> {
        let mut chunks = match self.open_database()?.read(from, bytes) {
            Ok(chunks) => chunks,
            Err(error) => return Err(self.close_after(error)),
        };
        for chunk in &mut chunks {
            if let Some(outcome) = self.outcomes.get(&chunk.first) {
                chunk.remove_where(|index| outcome.is_decided(index));
            }
        }
        Ok(chunks)
    }

    /// Keeps outcomes until the next commit or flush.
    ///
    /// Messages whose file left the slot are counted already, so their later outcomes count nowhere.
    pub(crate) fn keep_outcomes(&mut self, outcome: ChunkOutcome) {
        if outcome.first < self.first_number {
            return;
        }
        self.flush_at.get_or_insert_with(|| Instant::now() + FLUSH_DELAY);
        match self.outcomes.get_mut(&outcome.first) {
            Some(earlier) => earlier.merge(outcome),
            None => drop(self.outcomes.insert(outcome.first, outcome)),
        }
    }

    /// Returns the time of the next work that is due without a request.
    pub(crate) fn next_work(&self) -> Option<Instant> {
        [self.flush_at, self.maintain_at].into_iter().flatten().min()
    }

    /// Does the work that is due at `now`.
    pub(crate) fn do_due_work(&mut self, now: Instant) {
        let is_due = self.flush_at.is_some_and(|at| at <= now);
        if is_due || self.outcomes.len() >= MAX_UNRECORDED_CHUNKS {
            self.flush();
        }
        if self.maintain_at.is_some_and(|at| at <= now) {
            self.maintain();
        }
    }

    /// Records the last outcomes and closes the database. The lock stays until the session is dropped.
    pub(crate) fn close(&mut self) {
        self.flush();
        if let Some(database) = self.database.take()
            && let Err(error) = database.close()
        {
            let error = self.close_after(error);
            tracing::warn!("the spool did not close cleanly: {error:#}");
        }
    }

    /// Returns whether the disk does not have all outcomes yet.
    pub(crate) fn has_unrecorded_outcomes(&self) -> bool {
        !self.outcomes.is_empty()
    }

    /// Returns whether there were messages to forward.
    pub(crate) fn had_messages(&self) -> bool {
        self.had_messages
    }

    /// Records the waiting outcomes without a batch.
    ///
    /// A failure keeps them for a later attempt. The counters change only once the disk has them.
    fn flush(&mut self) {
        self.flush_at = None;
        if self.outcomes.is_empty() {
            return;
        }
        let flushed = match self.open_database() {
            Ok(_) => self.commit(&RecordBatch::default(), 0),
            Err(error) => Err(error),
        };
        if let Err(error) = flushed {
            // The destination has the messages. Only a restart before the next flush repeats them.
            let delay = retry_delay(&error);
            tracing::debug!(
                "cannot record delivered messages in the spool, retrying in {} s: {error:#}",
                delay.as_secs()
            );
            self.flush_at = Some(Instant::now() + delay);
        }
    }

    /// Commits the first `count` of `records` and the waiting outcomes, and updates the counters.
    fn commit(&mut self, records: &RecordBatch, count: usize) -> Result<()> {
        let Some(database) = &mut self.database else { return Err(not_open()) };
        if let Err(error) = database.commit(records, count, &self.outcomes) {
            return Err(self.close_after(error).with_outcome(Outcome::Unknown));
        }
        self.next_number = Some(database.next_number());
        let stored = MessageTotals { messages: count as u64, bytes: records.bytes_of(count) };
        self.counters.add_stored(self.slot.number(), stored);
        self.count_outcomes();
        self.maintain_at.get_or_insert_with(|| Instant::now() + MAINTENANCE_DELAY);
        if count > 0 {
            self.stored.notify_one();
        }
        Ok(())
    }

    /// Moves the waiting outcomes into the counters.
    fn count_outcomes(&mut self) {
        self.flush_at = None;
        let counts = self.unrecorded();
        self.outcomes.clear();
        self.counters.add_outcomes(self.slot.number(), &counts);
    }

    /// Returns the sum of the outcomes that the disk does not have yet.
    fn unrecorded(&self) -> OutcomeCounts {
        let mut sum = OutcomeCounts::default();
        self.outcomes.values().for_each(|outcome| sum.add(&outcome.counts));
        sum
    }

    /// Returns the database, and opens it first if it is closed.
    ///
    /// The first opening counts the messages that an earlier run left. A damaged file is quarantined
    /// if the configuration allows that.
    fn open_database(&mut self) -> Result<&mut SlotDatabase> {
        if self.database.is_none() {
            let database = match self.try_open_database()? {
                Ok(database) => database,
                Err(SlotError::Content(reason))
                    if self.config.on_corrupt == CorruptSlotPolicy::Quarantine =>
                {
                    self.quarantine(&reason)?;
                    self.try_open_database()?.map_err(|error| self.close_after(error))?
                }
                Err(error) => return Err(self.close_after(error)),
            };
            let (slot, found) = (self.slot.number(), database.contents().pending);
            match self.next_number {
                None => self.counters.open_slot(slot, found),
                Some(_) => self.counters.reopen_slot(slot, found, self.unrecorded().totals()),
            }
            self.had_messages |= found.messages > 0;
            self.next_number = Some(database.next_number());
            self.database = Some(database);
            self.maintain_at = Some(Instant::now());
        }
        self.database.as_mut().ok_or_else(not_open)
    }

    /// Opens the slot's database.
    ///
    /// The inner error is about the content of the slot's file, which a quarantine may solve.
    fn try_open_database(&mut self) -> Result<Result<SlotDatabase, SlotError>> {
        let storage = self.slot.open_storage(&*self.config.disk)?.map_err(SlotError::from);
        if storage.as_ref().is_ok_and(|storage| storage.size().is_ok_and(|bytes| bytes == 0)) {
            self.first_number = self.next_number.unwrap_or(0);
        }
        Ok(storage.and_then(|storage| SlotDatabase::open(storage, self.next_number)))
    }

    /// Renames a file that the database cannot read, and counts its messages as dropped.
    fn quarantine(&mut self, reason: &str) -> Result<()> {
        let renamed = self.slot.quarantine(&*self.config.disk)?;
        tracing::warn!(
            "the spool renamed a damaged file to {} and starts a new one: {reason}",
            printable_path(&renamed)
        );
        // Delivered messages count as delivered, recorded or not. All others are in the renamed file.
        self.count_outcomes();
        self.counters.drop_slot(self.slot.number());
        Ok(())
    }

    /// Closes the database after `error`, so that the next request opens it again.
    fn close_after(&mut self, error: SlotError) -> Error {
        self.database = None;
        error.into_error(&self.slot.path())
    }

    /// Returns the error for messages that do not fit, with the bounds that an operator can raise.
    ///
    /// It is about all messages, or only about those of lanes that fail.
    fn full_error(&self, contents: SlotContents, is_full_for_all: bool) -> Error {
        let Config { max_bytes, max_messages, .. } = self.config;
        let dead = match contents.dead.messages {
            0 => String::new(),
            dead => format!(", {dead} of them dead letters"),
        };
        let held = contents.pending.messages + contents.dead.messages;
        let bounds =
            format!("`spool.max_bytes` ({max_bytes}) or `spool.max_messages` ({max_messages})");
        let message = if is_full_for_all {
            format!(
                "the spool is full with {held} messages{dead}: raise {bounds}, or check why nothing \
                 is forwarded"
            )
        } else {
            format!(
                "the spool holds {held} messages{dead} and keeps the rest of its room for queues that \
                 work: repair the queue that fails, or raise {bounds}"
            )
        };
        Error::new(ErrorKind::Full, message)
    }

    /// Returns free room to the file system, and publishes the status of the slot.
    ///
    /// Closing an empty database truncates its file; the next request starts a new one. A large file
    /// with few messages is compacted, but not twice to the same size.
    fn maintain(&mut self) {
        self.maintain_at = None;
        let Some(database) = &mut self.database else { return };
        let SlotContents { pending, dead, .. } = database.contents();
        let (used, file) = (pending.bytes + dead.bytes, database.file_bytes());
        let maintained = if used == 0 && file > EMPTY_FILE_BYTES && self.outcomes.is_empty() {
            self.database.take().map_or(Ok(()), SlotDatabase::close)
        } else if file > SPARSE_FILE_BYTES && used < file / 4 && file > self.shrunk_to {
            let shrunk = database.shrink();
            self.shrunk_to = database.file_bytes();
            shrunk
        } else {
            database.refresh_oldest()
        };
        if let Err(error) = maintained {
            let error = self.close_after(error);
            tracing::debug!("cannot maintain the spool's file: {error:#}");
        }
        self.publish_status();
    }

    /// Writes the slot's contents where `glance-notify spool` and the account can see them.
    fn publish_status(&self) {
        let contents = self.database.as_ref().map(SlotDatabase::contents).unwrap_or_default();
        self.counters.set_oldest(self.slot.number(), contents.oldest);
        self.slot.write_status(&SlotStatus::of_this_process(Some(contents)));
    }
}

/// The error for an operation that needs an open database.
fn not_open() -> Error {
    Error::new(ErrorKind::Bug, "the spool's database is not open")
}

/// The longest time that an outcome waits for a batch to share its transaction.
const FLUSH_DELAY: Duration = Duration::from_millis(20);
/// The number of waiting chunks that starts a flush at once.
const MAX_UNRECORDED_CHUNKS: usize = 1024;
/// The delay between a commit and the maintenance of the file.
const MAINTENANCE_DELAY: Duration = Duration::from_secs(1);
/// The size up to which the file of an empty slot stays as it is.
const EMPTY_FILE_BYTES: u64 = 1024 * 1024;
/// The size up to which a file with messages stays as it is.
const SPARSE_FILE_BYTES: u64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::fs;

    use notify_conformance::samples;
    use notify_core::pipeline::Stats;
    use notify_core::transport::Lanes;

    use super::*;
    use crate::chunk_outcome::MessageOutcome;
    use crate::spool_dir::SpoolDir;

    /// The messages of lanes that work in a batch, those of each lane that fails, and the stored ones.
    type StoredBatch = (usize, usize, usize);

    /// Messages of lanes that work may fill the slot. Those of lanes that fail are stored behind them, up to
    /// half of each bound.
    #[test]
    fn lanes_that_fail_leave_room_for_the_others() {
        let lanes: Vec<_> = Lanes::by(["a", "b", "c"], |_| 0).unwrap().iter().collect();
        let messages = samples::messages(0..40);
        let room = |count: usize| {
            messages[..count].iter().map(|message| message.body().len() as u64 + 4).sum::<u64>()
        };
        let cases: [(usize, &[StoredBatch]); 5] = [
            (0, &[(30, 0, 30), (10, 0, 2)]),
            (1, &[(4, 20, 16), (10, 5, 10), (0, 5, 0), (10, 5, 6)]),
            (1, &[(20, 10, 20), (0, 1, 0), (20, 1, 12)]),
            (2, &[(4, 15, 16), (4, 1, 4), (13, 1, 12)]),
            (3, &[(0, 12, 16), (4, 1, 4)]),
        ];
        for (failing, batches) in cases {
            let parent = tempfile::tempdir().unwrap();
            let slot = Slot::lock_lowest(&SpoolDir::open(parent.path(), true).unwrap()).unwrap();
            let mut config = Config::new(parent.path());
            config.max_messages = 32;
            let mut session = SlotSession::new(slot, config, Arc::default(), Arc::default());
            for &(working, of_each, expected) in batches {
                let groups = lanes.iter().take(failing).flat_map(|lane| vec![Some(*lane); of_each]);
                let groups = std::iter::repeat_n(None, working).chain(groups);
                let mut records = RecordBatch::default();
                records.fill(groups.zip(&messages));
                let stored = session.store(&records).unwrap();
                assert_eq!(stored.messages, expected, "{failing}: {working}, {of_each}");
                let error = stored.full.map(|error| error.to_string()).unwrap_or_default();
                assert_eq!(error.starts_with("the spool is full"), expected < working, "{error}");
                let is_kept = error.contains("keeps the rest of its room");
                assert_eq!(is_kept, expected >= working && expected < records.count(), "{error}");
            }
        }
        let mut records = RecordBatch::default();
        records.fill(messages.iter().map(|message| (Some(lanes[0]), message)));
        let bounds = MessageTotals { messages: 1000, bytes: 2 * room(10) };
        assert_eq!(records.fitting(MessageTotals::default(), bounds), 10, "half of the bytes");
    }

    /// Messages whose file leaves the slot count as dropped, whatever outcomes they get later. Those of the
    /// next file count as usual.
    #[test]
    fn messages_that_left_with_their_file_count_once() {
        for is_damaged in [false, true] {
            let parent = tempfile::tempdir().unwrap();
            let path = parent.path().join("s");
            let slot = Slot::lock_lowest(&SpoolDir::open(&path, true).unwrap()).unwrap();
            let mut config = Config::new(&path);
            config.on_corrupt = CorruptSlotPolicy::Quarantine;
            let counters = Arc::<StageCounters>::default();
            let mut session = SlotSession::new(slot, config, Arc::clone(&counters), Arc::default());
            let mut records = RecordBatch::default();
            let messages = samples::messages(0..2);
            records.fill(messages.iter().map(|message| (None, message)));
            assert_eq!(session.store(&records).unwrap().messages, 2);

            session.database = None;
            let file = path.join("slot-0.redb");
            if is_damaged {
                fs::write(&file, "damaged").unwrap();
            } else {
                fs::rename(&file, path.join("moved")).unwrap();
            }
            assert!(session.read(0, 1).unwrap().is_empty(), "a new file");
            let deliver = |session: &mut SlotSession, first| {
                let mut outcome = ChunkOutcome::new(first);
                outcome.push(MessageOutcome::Delivered, 10);
                outcome.push(MessageOutcome::Delivered, 10);
                session.keep_outcomes(outcome);
                session.flush();
                let stats = counters.stats(Stats::default());
                (stats.emitted, stats.delivered, stats.dropped.abandoned, stats.pending.messages)
            };
            assert_eq!(deliver(&mut session, 0), (2, 0, 2, 0), "{is_damaged}");
            assert_eq!(session.store(&records).unwrap().messages, 2);
            assert_eq!(deliver(&mut session, 2), (4, 2, 2, 0), "{is_damaged}");
        }
    }
}
