//! The database of one slot: what is in its tables, and every transaction on them.
//!
//! Blocking, and not to be called on a runtime's thread.
//!
//! redb is used in its default mode: one process writes and nobody reads meanwhile, so a commit is
//! one `fdatasync`. Its files are checked whole whenever they are opened. On a file that was changed
//! behind its back it may panic all the same: every call is made where a panic ends, and the
//! database is then opened anew.

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use notify_core::Message;
use redb::{
    Builder, Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
    WriteTransaction,
};
use time::OffsetDateTime;

use crate::conclusion::{Conclusion, conclude};
use crate::disk::{Backend, Storage};
use crate::error::Trouble;
use crate::record::{DeadLetter, Records, Torn, bodies, size};
use crate::status::{MessageTotals, SlotContents};

/// An open database, and what is in it.
#[derive(Debug)]
pub(crate) struct Store {
    /// Taken only to be closed.
    db: Option<Database>,
    backend: Backend,
    contents: SlotContents,
    /// The number that the next message gets.
    next: u64,
}

/// Some messages that were stored together, and the number of the first.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) first: u64,
    pub(crate) bytes: Vec<u8>,
}

type Result<T> = std::result::Result<T, Trouble>;

impl Store {
    /// Opens what is on `storage`, or makes a new database where there is nothing.
    ///
    /// `next` is what the last opening in this process came to: what was stored beyond it is of an
    /// attempt that was reported failed, and is removed.
    pub(crate) fn open(storage: Arc<dyn Storage>, next: Option<u64>) -> Result<Self> {
        let backend = Backend::new(storage);
        let opened = catch_unwind(AssertUnwindSafe(|| Self::open_and_look(backend.clone(), next)));
        opened
            .unwrap_or_else(|_| Err(Trouble::Content("the database cannot cope with it".into())))
            .map_err(|trouble| trouble.because_of(backend.fault()))
    }

    fn open_and_look(backend: Backend, next: Option<u64>) -> Result<Self> {
        let storage = backend.storage();
        if was_never_finished(storage)? {
            storage.set_len(0)?;
            storage.sync()?;
        }
        let db = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create_with_backend(backend.clone())?;
        let mut store = Self {
            db: Some(db),
            backend,
            contents: SlotContents::default(),
            next: next.unwrap_or(0),
        };
        store.check_format()?;
        if let Some(next) = next {
            store.write(|transaction| {
                transaction.open_table(MESSAGES)?.retain_in(next.., |_, _| false)?;
                Ok(())
            })?;
        }
        store.count()?;
        Ok(store)
    }

    /// What is in it.
    pub(crate) fn contents(&self) -> SlotContents {
        self.contents
    }

    /// The number that the next message gets.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Stores the first `count` of `records` and writes down what became of others, all of it or
    /// nothing, and safely.
    pub(crate) fn commit(
        &mut self,
        records: &Records,
        count: usize,
        conclusions: &[Conclusion],
    ) -> Result<()> {
        let (mut contents, mut next) = (self.contents, self.next);
        let now = OffsetDateTime::now_utc().unix_timestamp();
        self.write(|transaction| {
            let mut messages = transaction.open_table(MESSAGES)?;
            if !conclusions.is_empty() {
                let mut dead = transaction.open_table(DEAD)?;
                for conclusion in conclusions {
                    conclude(&mut messages, &mut dead, conclusion, now, &mut contents)?;
                }
            }
            let mut end = messages.upper_bound_mut(Bound::<u64>::Unbounded)?;
            for (place, chunk) in records.chunks(count) {
                end.insert_before(next + place, chunk)?;
            }
            Ok(())
        })?;
        next += count as u64;
        contents.pending.messages += count as u64;
        contents.pending.bytes += records.bytes_of(count);
        (self.contents, self.next) = (contents, next);
        Ok(())
    }

    /// The chunks from number `from` on, as many as have `bytes` together, and one at least.
    pub(crate) fn read(&self, from: u64, bytes: usize) -> Result<Vec<Chunk>> {
        self.look(|db| {
            let messages = db.begin_read()?.open_table(MESSAGES)?;
            let (mut chunks, mut total) = (Vec::new(), 0);
            for row in messages.range(from..)? {
                let (first, chunk) = row?;
                total += chunk.value().len();
                chunks.push(Chunk { first: first.value(), bytes: chunk.value().to_vec() });
                if total >= bytes {
                    break;
                }
            }
            Ok(chunks)
        })
    }

    /// The dead letters from number `from` on, `count` at most, as they lie.
    pub(crate) fn read_dead(&self, from: u64, count: usize) -> Result<Vec<(u64, Vec<u8>)>> {
        self.look(|db| {
            let dead = db.begin_read()?.open_table(DEAD)?;
            let rows = dead.range(from..)?.take(count).map(|row| {
                let (number, letter) = row?;
                Ok((number.value(), letter.value().to_vec()))
            });
            rows.collect()
        })
    }

    /// Removes dead letters; where `again` says so, stores their messages at the end, to be forwarded
    /// once more. Returns how many there were.
    pub(crate) fn remove_dead(&mut self, numbers: &[u64], again: bool) -> Result<u64> {
        let (mut contents, mut next, mut removed) = (self.contents, self.next, 0);
        self.write(|transaction| {
            let mut messages = transaction.open_table(MESSAGES)?;
            let mut dead = transaction.open_table(DEAD)?;
            for &number in numbers {
                let Some(letter) = dead.remove(number)? else { continue };
                removed += 1;
                contents.dead.remove(letter.value().len() as u64);
                if let Ok(DeadLetter { body, .. }) = DeadLetter::decode(letter.value())
                    && again
                {
                    let mut records = Records::default();
                    records.push(body);
                    for (_, chunk) in records.chunks(1) {
                        messages.insert(next, chunk)?;
                    }
                    contents.pending.add(records.bytes_of(1));
                    next += 1;
                }
            }
            Ok(())
        })?;
        (self.contents, self.next) = (contents, next);
        Ok(removed)
    }

