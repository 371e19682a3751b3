//! The directory of a spool and the numbered slots in it, each of which one process holds.
//!
//! A slot is two files: `slot-0.lock`, whose lock (`flock`) says that somebody has the slot and whose
//! text says who, and `slot-0.redb` with the messages. The lock file is never removed, so that all
//! processes always mean the same file by it.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify_core::{ErrorKind, Result};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use time::OffsetDateTime;

use crate::disk::{Disk, Storage};
use crate::error::{access, of_file, shown};
use crate::status::Status;
use crate::unsynced::watch;

/// `spool.dir`, checked and open.
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
    fd: OwnedFd,
}

impl Dir {
    /// Opens the directory at `path`, and makes it first where it is missing and `create` says so.
    ///
    /// # Errors
    ///
    /// Where it is not a directory of our own that nobody else can write to.
    pub(crate) fn open(path: &Path, create: bool) -> Result<Arc<Self>> {
        if create {
            make(path)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty());
        let fd = opened.map_err(|error| {
            if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
                return access(path, "is a symbolic link: name the directory itself");
            }
            of_file(path, "cannot be opened as a directory", error.into())
        })?;
        let file = File::from(fd);
        let metadata = file.metadata().map_err(|error| of_file(path, "cannot be looked at", error));
        must_be_ours(path, &metadata?)?;
        Ok(Arc::new(Self { path: path.to_owned(), fd: file.into() }))
    }

    /// The lowest slot that nobody holds, which is then ours.
    pub(crate) fn lock_lowest(self: &Arc<Self>) -> Result<Slot> {
        for number in 0..MAX_SLOTS {
            if let Some(slot) = self.try_lock(number, true)? {
                return Ok(slot);
            }
        }
        let what = format!("has {MAX_SLOTS} slots, and processes hold them all");
        Err(notify_core::Error::new(ErrorKind::Full, crate::error::about(&self.path, &what)))
    }

    /// Slot `number`, unless somebody holds it, or unless it is missing and not to be made.
    pub(crate) fn try_lock(self: &Arc<Self>, number: u32, create: bool) -> Result<Option<Slot>> {
        let name = lock_name(number);
        let Some(lock) = self.open_file(&name, create)? else { return Ok(None) };
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let mark = Mark::of(self, number);
                let slot = Slot { number, lock, dir: Arc::clone(self), mark };
                slot.tell(&Status::ours(None));
                Ok(Some(slot))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(of_file(&self.path.join(name), "cannot be locked", error.into())),
        }
    }

    /// The numbers of all slots that there are, in order.
    pub(crate) fn numbers(&self) -> Result<Vec<u32>> {
        let unreadable = |error| of_file(&self.path, "cannot be listed", error);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            let number = name.to_str().and_then(|name| {
                name.strip_prefix("slot-")?.strip_suffix(".lock")?.parse::<u32>().ok()
            });
            numbers.extend(number.filter(|number| *number < MAX_SLOTS));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// What the process that holds slot `number` last said of it.
    pub(crate) fn status(&self, number: u32) -> Result<Option<Status>> {
        let Some(lock) = self.open_file(&lock_name(number), false)? else { return Ok(None) };
        let mut text = [0; STATUS_BYTES];
        let length = lock.read_at(&mut text, 0).unwrap_or(0);
        Ok(serde_json::from_slice(&text[..length]).ok())
    }

    /// The state of the file with the messages of slot `number`.
    pub(crate) fn stamp(&self, number: u32) -> Stamp {
        let name = file_name(number);
        let stat = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        stat.map_or_else(
            |_| Stamp::default(),
            |stat| Stamp {
                bytes: u64::try_from(stat.st_size).unwrap_or(0),
                changed: (stat.st_ctime, stat.st_ctime_nsec.into()),
            },
        )
    }

    /// Opens a file of ours; makes it first where it is missing and `create` says so.
    fn open_file(&self, name: &str, create: bool) -> Result<Option<File>> {
        let path = self.path.join(name);
        // Should the name be a FIFO, it does not hang.
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let flags = if create { flags | OFlags::CREATE } else { flags };
        let file = match rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(FILE_MODE)) {
            Ok(fd) => File::from(fd),
            Err(rustix::io::Errno::NOENT) if !create => return Ok(None),
            Err(rustix::io::Errno::LOOP) => {
                return Err(access(&path, "is a symbolic link: remove it"));
            }
            Err(error) => return Err(of_file(&path, "cannot be opened", error.into())),
        };
        let metadata =
            file.metadata().map_err(|error| of_file(&path, "cannot be looked at", error))?;
        if !metadata.is_file() {
            return Err(access(&path, "is not a regular file: remove it"));
        }
        must_be_ours(&path, &metadata)?;
        Ok(Some(file))
    }

    /// Makes the entries of the directory as durable as what is in the files.
    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }
}

/// What tells two states of a file apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) bytes: u64,
    changed: (i64, i128),
}

