//! Recovery of a slot's file after a sync failed.
//!
//! After a failed `fdatasync` Linux treats the lost pages as written: the next sync succeeds without
//! bringing them to the disk. The file still reads correctly from the page cache, so that the database
//! opens and continues, until a power cut destroys it beyond repair. See "Can applications recover from
//! fsync failures?" (Rebello et al., USENIX ATC 2020).
//!
//! The spool therefore marks the slot and rewrites its whole file before it opens the database again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::disk::SlotStorage;
use crate::spool_dir::SpoolDir;

/// A mark for a slot whose file may be incomplete on the disk.
///
/// The mark is an empty file in the directory, so that the next process sees it too. It needs no sync
/// of its own: a power cut that loses the mark also loses the page cache that the mark warns about.
#[derive(Debug)]
pub(crate) struct UnsyncedMark {
    dir: Arc<SpoolDir>,
    name: String,
    is_set: AtomicBool,
}

impl UnsyncedMark {
    /// Returns the mark of slot `number`, set if an earlier process left it.
    pub(crate) fn of_slot(dir: &Arc<SpoolDir>, number: u32) -> Arc<Self> {
        let name = format!("slot-{number}.unsynced");
        let is_set = AtomicBool::new(dir.exists(&name));
        Arc::new(Self { dir: Arc::clone(dir), name, is_set })
    }

    fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }

    fn set(&self) {
        self.is_set.store(true, Ordering::Relaxed);
        // On a full disk the file is missing, but this process still knows about the failure.
        self.dir.open_file(&self.name, true).ok();
    }

    fn clear(&self) {
        self.is_set.store(false, Ordering::Relaxed);
        self.dir.remove_file(&self.name).ok();
    }
}

/// Returns `storage` in a wrapper that sets `mark` when a sync fails.
///
/// If the mark is set already, this function first rewrites the whole file and syncs it.
///
/// # Errors
///
/// The error of the disk if it still does not accept the file. The mark then stays.
pub(crate) fn recover_and_monitor(
    storage: Arc<dyn SlotStorage>,
    mark: Arc<UnsyncedMark>,
) -> io::Result<Arc<dyn SlotStorage>> {
    let monitored = Arc::new(MonitoredStorage { storage, mark });
    if monitored.mark.is_set() {
        rewrite(&*monitored)?;
        monitored.mark.clear();
    }
    Ok(monitored)
}

/// Reads every byte of `storage`, writes it back to its place and syncs.
///
/// The disk gets the length of the file first. The database reads only files of certain lengths, and a
/// power cut in the middle of writing could leave any other.
fn rewrite(storage: &dyn SlotStorage) -> io::Result<()> {
    let size = storage.size()?;
    storage.set_len(size)?;
    storage.sync()?;
    let mut piece = vec![0; usize::try_from(size).unwrap_or(usize::MAX).min(PIECE_BYTES)];
    let mut offset = 0;
    while offset < size {
        let rest = usize::try_from(size - offset).unwrap_or(usize::MAX);
        let piece = &mut piece[..rest.min(PIECE_BYTES)];
        storage.read(offset, piece)?;
        storage.write(offset, piece)?;
        offset += piece.len() as u64;
    }
    storage.sync()
}

/// A storage that sets its slot's mark when a sync fails.
#[derive(Debug)]
struct MonitoredStorage {
    storage: Arc<dyn SlotStorage>,
    mark: Arc<UnsyncedMark>,
}

impl SlotStorage for MonitoredStorage {
    fn size(&self) -> io::Result<u64> {
        self.storage.size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.storage.read(offset, out)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.storage.write(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.storage.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.storage.sync().inspect_err(|_| self.mark.set())
    }
}

/// The bytes that one step of a rewrite holds in memory.
const PIECE_BYTES: usize = 1024 * 1024;
