//! The numbered slots of a spool's directory. One process owns a slot by holding its lock.
//!
//! A slot consists of two files. `slot-0.lock` carries the lock (`flock`) and the status that the owner
//! writes for readers outside. `slot-0.redb` holds the messages. No process ever removes the lock file:
//! otherwise two processes could each lock a file of that name.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use notify_core::{Error, ErrorKind, Result};
use rustix::fs::FlockOperation;
use time::OffsetDateTime;

use crate::disk::{SlotStorage, SpoolDisk};
use crate::error::{dir_message, file_error};
use crate::slot_status::SlotStatus;
use crate::spool_dir::{FileVersion, SpoolDir};
use crate::sync_failure::{UnsyncedMark, recover_and_monitor};

/// A slot that this process owns until it drops this value.
#[derive(Debug)]
pub(crate) struct Slot {
    number: u32,
    lock: File,
    dir: Arc<SpoolDir>,
    mark: Arc<UnsyncedMark>,
    /// Whether this process has synced the names of the directory and of its files.
    names_are_synced: bool,
}

impl Slot {
    /// Locks the lowest free slot.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`] if processes own all of the 1 024 slots, and the error of the directory.
    pub(crate) fn lock_lowest(dir: &Arc<SpoolDir>) -> Result<Self> {
        for number in 0..MAX_SLOTS {
            if let Some(slot) = Self::try_lock(dir, number, true)? {
                return Ok(slot);
            }
        }
        let problem = format!("has no free slot: other processes use all {MAX_SLOTS}");
        Err(Error::new(ErrorKind::Full, dir_message(dir.path(), &problem)))
    }

    /// Locks slot `number` without waiting. With `create`, creates it first if it is missing.
    ///
    /// Returns `None` if another process owns the slot, or if it is missing and `create` is `false`.
    ///
    /// # Errors
    ///
    /// The error of the lock file, see [`SpoolDir::open_file`].
    pub(crate) fn try_lock(dir: &Arc<SpoolDir>, number: u32, create: bool) -> Result<Option<Self>> {
        let name = lock_name(number);
        let Some(lock) = dir.open_file(&name, create)? else { return Ok(None) };
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let mark = UnsyncedMark::of_slot(dir, number);
                let dir = Arc::clone(dir);
                let slot = Self { number, lock, dir, mark, names_are_synced: false };
                slot.write_status(&SlotStatus::of_this_process(None));
                Ok(Some(slot))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(file_error(&dir.path().join(name), "cannot be locked", error.into())),
        }
    }

    /// Returns the slot's number.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Returns the path of the database file, for messages.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join(database_name(self.number))
    }

    /// Opens the slot's storage on `disk`, and recovers it if a sync failed earlier.
    ///
    /// The outer error is about the directory, the inner one about the disk.
    pub(crate) fn open_storage(
        &mut self,
        disk: &dyn SpoolDisk,
    ) -> Result<io::Result<Arc<dyn SlotStorage>>> {
        let file = self.open_database_file(disk)?;
        let opened = disk.open(self.number, file);
        Ok(opened.and_then(|storage| recover_and_monitor(storage, Arc::clone(&self.mark))))
    }

    /// Opens the database file, and creates it if it is missing.
    ///
    /// This process syncs all names once, even if another one created them: that one may have ended
    /// before its own sync.
    fn open_database_file(&mut self, disk: &dyn SpoolDisk) -> Result<File> {
        let name = database_name(self.number);
        let existing = self.dir.open_file(&name, false)?;
        if let (Some(file), true) = (existing, self.names_are_synced) {
            return Ok(file);
        }
        self.names_are_synced = false;
        let file = self.dir.open_file(&name, true)?;
        let unsynced = |error| file_error(self.dir.path(), "cannot be synced", error);
        self.dir.sync(disk).map_err(unsynced)?;
        self.dir.sync_own_name(disk).map_err(|error| {
            file_error(self.dir.path(), "cannot be synced in its parent directory", error)
        })?;
        self.names_are_synced = true;
        // `open_file` returns `None` only without `create`.
        file.ok_or_else(|| unsynced(io::ErrorKind::NotFound.into()))
    }

    /// Returns the current version of the database file.
    pub(crate) fn version(&self) -> FileVersion {
        database_version(&self.dir, self.number)
    }

    /// Renames the database file and returns its new path.
    ///
    /// The new name ends in `.corrupt-` and the time in microseconds since 1970.
    pub(crate) fn quarantine(&self, disk: &dyn SpoolDisk) -> Result<PathBuf> {
        let (name, now) = (database_name(self.number), OffsetDateTime::now_utc());
        let renamed = format!("{name}.corrupt-{}", now.unix_timestamp_nanos() / 1_000);
        self.dir
            .rename_file(&name, &renamed)
            .and_then(|()| self.dir.sync(disk))
            .map_err(|error| file_error(&self.path(), "cannot be quarantined", error))?;
        Ok(self.dir.path().join(renamed))
    }

    /// Writes the slot's status into its lock file, for readers outside of this process.
    ///
    /// Nothing depends on it. On a full disk the old status stays.
    pub(crate) fn write_status(&self, status: &SlotStatus) {
        let Ok(mut text) = serde_json::to_vec(status) else { return };
        text.push(b'\n');
        if self.lock.write_all_at(&text, 0).is_ok() {
            self.lock.set_len(text.len() as u64).ok();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Closing the file is not enough: a process that forked meanwhile would keep the lock.
        self.lock.set_len(0).ok();
        rustix::fs::flock(&self.lock, FlockOperation::NonBlockingUnlock).ok();
    }
}

/// Returns the numbers of all slots in `dir`, sorted.
pub(crate) fn slot_numbers(dir: &SpoolDir) -> Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for name in dir.file_names()? {
        let number = name.to_str().and_then(|name| {
            name.strip_prefix("slot-")?.strip_suffix(".lock")?.parse::<u32>().ok()
        });
        numbers.extend(number.filter(|number| *number < MAX_SLOTS));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads the last status of slot `number`. The result is `None` if its owner has written none.
pub(crate) fn read_status(dir: &SpoolDir, number: u32) -> Result<Option<SlotStatus>> {
    let Some(lock) = dir.open_to_read(&lock_name(number))? else { return Ok(None) };
    let mut text = [0; STATUS_BYTES];
    let length = lock.read_at(&mut text, 0).unwrap_or(0);
    Ok(serde_json::from_slice(&text[..length]).ok())
}

/// Checks that the owner, the mode and the type of the files of slot `number` are safe.
///
/// # Errors
///
/// See [`SpoolDir::open_file`].
pub(crate) fn check_slot_files(dir: &SpoolDir, number: u32) -> Result<()> {
    dir.open_to_read(&lock_name(number))?;
    dir.open_to_read(&database_name(number))?;
    Ok(())
}

/// Returns the current version of the database file of slot `number`.
pub(crate) fn database_version(dir: &SpoolDir, number: u32) -> FileVersion {
    dir.file_version(&database_name(number))
}

fn lock_name(number: u32) -> String {
    format!("slot-{number}.lock")
}

fn database_name(number: u32) -> String {
    format!("slot-{number}.redb")
}

/// The number of slots in a directory, more than the processes of any reasonable host.
const MAX_SLOTS: u32 = 1024;
/// The size of the read buffer for a status, more than [`Slot::write_status`] writes.
const STATUS_BYTES: usize = 1024;
