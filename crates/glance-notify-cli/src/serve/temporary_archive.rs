//! An archive of one run: [`TemporaryArchive`].

use std::path::{Path, PathBuf};

use notify_archive::ArchiveWriter;
use tempfile::TempDir;

use crate::archive::import::{ImportSummary, import};
use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::display_path;

/// An archive in a temporary directory that only its owner can read. Dropping it removes the directory.
pub(super) struct TemporaryArchive {
    directory: TempDir,
    name: String,
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
        Ok(Self { directory, name })
    }

    /// Reads the input to its end.
    ///
    /// # Errors
    ///
    /// Returns an error if the input cannot be read or the directory not written.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, a thread goes on reading until the process ends.
    pub(super) async fn fill(&self, input: PathBuf) -> Result<(), CommandError> {
        let directory = self.directory.path().to_owned();
        let filled = tokio::task::spawn_blocking(move || {
            let mut writer = ArchiveWriter::open(&directory)?;
            import(&input, None, &mut writer, &mut ImportSummary::default())
        });
        filled.await.unwrap_or_else(|_| {
            let message = "this is a bug in glance-notify: please report the lines above";
            Err(CommandError::new(ExitStatus::PermanentError, message))
        })
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
