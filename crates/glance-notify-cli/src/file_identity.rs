//! The identity of a file: a command that appends to the file that it reads would read its own lines without end.
//!
//! It compares files by device and inode, because two paths may name one file, and standard input may be one.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use glance_notify::Config;
use glance_notify::codec::serde_json;

use crate::exit_status::{CommandError, ExitStatus};

/// The device and the inode of a regular file. A device such as `/dev/null` has none: it keeps nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// Returns the identity of the file at a path, or `None` if no regular file is there.
    pub(crate) fn of_path(path: &Path) -> Option<Self> {
        Self::new(&fs::metadata(path).ok()?)
    }

    /// Returns the identity of an input. `None` and `-` stand for standard input, which a shell may have
    /// redirected from a file.
    pub(crate) fn of_input(path: Option<&Path>) -> Option<Self> {
        if let Some(path) = path.filter(|path| *path != Path::new("-")) {
            return Self::of_path(path);
        }
        Self::of_stream(&io::stdin())
    }

    /// Returns the identity of the file that a shell has redirected a standard stream to, or from.
    pub(crate) fn of_stream(stream: &impl AsFd) -> Option<Self> {
        let stream = stream.as_fd().try_clone_to_owned().ok()?;
        Self::new(&File::from(stream).metadata().ok()?)
    }

    fn new(metadata: &Metadata) -> Option<Self> {
        let identity = Self { device: metadata.dev(), inode: metadata.ino() };
        metadata.is_file().then_some(identity)
    }
}

/// Checks that no destination of a configuration appends to one of the inputs, by its name or behind `>>`.
///
/// # Errors
///
/// Returns an error that names the key of the file or of the stream.
pub(crate) fn refuse_input_as_log(
    config: &Config,
    inputs: &[FileIdentity],
) -> Result<(), CommandError> {
    // The keys of another strategy than the chosen one are not among them.
    let entries = config.entries();
    let value = |key: &str| -> Option<String> {
        let entry = entries.iter().find(|entry| entry.key == key)?;
        serde_json::from_str(&entry.value).ok()
    };
    for entry in &entries {
        let (file, problem) = if let Some(destination) = entry.key.strip_suffix("log.file") {
            let target = value(&format!("{destination}log.target"));
            if target.is_some_and(|target| target != "file") {
                continue;
            }
            let file = value(&entry.key).and_then(|path| FileIdentity::of_path(Path::new(&path)));
            (file, "is the input file: name another")
        } else if entry.key.ends_with("log.target") {
            match value(&entry.key).as_deref() {
                Some("stdout") => (FileIdentity::of_stream(&io::stdout()), STDOUT_IS_INPUT),
                // The command logs to standard error.
                Some("tracing") => (FileIdentity::of_stream(&io::stderr()), STDERR_IS_INPUT),
                _ => continue,
            }
        } else {
            continue;
        };
        if file.is_some_and(|file| inputs.contains(&file)) {
            let message = format!("`{}` {problem}", entry.key);
            return Err(CommandError::new(ExitStatus::PermanentError, message));
        }
    }
    Ok(())
}

const STDOUT_IS_INPUT: &str =
    "writes to standard output, which is the input file: redirect it to another";
const STDERR_IS_INPUT: &str =
    "writes to standard error, which is the input file: redirect it to another";
