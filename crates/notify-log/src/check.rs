//! The findings of `glance-notify check` about the target of `log`.
//!
//! The checks write no notification and leave no file behind.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use notify_core::Result;
use notify_core::transport::Finding;
use tracing::Level;

use crate::config::{Config, FileConfig};
use crate::error::{display_path, file_error};
use crate::path::{parent_directory, require_parent_directory, require_regular_file};
use crate::tracing_events::TARGET;

/// Checks the configured target. Blocks on the disk, so call it on a thread of its own.
pub(crate) fn check(config: &Config) -> Vec<Finding> {
    match config {
        Config::File(file) => check_file(file),
        Config::Stdout => vec![Finding::warning(
            "stdout",
            "standard output cannot be synced: delivered means handed over",
        )],
        Config::Tracing => vec![check_subscriber()],
    }
}

/// Checks that the file can be appended to, and tells what `delivered` means with this `log.sync`.
fn check_file(config: &FileConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    match describe_file(&config.path) {
        Ok(description) => findings.push(Finding::good("file", description)),
        Err(error) => findings.push(Finding::bad("file", error)),
    }
    findings.push(if config.sync {
        Finding::good("sync", "delivered means on the disk")
    } else {
        Finding::warning(
            "sync",
            "`log.sync` is off: a power cut loses notifications that were reported delivered",
        )
    });
    findings
}

/// Describes the file, or the place where it will be.
///
/// Does not create a missing file: the check may run as another user than the service, and that user
/// would own it.
///
/// # Errors
///
/// The error that the first batch would get.
fn describe_file(path: &Path) -> Result<String> {
    match fs::metadata(path) {
        Ok(metadata) => {
            require_regular_file(path, &metadata)?;
            OpenOptions::new().read(true).append(true).open(path).map_err(open_error(path))?;
            let (size, mode) = (metadata.len(), metadata.mode() & 0o7777);
            Ok(format!("{}: {size} bytes, mode {mode:04o}", display_path(path)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            require_parent_directory(path)?;
            probe_directory(parent_directory(path)).map_err(open_error(path))?;
            Ok(format!("{}: does not exist yet, can be created", display_path(path)))
        }
        Err(error) => Err(open_error(path)(error)),
    }
}

/// Creates a file in `directory` and removes it at once, because permission bits alone do not tell
/// whether that works.
fn probe_directory(directory: &Path) -> io::Result<()> {
    let probe = directory.join(format!(".glance-notify-check-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(probe)
}

/// Returns a function that converts an error of opening `path`.
fn open_error(path: &Path) -> impl Fn(io::Error) -> notify_core::Error {
    move |error| file_error(path, "cannot be opened for appending", error)
}

/// Checks whether the program's subscriber accepts the events of [`TARGET`].
fn check_subscriber() -> Finding {
    if tracing::enabled!(target: TARGET, Level::INFO) {
        Finding::good("tracing", format!("the program's subscriber accepts events of {TARGET}"))
    } else {
        Finding::warning(
            "tracing",
            format!("the program has no subscriber that accepts INFO events of {TARGET}"),
        )
    }
}
