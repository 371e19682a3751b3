//! The database of one slot: its tables, and every transaction on them.
//!
//! Everything here blocks and must not run on a runtime's thread.
//!
//! The spool uses [redb](https://docs.rs/redb) in its default mode: one process writes and no other
//! reads meanwhile, so that a commit costs one `fdatasync`.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use redb::{
    Builder, Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
    WriteTransaction,
};
use time::OffsetDateTime;

use crate::chunk_outcome::{ChunkOutcome, record_chunk_outcome};
use crate::dead_letter::DeadLetterRow;
use crate::disk::{SlotStorage, StorageAdapter};
use crate::error::SlotError;
use crate::records::{RecordBatch, RecordChunk, TruncatedRecord, records};
use crate::redb_guard::{catch_panic, database_panicked, is_unfinished};
use crate::slot_status::{MessageTotals, SlotContents};

/// An open database and the totals of its contents.
#[derive(Debug)]
pub(crate) struct SlotDatabase {
    /// redb's handle. Only `close` and `drop` take it.
    db: Option<Database>,
    storage: StorageAdapter,
    contents: SlotContents,
    next_number: u64,
    /// The version of the format that the file has.
    version: u64,
}

type Result<T> = std::result::Result<T, SlotError>;

impl SlotDatabase {
    /// Opens the database in `storage`, or creates one in an empty storage.
    ///
    /// `next_number` is the number of the next message after this process's last successful commit.
    /// Messages from that number on belong to a commit that reported an error although it reached the
    /// disk. This function removes them, because the sender believes that the spool does not have them.
    ///
    /// # Errors
    ///
    /// [`SlotError::Content`] for a damaged file or an unknown format, otherwise the disk's error.
    pub(crate) fn open(storage: Arc<dyn SlotStorage>, next_number: Option<u64>) -> Result<Self> {
        let storage = StorageAdapter::new(storage);
        let unreadable = || SlotError::Content("the database cannot read it".into());
        catch_panic(unreadable, || Self::open_and_count(storage.clone(), next_number))
            .map_err(|error| error.with_disk_fault(storage.take_fault()))
    }

    fn open_and_count(adapter: StorageAdapter, next_number: Option<u64>) -> Result<Self> {
        let storage = adapter.storage();
        if is_unfinished(storage)? {
            storage.set_len(0)?;
            storage.sync()?;
        }
        let db = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create_with_backend(adapter.clone())?;
        let mut database = Self {
            db: Some(db),
            storage: adapter,
            contents: SlotContents::default(),
            next_number: next_number.unwrap_or(0),
            version: VERSION_WITHOUT_METADATA,
        };
        database.version = database.check_format()?;
        if let Some(next) = next_number {
            database.write(|transaction| {
                transaction.open_table(MESSAGES)?.retain_in(next.., |_, _| false)?;
                Ok(())
            })?;
        }
        database.count()?;
        Ok(database)
    }

    /// Returns the totals of the slot.
    pub(crate) fn contents(&self) -> SlotContents {
        self.contents
    }

    /// Returns the number that the next message gets.
    pub(crate) fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Stores the first `count` records of `batch` and records `outcomes`, in one transaction.
    ///
    /// The first record with metadata makes version 2 of a file of version 1.
    ///
    /// # Errors
    ///
    /// The error of the database. The disk then has all of the transaction or nothing; the next opening
    /// decides which.
    pub(crate) fn commit(
        &mut self,
        batch: &RecordBatch,
        count: usize,
        outcomes: &BTreeMap<u64, ChunkOutcome>,
    ) -> Result<()> {
        let (mut contents, mut next) = (self.contents, self.next_number);
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let version = if batch.has_metadata { VERSION } else { self.version };
        self.write(|transaction| {
            if version != self.version {
                transaction.open_table(FORMAT)?.insert("version", version)?;
            }
            let mut messages = transaction.open_table(MESSAGES)?;
            if !outcomes.is_empty() {
                let mut dead = transaction.open_table(DEAD)?;
                for outcome in outcomes.values() {
                    record_chunk_outcome(&mut messages, &mut dead, outcome, now, &mut contents)?;
                }
            }
            let mut end = messages.upper_bound_mut(Bound::<u64>::Unbounded)?;
            for (index, chunk) in batch.chunks(count) {
                end.insert_before(next + index, chunk)?;
            }
            Ok(())
        })?;
        next += count as u64;
        contents.pending.messages += count as u64;
        contents.pending.bytes += batch.bytes_of(count);
        (self.contents, self.next_number, self.version) = (contents, next, version);
        Ok(())
    }

