//! `glance-notify spool export`: copies messages out of the spool.
//!
//! The output is one notification a line, exactly the bytes that the destination would
//! receive. `glance-notify emit` reads it and keeps the ids. The messages stay in the
//! spool until you drop them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use glance_notify::transport::refuse_special_file_at;

use super::message_ref::decoded;
use super::selection::MessageSelection;
use super::slots::SlotWalk;
use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::display_path;
use crate::terminal::{counted, print_note, write_stdout};

/// Copy notifications out of the spool, one a line, ready for `glance-notify emit`. They keep their
/// ids, and they stay in the spool.
#[derive(clap::Args)]
pub(super) struct SpoolExportArgs {
    #[command(flatten)]
    selection: MessageSelection,

    /// Write to this file instead of standard output. Only its owner can read it.
    file: Option<PathBuf>,

    /// Replace the file if it exists.
    #[arg(long, requires = "file")]
    force: bool,
}

/// Writes the chosen messages and prints how many they are.
///
/// Syncs a file and its name before it reports success: you may drop the messages from
/// the spool afterwards.
///
/// # Errors
///
/// Returns an error if the directory cannot be read or the output not written.
pub(super) fn run(args: &SpoolExportArgs, dir: &Path) -> Result<ExitStatus, CommandError> {
    let mut slots = SlotWalk::new(dir, args.selection.slot)?;
    let mut exported = 0;
    match args.file.as_ref().filter(|path| *path != Path::new("-")) {
        None => {
            write_stdout(|out| write_messages(&mut slots, &args.selection, out, &mut exported))?;
        }
        Some(path) => {
            let write_error = |error| write_error(path, &error);
            let mut out = BufWriter::new(create(path, args.force).map_err(write_error)?);
            write_messages(&mut slots, &args.selection, &mut out, &mut exported)
                .and_then(|()| out.into_inner().map_err(io::IntoInnerError::into_error))
                .and_then(|file| file.sync_all())
                .and_then(|()| sync_directory(path))
                .map_err(write_error)?;
        }
    }
    print_note(format_args!("exported {}", counted(exported, "message")));
    Ok(slots.errors.status())
}

/// Writes the body of each chosen message as one line, and counts the lines.
///
/// Logs a message that cannot be decoded and leaves it out.
fn write_messages(
    slots: &mut SlotWalk<'_>,
    selection: &MessageSelection,
    out: &mut dyn Write,
    exported: &mut u64,
) -> io::Result<()> {
    while let Some(slot) = slots.next() {
        for (_, entry) in selection.entries(&slot) {
            let Some(entry) = slots.errors.ok(entry) else { continue };
            let message = decoded(slot.number(), &entry);
            let Some(message) = slots.errors.ok(message) else { continue };
            out.write_all(message.body())?;
            out.write_all(b"\n")?;
            *exported += 1;
        }
    }
    Ok(())
}

/// Creates a file, and never follows a link that another user may have planted.
///
/// With `force`, removes an existing file or link first, and nothing else: no device, and no link that leads to one
/// or to a standard stream, as `/dev/stdout` does.
fn create(path: &Path, force: bool) -> io::Result<File> {
    let remove = || {
        refuse_link_to_stream(path)?;
        refuse_special_file_at(path)?;
        fs::remove_file(path)
    };
    if force
        && let Err(error) = remove()
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}

/// Refuses a link into `/proc`: other programs need it, also while its stream is redirected to a file.
fn refuse_link_to_stream(path: &Path) -> io::Result<()> {
    if fs::read_link(path).is_ok_and(|target| target.starts_with("/proc")) {
        return Err(io::Error::other("it is a link into /proc: name another path"));
    }
    Ok(())
}

/// Makes the name of a new file durable. In a directory that the user may write and not read, it cannot.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match File::open(parent.unwrap_or(Path::new("."))) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        parent => parent?.sync_all(),
    }
}

/// Returns the error of an output file that cannot be created or written.
fn write_error(path: &Path, error: &io::Error) -> CommandError {
    let name = display_path(path);
    match error.kind() {
        io::ErrorKind::AlreadyExists => CommandError::new(
            ExitStatus::PermanentError,
            format!("`{name}` exists already: name another file, or add `--force` to replace it"),
        ),
        _ => CommandError::file(&format!("cannot write `{name}`"), error),
    }
}

/// The mode of new files, the same as in the spool: only the owner has access.
const MODE: u32 = 0o600;
