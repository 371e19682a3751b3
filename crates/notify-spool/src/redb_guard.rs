//! Protection against the ways in which redb fails on a damaged or unfinished file.
//!
//! redb checks the whole file whenever it opens it. It may still panic on a file that something changed
//! behind its back, so that the spool makes every call of the database through [`catch_panic`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::disk::SlotStorage;
use crate::error::SlotError;

/// Runs `work` and converts a panic into the error that `on_panic` returns.
///
/// A caller that continues after an error closes the database and opens it again. The opening checks the
/// file, so that no broken state from the panic survives.
pub(crate) fn catch_panic<T>(
    on_panic: impl FnOnce() -> SlotError,
    work: impl FnOnce() -> Result<T, SlotError>,
) -> Result<T, SlotError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(on_panic()))
}

/// Returns the error for a panic of an open database.
pub(crate) fn database_panicked() -> SlotError {
    SlotError::Io(std::io::Error::other("the database panicked"))
}

/// Whether a crash interrupted the creation of the database, so that the file cannot hold messages.
///
/// redb writes its magic number after everything else of an empty database is on the disk. A small
/// file without the magic number, whose pages behind the first are all zero, is such a file.
///
/// # Errors
///
/// As for reading a file.
pub(crate) fn is_unfinished(storage: &dyn SlotStorage) -> Result<bool, SlotError> {
    let len = storage.size()?;
    if len == 0 || len > UNFINISHED_BYTES {
        return Ok(false);
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    storage.read(0, &mut bytes)?;
    let (head, rest) = bytes.split_at(bytes.len().min(PAGE_BYTES));
    let magic = head.iter().take(MAGIC_BYTES);
    Ok(magic.chain(rest).all(|byte| *byte == 0))
}

/// The size limit of an unfinished file. A new database is much smaller.
const UNFINISHED_BYTES: u64 = 4 * 1024 * 1024;
/// The size of redb's first page, which holds the header.
const PAGE_BYTES: usize = 4096;
/// The length of redb's magic number at the start of the file.
const MAGIC_BYTES: usize = 9;