    /// Reads chunks from number `from` on, at least one and then up to `bytes` bytes.
    pub(crate) fn read(&self, from: u64, bytes: usize) -> Result<Vec<RecordChunk>> {
        self.with_db(|db| {
            let messages = db.begin_read()?.open_table(MESSAGES)?;
            let (mut chunks, mut total) = (Vec::new(), 0);
            for row in messages.range(from..)? {
                let (first, chunk) = row?;
                total += chunk.value().len();
                chunks.push(RecordChunk { first: first.value(), bytes: chunk.value().to_vec() });
                if total >= bytes {
                    break;
                }
            }
            Ok(chunks)
        })
    }

    /// Reads up to `count` dead letters from number `from` on, as numbers and undecoded rows.
    pub(crate) fn read_dead(&self, from: u64, count: usize) -> Result<Vec<(u64, Vec<u8>)>> {
        self.with_db(|db| {
            let dead = db.begin_read()?.open_table(DEAD)?;
            let rows = dead.range(from..)?.take(count).map(|row| {
                let (number, letter) = row?;
                Ok((number.value(), letter.value().to_vec()))
            });
            rows.collect()
        })
    }

    /// Removes dead letters and returns how many of `numbers` existed.
    ///
    /// With `retry`, their messages become the last pending messages, under new numbers. A row that cannot
    /// be decoded then stays, because its message would be lost.
    pub(crate) fn remove_dead(&mut self, numbers: &[u64], retry: bool) -> Result<u64> {
        let (mut contents, mut next, mut removed) = (self.contents, self.next_number, 0);
        self.write(|transaction| {
            let mut messages = transaction.open_table(MESSAGES)?;
            let mut dead = transaction.open_table(DEAD)?;
            for &number in numbers {
                let Some(letter) = dead.get(number)?.map(|letter| letter.value().to_vec()) else {
                    continue;
                };
                let row = DeadLetterRow::decode(&letter);
                if retry && row.is_err() {
                    continue;
                }
                dead.remove(number)?;
                removed += 1;
                contents.dead.remove(letter.len() as u64);
                if let Ok(DeadLetterRow { record, .. }) = row
                    && retry
                {
                    let mut batch = RecordBatch::default();
                    batch.push(record);
                    for (_, chunk) in batch.chunks(1) {
                        messages.insert(next, chunk)?;
                    }
                    contents.pending.add(batch.bytes_of(1));
                    next += 1;
                }
            }
            Ok(())
        })?;
        (self.contents, self.next_number) = (contents, next);
        Ok(removed)
    }

    /// Reads the emission time of the oldest pending message into `contents`.
    pub(crate) fn refresh_oldest(&mut self) -> Result<()> {
        self.contents.oldest = None;
        if self.contents.pending.messages > 0 {
            let first = self.read(0, 0)?;
            let mut records = first.iter().flat_map(|chunk| records(&chunk.bytes)).flatten();
            let record = records.find(|record| !record.is_removed());
            let message = record.and_then(|record| record.message().ok());
            self.contents.oldest = message.map(|message| message.timestamp().unix_timestamp());
        }
        Ok(())
    }

