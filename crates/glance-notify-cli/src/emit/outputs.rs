//! The files that `emit` writes: ids of what was delivered, and what was not.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use glance_notify::Notification;
use glance_notify::codec::Encoding;
use glance_notify::uuid::Uuid;

use super::Args;
use crate::exit::{Exit, Failure};
use crate::source::show;

/// What `--acks` and `--failed` ask for.
pub(super) struct Outputs {
    /// Unbuffered: what is in it was delivered, and what was delivered is in it.
    acks: Option<Box<dyn Write + Send>>,
    failed: Option<BufWriter<File>>,
}

impl Outputs {
    pub(super) fn open(args: &Args) -> Result<Self, Failure> {
        let Args { acks, failed, input, .. } = args;
        let is_stdout = |path: &PathBuf| path == Path::new("-");
        if acks.as_ref().is_some_and(|path| !is_stdout(path) && is_same(path, failed.as_ref())) {
            let message = "--acks and --failed are the same file: name two";
            return Err(Failure::new(Exit::Permanent, message));
        }
        let input = input.as_ref();
        let acks: Option<Box<dyn Write + Send>> = match acks {
            None => None,
            Some(path) if is_stdout(path) => Some(Box::new(io::stdout())),
            Some(path) => Some(Box::new(create(path, input)?)),
        };
        let failed = match failed {
            None => None,
            Some(path) => Some(BufWriter::new(create(path, input)?)),
        };
        Ok(Self { acks, failed })
    }

    /// Notes that a notification was delivered.
    pub(super) fn ack(&mut self, id: Uuid) -> Result<(), Failure> {
        let Some(acks) = &mut self.acks else { return Ok(()) };
        let line = format!("{}\n", id.hyphenated());
        acks.write_all(line.as_bytes())
            .and_then(|()| acks.flush())
            .map_err(|error| unwritable("--acks", &error))
    }

    pub(super) fn keeps_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Keeps a notification that was not delivered, as it would have left.
    pub(super) fn fail(
        &mut self,
        notification: &Notification,
        encoding: &Encoding,
    ) -> Result<(), Failure> {
        let Some(failed) = &mut self.failed else { return Ok(()) };
        // What cannot be encoded could not be emitted again either.
        let Ok(message) = notification.encode(encoding) else { return Ok(()) };
        failed
            .write_all(message.body())
            .and_then(|()| failed.write_all(b"\n"))
            .map_err(|error| unwritable("--failed", &error))
    }

    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        let Some(failed) = &mut self.failed else { return Ok(()) };
        failed.flush().map_err(|error| unwritable("--failed", &error))
    }
}

/// Begins a file anew, unless it is the one that is read.
fn create(path: &Path, input: Option<&PathBuf>) -> Result<File, Failure> {
    let name = show(path);
    if is_same(path, input) {
        return Err(Failure::new(
            Exit::Permanent,
            format!("`{name}` is the input: it would be overwritten before it is read"),
        ));
    }
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(MODE)
        .open(path)
        .map_err(|error| Failure::new(Exit::Permanent, format!("cannot write `{name}`: {error}")))
}

fn is_same(path: &Path, other: Option<&PathBuf>) -> bool {
    let Some(other) = other else { return false };
    match (std::fs::metadata(path), std::fs::metadata(other)) {
        (Ok(one), Ok(other)) => {
            one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino())
        }
        _ => path == other,
    }
}

fn unwritable(option: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Permanent, format!("cannot write what {option} asks for: {error}"))
}

/// As the strategy `log` has it: not for everybody.
const MODE: u32 = 0o640;