    /// Looks up anew when the oldest pending message was emitted.
    pub(crate) fn refresh_oldest(&mut self) -> Result<()> {
        self.contents.oldest = None;
        if self.contents.pending.messages > 0 {
            let first = self.read(0, 0)?;
            let body = first.iter().flat_map(|chunk| bodies(&chunk.bytes));
            let body = body.flatten().find(|body| !body.is_empty());
            let message = body.and_then(|body| Message::from_body(body.to_vec()).ok());
            self.contents.oldest = message.map(|message| message.timestamp().unix_timestamp());
        }
        Ok(())
    }

    /// How many bytes the file has.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.backend.storage().size().unwrap_or(0)
    }

    /// Gives the room of what was removed back to the file system.
    pub(crate) fn shrink(&mut self) -> Result<()> {
        let shrunk = contained(|| match &mut self.db {
            Some(db) => Ok(db.compact().map(drop)?),
            None => Ok(()),
        });
        shrunk.map_err(|trouble| trouble.because_of(self.backend.fault()))
    }

    /// Closes the database; where nothing is in it, leaves an empty file.
    pub(crate) fn close(mut self) -> Result<()> {
        let empty = self.contents.is_empty();
        let db = self.db.take();
        let storage = self.backend.storage();
        let closed = contained(|| {
            db.map_or(Ok(()), Database::close)?;
            if empty {
                storage.set_len(0)?;
                storage.sync()?;
            }
            Ok(())
        });
        closed.map_err(|trouble| trouble.because_of(self.backend.fault()))
    }

    fn check_format(&self) -> Result<()> {
        let format = self.look(|db| {
            let transaction = db.begin_read()?;
            if transaction.list_tables()?.next().is_none() {
                return Ok(None);
            }
            let format = transaction.open_table(FORMAT)?.get("version")?;
            Ok(format.map(|format| format.value()))
        });
        match format? {
            Some(VERSION) => Ok(()),
            Some(other) => Err(Trouble::Content(format!(
                "its format is version {other}, and this program knows version {VERSION}"
            ))),
            None => self.write(|transaction| {
                transaction.open_table(FORMAT)?.insert("version", VERSION)?;
                transaction.open_table(MESSAGES)?;
                transaction.open_table(DEAD)?;
                Ok(())
            }),
        }
    }

    /// Counts what there is.
    fn count(&mut self) -> Result<()> {
        let (contents, next) = self.look(|db| {
            let (mut pending, mut dead, mut next) =
                (MessageTotals::default(), MessageTotals::default(), 0);
            let transaction = db.begin_read()?;
            for row in transaction.open_table(MESSAGES)?.iter()? {
                let (first, chunk) = row?;
                let mut count = 0;
                for body in bodies(chunk.value()) {
                    let body = body.map_err(|Torn| Trouble::Content("a row is cut".into()))?;
                    count += 1;
                    if !body.is_empty() {
                        pending.add(size(body));
                    }
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
        self.next = self.next.max(next);
        Ok(())
    }

    /// One transaction, safely on the disk when this returns.
    fn write(&self, change: impl FnOnce(&WriteTransaction) -> Result<()>) -> Result<()> {
        self.look(|db| {
            let transaction = db.begin_write()?;
            change(&transaction)?;
            Ok(transaction.commit()?)
        })
    }

    fn look<T>(&self, look: impl FnOnce(&Database) -> Result<T>) -> Result<T> {
        let Some(db) = &self.db else { return Err(redb::Error::DatabaseClosed.into()) };
        contained(|| look(db)).map_err(|trouble| trouble.because_of(self.backend.fault()))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let db = self.db.take();
        // After an error there is nothing left to say, and the next opening repairs.
        contained(move || {
            drop(db);
            Ok(())
        })
        .ok();
    }
}

/// Whether a database was begun and not finished, so that nothing can be in it: redb writes its magic
/// number once everything else of an empty database is on the disk.
fn was_never_finished(storage: &dyn Storage) -> Result<bool> {
    let len = storage.size()?;
    if len == 0 || len > UNFINISHED_BYTES {
        return Ok(false);
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    storage.read(0, &mut bytes)?;
    let (head, rest) = bytes.split_at(bytes.len().min(PAGE_BYTES));
    let magic = head.iter().take(MAGIC_BYTES);
    Ok(magic.chain(rest).all(|byte| *byte == 0))
}

/// Runs what may panic.
fn contained<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    // Whatever a panic leaves behind is closed next, and looked through when it is opened again.
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err(Trouble::Io(std::io::Error::other("the database gave up"))))
}

const FORMAT: TableDefinition<'_, &str, u64> = TableDefinition::new("format");
/// Chunks, by the number of their first message.
const MESSAGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("messages");
/// Refused messages, by their number.
const DEAD: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("dead");
/// The format of the tables.
const VERSION: u64 = 1;
/// Pages that redb keeps in memory at most.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// A database that was just begun is much smaller.
const UNFINISHED_BYTES: u64 = 4 * 1024 * 1024;
const PAGE_BYTES: usize = 4096;
const MAGIC_BYTES: usize = 9;
