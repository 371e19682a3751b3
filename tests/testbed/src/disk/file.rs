//! The one file of a [`Disk`](super::Disk): what the process sees, and what is sure to outlive a power
//! cut.

use std::io;

use rustix::io::Errno;

use super::Random;

#[derive(Debug, Default)]
pub(super) struct File {
    /// What the process reads: the disk and, over it, the cache of the system.
    seen: Vec<u8>,
    /// What is on disk, but for `changes`.
    kept: Vec<u8>,
    /// What was done since, in order.
    changes: Vec<Change>,
    /// Which blocks take room.
    allocated: Vec<bool>,
    limit: Option<u64>,
}

#[derive(Debug)]
struct Change {
    what: What,
    state: State,
}

#[derive(Debug)]
enum What {
    Write { offset: usize, data: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the cache, to be brought to disk by the next sync.
    Cached,
    /// A sync failed to bring it to disk, and no other will try.
    GivenUp,
    /// On disk.
    Synced,
}

impl File {
    pub(super) fn content(&self) -> &[u8] {
        &self.seen
    }

    pub(super) fn len(&self) -> u64 {
        self.seen.len() as u64
    }

    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = place(offset)?;
        let data = start.checked_add(out.len()).and_then(|end| self.seen.get(start..end));
        out.copy_from_slice(data.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    /// Writes `data`, or as much of it as there is room for.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = place(offset)?;
        let fits = self.allocate(start, data.len());
        self.change(What::Write { offset: start, data: data[..fits].to_vec() });
        if fits < data.len() { Err(Errno::NOSPC.into()) } else { Ok(()) }
    }

    /// Writes some sectors of `data`.
    pub(super) fn write_torn(&mut self, offset: u64, data: &[u8], random: &mut Random) {
        let Ok(start) = place(offset) else { return };
        for (offset, part) in sectors(start, data, random) {
            if self.allocate(offset, part.len()) == part.len() {
                self.change(What::Write { offset, data: part.to_vec() });
            }
        }
    }

    pub(super) fn set_len(&mut self, len: u64) -> io::Result<()> {
        let len = place(len)?;
        self.allocated.truncate(len.div_ceil(BLOCK));
        self.change(What::Length(len));
        Ok(())
    }

    pub(super) fn sync(&mut self) {
        self.settle(State::Synced);
        if self.changes.iter().all(|change| change.state == State::Synced) {
            for change in self.changes.drain(..) {
                change.what.apply(&mut self.kept);
            }
        }
    }

    pub(super) fn fail_to_sync(&mut self) {
        self.settle(State::GivenUp);
    }

    /// Loses or tears a random part of what is not on disk for sure.
    pub(super) fn cut_power(&mut self, random: &mut Random) {
        // Often enough nothing is lost, or all, which is easier to understand.
        let luck = random.below(4);
        for Change { what, state } in self.changes.drain(..) {
            let luck = if luck < 2 { luck } else { random.below(3) };
            match (what, luck) {
                (what, _) if state == State::Synced => what.apply(&mut self.kept),
                (_, 0) => {}
                (What::Write { offset, data }, 2..) => {
                    for (offset, part) in sectors(offset, &data, random) {
                        write(&mut self.kept, offset, part);
                    }
                }
                (what, _) => what.apply(&mut self.kept),
            }
        }
        self.seen.clone_from(&self.kept);
        self.allocated.truncate(self.seen.len().div_ceil(BLOCK));
    }

    pub(super) fn limit(&mut self, bytes: Option<u64>) {
        self.limit = bytes;
    }

    pub(super) fn allocated(&self) -> u64 {
        self.blocks() * BLOCK as u64
    }

    fn blocks(&self) -> u64 {
        self.allocated.iter().filter(|taken| **taken).count() as u64
    }

    fn change(&mut self, what: What) {
        what.apply(&mut self.seen);
        self.changes.push(Change { what, state: State::Cached });
    }

    fn settle(&mut self, to: State) {
        for change in self.changes.iter_mut().filter(|change| change.state == State::Cached) {
            change.state = to;
        }
    }

    /// Takes room for a write; how much of it there is room for.
    fn allocate(&mut self, start: usize, len: usize) -> usize {
        let blocks = start / BLOCK..(start + len).div_ceil(BLOCK);
        if self.allocated.len() < blocks.end {
            self.allocated.resize(blocks.end, false);
        }
        let mut left = self.limit.map(|limit| (limit / BLOCK as u64).saturating_sub(self.blocks()));
        for block in blocks {
            if std::mem::replace(&mut self.allocated[block], true) {
                continue;
            }
            match &mut left {
                None => {}
                Some(0) => {
                    self.allocated[block] = false;
                    return (block * BLOCK).saturating_sub(start).min(len);
                }
                Some(left) => *left -= 1,
            }
        }
        len
    }
}

impl What {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => write(bytes, *offset, data),
            Self::Length(len) => bytes.resize(*len, 0),
        }
    }
}

fn write(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

/// A random choice of the sectors that a write covers, in whole or in part.
fn sectors<'a>(
    offset: usize,
    data: &'a [u8],
    random: &mut Random,
) -> impl Iterator<Item = (usize, &'a [u8])> {
    let sector = if random.below(2) == 0 { 512 } else { BLOCK };
    let mut start = 0;
    std::iter::from_fn(move || {
        loop {
            let left = data.get(start..).filter(|left| !left.is_empty())?;
            let at = offset + start;
            let part = &left[..left.len().min(sector - at % sector)];
            start += part.len();
            if random.below(2) == 0 {
                return Some((at, part));
            }
        }
    })
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| Errno::FBIG.into())
}

/// What file systems allocate, and what a modern disk writes at once, in bytes.
const BLOCK: usize = 4096;
