//! Looking into a spool's directory from outside, and deciding about what lies in it.
//!
//! For a command. Everything here blocks. A slot can be opened while no process holds it; of one that
//! is held, [`slots`] tells what its process last said of it, at most a second or so ago.
//!
//! ```no_run
//! # fn main() -> notify_core::Result<()> {
//! use notify_spool::admin;
//!
//! let dir = std::path::Path::new("/var/spool/glance-notify");
//! for slot in admin::slots(dir)? {
//!     if slot.owner.is_none() {
//!         let mut open = admin::OpenSlot::open(dir, slot.number)?;
//!         let dead = open.dead_letters().collect::<notify_core::Result<Vec<_>>>()?;
//!         open.retry(dead.iter().map(|entry| entry.number))?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;

use notify_core::{Error, ErrorKind, Message, Result};
use time::OffsetDateTime;

use crate::conclusion::{Conclusion, Fate};
use crate::dir::{Dir, Slot};
use crate::disk::Files;
use crate::error::{Trouble, about};
use crate::record::{DeadLetter, Records, Torn, bodies, size};
use crate::status::SlotContents;
use crate::store::{Chunk, Store};

/// One slot of a directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SlotInfo {
    /// Its number.
    pub number: u32,
    /// The process that holds it; 0 where that has not said yet which it is.
    pub owner: Option<u32>,
    /// What is in it: of a held slot as its process last said, where it has said anything.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub contents: Result<Option<SlotContents>>,
    /// How many bytes its file has.
    pub file_bytes: u64,
}

/// Every slot of the spool in `dir`, in order. Slots that no process holds are opened for it, one
/// after the other, and closed again.
///
/// # Errors
///
/// Where `dir` is no directory of this user's, or cannot be read.
pub fn slots(dir: &Path) -> Result<Vec<SlotInfo>> {
    let dir = Dir::open(dir, false)?;
    let look = |number| {
        let file_bytes = dir.stamp(number).bytes;
        let Some(slot) = dir.try_lock(number, false)? else {
            let status = dir.status(number)?;
            return Ok(SlotInfo {
                number,
                owner: Some(status.map_or(0, |status| status.pid)),
                contents: Ok(status.and_then(|status| status.contents)),
                file_bytes,
            });
        };
        let contents = match file_bytes {
            0 => Ok(SlotContents::default()),
            _ => OpenSlot::new(slot).map(|open| open.contents()),
        };
        Ok(SlotInfo { number, owner: None, contents: contents.map(Some), file_bytes })
    };
    dir.numbers()?.into_iter().map(look).collect()
}

/// The number of every slot of the spool in `dir`, in order. None of them is opened.
///
/// # Errors
///
/// Where `dir` is no directory of this user's, or cannot be read.
pub fn slot_numbers(dir: &Path) -> Result<Vec<u32>> {
    Dir::open(dir, false)?.numbers()
}

/// A slot that no process holds, held by this one until it is dropped.
#[derive(Debug)]
pub struct OpenSlot {
    slot: Slot,
    /// Taken only to be closed.
    store: Option<Store>,
}

/// A message in a slot.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredMessage {
    /// Its number in the slot, by which it is named. A dead letter that is retried gets another.
    pub number: u64,
    /// The message.
    ///
    /// # Errors
    ///
    /// Why what lies there is none.
    pub message: Result<Message>,
    /// Of a dead letter, when and why it was refused.
    pub refusal: Option<RefusalInfo>,
}

/// When and why a destination refused a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusalInfo {
    /// When, to the second.
    pub refused_at: OffsetDateTime,
    /// Why, safe to show.
    pub reason: String,
}

impl OpenSlot {
    /// Opens slot `number` of the spool in `dir`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] where a process holds it, with that process;
    /// [`ErrorKind::Invalid`] where there is no such slot; and why it cannot be read.
    pub fn open(dir: &Path, number: u32) -> Result<Self> {
        let opened = Dir::open(dir, false)?;
        if !opened.numbers()?.contains(&number) {
            let what = format!("has no slot {number}");
            return Err(Error::new(ErrorKind::Invalid, about(dir, &what)));
        }
        if let Some(slot) = opened.try_lock(number, false)? {
            return Self::new(slot);
        }
        let holder = match opened.status(number)? {
            Some(status) => format!("process {}", status.pid),
            None => "a process".to_owned(),
        };
        let what = format!("slot {number} is held by {holder}: stop that first");
        Err(Error::new(ErrorKind::Unavailable, about(dir, &what)))
    }

    fn new(slot: Slot) -> Result<Self> {
        let opened = slot.open(&Files)?.map_err(Trouble::from);
        let store = opened.and_then(|storage| {
            let mut store = Store::open(storage, None)?;
            store.refresh_oldest()?;
            Ok(store)
        });
        let store = store.map_err(|trouble| trouble.about(&slot.path()))?;
        Ok(Self { slot, store: Some(store) })
    }

    /// The slot's number.
    pub fn number(&self) -> u32 {
        self.slot.number()
    }

    /// What is in it.
    pub fn contents(&self) -> SlotContents {
        self.store.as_ref().map(Store::contents).unwrap_or_default()
    }

