//! Administration of a spool's directory from outside of the process that fills it.
//!
//! `glance-notify spool` uses these functions: they list slots, read pending messages and dead letters,
//! retry dead letters and remove messages.
//!
//! Every function blocks. Only a slot that no process owns can be opened. For a slot in use, [`slots`]
//! returns the status that its owner published last, about a second ago.
//!
//! # Examples
//!
//! A program that retries every dead letter:
//!
//! ```no_run
//! use std::path::Path;
//!
//! use notify_core::Result;
//! use notify_spool::admin::{self, OpenSlot};
//!
//! fn retry_all(dir: &Path) -> Result<u64> {
//!     let mut retried = 0;
//!     for slot in admin::slots(dir)? {
//!         if slot.owner.is_none() {
//!             let mut open = OpenSlot::open(dir, slot.number)?;
//!             let dead = open.dead_letters().collect::<Result<Vec<_>>>()?;
//!             retried += open.retry(dead.iter().map(|letter| letter.number))?;
//!         }
//!     }
//!     Ok(retried)
//! }
//! ```

mod open_slot;
mod stored_message;

use std::path::Path;

use notify_core::Result;

pub use open_slot::OpenSlot;
pub use stored_message::{RefusalInfo, StoredMessage};

use crate::slot::{Slot, database_version, read_status};
use crate::slot_status::SlotContents;
use crate::spool_dir::SpoolDir;

/// One slot of a directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SlotInfo {
    /// The slot's number, from 0.
    pub number: u32,
    /// The id of the process that owns the slot; `None` for a free slot. The id is 0 if the owner has
    /// not published it yet.
    pub owner: Option<u32>,
    /// The contents of the slot. For a slot in use they come from the owner's last status, and they are
    /// `None` before its first.
    ///
    /// # Errors
    ///
    /// The error of a slot that cannot be read, for example of a damaged file.
    pub contents: Result<Option<SlotContents>>,
    /// The size of the slot's database file, in bytes.
    pub file_bytes: u64,
}

/// Returns every slot of the spool in `dir`, sorted by number.
///
/// The function opens each free slot for a moment to count its messages.
///
/// # Errors
///
/// The error of `dir`: it does not exist, belongs to another user or cannot be listed. The error of a
/// single slot is in [`SlotInfo::contents`].
///
/// # Examples
///
/// ```no_run
/// # fn main() -> notify_core::Result<()> {
/// let dir = std::path::Path::new("/var/spool/glance-notify");
/// for slot in notify_spool::admin::slots(dir)? {
///     match slot.contents? {
///         Some(contents) => println!("slot {}: {} pending", slot.number, contents.pending.messages),
///         None => println!("slot {}: in use", slot.number),
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub fn slots(dir: &Path) -> Result<Vec<SlotInfo>> {
    let dir = SpoolDir::open(dir, false)?;
    let inspect = |number| {
        let file_bytes = database_version(&dir, number).bytes;
        let (owner, contents) = match Slot::try_lock(&dir, number, false) {
            Err(error) => (None, Err(error)),
            Ok(None) => match read_status(&dir, number) {
                Err(error) => (Some(0), Err(error)),
                Ok(None) => (Some(0), Ok(None)),
                Ok(Some(status)) => (Some(status.pid), Ok(status.contents)),
            },
            Ok(Some(_)) if file_bytes == 0 => (None, Ok(Some(SlotContents::default()))),
            Ok(Some(slot)) => (None, OpenSlot::new(slot).map(|open| Some(open.contents()))),
        };
        SlotInfo { number, owner, contents, file_bytes }
    };
    Ok(crate::slot::slot_numbers(&dir)?.into_iter().map(inspect).collect())
}

/// Returns the numbers of all slots of the spool in `dir`, sorted, without opening any slot.
///
/// # Errors
///
/// The error of `dir`: it does not exist, belongs to another user or cannot be listed.
///
/// # Examples
///
/// ```
/// # use std::os::unix::fs::DirBuilderExt as _;
/// let parent = tempfile::tempdir()?;
/// let dir = parent.path().join("spool");
/// assert!(notify_spool::admin::slot_numbers(&dir).is_err(), "the directory does not exist");
///
/// std::fs::DirBuilder::new().mode(0o700).create(&dir)?;
/// assert!(notify_spool::admin::slot_numbers(&dir)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn slot_numbers(dir: &Path) -> Result<Vec<u32>> {
    crate::slot::slot_numbers(&*SpoolDir::open(dir, false)?)
}
