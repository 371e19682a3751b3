//! The storage under a slot's database: a file, or in tests a simulated disk.
//!
//! Not public API: the tests of the spool implement [`SpoolDisk`] to cut the power, fill the disk and
//! make operations fail. Nothing here locks: the owner of a slot's lock is the only user of its file.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use redb::StorageBackend;

/// A disk that opens the storage of slots.
///
/// # Examples
///
/// ```
/// use std::fs::File;
/// use std::io;
/// use std::sync::Arc;
///
/// use notify_spool::disk::{SlotStorage, SpoolDisk};
///
/// /// A disk that refuses every slot.
/// #[derive(Debug)]
/// struct BrokenDisk;
///
/// impl SpoolDisk for BrokenDisk {
///     fn open(&self, _: u32, _: File) -> io::Result<Arc<dyn SlotStorage>> {
///         Err(io::Error::other("input/output error"))
///     }
/// }
///
/// let config = notify_spool::Config::new("/var/spool/glance-notify").on_disk(Arc::new(BrokenDisk));
/// assert_eq!(config.max_messages, 1_000_000);
/// ```
pub trait SpoolDisk: fmt::Debug + Send + Sync {
    /// Opens the storage of slot `number`.
    ///
    /// `file` is the slot's file, already open; a simulated disk may ignore it. The spool opens the
    /// storage again after every error that the storage returns.
    ///
    /// # Errors
    ///
    /// As for opening a file.
    fn open(&self, number: u32, file: File) -> io::Result<Arc<dyn SlotStorage>>;

    /// Returns as soon as a power cut can no longer undo the names in `directory`.
    ///
    /// # Errors
    ///
    /// As for syncing a file.
    fn sync_directory(&self, directory: BorrowedFd<'_>) -> io::Result<()> {
        Ok(rustix::fs::fsync(directory)?)
    }
}

/// The bytes of one slot, with random access.
pub trait SlotStorage: fmt::Debug + Send + Sync + 'static {
    /// Returns the number of bytes.
    ///
    /// # Errors
    ///
    /// As for a file's metadata.
    fn size(&self) -> io::Result<u64>;

    /// Fills `out` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// As for reading a file. [`io::ErrorKind::UnexpectedEof`] if the storage is shorter.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes all of `data` from `offset` on.
    ///
    /// # Errors
    ///
    /// As for writing a file. The disk may then have a part of `data`.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Truncates the storage to `len` bytes, or extends it with zeros.
    ///
    /// # Errors
    ///
    /// As for [`File::set_len`].
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Returns as soon as a power cut can no longer undo the earlier writes.
    ///
    /// # Errors
    ///
    /// As for [`File::sync_data`]. No later sync is then reliable, see `sync_failure.rs`.
    fn sync(&self) -> io::Result<()>;
}

impl SlotStorage for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(out, offset)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write_all_at(data, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// The disk of every real spool: it uses the slot's file itself.
#[derive(Debug)]
pub(crate) struct FileDisk;

impl SpoolDisk for FileDisk {
    fn open(&self, _: u32, file: File) -> io::Result<Arc<dyn SlotStorage>> {
        Ok(Arc::new(file))
    }
}

/// An adapter from [`SlotStorage`] to the interface of redb.
///
/// It keeps the first error of the storage, because redb does not always pass it on. All clones share
/// one storage and one error.
#[derive(Clone, Debug)]
pub(crate) struct StorageAdapter {
    storage: Arc<dyn SlotStorage>,
    fault: Arc<Mutex<Option<io::Error>>>,
}

impl StorageAdapter {
    /// Returns an adapter without an error.
    pub(crate) fn new(storage: Arc<dyn SlotStorage>) -> Self {
        Self { storage, fault: Arc::default() }
    }

    /// Takes the first error since the last call.
    pub(crate) fn take_fault(&self) -> Option<io::Error> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns the storage itself. Its errors do not become faults of the adapter.
    pub(crate) fn storage(&self) -> &dyn SlotStorage {
        &*self.storage
    }

    /// Returns `result`, and keeps a copy of its error.
    fn keep_fault<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            let copy = match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => error.kind().into(),
            };
            self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(copy);
        }
        result
    }
}

impl StorageBackend for StorageAdapter {
    fn len(&self) -> io::Result<u64> {
        self.keep_fault(self.storage.size())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.keep_fault(self.storage.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.keep_fault(self.storage.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.keep_fault(self.storage.sync())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.keep_fault(self.storage.write(offset, data))
    }
}