    /// The messages that are to be forwarded, in the order in which they will be.
    ///
    /// # Errors
    ///
    /// An item is an error where the file cannot be read; it is the last.
    pub fn pending(&self) -> impl Iterator<Item = Result<StoredMessage>> + '_ {
        self.paged(|store, from| {
            let chunks = store.read(from, PAGE_BYTES)?;
            Ok(chunks.iter().flat_map(entries).collect())
        })
    }

    /// The dead letters, in the order in which their messages were stored.
    ///
    /// # Errors
    ///
    /// An item is an error where the file cannot be read; it is the last.
    pub fn dead_letters(&self) -> impl Iterator<Item = Result<StoredMessage>> + '_ {
        self.paged(|store, from| {
            let letters = store.read_dead(from, PAGE_LETTERS)?;
            let entry = |(number, bytes): &(u64, Vec<u8>)| (*number, Some(letter(*number, bytes)));
            Ok(letters.iter().map(entry).collect())
        })
    }

    /// Puts dead letters at the end of the messages to be forwarded, and returns how many of
    /// `numbers` are some.
    ///
    /// # Errors
    ///
    /// When it cannot be written down; nothing has changed then.
    pub fn retry(&mut self, numbers: impl IntoIterator<Item = u64>) -> Result<u64> {
        let numbers: Vec<u64> = numbers.into_iter().collect();
        self.change(|store| store.remove_dead(&numbers, true))
    }

    /// Removes messages, dead letters or not, for good; returns how many of `numbers` there were.
    ///
    /// # Errors
    ///
    /// When it cannot be written down; some of them may be gone then.
    pub fn remove(&mut self, numbers: impl IntoIterator<Item = u64>) -> Result<u64> {
        let numbers: BTreeSet<u64> = numbers.into_iter().collect();
        let letters: Vec<u64> = numbers.iter().copied().collect();
        self.change(|store| {
            let mut removed = store.remove_dead(&letters, false)?;
            let mut from = 0;
            loop {
                let chunks = store.read(from, PAGE_BYTES)?;
                let Some(last) = chunks.last() else { return Ok(removed) };
                from = last.first + bodies(&last.bytes).count() as u64;
                let conclusions: Vec<_> = chunks
                    .iter()
                    .map(|chunk| drop_from(chunk, &numbers))
                    .filter(|conclusion| !conclusion.is_empty())
                    .collect();
                if !conclusions.is_empty() {
                    store.commit(&Records::default(), 0, &conclusions)?;
                    removed += conclusions.iter().map(|of| of.tally.dropped).sum::<u64>();
                }
            }
        })
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut Store) -> Result<T, Trouble>) -> Result<T> {
        let path = self.slot.path();
        let Some(store) = &mut self.store else { return Err(closed()) };
        change(store).map_err(|trouble| trouble.about(&path))
    }

    /// Everything that `page` returns for one number after the other, each with its number; an entry
    /// of `None` is a place where nothing is any more.
    fn paged<'a>(
        &'a self,
        page: impl Fn(&Store, u64) -> Result<Vec<(u64, Option<StoredMessage>)>, Trouble> + 'a,
    ) -> impl Iterator<Item = Result<StoredMessage>> + 'a {
        let (mut from, mut over) = (0, false);
        let mut entries = VecDeque::new();
        std::iter::from_fn(move || {
            loop {
                match entries.pop_front() {
                    Some((_, Some(entry))) => return Some(Ok(entry)),
                    Some((_, None)) => continue,
                    None if over => return None,
                    None => {}
                }
                let store = self.store.as_ref()?;
                match page(store, from) {
                    Ok(read) => entries = read.into(),
                    Err(trouble) => {
                        over = true;
                        return Some(Err(trouble.about(&self.slot.path())));
                    }
                }
                match entries.back() {
                    Some((last, _)) => from = last + 1,
                    None => over = true,
                }
            }
        })
    }
}

impl Drop for OpenSlot {
    fn drop(&mut self) {
        // Every change was safe when it was made. What is empty is made small.
        self.store.take().map(Store::close);
    }
}

fn entries(chunk: &Chunk) -> impl Iterator<Item = (u64, Option<StoredMessage>)> {
    (chunk.first..).zip(bodies(&chunk.bytes)).map(|(number, body)| {
        let message = match body {
            Ok([]) => return (number, None),
            Ok(body) => Message::from_body(body.to_vec()),
            Err(Torn) => Err(torn()),
        };
        (number, Some(StoredMessage { number, message, refusal: None }))
    })
}

fn letter(number: u64, bytes: &[u8]) -> StoredMessage {
    let Ok(DeadLetter { since, reason, body }) = DeadLetter::decode(bytes) else {
        return StoredMessage { number, message: Err(torn()), refusal: None };
    };
    let refused_at =
        OffsetDateTime::from_unix_timestamp(since).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let reason = notify_core::redact::printable(reason, REASON_CHARS).to_string();
    let message = Message::from_body(body.to_vec());
    StoredMessage { number, message, refusal: Some(RefusalInfo { refused_at, reason }) }
}

fn drop_from(chunk: &Chunk, numbers: &BTreeSet<u64>) -> Conclusion {
    let mut conclusion = Conclusion::new(chunk.first);
    for (number, body) in (chunk.first..).zip(bodies(&chunk.bytes)) {
        let bytes = body.map_or(0, |body| if body.is_empty() { 0 } else { size(body) });
        let fate = if numbers.contains(&number) { Fate::Dropped } else { Fate::Kept };
        conclusion.add(fate, bytes);
    }
    conclusion
}

fn torn() -> Error {
    Error::new(ErrorKind::Invalid, "what lies there is cut")
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the slot is closed")
}

/// How much is read at once, in bytes.
const PAGE_BYTES: usize = 1024 * 1024;
const PAGE_LETTERS: usize = 1024;
const REASON_CHARS: usize = 1024;
