//! What can be seen of the log without writing a notification, for `glance-notify check`.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use notify_core::Result;
use notify_core::transport::Finding;
use tracing::Level;

use crate::config::{Config, FileConfig};
use crate::events::TARGET;
use crate::{error, reopen};

/// Looks, and leaves nothing behind.
pub(crate) fn look(config: &Config) -> Vec<Finding> {
    match config {
        Config::File(file) => look_at_file(file),
        Config::Stdout => vec![Finding::warning(
            "stdout",
            "standard output cannot be synced: delivered means handed over",
        )],
        Config::Tracing => vec![look_at_subscriber()],
    }
}

fn look_at_file(config: &FileConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    match can_append(&config.path) {
        Ok(seen) => findings.push(Finding::good("file", seen)),
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

/// What is there, or would be. An absent file is not created: whoever checks may be another user
/// than the service, and would own it.
fn can_append(path: &Path) -> Result<String> {
    match fs::metadata(path) {
        Ok(metadata) => {
            reopen::must_be_regular(path, &metadata)?;
            OpenOptions::new().read(true).append(true).open(path).map_err(cannot_open(path))?;
            let (size, mode) = (metadata.len(), metadata.mode() & 0o7777);
            Ok(format!("{}: {size} bytes, mode {mode:04o}", error::shown(path)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            reopen::must_have_a_directory(path)?;
            can_create_in(reopen::directory(path)).map_err(cannot_open(path))?;
            Ok(format!("{}: does not exist yet, can be created", error::shown(path)))
        }
        Err(error) => Err(cannot_open(path)(error)),
    }
}

/// Creates a file and removes it at once: permission bits alone do not tell.
fn can_create_in(directory: &Path) -> io::Result<()> {
    let probe = directory.join(format!(".glance-notify-check-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(probe)
}

fn cannot_open(path: &Path) -> impl Fn(io::Error) -> notify_core::Error {
    move |error| error::of_file(path, "cannot be opened for appending", error)
}

fn look_at_subscriber() -> Finding {
    if tracing::enabled!(target: TARGET, Level::INFO) {
        Finding::good("tracing", format!("the program's subscriber takes events of {TARGET}"))
    } else {
        Finding::warning(
            "tracing",
            format!("the program has no subscriber that takes INFO events of {TARGET}"),
        )
    }
}
