//! The spool's part of `glance-notify check`: a finding about the directory.
//!
//! The check only looks: it locks, creates, writes and repairs nothing, and it opens no database. So it
//! disturbs no process that uses the spool.

use std::fs;
use std::io;
use std::path::Path;

use notify_core::Result;
use notify_core::transport::Finding;
use rustix::fs::Access;

use crate::config::Config;
use crate::error::{file_error, printable_path};
use crate::slot::{check_slot_files, database_version, read_status, slot_numbers};
use crate::slot_status::{MessageTotals, SlotStatus};
use crate::spool_dir::{SpoolDir, missing_parent};
use crate::unknown_slots::find_unknown_slots;

/// Looks at the spool's directory and returns one finding, and one for each directory with slots of unknown
/// destinations.
///
/// The function blocks.
pub(crate) fn check_directory(config: &Config) -> Vec<Finding> {
    let is_missing = |dir: &Path| {
        fs::symlink_metadata(dir).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let found = match &config.root {
        _ if !is_missing(&config.dir) => look_at_slots(&config.dir),
        Some(root) if is_missing(root) => check_parent(root),
        _ => check_parent(&config.dir),
    };
    let found = match found {
        Ok(text) => Finding::good("spool", format!("{}: {text}", printable_path(&config.dir))),
        Err(error) => Finding::bad("spool", error),
    };
    std::iter::once(found).chain(find_unknown_slots(config)).collect()
}

/// Checks that the spool can create its directory.
fn check_parent(dir: &Path) -> Result<String> {
    let parent = dir.parent().unwrap_or(dir);
    match fs::metadata(parent) {
        Err(error) => return Err(missing_parent(dir, error)),
        Ok(metadata) if !metadata.is_dir() => {
            return Err(missing_parent(dir, io::ErrorKind::NotADirectory.into()));
        }
        Ok(_) => {}
    }
    rustix::fs::access(parent, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
        let problem = "cannot be created in its parent directory: create it, and give it to the user \
                       of the service with mode 0700";
        file_error(dir, problem, error.into())
    })?;
    Ok("does not exist yet, can be created".to_owned())
}

/// Sums up the slots as their files and their owners describe them.
fn look_at_slots(path: &Path) -> Result<String> {
    let dir = SpoolDir::open(path, false)?;
    rustix::fs::access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| file_error(path, "is not writable", error.into()))?;
    let numbers = slot_numbers(&dir)?;
    let (mut owned, mut bytes) = (0, 0);
    let (mut pending, mut dead) = (MessageTotals::default(), MessageTotals::default());
    for &number in &numbers {
        bytes += database_version(&dir, number).bytes;
        check_slot_files(&dir, number)?;
        let status = read_status(&dir, number)?;
        let Some(status) = status.filter(SlotStatus::owner_is_alive) else { continue };
        owned += 1;
        let contents = status.contents.unwrap_or_default();
        pending = pending.plus(contents.pending);
        dead = dead.plus(contents.dead);
    }
    let in_use = match owned {
        0 => String::new(),
        _ => format!(
            ", {} messages pending and {} dead letters in the slots in use",
            pending.messages, dead.messages
        ),
    };
    Ok(format!(
        "{} slots, {owned} of them in use by a process, {bytes} bytes{in_use}",
        numbers.len()
    ))
}
