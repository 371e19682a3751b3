//! Where input comes from: a file, or standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use glance_notify::transport::printable;

use crate::exit::{Exit, Failure};

/// A file, or standard input.
pub(crate) struct Source {
    /// Safe to show.
    pub(crate) name: String,
    pub(crate) reader: Box<dyn Read + Send>,
    /// Whether it is a file that has an end, and may be read to it whatever happens.
    pub(crate) is_file: bool,
}

impl Source {
    /// Opens `path`; nothing and `-` are standard input.
    pub(crate) fn open(path: Option<&PathBuf>) -> Result<Self, Failure> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self {
                name: "standard input".to_owned(),
                reader: Box::new(io::stdin()),
                is_file: false,
            });
        };
        let name = show(path);
        let open = || {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            Ok((file, metadata.is_file()))
        };
        let (file, is_file) = open().map_err(|error| unreadable(&name, &error))?;
        Ok(Self { name, reader: Box::new(file), is_file })
    }
}

/// The failure of an input that cannot be read.
pub(crate) fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Permanent, format!("cannot read `{name}`: {error}"))
}

/// A path, safe to show.
pub(crate) fn show(path: &Path) -> String {
    printable(&path.to_string_lossy(), 256).to_string()
}
