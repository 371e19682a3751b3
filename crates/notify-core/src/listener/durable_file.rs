//! Files that survive a power cut: how their content is replaced, and how their names become durable.
//!
//! The crates of this workspace share it. All functions block.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Writes `content` to a file, which only its owner may read, in place of an earlier one.
///
/// # Errors
///
/// The error of the file or of its directory. The file then has its earlier content or the new one.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = temporary_path(path);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_directory(path)
}

/// Returns the path of a new content before it replaces the earlier one.
pub fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Syncs the directory of `path`, so that a new, renamed or removed file stays so.
///
/// # Errors
///
/// The error of the directory.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// The errors of file systems and directories that do not support syncing, as opposed to a sync
/// that failed.
pub const SYNC_UNSUPPORTED: [io::ErrorKind; 3] =
    [io::ErrorKind::InvalidInput, io::ErrorKind::Unsupported, io::ErrorKind::PermissionDenied];
