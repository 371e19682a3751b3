//! What a slot's database is kept on: a file; in tests whatever can be broken.
//!
//! There are no locks here: who holds a slot's lock has its file for itself.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use redb::StorageBackend;

/// Opens what a slot's database is kept on. For tests that cut the power, fill up and fail.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Opens the storage of slot `number`, whose file is open already; an implementation may ignore
    /// the file. Called again after every error of the storage.
    ///
    /// # Errors
    ///
    /// As opening a file.
    fn open(&self, number: u32, file: File) -> io::Result<Arc<dyn Storage>>;
}

/// Bytes that can be synced.
pub trait Storage: fmt::Debug + Send + Sync + 'static {
    /// How many bytes there are.
    ///
    /// # Errors
    ///
    /// As a file.
    fn size(&self) -> io::Result<u64>;

    /// Fills `out` with the bytes from `offset` on, all of which exist.
    ///
    /// # Errors
    ///
    /// As a file.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes all of `data` from `offset` on.
    ///
    /// # Errors
    ///
    /// As a file.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Cuts, or adds zeros.
    ///
    /// # Errors
    ///
    /// As a file.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Returns once everything that was written before is safe from a power cut.
    ///
    /// # Errors
    ///
    /// As a file.
    fn sync(&self) -> io::Result<()>;
}

impl Storage for File {
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

/// The real one.
#[derive(Debug)]
pub(crate) struct Files;

impl Disk for Files {
    fn open(&self, _: u32, file: File) -> io::Result<Arc<dyn Storage>> {
        Ok(Arc::new(file))
    }
}

/// A storage as the database wants it. It remembers why it failed, for the database does not always
/// say.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    storage: Arc<dyn Storage>,
    fault: Arc<Mutex<Option<io::Error>>>,
}

impl Backend {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage, fault: Arc::default() }
    }

    /// The first error since the last time that this was asked.
    pub(crate) fn fault(&self) -> Option<io::Error> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    fn noting<T>(&self, result: io::Result<T>) -> io::Result<T> {
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

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.noting(self.storage.size())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.noting(self.storage.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.noting(self.storage.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.noting(self.storage.sync())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.noting(self.storage.write(offset, data))
    }
}
