//! The option that names the archive.

use std::path::PathBuf;

/// The option `--archive`.
#[derive(clap::Args)]
pub(super) struct ArchiveDir {
    /// Directory of the archive.
    #[arg(long, value_name = "DIR")]
    pub(super) archive: PathBuf,
}
