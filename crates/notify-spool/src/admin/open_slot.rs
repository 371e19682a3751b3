//! A slot that this process owns for administration.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use notify_core::{Error, ErrorKind, Result};

use super::stored_message::{StoredMessage, chunk_messages, dead_message};
use crate::chunk_outcome::{ChunkOutcome, MessageOutcome};
use crate::disk::FileDisk;
use crate::error::{SlotError, dir_message, printable_path};
use crate::records::{RecordBatch, RecordChunk, records};
use crate::slot::{Slot, read_status, slot_numbers};
use crate::slot_database::SlotDatabase;
use crate::slot_status::SlotContents;
use crate::spool_dir::SpoolDir;

/// A slot that this process owns until it drops this value.
///
/// No other process uses the slot meanwhile, so keep the value for a short time only. Every change is
/// durable when its method returns. Dropping the value truncates the file of an empty slot.
///
/// # Examples
///
/// ```no_run
/// use notify_spool::admin::OpenSlot;
///
/// # fn main() -> notify_core::Result<()> {
/// let slot = OpenSlot::open("/var/spool/glance-notify".as_ref(), 0)?;
/// for message in slot.pending() {
///     let message = message?;
///     match message.message {
///         Ok(notification) => println!("{}: {}", message.number, notification.id()),
///         Err(error) => println!("{}: {error:#}", message.number),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct OpenSlot {
    slot: Slot,
    /// The open database. Only `drop` takes it.
    database: Option<SlotDatabase>,
}

impl OpenSlot {
    /// Opens slot `number` of the spool in `dir`.
    ///
    /// # Errors
    ///
    /// * [`ErrorKind::Unavailable`] if a process owns the slot. The message names the process.
    /// * [`ErrorKind::Invalid`] if `dir` has no such slot.
    /// * [`ErrorKind::Config`] if the file is damaged or has an unknown format.
    /// * Otherwise the error of the directory or of the disk.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::os::unix::fs::DirBuilderExt as _;
    /// use notify_core::ErrorKind;
    /// use notify_spool::admin::OpenSlot;
    ///
    /// # let parent = tempfile::tempdir()?;
    /// # let dir = parent.path().join("spool");
    /// # std::fs::DirBuilder::new().mode(0o700).create(&dir)?;
    /// // An empty directory has no slots yet.
    /// let error = OpenSlot::open(&dir, 7).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Invalid);
    /// assert!(error.to_string().contains("has no slot 7"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn open(dir: &Path, number: u32) -> Result<Self> {
        let opened = SpoolDir::open(dir, false)?;
        if !slot_numbers(&opened)?.contains(&number) {
            let problem =
                format!("has no slot {number}: list the slots with `glance-notify spool ls`");
            return Err(Error::new(ErrorKind::Invalid, dir_message(dir, &problem)));
        }
        if let Some(slot) = Slot::try_lock(&opened, number, false)? {
            return Self::new(slot);
        }
        let owner = match read_status(&opened, number)? {
            Some(status) => format!("process {}", status.pid),
            None => "a process".to_owned(),
        };
        let message = format!(
            "`spool.dir`: {}: slot {number} is in use by {owner}: stop that process first",
            printable_path(dir)
        );
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// Opens the database of a slot that this process has locked.
    pub(super) fn new(mut slot: Slot) -> Result<Self> {
        let opened = slot.open_storage(&FileDisk)?.map_err(SlotError::from);
        let database = opened.and_then(|storage| {
            let mut database = SlotDatabase::open(storage, None)?;
            database.refresh_oldest()?;
            Ok(database)
        });
        let database = database.map_err(|error| error.into_error(&slot.path()))?;
        Ok(Self { slot, database: Some(database) })
    }

    /// Returns the slot's number.
    pub fn number(&self) -> u32 {
        self.slot.number()
    }

    /// Returns the totals of the slot, up to date after every change.
    pub fn contents(&self) -> SlotContents {
        self.database.as_ref().map(SlotDatabase::contents).unwrap_or_default()
    }

