//! Checks of the path in `log.file` that need no open file.
//!
//! The transport runs them before it opens the file, and `glance-notify check` runs them without
//! opening it.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use notify_core::Result;

use crate::error::{config_error, display_path};

/// Checks that an existing file is a regular file.
///
/// # Errors
///
/// [`ErrorKind::Config`](notify_core::ErrorKind::Config) for a directory, a device, a FIFO or a
/// socket.
pub(crate) fn require_regular_file(path: &Path, metadata: &Metadata) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(config_error(
        path,
        if metadata.is_dir() {
            "is a directory: name a file in it"
        } else {
            "is not a regular file: for standard output set `log.target = \"stdout\"`"
        },
    ))
}

/// Checks that the directory of `path` exists. The transport never creates one: it cannot know
/// which owner and mode the directory needs.
///
/// # Errors
///
/// [`ErrorKind::Config`](notify_core::ErrorKind::Config) if there is no such directory. Any other
/// failure to look at it is none: opening the file reports that one better.
pub(crate) fn require_parent_directory(path: &Path) -> Result<()> {
    let directory = parent_directory(path);
    match fs::metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let problem = format!("needs the directory {}: create it", display_path(directory));
            Err(config_error(path, &problem))
        }
        _ => Ok(()),
    }
}

/// Returns the directory that holds `path`; `.` for a bare file name.
pub(crate) fn parent_directory(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}
