//! `glance-notify archive import`: stores the notifications of files.
//!
//! The position behind each batch is stored with it. A killed import therefore continues, and an import of
//! a file that has grown stores only its new lines.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use notify_archive::ArchiveWriter;
use notify_archive::record::{RecordLines, RecordReader};
use notify_archive::store::{AppendOutcome, ImportBatches, ImportPosition, content_hash};

use super::archive_dir::ArchiveDir;
use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::{InputSource, display_path, read_error};
use crate::progress::ProgressLine;
use crate::terminal::print_note;

/// Store the notifications of files: JSON lines and log files of oslo.messaging. Copies are recognised, and
/// an import that was interrupted continues where it was. Lines that look like notifications and are none
/// are kept with the reason; other lines of a log file are left out.
#[derive(clap::Args)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    dir: ArchiveDir,

    /// Region that the files come from.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,

    /// The files. `-` is standard input, which has no position to continue from.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// The numbers of an import.
#[derive(Default)]
pub(crate) struct ImportSummary {
    stored: AppendOutcome,
    other_lines: u64,
}

/// Imports the files.
///
/// # Errors
///
/// Returns an error if a file cannot be read or the archive not written. Everything before is stored.
pub(super) fn run(args: &ImportArgs) -> Result<ExitStatus, CommandError> {
    let mut writer = ArchiveWriter::open(&args.dir.archive)?;
    let mut summary = ImportSummary::default();
    for path in &args.files {
        let never_stopped = AtomicBool::new(false);
        import(path, args.region.as_deref(), &mut writer, &mut summary, &never_stopped)?;
    }
    let AppendOutcome { stored, copies, reused, unreadable, .. } = summary.stored;
    print_note(format_args!(
        "{stored} stored, {copies} copies, {unreadable} unreadable, {} other lines{}",
        summary.other_lines,
        if reused > 0 {
            format!("; {reused} stored with the id and time of another one")
        } else {
            String::new()
        },
    ));
    Ok(ExitStatus::Success)
}

/// Imports one file from its stored position on. `-` is standard input. Stores nothing more once `is_stopped` is
/// set.
///
/// # Errors
///
/// Returns an error if the file cannot be read or the archive not written.
pub(crate) fn import(
    path: &Path,
    region: Option<&str>,
    writer: &mut ArchiveWriter,
    summary: &mut ImportSummary,
    is_stopped: &AtomicBool,
) -> Result<(), CommandError> {
    let source = source_name(path)?;
    let name = display_path(path);
    let failed = |error: io::Error| read_error(&name, &error);
    let input = ImportInput::open(path, &source, writer)?;
    let mut reader = RecordReader::new(&source);
    if let Some(region) = region {
        reader = reader.region(region);
    }
    let lines = RecordLines::new(input.reader, reader).starting_at(input.start.0, input.start.1);
    let mut progress = ProgressLine::new(Some(input.length));
    for import in ImportBatches::read_ahead(lines, &source, input.head).map_err(failed)? {
        let import = import.map_err(failed)?;
        if is_stopped.load(Ordering::Relaxed) {
            break;
        }
        let outcome = writer.append(&import.batch)?;
        summary.other_lines += import.other_lines;
        summary.stored.stored += outcome.stored;
        summary.stored.copies += outcome.copies;
        summary.stored.reused += outcome.reused;
        summary.stored.unreadable += outcome.unreadable;
        let stored = summary.stored.stored;
        progress.show(import.end, stored, format_args!("{name}: {stored} stored"));
    }
    progress.clear();
    Ok(())
}

/// An open file, at the position from which the import continues.
struct ImportInput {
    reader: BufReader<Box<dyn io::Read + Send>>,
    /// The hash of the first line. `None` for standard input, and for a file without a whole line.
    head: Option<[u8; 16]>,
    /// The position and the number of lines before it.
    start: (u64, u64),
    length: u64,
}

impl ImportInput {
    fn open(path: &Path, source: &str, writer: &mut ArchiveWriter) -> Result<Self, CommandError> {
        let name = display_path(path);
        let failed = |error: io::Error| read_error(&name, &error);
        let input = InputSource::open(Some(&path.to_owned()))?;
        // Standard input has no name to open again, and a pipe has no position.
        if path == Path::new("-") || !input.is_file {
            let reader = BufReader::with_capacity(BUFFER_BYTES, input.reader);
            return Ok(Self { reader, head: None, start: (0, 0), length: 0 });
        }
        let mut file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let head = head_of(&mut file).map_err(failed)?;
        // A shorter file, or one with another first line or another line before the position, is another file
        // under the same name. An export that is written anew has late events before the position.
        let start = match (head, writer.position(source)?) {
            (Some(head), Some(known)) if known.offset <= length => {
                let line = line_before(&mut file, known.offset).map_err(failed)?;
                let found = ImportPosition::behind(head, &line, known.offset, known.line);
                if found == known { (known.offset, known.line) } else { (0, 0) }
            }
            _ => (0, 0),
        };
        file.seek(SeekFrom::Start(start.0)).map_err(failed)?;
        let reader =
            BufReader::with_capacity(BUFFER_BYTES, Box::new(file) as Box<dyn io::Read + Send>);
        Ok(Self { reader, head, start, length })
    }
}

/// Returns the hash of a file's first line, if the line has an end.
fn head_of(file: &mut File) -> io::Result<Option<[u8; 16]>> {
    let mut line = Vec::new();
    let mut reader = BufReader::new(file.take(LONGEST_LINE));
    reader.read_until(b'\n', &mut line)?;
    Ok(line.ends_with(b"\n").then(|| content_hash(&line)))
}

/// Returns the line that ends at `offset`, with its line end.
///
/// It is cut if it is longer than [`LONGEST_LINE`]. The stored position then does not match, and the file is
/// read from its start.
fn line_before(file: &mut File, offset: u64) -> io::Result<Vec<u8>> {
    let length = offset.min(LONGEST_LINE);
    file.seek(SeekFrom::Start(offset - length))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    let before = &bytes[..bytes.len().saturating_sub(1)];
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    Ok(bytes.split_off(start))
}

/// Returns the name under which the archive stores the position of a file: its absolute path.
fn source_name(path: &Path) -> Result<String, CommandError> {
    if path == Path::new("-") {
        return Ok("standard input".to_owned());
    }
    let absolute = path.canonicalize().map_err(|error| read_error(&display_path(path), &error))?;
    Ok(absolute.to_string_lossy().into_owned())
}

/// The size of the read buffer.
const BUFFER_BYTES: usize = 256 * 1024;
/// The most bytes of a line that identifies a file.
const LONGEST_LINE: u64 = 1024 * 1024;
