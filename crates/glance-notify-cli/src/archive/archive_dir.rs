//! The option that names the archive.

use std::path::PathBuf;

use notify_archive::{Archive, ArchiveErrorKind, ArchiveWriter, Result};

/// The option `--archive`.
#[derive(clap::Args)]
pub(super) struct ArchiveDir {
    /// Directory of the archive.
    #[arg(long, value_name = "DIR")]
    pub(super) archive: PathBuf,
}

impl ArchiveDir {
    /// Opens an archive that exists for writing. [`ArchiveWriter::open`] would create it at a misspelt path.
    pub(super) fn open_existing(&self) -> Result<ArchiveWriter> {
        match Archive::open(&self.archive) {
            Err(error) if error.kind() == ArchiveErrorKind::NotAnArchive => Err(error),
            // The writer knows better about any other error: it waits for no other writer.
            _ => ArchiveWriter::open(&self.archive),
        }
    }
}