impl Stamp {
    /// Nothing can be in the file, or there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

/// A slot that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    number: u32,
    lock: File,
    dir: Arc<Dir>,
    mark: Arc<Mark>,
}

/// Says of a slot's file that not all of it may be on the disk, also to the next process. It is an
/// empty file, and not synced: where it is lost, so is what it speaks of.
#[derive(Debug)]
pub(crate) struct Mark {
    dir: Arc<Dir>,
    name: String,
    set: AtomicBool,
}

impl Mark {
    fn of(dir: &Arc<Dir>, number: u32) -> Arc<Self> {
        let name = format!("slot-{number}.unsynced");
        let there = rustix::fs::statat(&dir.fd, &name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        Arc::new(Self { dir: Arc::clone(dir), name, set: AtomicBool::new(there) })
    }

    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self) {
        self.set.store(true, Ordering::Relaxed);
        // Where there is no room for it, this process still knows.
        self.dir.open_file(&self.name, true).ok();
    }

    pub(crate) fn clear(&self) {
        self.set.store(false, Ordering::Relaxed);
        rustix::fs::unlinkat(&self.dir.fd, &self.name, AtFlags::empty()).ok();
    }
}

impl Slot {
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The path of the file with the messages, for errors.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path.join(file_name(self.number))
    }

    /// Opens what `disk` keeps for the slot, all of it on the disk. The inner error is the disk's.
    pub(crate) fn open(&self, disk: &dyn Disk) -> Result<io::Result<Arc<dyn Storage>>> {
        let opened = disk.open(self.number, self.open_file()?);
        Ok(opened.and_then(|storage| watch(storage, Arc::clone(&self.mark))))
    }

    /// Opens the file with the messages; makes it where it is missing.
    fn open_file(&self) -> Result<File> {
        let name = file_name(self.number);
        if let Some(file) = self.dir.open_file(&name, false)? {
            return Ok(file);
        }
        let made = self.dir.open_file(&name, true)?;
        let unsynced = |error| of_file(&self.dir.path, "cannot be synced", error);
        self.dir.sync().map_err(unsynced)?;
        // It was made a moment ago, and none but us does anything with it.
        made.ok_or_else(|| unsynced(io::ErrorKind::NotFound.into()))
    }

    /// Renames the file with the messages aside; returns its new path.
    pub(crate) fn set_aside(&self) -> Result<PathBuf> {
        let (name, now) = (file_name(self.number), OffsetDateTime::now_utc());
        let aside = format!("{name}.corrupt-{}", now.unix_timestamp_nanos() / 1_000);
        let dir = &self.dir;
        rustix::fs::renameat(&dir.fd, &name, &dir.fd, &aside)
            .map_err(io::Error::from)
            .and_then(|()| dir.sync())
            .map_err(|error| of_file(&self.path(), "cannot be set aside", error))?;
        Ok(dir.path.join(aside))
    }

    /// Writes down who holds the slot and what is in it, for whoever looks from outside. Best effort:
    /// on a full disk it stays as it was.
    pub(crate) fn tell(&self, status: &Status) {
        let Ok(mut text) = serde_json::to_vec(status) else { return };
        text.push(b'\n');
        if self.lock.write_all_at(&text, 0).is_ok() {
            self.lock.set_len(text.len() as u64).ok();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // The lock goes with the file; a process that forked off meanwhile must not keep it.
        self.lock.set_len(0).ok();
        rustix::fs::flock(&self.lock, FlockOperation::NonBlockingUnlock).ok();
    }
}

fn make(path: &Path) -> Result<()> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(DIR_MODE)) {
        Ok(()) => {}
        Err(rustix::io::Errno::EXIST) => return Ok(()),
        Err(rustix::io::Errno::NOENT) => {
            let above = path.parent().map(shown).unwrap_or_default();
            let what = format!("needs the directory {above}: create it");
            return Err(of_file(path, &what, io::ErrorKind::NotFound.into()));
        }
        Err(error) => return Err(of_file(path, "cannot be made", error.into())),
    }
    let synced = path.parent().map_or(Ok(()), |above| File::open(above)?.sync_all());
    synced.map_err(|error| of_file(path, "cannot be synced in its directory", error))
}

/// Refuses what somebody else could have put there, or could change.
fn must_be_ours(path: &Path, metadata: &fs::Metadata) -> Result<()> {
    let (owner, we) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != we {
        let what = format!("belongs to user {owner}, and this process runs as user {we}");
        return Err(access(path, &what));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(access(path, "can be written to by others: chmod go-w"));
    }
    Ok(())
}

fn lock_name(number: u32) -> String {
    format!("slot-{number}.lock")
}

fn file_name(number: u32) -> String {
    format!("slot-{number}.redb")
}

/// More processes than share a host's spool by intention.
const MAX_SLOTS: u32 = 1024;
/// More than [`Slot::tell`] writes.
const STATUS_BYTES: usize = 1024;
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
