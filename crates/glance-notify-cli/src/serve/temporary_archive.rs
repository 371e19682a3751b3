//! An archive of one run: [`TemporaryArchive`].

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify_archive::ArchiveWriter;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::archive::import::{ImportSummary, import};
use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::display_path;
use crate::terminal::print_warning;

/// An archive in a temporary directory that only its owner can read. Dropping it removes the directory.
pub(super) struct TemporaryArchive {
    directory: TempDir,
    name: String,
    /// Whether the reading of the input stops.
    is_stopped: Arc<AtomicBool>,
}

impl TemporaryArchive {
    /// Creates the directory for the notifications of an input.
    ///
    /// # Errors
    ///
    /// Returns an error if the directory for temporary files is not writable.
    pub(super) fn new(input: &Path) -> Result<Self, CommandError> {
        let directory = tempfile::Builder::new().prefix("glance-notify-").tempdir();
        let directory = directory.map_err(|error| {
            CommandError::file("cannot create a temporary archive: set TMPDIR", &error)
        })?;
        let name = match input.to_str() {
            Some("-") => "standard input".to_owned(),
            _ => display_path(input),
        };
        Ok(Self { directory, name, is_stopped: Arc::default() })
    }

    /// Reads the input to its end.
    ///
    /// # Errors
    ///
    /// Returns an error if the input cannot be read or the directory not written.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, a thread goes on reading until [`discard`](Self::discard).
    pub(super) async fn fill(&self, input: PathBuf) -> Result<(), CommandError> {
        // Opening creates the directory, so the thread must not do it: the directory may be gone by then.
        let mut writer = ArchiveWriter::open(self.directory.path())?;
        let is_stopped = Arc::clone(&self.is_stopped);
        let filled = tokio::task::spawn_blocking(move || {
            import(&input, None, &mut writer, &mut ImportSummary::default(), &is_stopped)
        });
        filled.await.unwrap_or_else(|_| {
            let message = "this is a bug in glance-notify: please report the lines above";
            Err(CommandError::new(ExitStatus::PermanentError, message))
        })
    }

    /// Stops the reading, and removes the directory.
    ///
    /// A thread may still create a file in the directory, so that an attempt fails. Once the directory is gone,
    /// no thread creates it again.
    pub(super) async fn discard(self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        let directory = self.directory.path();
        let deadline = Instant::now() + REMOVAL_TIMEOUT;
        while fs::remove_dir_all(directory).is_err() && directory.exists() {
            if Instant::now() >= deadline {
                let directory = display_path(directory);
                print_warning(format_args!(
                    "cannot remove `{directory}`, which holds notifications: remove it"
                ));
                break;
            }
            sleep(REMOVAL_INTERVAL).await;
        }
    }

    /// Returns the directory.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the name of the input for people.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// The longest time of the attempts to remove the directory.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(5);
/// The time between two attempts.
const REMOVAL_INTERVAL: Duration = Duration::from_millis(20);
