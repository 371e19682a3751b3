//! The file of a [`FaultyDisk`](super::FaultyDisk): the content that the process sees, and the
//! content that survives a power cut.

use std::io;

use rustix::io::Errno;

use super::random::SplitMix64;

/// A file behind the system's page cache.
#[derive(Debug, Default)]
pub(super) struct CachedFile {
    /// The content as the process reads it: the disk, overlaid with the system's cache.
    cached: Vec<u8>,
    /// The content on disk without `changes`.
    on_disk: Vec<u8>,
    /// The changes since then, in order.
    changes: Vec<FileChange>,
    /// Whether each block occupies room on the disk.
    allocated: Vec<bool>,
    limit: Option<u64>,
}

#[derive(Debug)]
struct FileChange {
    edit: FileEdit,
    sync: SyncState,
}

#[derive(Debug)]
enum FileEdit {
    Write { offset: usize, data: Vec<u8> },
    SetLength(usize),
}

/// The way of one change from the cache to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SyncState {
    /// In the cache. The next sync writes it to disk.
    Cached,
    /// In the cache. A sync failed to write it, and no later sync tries again.
    Abandoned,
    /// On disk.
    Synced,
}

impl CachedFile {
    /// Returns the content as the process reads it.
    pub(super) fn content(&self) -> &[u8] {
        &self.cached
    }

    pub(super) fn len(&self) -> u64 {
        self.cached.len() as u64
    }

    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = index(offset)?;
        let data = start.checked_add(out.len()).and_then(|end| self.cached.get(start..end));
        out.copy_from_slice(data.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    /// Writes `data`, or the first part of it if the limit leaves no room for the rest.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = index(offset)?;
        let fits = self.allocate(start, data.len());
        self.change(FileEdit::Write { offset: start, data: data[..fits].to_vec() });
        if fits < data.len() { Err(Errno::NOSPC.into()) } else { Ok(()) }
    }

    /// Writes a random selection of the sectors of `data`.
    pub(super) fn write_torn(&mut self, offset: u64, data: &[u8], random: &mut SplitMix64) {
        let Ok(start) = index(offset) else { return };
        for (offset, part) in random_sectors(start, data, random) {
            if self.allocate(offset, part.len()) == part.len() {
                self.change(FileEdit::Write { offset, data: part.to_vec() });
            }
        }
    }

    pub(super) fn set_len(&mut self, len: u64) -> io::Result<()> {
        let len = index(len)?;
        self.allocated.truncate(len.div_ceil(BLOCK));
        self.change(FileEdit::SetLength(len));
        Ok(())
    }

    /// Writes every cached change to disk.
    pub(super) fn sync(&mut self) {
        self.settle_cached(SyncState::Synced);
        if self.changes.iter().all(|change| change.sync == SyncState::Synced) {
            for change in self.changes.drain(..) {
                change.edit.apply(&mut self.on_disk);
            }
        }
    }

    /// Abandons every cached change, as the system does when a sync fails.
    pub(super) fn fail_to_sync(&mut self) {
        self.settle_cached(SyncState::Abandoned);
    }

    /// Loses or tears a random part of the changes that no sync has written to disk.
    pub(super) fn cut_power(&mut self, random: &mut SplitMix64) {
        // Half of the power cuts lose all changes or none. Such failures are easier to understand.
        let luck = random.below(4);
        for FileChange { edit, sync } in self.changes.drain(..) {
            let luck = if luck < 2 { luck } else { random.below(3) };
            match (edit, luck) {
                (edit, _) if sync == SyncState::Synced => edit.apply(&mut self.on_disk),
                (_, 0) => {}
                (FileEdit::Write { offset, data }, 2..) => {
                    for (offset, part) in random_sectors(offset, &data, random) {
                        write(&mut self.on_disk, offset, part);
                    }
                }
                (edit, _) => edit.apply(&mut self.on_disk),
            }
        }
        self.cached.clone_from(&self.on_disk);
        self.allocated.truncate(self.cached.len().div_ceil(BLOCK));
    }

    /// Changes one byte in the cache and on the disk, if the file is that long.
    pub(super) fn damage(&mut self, offset: u64) {
        let Ok(offset) = index(offset) else { return };
        if let Some(byte) = self.cached.get_mut(offset) {
            *byte ^= 0xff;
            let damaged = *byte;
            self.change(FileEdit::Write { offset, data: vec![damaged] });
            self.sync();
        }
    }

    /// Sets the most bytes that the file may occupy; `None` for no limit.
    pub(super) fn limit(&mut self, bytes: Option<u64>) {
        self.limit = bytes;
    }

    /// Returns the number of bytes that the file occupies, in whole blocks.
    pub(super) fn allocated(&self) -> u64 {
        self.blocks() * BLOCK as u64
    }

    fn blocks(&self) -> u64 {
        self.allocated.iter().filter(|allocated| **allocated).count() as u64
    }

    fn change(&mut self, edit: FileEdit) {
        edit.apply(&mut self.cached);
        self.changes.push(FileChange { edit, sync: SyncState::Cached });
    }

    /// Moves every cached change to `state`.
    fn settle_cached(&mut self, state: SyncState) {
        for change in self.changes.iter_mut().filter(|change| change.sync == SyncState::Cached) {
            change.sync = state;
        }
    }

    /// Allocates the blocks of a write of `len` bytes. Returns the number of bytes that fit.
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

impl FileEdit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => write(bytes, *offset, data),
            Self::SetLength(len) => bytes.resize(*len, 0),
        }
    }
}

/// Writes `data` at `offset`, and fills a gap before it with zeros.
fn write(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

/// Returns a random selection of the sectors of a write, each with its offset. The sector size is
/// random too: 512 bytes or [`BLOCK`].
fn random_sectors<'a>(
    offset: usize,
    data: &'a [u8],
    random: &mut SplitMix64,
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

/// Converts an offset of the file to an index in memory.
fn index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| Errno::FBIG.into())
}

/// The bytes that file systems allocate, and that a modern disk writes, as one block.
const BLOCK: usize = 4096;