    /// Returns the pending messages in the order in which the forwarder will send them.
    ///
    /// The iterator reads about 1 MiB at a time.
    ///
    /// # Errors
    ///
    /// An item is an error if the file cannot be read. It is the last item.
    pub fn pending(&self) -> impl Iterator<Item = Result<StoredMessage>> + '_ {
        self.pages(|database, from| {
            let chunks = database.read(from, PAGE_BYTES)?;
            Ok(chunks.iter().flat_map(chunk_messages).collect())
        })
    }

    /// Returns the dead letters in the order in which the spool stored their messages.
    ///
    /// # Errors
    ///
    /// An item is an error if the file cannot be read. It is the last item.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> notify_core::Result<()> {
    /// # let slot = notify_spool::admin::OpenSlot::open("/var/spool/n".as_ref(), 0)?;
    /// for letter in slot.dead_letters() {
    ///     let letter = letter?;
    ///     if let Some(refusal) = letter.refusal {
    ///         println!("{}: refused at {}: {}", letter.number, refusal.refused_at, refusal.reason);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn dead_letters(&self) -> impl Iterator<Item = Result<StoredMessage>> + '_ {
        self.pages(|database, from| {
            let letters = database.read_dead(from, PAGE_LETTERS)?;
            let decode =
                |(number, row): &(u64, Vec<u8>)| (*number, Some(dead_message(*number, row)));
            Ok(letters.iter().map(decode).collect())
        })
    }

    /// Makes dead letters pending again and returns how many of `numbers` these are.
    ///
    /// Their messages go to the end of the pending messages and get new numbers. A dead letter that cannot
    /// be decoded stays.
    ///
    /// # Errors
    ///
    /// The error of the disk. The slot is then unchanged.
    pub fn retry(&mut self, numbers: impl IntoIterator<Item = u64>) -> Result<u64> {
        let numbers: Vec<u64> = numbers.into_iter().collect();
        self.change(|database| database.remove_dead(&numbers, true))
    }

    /// Removes pending messages and dead letters for good, and returns how many of `numbers` existed.
    ///
    /// # Errors
    ///
    /// The error of the disk. Some of the messages may then be gone already: each piece of about 1 MiB
    /// is one transaction.
    pub fn remove(&mut self, numbers: impl IntoIterator<Item = u64>) -> Result<u64> {
        let numbers: BTreeSet<u64> = numbers.into_iter().collect();
        let letters: Vec<u64> = numbers.iter().copied().collect();
        self.change(|database| {
            let mut removed = database.remove_dead(&letters, false)?;
            let mut from = 0;
            loop {
                let chunks = database.read(from, PAGE_BYTES)?;
                let Some(last) = chunks.last() else { return Ok(removed) };
                from = last.first + records(&last.bytes).count() as u64;
                let outcomes: BTreeMap<_, _> = chunks
                    .iter()
                    .map(|chunk| (chunk.first, removal(chunk, &numbers)))
                    .filter(|(_, outcome)| !outcome.is_empty())
                    .collect();
                if !outcomes.is_empty() {
                    database.commit(&RecordBatch::default(), 0, &outcomes)?;
                    removed += outcomes.values().map(|outcome| outcome.counts.dropped).sum::<u64>();
                }
            }
        })
    }

    /// Runs `change` on the database and translates its error.
    fn change<T>(
        &mut self,
        change: impl FnOnce(&mut SlotDatabase) -> Result<T, SlotError>,
    ) -> Result<T> {
        let path = self.slot.path();
        let Some(database) = &mut self.database else { return Err(closed()) };
        change(database).map_err(|error| error.into_error(&path))
    }

    /// Returns all messages of consecutive pages.
    ///
    /// `read_page` returns the places of one page, from a number on. A place without a message only
    /// advances the number. An empty page ends the iteration.
    fn pages<'a>(
        &'a self,
        read_page: impl Fn(&SlotDatabase, u64) -> Result<Vec<(u64, Option<StoredMessage>)>, SlotError>
        + 'a,
    ) -> impl Iterator<Item = Result<StoredMessage>> + 'a {
        let (mut from, mut is_over) = (0, false);
        let mut page = VecDeque::new();
        std::iter::from_fn(move || {
            loop {
                match page.pop_front() {
                    Some((_, Some(message))) => return Some(Ok(message)),
                    Some((_, None)) => continue,
                    None if is_over => return None,
                    None => {}
                }
                let database = self.database.as_ref()?;
                match read_page(database, from) {
                    Ok(read) => page = read.into(),
                    Err(error) => {
                        is_over = true;
                        return Some(Err(error.into_error(&self.slot.path())));
                    }
                }
                match page.back() {
                    Some((last, _)) => from = last + 1,
                    None => is_over = true,
                }
            }
        })
    }
}

impl Drop for OpenSlot {
    fn drop(&mut self) {
        // Every change is durable already. Closing only truncates the file of an empty slot.
        self.database.take().map(SlotDatabase::close);
    }
}

/// Returns the outcome of a chunk in which an operator removes the messages with `numbers`.
fn removal(chunk: &RecordChunk, numbers: &BTreeSet<u64>) -> ChunkOutcome {
    let mut chunk_outcome = ChunkOutcome::new(chunk.first);
    for (number, record) in (chunk.first..).zip(records(&chunk.bytes)) {
        let bytes = record.map_or(0, |it| if it.is_removed() { 0 } else { it.size() });
        let is_removed = numbers.contains(&number);
        let outcome = if is_removed { MessageOutcome::Dropped } else { MessageOutcome::Pending };
        chunk_outcome.push(outcome, bytes);
    }
    chunk_outcome
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the slot is closed")
}

/// The bytes of pending messages that one page reads.
const PAGE_BYTES: usize = 1024 * 1024;
/// The number of dead letters that one page reads.
const PAGE_LETTERS: usize = 1024;
