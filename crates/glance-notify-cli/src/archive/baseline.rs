//! `glance-notify archive baseline`: stores the catalogue of images.

use std::io::Read as _;
use std::path::PathBuf;

use notify_archive::ArchiveWriter;
use notify_archive::question::read_catalogue;

use super::archive_dir::ArchiveDir;
use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::{InputSource, read_error};
use crate::terminal::{counted, print_note};

/// Store the catalogue of images, as Glance's API lists it, so that `report storage` knows the images that
/// are older than the archive. It replaces the catalogue that was stored before.
#[derive(clap::Args)]
pub(super) struct BaselineArgs {
    #[command(flatten)]
    dir: ArchiveDir,

    /// The answer of `GET /v2/images`, with all pages in one list; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Stores the catalogue.
///
/// # Errors
///
/// Returns an error if the file is no catalogue or the archive cannot be written.
pub(super) fn run(args: &BaselineArgs) -> Result<ExitStatus, CommandError> {
    let InputSource { name, mut reader, .. } = InputSource::open(Some(&args.file))?;
    let mut json = Vec::new();
    reader.read_to_end(&mut json).map_err(|error| read_error(&name, &error))?;
    let images = read_catalogue(&json).map_err(|expected| {
        CommandError::new(ExitStatus::InvalidInput, format!("`{name}`: {expected}"))
    })?;
    ArchiveWriter::open(&args.dir.archive)?.set_baseline(&images)?;
    let stored = counted(images.len() as u64, "image");
    print_note(format_args!("{stored} stored as the baseline"));
    Ok(ExitStatus::Success)
}
