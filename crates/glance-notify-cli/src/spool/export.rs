//! `glance-notify spool export`: messages out of the spool, ready to be emitted again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::ids::message;
use super::{Slots, Which};
use crate::exit::{Exit, Failure, print, say};
use crate::source::show;

/// Write notifications out, one line each, as `glance-notify emit` takes them: with the ids they have.
/// They stay in the spool.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,

    /// Write to this file, which is only for its owner, rather than to standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace the file where there is one already.
    #[arg(long, requires = "output")]
    force: bool,
}

pub(super) fn run(args: &Args, dir: &Path) -> Result<Exit, Failure> {
    let mut slots = Slots::new(dir, args.which.slot)?;
    let mut exported = 0;
    match args.output.as_ref().filter(|path| *path != Path::new("-")) {
        None => print(|out| write(&mut slots, &args.which, out, &mut exported))?,
        Some(path) => {
            let unwritable = |error| unwritable(path, &error);
            let mut out = BufWriter::new(create(path, args.force).map_err(unwritable)?);
            write(&mut slots, &args.which, &mut out, &mut exported)
                .and_then(|()| out.into_inner().map_err(io::IntoInnerError::into_error))
                // Whoever has it in a file may drop it from the spool.
                .and_then(|file| file.sync_all())
                .map_err(unwritable)?;
        }
    }
    say(format_args!("{exported} exported"));
    Ok(slots.unseen.exit())
}

fn write(
    slots: &mut Slots<'_>,
    which: &Which,
    out: &mut dyn Write,
    exported: &mut u64,
) -> io::Result<()> {
    while let Some(slot) = slots.next() {
        for (_, entry) in which.of(&slot) {
            let Some(entry) = slots.unseen.see(entry) else { continue };
            let found = message(slot.number(), &entry);
            let Some(message) = slots.unseen.see(found) else { continue };
            out.write_all(message.body())?;
            out.write_all(b"\n")?;
            *exported += 1;
        }
    }
    Ok(())
}

/// A new file, through no link that somebody else may have put there.
fn create(path: &Path, force: bool) -> io::Result<File> {
    if force
        && let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let name = show(path);
    Failure::new(
        Exit::Permanent,
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("`{name}` exists already: name another, or add `--force` to replace it")
            }
            _ => format!("cannot write `{name}`: {error}"),
        },
    )
}

/// As the spool has it: only for its owner.
const MODE: u32 = 0o600;
