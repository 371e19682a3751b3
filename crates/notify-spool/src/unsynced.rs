//! What to do about a file after a sync failed.
//!
//! Linux takes for written what it failed to write: the next sync succeeds and brings none of it to
//! the disk. All that was written still reads as it should, so that the database opens and goes on,
//! and is beyond repair after a power cut. So the whole file is written again before it is opened.

use std::io;
use std::sync::Arc;

use crate::dir::Mark;
use crate::disk::Storage;

/// `storage`, all of it on the disk, and watched from now on. `mark` is set while it is not on the
/// disk.
///
/// # Errors
///
/// When the disk does still not take it.
pub(crate) fn watch(storage: Arc<dyn Storage>, mark: Arc<Mark>) -> io::Result<Arc<dyn Storage>> {
    let watched = Arc::new(Watched { storage, mark });
    if watched.mark.is_set() {
        write_again(&*watched)?;
        watched.mark.clear();
    }
    Ok(watched)
}

fn write_again(storage: &dyn Storage) -> io::Result<()> {
    let size = storage.size()?;
    let mut chunk = vec![0; usize::try_from(size).unwrap_or(usize::MAX).min(CHUNK_BYTES)];
    let mut offset = 0;
    while offset < size {
        let left = usize::try_from(size - offset).unwrap_or(usize::MAX);
        let chunk = &mut chunk[..left.min(CHUNK_BYTES)];
        storage.read(offset, chunk)?;
        storage.write(offset, chunk)?;
        offset += chunk.len() as u64;
    }
    storage.sync()
}

#[derive(Debug)]
struct Watched {
    storage: Arc<dyn Storage>,
    mark: Arc<Mark>,
}

impl Storage for Watched {
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

const CHUNK_BYTES: usize = 1024 * 1024;