    /// Returns the size of the file in bytes, or 0 if the disk does not answer.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.storage.storage().size().unwrap_or(0)
    }

    /// Compacts the file, which returns the room of removed messages to the file system.
    pub(crate) fn shrink(&mut self) -> Result<()> {
        let shrunk = catch_panic(database_panicked, || match &mut self.db {
            Some(db) => Ok(db.compact().map(drop)?),
            None => Ok(()),
        });
        shrunk.map_err(|error| error.with_disk_fault(self.storage.take_fault()))
    }

    /// Closes the database. An empty slot leaves an empty file.
    pub(crate) fn close(mut self) -> Result<()> {
        let empty = self.contents.is_empty();
        let db = self.db.take();
        let storage = self.storage.storage();
        let closed = catch_panic(database_panicked, || {
            db.map_or(Ok(()), Database::close)?;
            if empty {
                storage.set_len(0)?;
                storage.sync()?;
            }
            Ok(())
        });
        closed.map_err(|error| error.with_disk_fault(self.storage.take_fault()))
    }

    /// Checks and returns the format version, and creates the tables of a new database.
    fn check_format(&self) -> Result<u64> {
        let format = self.with_db(|db| {
            let transaction = db.begin_read()?;
            if transaction.list_tables()?.next().is_none() {
                return Ok(None);
            }
            let format = transaction.open_table(FORMAT)?.get("version")?;
            Ok(format.map(|format| format.value()))
        });
        match format? {
            Some(version @ VERSION_WITHOUT_METADATA..=VERSION) => Ok(version),
            Some(other) => Err(SlotError::Content(format!(
                "its format is version {other}, but this program supports versions up to \
                 {VERSION}"
            ))),
            None => self.write(|transaction| {
                transaction.open_table(FORMAT)?.insert("version", VERSION_WITHOUT_METADATA)?;
                transaction.open_table(MESSAGES)?;
                transaction.open_table(DEAD)?;
                Ok(VERSION_WITHOUT_METADATA)
            }),
        }
    }

    /// Counts all messages and dead letters, and checks that every chunk is complete.
    fn count(&mut self) -> Result<()> {
        let (contents, next) = self.with_db(|db| {
            let (mut pending, mut dead) = (MessageTotals::default(), MessageTotals::default());
            let mut next = 0;
            let transaction = db.begin_read()?;
            for row in transaction.open_table(MESSAGES)?.iter()? {
                let (first, chunk) = row?;
                let mut count = 0;
                for record in records(chunk.value()) {
                    let record = record.map_err(|TruncatedRecord| {
                        SlotError::Content("a row of its messages is truncated".into())
                    })?;
                    count += 1;
                    if !record.is_removed() {
                        pending.add(record.size());
                    }
                }
                if count == 0 {
                    // A reader would stay at the number of such a row, and read it again and again.
                    return Err(SlotError::Content("a row of its messages is empty".into()));
                }
                next = first.value().saturating_add(count);
            }
            let letters = transaction.open_table(DEAD)?;
            for row in letters.iter()? {
                let (number, letter) = row?;
                dead.add(letter.value().len() as u64);
                next = next.max(number.value().saturating_add(1));
            }
            debug_assert_eq!(dead.messages, letters.len()?);
            Ok((SlotContents { pending, dead, oldest: None }, next))
        })?;
        self.contents = contents;
        self.next_number = self.next_number.max(next);
        Ok(())
    }

    /// Runs `change` in one transaction, which is durable when this function returns.
    fn write<T>(&self, change: impl FnOnce(&WriteTransaction) -> Result<T>) -> Result<T> {
        self.with_db(|db| {
            let transaction = db.begin_write()?;
            let changed = change(&transaction)?;
            transaction.commit()?;
            Ok(changed)
        })
    }

    /// Runs `work` on the database, guarded against panics and with the disk's error as the cause.
    fn with_db<T>(&self, work: impl FnOnce(&Database) -> Result<T>) -> Result<T> {
        let Some(db) = &self.db else { return Err(redb::Error::DatabaseClosed.into()) };
        catch_panic(database_panicked, || work(db))
            .map_err(|error| error.with_disk_fault(self.storage.take_fault()))
    }
}

impl Drop for SlotDatabase {
    fn drop(&mut self) {
        let db = self.db.take();
        // The caller has reported the error already, and the next opening repairs the file.
        catch_panic(database_panicked, move || {
            drop(db);
            Ok(())
        })
        .ok();
    }
}

/// The table with the version of the format, under the key `version`.
const FORMAT: TableDefinition<'_, &str, u64> = TableDefinition::new("format");
/// The chunks, by the number of their first message.
const MESSAGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("messages");
/// The dead letters, by the number of their message.
const DEAD: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("dead");
/// The version of the tables and of the records in them.
const VERSION: u64 = 2;
/// The version whose records have no metadata. Programs of the first edition read only this one.
const VERSION_WITHOUT_METADATA: u64 = 1;
/// The memory that redb may use for cached pages.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
